--- Seeing what a registry holds, and where it came from.
-- @module gbi
local core = require "gbi.core"
local literal = require "gbi.literal"
local source = require "gbi.source"
local tabular = require "gbi.tabular"

local HEADER = { "index", "kind", "status", "type", "source", "place" }

local inspect = {}

local function row(registry, index, kind, status, object, from)
  return { tostring(index), kind, status,
    object == nil and "" or literal.comment(core.typename(object)),
    from == nil and "" or literal.comment(source.name(from)),
    registry:place(index) or "" }
end

--- The table a person needs when an index is wrong: of every index its kind,
-- its status, the type of its object, its source, and the place that
-- registered it, if `gbi.debug(true)` was called before.
--
-- The status is that of `find`: an index that the last `store` left out is
-- `unregistered`. One that is not in the table was released, or never given
-- out.
-- @function inspect
-- @tparam gbi.registry registry
-- @treturn string lines, each with its end
-- @raise an argument error when it is no registry
function inspect.inspect(registry)
  if getmetatable(registry) ~= getmetatable(core.default) then
    error(("bad argument #1 to 'inspect' (gbi.registry expected, got %s)")
      :format(type(registry)), 2)
  end
  local rows, present = {}, {}
  for index, entry in registry:entries() do
    present[index] = true
    rows[#rows + 1] = row(registry, index, entry.kind, entry.status,
      entry.object, entry.source)
  end
  for index, _, kind, from in registry:constructors() do
    if not present[index] then
      rows[#rows + 1] = row(registry, index, kind, "unregistered", nil, from)
    end
  end
  table.sort(rows, function(a, b) return tonumber(a[1]) < tonumber(b[1]) end)
  return tabular(HEADER, rows)
end

-- What the names of gbi's own chunks begin with: their folder's, or when they
-- were put together into one file the name of that. Asked for when it is
-- needed: a host may have no debug library.
local own

local function find_own()
  local chunk = debug.getinfo(1, "S").source
  return chunk:match("^(.*gbi[/\\])inspect%.lua$") or chunk
end

--- Has registrations note the place they come from, or no more: file and line
-- of the innermost Lua function that is not gbi's own. It is for all
-- registries of this Lua state; `registry:place` and `gbi.inspect` show it.
-- Off at first, and then it costs nothing.
-- @function debug
-- @tparam boolean on
-- @treturn boolean what it was before
-- @raise an argument error when `on` is no boolean
function inspect.debug(on)
  if type(on) ~= "boolean" then
    error(("bad argument #1 to 'debug' (boolean expected, got %s)"):format(
      type(on)), 2)
  end
  own = own or find_own()
  return core.record(on, own)
end

return inspect

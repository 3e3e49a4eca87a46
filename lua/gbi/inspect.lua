--- Seeing what a registry holds, and where it came from.
-- @module gbi
local compat = require "gbi.compat"
local core = require "gbi.core"
local errors = require "gbi.errors"
local literal = require "gbi.literal"
local source = require "gbi.source"
local tabular = require "gbi.tabular"

local HEADER = { "index", "kind", "status", "type", "source", "place" }

local inspect = {}

local function row(registry, index, kind, status, object, from)
  return { compat.digits(index), kind, status,
    object == nil and "" or literal.comment(core.typename(object)),
    from == nil and "" or literal.comment(source.name(from)),
    registry:place(index) or "" }
end

--- The table a person needs when an index is wrong: of every index its kind,
-- its status, the type of its object, its source, and the place that
-- registered it, if `gbi.debug(true)` was called before.
--
-- The status is that of `find`: an index that the last `store` left out is
-- `unregistered`.
-- @function inspect
-- @tparam gbi.registry registry
-- @treturn string lines, each with its end
-- @raise an argument error when it is no registry
function inspect.inspect(registry)
  errors.check_registry(2, "inspect", 1, registry)
  local rows = {} -- there are no gaps: a row's number is its index
  for index, _, kind, from in registry:constructors() do
    rows[index] = row(registry, index, kind, "unregistered", nil, from)
  end
  for index, entry in registry:entries() do
    rows[index] = row(registry, index, entry.kind, entry.status,
      entry.object, entry.source)
  end
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

--- Turns the recording of places on or off: of registrations and of a graph's
-- nodes, file and line of the innermost Lua function that is not gbi's own. It
-- is for the whole Lua state; `registry:place`, `gbi.inspect` and
-- `gbi.traceback` show the places. Off at first.
-- @function debug
-- @tparam boolean on
-- @treturn boolean what it was before
-- @raise an argument error when `on` is no boolean
function inspect.debug(on)
  if type(on) ~= "boolean" then
    errors.expected(2, "debug", 1, "boolean", on)
  end
  own = own or find_own()
  return core.record(on, own)
end

return inspect

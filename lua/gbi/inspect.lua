--- Shows what a registry holds, and where it came from.
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

--- Formats a registry as a table for debugging. A row shows an index, its kind,
-- its status, the type of its object, its source, and the call site that
-- registered it, if `gbi.debug(true)` was called before.
--
-- The status is what `find` tells: an index that the last `store` left out is
-- `unregistered`.
-- @function inspect
-- @tparam gbi.registry registry
-- @treturn string lines, each ending with a newline
-- @raise an argument error if `registry` is not a registry
function inspect.inspect(registry)
  errors.check_registry(2, "inspect", 1, registry)
  local rows = {} -- without gaps: a row's number is its index
  for index, _, kind, from in registry:constructors() do
    rows[index] = row(registry, index, kind, "unregistered", nil, from)
  end
  for index, entry in registry:entries() do
    rows[index] = row(registry, index, entry.kind, entry.status,
      entry.object, entry.source)
  end
  return tabular(HEADER, rows)
end

-- The prefix of the names of gbi's own chunks: their folder or, if they were
-- combined into one file, the name of that file. Determined at the first use,
-- because a host may have no debug library.
local own

local function find_own()
  local chunk = debug.getinfo(1, "S").source
  return chunk:match("^(.*gbi[/\\])inspect%.lua$") or chunk
end

--- Turns recording of call sites on or off: for registrations and for nodes of
-- graphs, file and line of the innermost Lua function that is not gbi's own.
-- The setting is for the whole Lua state and off by default. `registry:place`,
-- `node.place`, `gbi.inspect` and `gbi.traceback` show the call sites.
-- @function debug
-- @tparam boolean on
-- @treturn boolean the previous setting
-- @raise an argument error if `on` is not a boolean
function inspect.debug(on)
  if type(on) ~= "boolean" then
    errors.expected(2, "debug", 1, "boolean", on)
  end
  own = own or find_own()
  return core.record(on, own)
end

return inspect

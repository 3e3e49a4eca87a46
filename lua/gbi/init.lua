--- Compiled code refers to live Lua objects by number.
--
-- The functions that a program calls. Those of the registry are C, in
-- csrc/core.c; each is the same function as a method of @{gbi.registry}, on
-- `gbi.default`.
-- @module gbi
local core = require "gbi.core"
local inspect = require "gbi.inspect"
require "gbi.lookup"

local gbi = {
  --- `"gbi 0.2.0"`.
  -- @tfield string _VERSION
  _VERSION = core._VERSION,
  --- The registry of this Lua state that the module's functions work on.
  -- @tfield gbi.registry default
  default = core.default,
  new = core.new,
  --- The handle table of this Lua state.
  -- @tfield gbi.handles handles
  handles = core.handles,
  new_handles = core.new_handles,
  --- Where objects come from: module @{gbi.source}.
  -- @tfield gbi.source source
  source = require "gbi.source",
  --- Graphs: module @{gbi.graph}.
  -- @tfield gbi.graph graph
  graph = require "gbi.graph",
  compile_prologue = require "gbi.prologue",
  load_graph = require "gbi.graph".load,
  inspect = inspect.inspect,
  debug = inspect.debug,
  traceback = require "gbi.traceback".traceback,
}

for name, f in pairs(core.functions) do gbi[name] = f end

return gbi

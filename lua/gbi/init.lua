--- gbi: compiled code refers to live Lua objects by number.
--
-- The functions that a program calls; what they mean is in README.md. Those of
-- the registry are C, in csrc/core.c.
local core = require "gbi.core"
local inspect = require "gbi.inspect"

local gbi = {
  _VERSION = core._VERSION,
  default = core.default,
  new = core.new,
  source = require "gbi.source",
  graph = require "gbi.graph",
  compile_prologue = require "gbi.prologue",
  load_graph = require "gbi.graph".load,
  inspect = inspect.inspect,
  debug = inspect.debug,
}

for name, f in pairs(core.functions) do gbi[name] = f end

return gbi

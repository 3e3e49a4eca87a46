--- Compiled code refers to live Lua objects by number.
--
-- The functions that a program calls. Those for registries are written in C, in
-- csrc/registry_lua.c; each does the same as a method of @{gbi.registry}, on
-- `gbi.default`. The other modules are loaded when a program first uses a name
-- that needs them; until then, `pairs(gbi)` does not show that name.
-- @module gbi
local core = require "gbi.core"

local VERSION = "gbi 0.2.0" -- of the Lua files
if core._VERSION ~= VERSION then
  error(("the Lua files of %s found the gbi.core of %s (LUA_PATH and LUA_CPATH "
    .. "lead to two versions)"):format(VERSION, tostring(core._VERSION)))
end

if rawget(_G, "jit") then require "gbi.lookup" end

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
}

for name, f in pairs(core.functions) do gbi[name] = f end

-- Names loaded at their first use: a module, and a field of it.
local LATER = {
  --- Where objects come from: module @{gbi.source}.
  -- @tfield gbi.source source
  source = "gbi.source",
  --- Graphs: module @{gbi.graph}.
  -- @tfield gbi.graph graph
  graph = "gbi.graph",
  load_graph = "gbi.graph load",
  compile_prologue = "gbi.prologue",
  inspect = "gbi.inspect inspect",
  debug = "gbi.inspect debug",
  traceback = "gbi.traceback traceback",
}

-- Like require, but a module that failed to load can be loaded again. Before
-- Lua 5.2, require leaves a mark in package.loaded, a light userdata or in
-- LuaJIT a number, and refuses for ever, even if only memory had run out.
local function load(name)
  local ok, module = pcall(require, name)
  if ok then return module end
  for key, value in pairs(package.loaded) do
    local mark = type(value) == "userdata" or type(value) == "number"
    if mark and tostring(key):find "^gbi%." then package.loaded[key] = nil end
  end
  error(module, 0)
end

return setmetatable(gbi, {
  __index = function(_, name)
    local from = LATER[name]
    if not from then return nil end
    local module, field = from:match "^(%S+) ?(.*)$"
    local value = load(module)
    if field ~= "" then value = value[field] end
    gbi[name] = value
    return value
  end,
})

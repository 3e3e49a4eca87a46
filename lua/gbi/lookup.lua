-- Look-ups: the fast path of `get` and `find`, in Lua.
--
-- A C function ends a trace of LuaJIT's compiler, and in a registry's case it
-- also takes longer elsewhere. The tables of objects are C's; what these
-- functions do not find there, and every error, is left to the C function of
-- the same name.
local core = require "gbi.core"

local default, sides = core.default, core.sides
local registry = getmetatable(default).__index
local get, find = registry.get, registry.find

function registry.get(self, index, tname)
  local side = sides[self]
  if side and tname == nil then
    local object = side[index]
    if object then return object end
  end
  return get(self, index, tname)
end

function registry.find(self, index)
  local side = sides[self]
  if side then
    local object = side[index]
    if object then return object end
  end
  return find(self, index)
end

local functions = core.functions
local get_by_index = functions.get_external_object_by_index
local side = sides[default]

function functions.get_external_object_by_index(index, tname)
  local object = side[index]
  if object and tname == nil then return object end
  return get_by_index(index, tname)
end

-- C replaces the first upvalue whenever there is another side table. LuaJIT
-- takes an upvalue that no Lua code assigns for a constant.
side = sides[default]
core.follow(functions.get_external_object_by_index)

if rawget(_G, "jit") then -- elsewhere `type` costs more than it saves
  local HANDLE0 = 1000000000 -- the key of a handle is the handle less this
  local objects, type = core.objects, type
  local handles = getmetatable(core.handles).__index
  local get_handle, find_handle = handles.get, handles.find

  function handles.get(self, handle, tname)
    local values = objects[self]
    if values and tname == nil and type(handle) == "number" then
      local value = values[handle - HANDLE0]
      if value ~= nil then return value end
    end
    return get_handle(self, handle, tname)
  end

  function handles.find(self, handle)
    local values = objects[self]
    if values and type(handle) == "number" then
      local value = values[handle - HANDLE0]
      if value ~= nil then return value end
    end
    return find_handle(self, handle)
  end
end

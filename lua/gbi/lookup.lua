-- Look-ups for LuaJIT: the fast path of `get` and `find` in Lua, which reads
-- the tables of the C core.
--
-- A C function ends a trace of LuaJIT's compiler. On other Luas the C functions
-- are as fast, and this module is not loaded. If the fast path does not find
-- the object, it calls the C function of the same name, which also makes every
-- check.
local core = require "gbi.core"

if core.lookups then return end -- loaded again, but the core was not
core.lookups = true

local errors = require "gbi.errors"

local HANDLE0 = 1000000000 -- the key of a handle is the handle minus this

local default, sides, objects = core.default, core.sides, core.objects
local registry = getmetatable(default).__index
local handles = getmetatable(core.handles).__index
local functions = core.functions

-- Calls the C function with the arguments of a method, or of a module function
-- if `method` is false. An error of the C function gets the name `fname`, which
-- C cannot see here, and the line of the look-up's caller.
local function ask(f, method, fname, self, number, tname)
  local ok, object, why -- nil at the end stands for an omitted argument
  if tname ~= nil then ok, object, why = pcall(f, self, number, tname)
  elseif number ~= nil then ok, object, why = pcall(f, self, number)
  elseif self ~= nil then ok, object, why = pcall(f, self)
  else ok, object, why = pcall(f) end
  if ok then return object, why end
  if type(object) ~= "string" or errors.exhausted(object) then
    error(object, 0)
  end
  local arg, rest = object:match("^bad argument #(%d+) to '%?' (.*)$")
  if not arg then error(object, 3) end
  errors.argument(3, fname, method and arg ~= "1" and arg - 1 or arg,
    rest:sub(2, -2))
end

local get, find = registry.get, registry.find

function registry.get(self, index, tname)
  local side = sides[self]
  if side and tname == nil then
    local object = side[index]
    if object then return object end
  end
  return (ask(get, true, "get", self, index, tname))
end

function registry.find(self, index)
  local side = sides[self]
  if side then
    local object = side[index]
    if object then return object end
  end
  local object, why = ask(find, true, "find", self, index)
  return object, why
end

local get_by_index = functions.get_external_object_by_index

function functions.get_external_object_by_index(index, tname)
  local object = sides[default][index]
  if object and tname == nil then return object end
  return (ask(get_by_index, false, "get_external_object_by_index", index,
    tname))
end

local get_handle, find_handle = handles.get, handles.find

function handles.get(self, handle, tname)
  local values = objects[self]
  if values and tname == nil and type(handle) == "number" then
    local value = values[handle - HANDLE0]
    if value ~= nil then return value end
  end
  return (ask(get_handle, true, "get", self, handle, tname))
end

function handles.find(self, handle)
  local values = objects[self]
  if values and type(handle) == "number" then
    local value = values[handle - HANDLE0]
    if value ~= nil then return value end
  end
  local value, why = ask(find_handle, true, "find", self, handle)
  return value, why
end

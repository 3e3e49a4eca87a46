-- Faces: a registry or a handle table behind another interface, as an object
-- with the same methods.

local gbi = require "gbi"
local capi = require "capi"
local portable = require "spec.support.portable"

-- Makes a proxy: `methods` are its own; the others are those of `real`.
local function proxy(real, methods)
  return portable.setmetatable(methods, {
    __index = function(_, name)
      return function(_, ...) return real[name](real, ...) end
    end,
    __len = function() return #real end,
    __tostring = function() return tostring(real) end,
  })
end

-- Adds functions of gbi.h to `methods` under their names; they work on the
-- value at `first`.
local function add_from_c(methods, first, names)
  for _, name in ipairs(names) do
    methods[name] = function(_, ...) return capi[name](first, ...) end
  end
end

local function through_c(registry)
  local methods = {}
  function methods.register(_, object, source)
    if type(source) ~= "table" then error("C does not check a source") end
    return capi.register(registry, object, source)
  end
  function methods.find(_, index)
    local object, status = capi.find(registry, index)
    local again, same_status = capi.find_in(registry, index)
    assert(rawequal(object, again) and status == same_status)
    if status == "live" then return object end
    return nil, status
  end
  function methods.stash(_, object)
    capi.stash(registry, object)
    return object
  end
  add_from_c(methods, registry, { "register_created", "get", "store", "set",
    "reset", "snapshot", "restore", "count" })
  return proxy(registry, methods)
end

-- The module functions for the default registry.
local function through_module()
  local methods = {}
  for name, f in pairs {
    register = gbi.register_user_object,
    register_created = gbi.register_graph_created_object,
    get = gbi.get_external_object_by_index,
    store = gbi.store_user_object_weakrefs,
    reset = gbi.reset_user_object_tracking,
    has_objects = gbi.has_user_objects,
    set = gbi.set_external_object_by_index,
    stash = gbi.stash_graph_created_object,
  } do
    methods[name] = function(_, ...) return f(...) end
  end
  return proxy(gbi.default, methods)
end

-- The answers of C about a handle, in the form of Lua's.
local function answer(status)
  if status == "live" then return true end
  return nil, status
end

-- `first` is nil for the state's own handle table.
local function handles_through_c(handles, first)
  local methods = {}
  function methods.find(_, handle)
    local value, status = capi.find_handle(first, handle)
    local again, same_status = capi.find_handle_in(first, handle)
    assert(rawequal(value, again) and status == same_status)
    if status == "live" then return value end
    return nil, status
  end
  function methods.get(_, handle) return capi.get_handle(first, handle) end
  function methods.release(_, handle)
    return answer(capi.release(first, handle))
  end
  function methods.on_collect(_, handle, callback)
    return answer(capi.on_collect(first, handle, callback))
  end
  function methods.count() return capi.count_handles(first) end
  add_from_c(methods, first, { "weak", "strong", "sweep" })
  return proxy(handles, methods)
end

-- The faces of a registry, of a handle table, and of the state's own handle
-- table, by kind. For "lua" and "c", the first two are new; "mixed" has all
-- interfaces to the default registry.
return {
  lua = function()
    return { gbi.new() }, { gbi.new_handles() }, { gbi.handles }
  end,
  c = function()
    local handles = capi.new_handles()
    return { through_c(capi.new()) }, { handles_through_c(handles, handles) },
      { handles_through_c(gbi.handles, nil) }
  end,
  mixed = function()
    local handles = gbi.new_handles()
    return { gbi.default, through_module(), through_c(gbi.default) },
      { handles, handles_through_c(handles, handles) },
      { gbi.handles, handles_through_c(gbi.handles, nil) }
  end,
}

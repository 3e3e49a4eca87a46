-- LuaJIT's callbacks run out, unless each is freed by hand.
local ok, ffi = pcall(require, "ffi")
if not ok then
  print "ffi is LuaJIT's: make demo LUA=luajit"
  return
end
local gbi = require "gbi"

-- The usual way: a C function pointer for each Lua function.
local made, why = 0, nil
local kept = {}
while not why and made < 10000 do
  local done, callback = pcall(ffi.cast, "int (*)(int)", function(x)
    return x
  end)
  if done then
    made = made + 1
    kept[made] = callback
  else
    why = callback
  end
end
print("usual", why) --> usual	too many callbacks

-- With gbi: one C function pointer, and a handle in the `void *` that every
-- library passes on.
for _, callback in ipairs(kept) do callback:free() end
local call = ffi.cast("int (*)(void *, int)", function(pointer, x)
  local f = gbi.handles:find(tonumber(ffi.cast("intptr_t", pointer)))
  return f and f(x) or -1
end)
local functions, sum = {}, 0
for i = 1, 10000 do
  functions[i] = function(x) return x + 1 end
  local handle = gbi.handles:weak(functions[i])
  sum = sum + call(ffi.cast("void *", handle), 1)
  gbi.handles:release(handle)
end
print("gbi", sum) --> gbi	20000
call:free()

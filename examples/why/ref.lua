-- A callback that luaL_ref leaks, and a number that calls another one.
local gbi = require "gbi"
local c = require "ref" -- ref.c: a library that keeps callbacks by luaL_ref

-- A window with a callback that uses the window.
local function window()
  local self = {}
  self.on_tick = function() return self end
  return self
end

local alive = setmetatable({}, { __mode = "k" })
local function is_alive()
  collectgarbage()
  return next(alive) ~= nil
end

-- The usual way: the program forgets the window, and it never dies.
local n
do
  local w = window()
  alive[w] = true
  n = c.ref(w.on_tick)
end
print("usual", "leaked:", is_alive()) --> usual	leaked:	true

-- Released, its number soon is another callback's.
c.unref(n)
c.ref(function() return "another's callback" end)
print("usual", c.call(n)) --> usual	another's callback

-- With gbi: a weak handle keeps nothing alive, and its number finds nothing
-- else.
alive = setmetatable({}, { __mode = "k" })
do
  local w = window()
  alive[w] = true
  n = gbi.handles:weak(w.on_tick)
end
print("gbi", "leaked:", is_alive()) --> gbi	leaked:	false
print("gbi", gbi.handles:find(n)) --> gbi	nil	dead

-- A number that outlived its object, and was given to another one.
local gbi = require "gbi"

-- The usual way: a weak table, and the next free number.
local objects = setmetatable({}, { __mode = "v" })
local function number(object)
  objects[#objects + 1] = object
  return #objects
end

local kept = number { name = "first" } -- what a callback would keep
collectgarbage()
local second = { name = "second" }
number(second)
print("usual", objects[kept].name) --> usual	second

-- With gbi: a handle is never given out again.
kept = gbi.handles:weak { name = "first" }
collectgarbage()
gbi.handles:release(gbi.handles:weak(second))
print("gbi", gbi.handles:find(kept)) --> gbi	nil	dead

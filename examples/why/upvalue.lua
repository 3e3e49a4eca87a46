-- A compiled chunk that writes to yesterday's log.
local gbi = require "gbi"

-- Stands for a file, a socket, a window: something that is opened anew.
local function open(name)
  local self = {}
  function self.write(_, text) return name .. " gets " .. text end
  return self
end

local load = loadstring or load -- its name in Lua 5.1

-- The usual way: the object is an upvalue of the chunk.
local log = open "monday.log"
local write = assert(load [[
  local log = ...
  return function(text) return log:write(text) end]])(log)
log = open "tuesday.log" -- luacheck: ignore 311
print("usual", write "two") --> usual	monday.log gets two

-- With gbi: the code knows where its object comes from, and obtains it in
-- each call.
_G.log = open "monday.log"
local g = gbi.graph.new()
local object = g:external(_G.log, gbi.source.GlobalSource "log")
g:output(g:call_method("write", object, g:placeholder "text"))
write = g:compile()
_G.log = open "tuesday.log"
print("gbi", write "two") --> gbi	tuesday.log gets two

-- main.lua: bubbles rise, needles burst some of them.
local gbi = require "gbi"
local handles, source = gbi.handles, gbi.source

local bubbles = {} -- handle -> bubble; only these are in the game
local burst, late = 0, 0

-- One step of any bubble, compiled once.
local function compile()
  local g = gbi.graph.new()
  g:placeholder("bubble")
  local dt = g:placeholder("dt")
  local bubble = g:external({}, source.LocalSource("bubble"))
  local way = g:get_attr(bubble, "speed") * dt
  g:call_method("translate", g:get_attr(bubble, "place"), 0, -way)
  local height = g:get_attr(bubble, "height") + way
  g:set_item(bubble, "height", height)
  g:output(height)
  return (g:compile())
end

local step = compile()

-- LÖVE's events carry numbers, strings and copies of tables, no objects: the
-- needle in the event knows its bubble by handle.
function love.handlers.needle(handle)
  if not handles:find(handle) then
    late = late + 1
    return
  end
  bubbles[handle] = nil
  handles:release(handle) -- at once, not when the bubble is collected
  burst = burst + 1
end

function love.load()
  for i = 1, 30 do
    local bubble = {
      place = love.math.newTransform(10 * i, 240), height = 0, speed = 60 + i,
    }
    bubbles[handles:weak(bubble)] = bubble
  end
end

local frame = 0

function love.update()
  frame = frame + 1
  for handle, bubble in pairs(bubbles) do
    if step(bubble, 1 / 60) > 240 then
      bubbles[handle] = nil -- it has left the window
    elseif frame % 60 == 0 and bubble.speed % 3 == 0 then
      love.event.push("needle", handle)
      love.event.push("needle", handle) -- finds it burst
    end
  end
  if not next(bubbles) then
    collectgarbage()
    print(("frame %d: %d burst, %d needles came late, %d handles live"):format(
      frame, burst, late, handles:count()))
    love.event.quit()
  end
end

function love.draw()
  for _, bubble in pairs(bubbles) do
    love.graphics.push()
    love.graphics.applyTransform(bubble.place)
    love.graphics.circle("line", 0, 0, 5)
    love.graphics.pop()
  end
end

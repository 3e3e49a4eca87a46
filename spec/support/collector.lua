-- A helper of busted: runs the suite under another collector. GBI_COLLECTOR is
--
--   generational   minor collections as small as can be
--   incremental    no pause: one cycle follows the other, in small steps. (With
--                  one below 100 each cycle is a single step: a full collection
--                  at every check, which is what spec/support/faults.lua does.)
--   stop           no collection but those that a spec asks for
--
-- Each test begins so; a few choose their own collector, and keep it. (A
-- collection at every allocation, and at every VM instruction, is for programs
-- that hold what they look for: spec/support/faults.lua collect.)

local busted = require "busted"

local MODE = os.getenv "GBI_COLLECTOR"

if not MODE then return end

local modes = {
  generational = function() collectgarbage("generational", 1, 1) end,
  incremental = function() collectgarbage("incremental", 100, 100, 8) end,
  stop = function() collectgarbage("stop") end,
}

local start = assert(modes[MODE], MODE)

busted.subscribe({ "test", "start" }, function()
  if MODE == "stop" then collectgarbage() end
  start()
  return nil, true
end)

print("collector: " .. MODE)

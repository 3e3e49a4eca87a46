-- A helper of busted: runs the suite under another collector. GBI_COLLECTOR is
--
--   generational   minor collections as small as can be
--   incremental    no pause: one cycle follows the other, in small steps. (With
--                  one below 100 each cycle is a single step: a full collection
--                  at every check, which is what spec/support/faults.lua does.)
--   stop           no collection but those that a spec asks for
--
-- Each test begins in this mode; a few choose their own collector, and keep it.
-- (A collection at every allocation, and at every VM instruction, needs
-- programs that hold the objects they look for: spec/support/faults.lua
-- collect.)

local busted = require "busted"
local portable = require "spec.support.portable"

local MODE = os.getenv "GBI_COLLECTOR"

if not MODE then return end

local modes = {
  generational = function()
    portable.collector { mode = MODE, minormul = 1, minormajor = 1 }
  end,
  incremental = function()
    portable.collector { mode = MODE, pause = 100, stepmul = 100,
      stepsize = 256 }
  end,
  stop = function() collectgarbage("stop") end,
}

local start = assert(modes[MODE], MODE)

busted.subscribe({ "test", "start" }, function()
  if MODE == "stop" then collectgarbage() end
  start()
  return nil, true
end)

print("collector: " .. MODE)

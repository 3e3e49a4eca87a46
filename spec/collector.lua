-- A helper of busted: runs the suite under another collector. GBI_COLLECTOR is
--
--   generational   minor collections as small as can be
--   stop           no collection but those that a spec asks for
--
-- Each test begins so; a few choose their own collector, and keep it.

local busted = require "busted"

local MODE = os.getenv "GBI_COLLECTOR"

if not MODE then return end

local modes = {
  generational = function() collectgarbage("generational", 1, 1) end,
  stop = function() collectgarbage("stop") end,
}

local start = assert(modes[MODE], MODE)

busted.subscribe({ "test", "start" }, function()
  if MODE == "stop" then collectgarbage() end
  start()
  return nil, true
end)

print("collector: " .. MODE)

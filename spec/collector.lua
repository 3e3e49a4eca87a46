-- A helper of busted: runs the suite under another collector. GBI_COLLECTOR is
--
--   generational   minor collections as small as can be
--   incremental    the smallest pause, the largest steps
--   stop           no collection but those that a spec asks for
--   N              a full collection at every N-th VM instruction, in every
--                  coroutine
--
-- Each test begins so; a few choose their own collector, and keep it.

local busted = require "busted"

local MODE = os.getenv "GBI_COLLECTOR"
local N = math.tointeger(MODE)

if not MODE then return end

local function install(co)
  debug.sethook(co, function() collectgarbage() end, "", N)
  return co
end

local modes = {
  generational = function() collectgarbage("generational", 1, 1) end,
  incremental = function() collectgarbage("incremental", 1, 1000, 1) end,
  stop = function() collectgarbage("stop") end,
}

local start = assert(N and function() end or modes[MODE], MODE)

if N then
  local create, wrap = coroutine.create, coroutine.wrap
  install((coroutine.running()))
  function coroutine.create(...) return install(create(...)) end
  function coroutine.wrap(f)
    return wrap(function(...)
      install((coroutine.running()))
      return f(...)
    end)
  end
end

busted.subscribe({ "test", "start" }, function()
  if MODE == "stop" then collectgarbage() end
  start()
  return nil, true
end)

print("collector: " .. MODE)

-- Random sequences of operations, the last one failing at every allocation, and
-- the others at some: each time everything is as the model says.
--
-- The sequence with a seed is played again for each allocation, because what a
-- call that failed has left behind may change what the next one allocates.

local operations = require "spec.support.operations"
local program = require "spec.support.program"

local KINDS = { "lua", "c", "mixed" }

-- An operation of a sequence may fail at one of this many allocations.
local REACH = 20

local compose = {}

-- What came of a call: whether there was a failure, and what pcall returns.
local function result(hits, ...)
  return hits > 0, ...
end

-- Plays a sequence up to its last operation. `inject` calls a function while an
-- allocation fails.
local function play(seed, inject)
  local calls = 0
  local function call(f)
    calls = calls + 1
    return select(2, result(inject(math.random(REACH), false, f)))
  end
  math.randomseed(seed)
  local p = program.new(KINDS[seed % #KINDS + 1])
  for _ = 1, math.random(0, 40) do
    p:step(math.random(4) == 1 and call or pcall)
    p:collect()
    p:compare()
  end
  return p, calls
end

-- Makes the last operation while its `n`-th allocation fails. Then the rest is
-- as it was, and the operation can be made. Returns whether any failed.
local function last(p, inject, n, all)
  local op = operations.choose(p)
  p.doing = op.name
  local failed
  local function call(f)
    return (function(hit, ...)
      failed = hit
      return ...
    end)(result(inject(n, all, f)))
  end
  local ok, again = p:done(op, call(op.call))
  if ok or not again then op = nil end -- it holds what it worked on
  p:collect()
  p:compare()
  if op and n % 2 == 1 then
    assert(p:done(op, pcall(op.call)))
    op = nil -- luacheck: ignore 311
    p:collect()
    p:compare()
  end
  return failed
end

-- Sweeps the sequence of a seed. Returns how many allocations failed.
function compose.sequence(seed, inject, all)
  local n, hits, p = 0, 0, nil
  collectgarbage("stop")
  local ok, err = xpcall(function()
    local failed
    repeat
      n = n + 1
      p = play(seed, inject)
      failed = last(p, inject, n, all)
      p:finish()
      if failed then hits = hits + 1 end
    until not failed
  end, function(e) return debug.traceback(e, 2) end)
  collectgarbage("restart")
  if not ok then
    program.clear()
    return nil, ("%s, allocation %d: %s"):format(p and p.doing, n, err)
  end
  return hits
end

return compose

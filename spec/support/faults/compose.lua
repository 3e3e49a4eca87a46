-- Random sequences of operations: the last one fails at every allocation, the
-- others at some; each time everything must be as the model says.
--
-- The sequence of a seed is repeated for each allocation, because the traces of
-- a failed call may change the allocations of the next one.

local operations = require "spec.support.operations"
local program = require "spec.support.program"

local KINDS = { "lua", "c", "mixed" }

-- An operation of a sequence may fail at one of this many allocations.
local REACH = 20

local compose = {}

-- Runs a sequence up to its last operation. `inject` calls a function while an
-- allocation fails.
local function play(seed, inject)
  local function call(f)
    return select(2, inject(math.random(REACH), false, f))
  end
  math.randomseed(seed)
  local p = program.new(KINDS[seed % #KINDS + 1])
  for _ = 1, math.random(0, 40) do
    p:step(math.random(4) == 1 and call or pcall)
    p:collect()
    p:compare()
  end
  return p
end

-- Makes the last operation while its `n`-th allocation fails. Afterwards
-- everything must be as before, and the operation must succeed. Returns how
-- many allocations failed.
local function last(p, inject, n, all)
  local op, failures
  -- often a store after a restore, which a chance sequence seldom has
  if #p.snapshots > 0 and math.random(2) == 1 then
    repeat op = operations.choose(p) until op.name == "restore"
    assert(p:done(op, pcall(op.call)))
    p:collect()
    repeat op = operations.choose(p) until op.name:find "^store"
  else
    repeat op = operations.choose(p) until not op.over
  end
  p.doing = op.name
  p:collect()
  local function done(hits, ...)
    failures = hits
    return p:done(op, ...)
  end
  local ok, again = done(inject(n, all, op.call))
  if ok or not again then op = nil end -- it holds the values it worked on
  p:collect()
  p:compare()
  if op and n % 2 == 1 then
    assert(p:done(op, pcall(op.call)))
    op = nil -- luacheck: ignore 311
    p:collect()
    p:compare()
  end
  return failures
end

-- Sweeps the sequence of a seed. Returns how many allocations failed; or nil
-- and what went wrong.
function compose.sequence(seed, inject, all)
  local n, sum, p = 0, 0, nil
  collectgarbage("stop")
  local ok, err = xpcall(function()
    local failures
    repeat
      n = n + 1
      p = play(seed, inject)
      failures = last(p, inject, n, all)
      p:finish()
      sum = sum + failures
    until failures == 0
  end, debug.traceback)
  collectgarbage("restart")
  if not ok then
    program.clear()
    return nil, ("%s, allocation %d: %s"):format(p and p.doing, n, err)
  end
  return sum
end

return compose

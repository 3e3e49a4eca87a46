-- Is the synchronisation real? The first kernel takes two milliseconds. With
-- the event, the result is right in every run; without waiting for it, it is
-- not.
--
--   lua proof.lua [RUNS]
local cuda = require "cuda"
local workload = require "workload"

local RUNS, CONTROL = tonumber(arg and arg[1]) or 1000, 20
local SLOW = 2000000 -- nanoseconds

local main = cuda.stream()

-- Runs it on different numbers each time; returns how often it was right.
local function right(f, runs)
  local n = 0
  for run = 1, runs do
    local xs = {}
    for i = 1, 16 do xs[i] = run * 16 + i end
    local x = cuda.from(main, xs)
    local z = f(x, main)
    if workload.check(z:read(main), xs, workload.fork_join_of) then
      n = n + 1
    end
    z:close()
    x:close()
  end
  cuda.synchronize()
  return n
end

local n = right(workload.fork_join({ slow = SLOW }):compile(), RUNS)
print(("waiting for the event: %d of %d runs are right"):format(n, RUNS))
local lucky = right(workload.fork_join({ slow = SLOW, wait = false }):compile(),
  CONTROL)
print(("without waiting: %d of %d runs are wrong"):format(CONTROL - lucky,
  CONTROL))
assert(n == RUNS and lucky == 0)

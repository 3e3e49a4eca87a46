-- One compiled graph, run by several coroutines that are suspended in the
-- middle of it, each on a stream of its own. No run sees another one's event.
local gbi = require "gbi"
local cuda = require "cuda"
local workload = require "workload"
local source = gbi.source

local f = workload.fork_join({
  of_run = true,
  pause = source.AttrSource(source.GlobalSource("coroutine"), "yield"),
}):compile()

local RUNS, ROUNDS = 8, 50
local before, suspended = gbi.handles:count(), 0
for round = 1, ROUNDS do
  local runs = {}
  for i = 1, RUNS do
    local main = cuda.stream()
    local xs = { round * 100 + i, i, -i }
    local x = cuda.from(main, xs)
    local run = { main = main, xs = xs }
    run.resume = coroutine.wrap(function() run.z = f(x, main) end)
    runs[i] = run
  end
  for _, run in ipairs(runs) do run.resume() end
  for _, run in ipairs(runs) do
    if not run.z then suspended = suspended + 1 end
  end
  for i = RUNS, 1, -1 do runs[i].resume() end
  for _, run in ipairs(runs) do
    assert(workload.check(run.z:read(run.main), run.xs,
      workload.fork_join_of))
    run.z:close()
    run.main:close()
  end
end
print(("%d runs, %d of them suspended in the middle, %d at a time: all right")
  :format(RUNS * ROUNDS, suspended, RUNS))
assert(suspended == RUNS * ROUNDS)
assert(gbi.handles:count() == before)

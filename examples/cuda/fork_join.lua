-- A graph with a stream of a pool and an event of its own in each run, compiled
-- once: y = x + 1 on a side stream, z = y * 2 on the main one.
--
--   make gpu, or: eval "$(make -s env)"; cd examples/cuda; lua fork_join.lua
local cuda = require "cuda"
local workload = require "workload"
local cudagraph = require "cudagraph"

print(("GPU: %s, driver %s"):format(cuda.device()))
local g = workload.fork_join()
local f, code = g:compile()
print(g)
print()
print(code)

local main = cuda.stream()

-- Calls a compiled graph three times, and checks its results.
local function show(what, call)
  for run = 1, 3 do
    local xs = { run, run + 1, run + 2, run + 3 }
    local numbers = call(cuda.from(main, xs), main):read(main)
    print(("%s %d: %s"):format(what, run, table.concat(numbers, " ")))
    assert(workload.check(numbers, xs, workload.fork_join_of))
  end
end

show("run", f)
-- The same as one launch of a CUDA graph
show("replay", cudagraph.compile(g, { stream = "main" }))

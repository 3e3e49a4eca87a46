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
for run = 1, 3 do
  local xs = { run, run + 1, run + 2, run + 3 }
  local x = cuda.from(main, xs)
  local z = f(x, main)
  local numbers = z:read(main)
  print(("run %d: %s"):format(run, table.concat(numbers, " ")))
  assert(workload.check(numbers, xs, workload.fork_join_of))
end

-- The same as one launch of a CUDA graph
local replay = cudagraph.compile(g, { stream = "main" })
for run = 1, 3 do
  local xs = { run, run + 1, run + 2, run + 3 }
  local x = cuda.from(main, xs)
  local z = replay(x, main)
  local numbers = z:read(main)
  print(("replay %d: %s"):format(run, table.concat(numbers, " ")))
  assert(workload.check(numbers, xs, workload.fork_join_of))
end

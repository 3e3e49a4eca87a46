-- Two side streams and three events, and the same as a CUDA graph.
local cuda = require "cuda"
local workload = require "workload"
local cudagraph = require "cudagraph"

local g = workload.diamond()
print(g)
local main = cuda.stream()
for name, f in pairs {
  ["stream by stream"] = g:compile(),
  ["as a CUDA graph"] = cudagraph.compile(g, { stream = "main" }),
} do
  for run = 1, 100 do
    local xs = { run, run * 2, run * 3, run * 4, run * 5 }
    local x = cuda.from(main, xs)
    local z = f(x, main)
    assert(workload.check(z:read(main), xs, workload.diamond_of))
    z:close()
    x:close()
  end
  print(("100 runs %s: right"):format(name))
end

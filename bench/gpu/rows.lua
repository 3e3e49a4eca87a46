--- The measured Lua functions, each made by a function as f(x, main).
local cuda = require "cuda"
local kernels = require "kernels"
local workload = require "workload"
local cudagraph = require "cudagraph"

local rows = {}

function rows.gbi()
  return (workload.fork_join():compile())
end

function rows.of_run()
  return (workload.fork_join({ of_run = true }):compile())
end

function rows.graph()
  return (cudagraph.compile(workload.fork_join(), { stream = "main" }))
end

-- The work of the compiled graph, by hand and without gbi.
function rows.hand()
  local add, mul = kernels.maps.add, kernels.maps.mul
  return function(input, stream)
    local side, event = cuda.pool_stream(), cuda.event()
    local y = add(side, input, 1)
    cuda.record_event(event, side)
    cuda.wait_event(event, stream)
    local z = mul(stream, y, 2)
    cuda.close(y, event)
    return z
  end
end

return rows

--- How much faster the examples' backend to C is: a loop of 10^6 iterations
-- must be 10 times as fast as gbi's own code.
local gbi = require "gbi"
local c_backend = require "examples.c_backend"
local measure = require "measure"

local graph = gbi.graph.trace(function(n)
  local g = n.graph
  local going = g:subgraph(function(i, _sum) return i:gt(0) end)
  local body = g:subgraph(function(i, sum) return i - 1, sum + i * i end)
  return (select(2, g:while_loop(going, body, { n, 0 }):results(2)))
end)

-- Seconds of processor time, the best of 3.
local function cost(f, n)
  local best = math.huge
  for _ = 1, 3 do
    best = math.min(best, measure.seconds(f, n))
  end
  return best
end

local in_lua = graph:compile()
local in_c = graph:compile { backend = c_backend.backend }
local missed = 0
print "\na loop of 10^6 iterations, C against gbi's own code"
for _, n in ipairs { 1000000, 1e6 } do
  assert(in_c(n) == in_lua(n)) -- compiles
  local ratio = cost(in_lua, n) / cost(in_c, n)
  if ratio < 10 then missed = missed + 1 end
  print(("%-8s %5.1f times as fast  %s"):format(math.type(n), ratio,
    ratio >= 10 and "ok" or "MISSED"))
end
os.exit(missed == 0)

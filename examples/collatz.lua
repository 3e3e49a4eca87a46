-- A graph of loops and conditions, compiled to C by c_backend.lua.
--
--   lua examples/collatz.lua [LIMIT]
--
-- From n go to n // 2 if n is even, else to 3 * n + 1: all numbers seem to
-- reach 1. The graph looks for the number below LIMIT that takes the most
-- steps.
if not math.type then
  print "examples/collatz.lua wants the integers of Lua 5.3 or 5.4"
  os.exit(0)
end

local gbi = require "gbi"
local c_backend = require "examples.c_backend"

-- From i to the next number.
local function step(i, steps)
  local g = i.graph
  local even = g:subgraph(function(k)
    return k.graph:call_function("idiv", k, 2) -- 5.1 cannot read k // 2
  end)
  local odd = g:subgraph(function(k) return 3 * k + 1 end)
  return g:cond((i % 2):eq(0), even, odd, { i }), steps + 1
end

local function steps_from(n)
  local going = n.graph:subgraph(function(i, _steps) return i:ne(1) end)
  return select(2, n.graph:while_loop(going, n.graph:subgraph(step), { n, 0 })
    :results(2))
end

-- From n to the next one. `best` takes the most steps of those before n.
local function look(n, best, most, limit)
  local g, steps = n.graph, steps_from(n)
  local new = g:subgraph(function(a, b, _c, _d) return a, b end)
  local old = g:subgraph(function(_a, _b, c, d) return c, d end)
  best, most = g:cond(steps:gt(most), new, old, { n, steps, best, most })
    :results(2)
  return n + 1, best, most, limit
end

local graph = gbi.graph.trace(function(limit)
  local g = limit.graph
  local below = g:subgraph(function(n, _best, _most, last)
    return n:lt(last)
  end)
  local _, best, most = g:while_loop(below, g:subgraph(look),
    { 1, 0, 0, limit }):results(3)
  return best, most
end)

print((c_backend.generate(graph, "of_an_integer", "I")))

-- How long a call takes, and what it returns.
local function time(f, limit)
  local start = os.clock()
  local best, most = f(limit)
  return os.clock() - start, best, most
end

local limit = math.tointeger(arg[1] or 100000)
local in_lua = graph:compile()
local in_c = graph:compile { backend = c_backend.backend }
local failed = false
for _, n in ipairs { limit, limit + 0.0 } do
  in_c(n - n) -- compiles, for an integer and then for a float
  local lua, best, most = time(in_lua, n)
  local c, best_in_c, most_in_c = time(in_c, n)
  failed = failed or best ~= best_in_c or most ~= most_in_c
  print(("below %s: %s takes %s steps; C is %.0f times as fast as Lua"):format(
    n, best_in_c, most_in_c, lua / c))
end
print(failed and "WRONG: Lua finds others" or "Lua finds the same")
os.exit(failed and 1 or 0)

--- The cost of a pass over a graph per node, against the number of nodes: each
-- pass must cost the same for 10^5 as for 10^3, within a factor of 2.
local gbi = require "gbi"

-- Nanoseconds of processor time per node that f() takes, the best of 3.
local function cost(n, make, f)
  local best = math.huge
  for _ = 1, 3 do
    local g = make(n)
    collectgarbage()
    local start = os.clock()
    f(g)
    best = math.min(best, os.clock() - start)
  end
  return best / n * 1e9
end

local function chain(n)
  local g = gbi.graph.new()
  local value = g:placeholder "x"
  for _ = 1, n do value = value + 1 end
  g:output(value)
  return g
end

local PASSES = {
  { "record", function(g) chain(#g:find_nodes { target = "add" }) end },
  { "replace every node", function(g)
    for node in g:nodes() do
      if node.target == "add" then
        node:replace_all_uses_with(g:inserting_after(node, function()
          return node - 1
        end))
      end
    end
  end },
  { "erase what is unused", function(g)
    local output = g:find_nodes { op = "output" }[1]
    output:update_arg(1, 0)
    g:eliminate_dead_code()
  end },
  { "lint", function(g) assert(g:lint()) end },
  { "copy", function(g) g:copy() end },
}

print("\npasses over graphs, ns a node")
print(("%-22s %9s %9s %9s"):format("pass", "10^3", "10^4", "10^5"))
local missed = 0
for _, pass in ipairs(PASSES) do
  local times = {}
  for i = 1, 3 do times[i] = cost(10 ^ (i + 2), chain, pass[2]) end
  local ok = times[3] <= 2 * times[1]
  if not ok then missed = missed + 1 end
  print(("%-22s %9.0f %9.0f %9.0f  %s"):format(pass[1], times[1], times[2],
    times[3], ok and "ok" or "MISSED"))
end
os.exit(missed == 0)

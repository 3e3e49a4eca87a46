-- Random graphs with conditions and loops: compiled code, interpreters, copies
-- and files agree. GBI_GRAPHS says how many.
local compat = require "gbi.compat"
local fixture = require "spec.support.fixture"
local portable = require "spec.support.portable"
local random_control = require "spec.support.random_control"
local gbi = require "gbi"

local SEED = require "spec.support.seed" "control_spec"
local N = tonumber(os.getenv "GBI_GRAPHS") or 1000

local function show(value)
  if type(value) == "number" then return portable.digits(value) end
  return type(value) == "function" and "log" or tostring(value)
end

-- What a call does: what it logs, and returns or raises.
local function outcome(f, x, y)
  local lines, calls = {}, 0
  function _G.log(a, b)
    calls = calls + 1
    if calls > 200 then error("too many calls", 0) end
    if type(a) == "number" and a > 1e9 and gbi.handles:find(a) then
      assert.equal(_G.log, gbi.handles:get(a))
      a = "handle"
    end
    lines[calls] = show(a) .. " " .. show(b)
    return a, b
  end
  local results = compat.pack(pcall(f, x, y))
  if results[1] then
    for i = 1, results.n do results[i] = show(results[i]) end
  else
    -- the position, and the names of variables, are the generated code's
    results[2] = tostring(results[2]):gsub("^.-:%d+: ", "")
      :gsub(" %b()$", ""):gsub("^(attempt to %a+ %w+).*", "%1")
  end
  lines[#lines + 1] = table.concat(results, ", ", 2, results.n)
  return table.concat(lines, "\n"), results[1]
end

it("random conditions and loops agree, however they are run", function()
  local path, ended, failed = fixture.path(), 0, 0
  fixture.global("log", false)
  for i = 1, N do
    math.randomseed((SEED * 1009 + i) % 2 ^ 31)
    local g = random_control.make(math.random)
    local ways = {
      compiled = (g:compile()),
      interpreted = function(...) return gbi.graph.interpreter(g):run(...) end,
    }
    if i % 10 == 0 then
      assert.is_true(g:save(path))
      ways.loaded = assert(gbi.load_graph(path)):compile()
      ways.copied = g:copy():compile()
      ways.transformed = gbi.graph.transformer(g):transform():compile()
      local h = g:copy()
      h:eliminate_dead_code()
      assert(h:lint())
      ways.reduced = h:compile()
    end
    local x, y = math.random(-1, 3), math.random(2) == 1 or 0.5
    local expected, ok = outcome(ways.compiled, x, y)
    if ok then ended = ended + 1 else failed = failed + 1 end
    for way, f in pairs(ways) do
      local got = outcome(f, x, y)
      if got ~= expected then
        error(("GBI_SEED=%d, graph %d\n%s\n%s\n\nexpected\n%s\n\n%s\n%s")
          :format(SEED, i, tostring(g), g:code(), expected, way, got))
      end
    end
  end
  assert.is_true(ended > N / 4)
  assert.is_true(failed > N / 50)
end)

-- Random graphs with conditions and loops: compiled code, C, interpreters,
-- copies and files agree. GBI_GRAPHS says how many.
local c_batch = require "spec.support.c_batch"
local compat = require "gbi.compat"
local fixture = require "spec.support.fixture"
local portable = require "spec.support.portable"
local random_control = require "spec.support.random_control"
local gbi = require "gbi"
local gbi_node = require "gbi.node"

local SEED = require "spec.support.seed" "control_spec"
local N = tonumber(os.getenv "GBI_GRAPHS") or 1000
local BATCH = 200 -- graphs that one call of cc compiles

-- The backend of the examples, in a Lua that has integers.
local c_backend = math.type and require "examples.c_backend"

local function show(value)
  if type(value) == "number" then return portable.digits(value) end
  return type(value) == "function" and "log" or tostring(value)
end

-- What a call does: its log, and its results or error.
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
    -- the position and the variable names belong to the generated code
    results[2] = tostring(results[2]):gsub("^.-:%d+: ", "")
      :gsub(" %b()", ""):gsub("^(attempt to %a+ %w+).*", "%1")
  end
  lines[#lines + 1] = table.concat(results, ", ", 2, results.n)
  return table.concat(lines, "\n"), results[1]
end

-- Two objects that have arithmetic; an operation on one gives the other.
local one, two = {}, {}
do
  local mt = {
    __tostring = function(self) return self == one and "one" or "two" end,
    __lt = function() return false end,
    __le = function() return true end,
  }
  for name, operands in pairs(gbi_node.overloads) do
    if name ~= "len" then
      mt["__" .. name] = function(a, b)
        if operands == 1 then b = nil end
        return (a == one or b == one) and two or one
      end
    end
  end
  setmetatable(one, mt)
  setmetatable(two, mt)
end

local INPUTS = { true, 0.5, 2, -1.5, "7", one }

-- Random graph `i`, and inputs.
local function make(i)
  math.randomseed((SEED * 1009 + i) % 2 ^ 31)
  local g = random_control.make(math.random)
  return g, math.random(-1, 3), INPUTS[math.random(#INPUTS)]
end

-- Compiles some random graphs, from number `first` on, to C: number ->
-- function.
local function in_c(first)
  local functions = {}
  if not c_backend or N <= 1000 and first > 400 then return functions end
  local backend, build = c_batch()
  for i = first, math.min(first + BATCH - 1, N) do
    local g, _, y = make(i)
    local types = "VV"
    if i % 3 > 0 then
      types = "I" .. c_backend.type(y)
    end
    functions[i] = g:compile { backend = backend(types) }
  end
  build(first % (10 * BATCH) == 9 * BATCH + 1 and "-O2" or "-O0")
  return functions
end

it("random conditions and loops agree, however they are run", function()
  local path, ended, failed, c = fixture.path(), 0, 0, nil
  fixture.global("log", false)
  for i = 1, N do
    if i % BATCH == 1 then c = in_c(i) end
    local g, x, y = make(i)
    local ways = {
      compiled = (g:compile()),
      interpreted = function(...) return gbi.graph.interpreter(g):run(...) end,
      c = c[i],
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

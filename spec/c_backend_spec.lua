-- The example backend that compiles to C: numbers, guards, and the nodes that
-- return to Lua. Random graphs: control_spec.lua.
local c_batch = require "spec.support.c_batch"
local compat = require "gbi.compat"
local fixture = require "spec.support.fixture"
local portable = require "spec.support.portable"
local random_graph = require "spec.support.random_graph"
local gbi = require "gbi"
local source = gbi.source

if not math.type then
  it("a Lua without integers is told why there is no backend to C", function()
    local out, ok = portable.run(portable.start() .. " examples/collatz.lua")
    assert.is_true(ok)
    assert.equal("examples/collatz.lua wants the integers of Lua 5.3 or 5.4\n",
      out)
    local g = gbi.graph.new()
    g:output()
    assert.has_error(function()
      g:compile { backend = require "examples.c_backend".backend }
    end, "c_backend needs Lua 5.3 or 5.4")
  end)
  return
end

local c_backend = require "examples.c_backend"

local SEED = require "spec.support.seed" "c_backend_spec"

local function show(value)
  return type(value) == "number" and portable.digits(value) or tostring(value)
end

-- The results of a call, or its error without position and names of variables.
local function outcome(f, ...)
  local results = compat.pack(pcall(f, ...))
  for i = 2, results.n do results[i] = show(results[i]) end
  if not results[1] then
    results[2] = results[2]:gsub("^.-:%d+: ", ""):gsub(" %b()", "")
  end
  return table.concat(results, ", ", 2, results.n)
end

local BINARY = {
  add = "+", sub = "-", mul = "*", div = "/", mod = "%", pow = "^",
  idiv = "//", band = "&", bor = "|", bxor = "~", shl = "<<", shr = ">>",
  eq = "==", ne = "~=", lt = "<", le = "<=", gt = ">", ge = ">=",
  land = "and", lor = "or", concat = "..",
}
local UNARY = { unm = "-", bnot = "~", lnot = "not ", len = "#" }

local max, min, inf = math.maxinteger, math.mininteger, math.huge
local VALUES = {
  0, 1, -1, 2, -2, 3, 7, 63, 64, -63, -64, 65, 9007199254740992,
  9007199254740993, -9007199254740993, max, max - 1, min, min + 1,
  0.0, -0.0, 0.5, -0.5, 1.0, 2.0, -1.0, -3.7, 63.0, 2.0 ^ 53, 2.0 ^ 53 + 2,
  2.0 ^ 63, -2.0 ^ 63, 1e308, -1e308, 5e-324, inf, -inf, 0 / 0,
  true, false, "10", "0x10", "-0.0", "text", n = 45,
}
VALUES[VALUES.n] = nil

local function Global(name) return source.GlobalSource(name) end

-- A graph that records f, compiled to C, and by gbi itself.
local function compile(f, options)
  local g = gbi.graph.trace(f)
  local in_lua = g:compile(options)
  options = options or {}
  options.backend = c_backend.backend
  return g:compile(options), in_lua
end

describe("the backend to C", function()
  it("has Lua's operators, for all types", function()
    local backend, build = c_batch()
    local functions = {}
    local function add(name, operands, types)
      local g = gbi.graph.new()
      local a = g:placeholder "a"
      if operands == 1 then g:output(g:call_function(name, a))
      else g:output(g:call_function(name, a, g:placeholder "b")) end
      functions[name .. types] = g:compile { backend = backend(types) }
    end
    for a in ("IFBV"):gmatch "." do
      for name in pairs(UNARY) do add(name, 1, a) end
      for b in ("IFBV"):gmatch "." do
        for name in pairs(BINARY) do add(name, 2, a .. b) end
      end
    end
    build "-O2 -Wall -Werror -Wno-unused"
    local function compare(name, types, f, ...)
      local expected = outcome(f, ...)
      for _, each in ipairs { types, ("V"):rep(#types) } do
        local got = outcome(functions[name .. each], ...)
        if got ~= expected then
          error(("%s of %s and %s as %s: expected %s, got %s"):format(name,
            show((...)), show((select(2, ...))), each, expected, got))
        end
      end
    end
    for name, symbol in pairs(UNARY) do
      local f = portable.expression(symbol .. "a")
      for i = 1, VALUES.n do
        compare(name, c_backend.type(VALUES[i]), f, VALUES[i], nil)
      end
    end
    for name, symbol in pairs(BINARY) do
      local f = portable.expression(("a %s b"):format(symbol))
      for i = 1, VALUES.n do
        for k = 1, VALUES.n do
          local a, b = VALUES[i], VALUES[k]
          compare(name, c_backend.type(a) .. c_backend.type(b), f, a, b)
        end
      end
    end
  end)

  it("has constants of all kinds", function()
    local g = gbi.graph.new()
    local values = compat.move(VALUES, 1, VALUES.n, 1, {})
    g:output(compat.unpack(values, 1, VALUES.n))
    assert.equal(outcome(g:compile()),
      outcome(g:compile { backend = c_backend.backend }))
  end)

  it("returns to Lua for some nodes", function()
    local backend, build = c_batch()
    local random, graphs = math.random, {}
    for i = 1, 150 do
      math.randomseed((SEED * 1009 + i) % 2 ^ 31)
      local g, from = random_graph.make(random)
      if #g:find_nodes { op = "placeholder", target = "..." } == 0 then
        local n = #g:find_nodes { op = "placeholder" }
        local f = g:compile { backend = backend(("V"):rep(n)) }
        g:eliminate_dead_code()
        graphs[#graphs + 1] = { g, from, f, true,
                                random_graph.inputs(g, random) }
      end
    end
    build "-O0"
    local ended, failed, handed_on = 0, 0, 0
    for i, each in ipairs(graphs) do
      local ok, _, _, n = random_graph.compare(
        ("GBI_SEED=%d, graph %d: "):format(SEED, i), compat.unpack(each))
      if ok then ended = ended + 1 else failed = failed + 1 end
      handed_on = handed_on + n
    end
    assert.is_true(ended > 10 and failed > 10 and handed_on > 10)
  end)

  it("compiles again for other types, but only so often", function()
    local built = 0
    local build = c_backend.build
    function c_backend.build(...)
      built = built + 1
      return build(...)
    end
    fixture.later(function() c_backend.build = build end)
    local f, in_lua = compile(function(a, b, c)
      return a:land(b):eq(c), c, b, a
    end)
    assert.equal(0, built)
    assert.equal(outcome(in_lua, 1, 2, 2), outcome(f, 1, 2, 2))
    assert.equal(1, built)
    assert.equal(outcome(in_lua, 7, 8, 9), outcome(f, 7, 8, 9))
    assert.equal(1, built)
    assert.equal(outcome(in_lua, 1.0, 2, 2), outcome(f, 1.0, 2, 2))
    assert.equal(2, built)
    local values = { 1, 1.0, false, print }
    for i = 0, 63 do
      local a, b, c = values[i % 4 + 1], values[math.floor(i / 4) % 4 + 1],
        values[math.floor(i / 16) + 1]
      assert.equal(outcome(in_lua, a, b, c), outcome(f, a, b, c))
    end
    assert.equal(9, built)
  end)

  it("takes objects through conditions and loops", function()
    local f, in_lua = compile(function(n, a, b)
      local g = n.graph
      local going = g:subgraph(function(i, _one, _two) return i:gt(0) end)
      local body = g:subgraph(function(i, one, two)
        local same = i.graph:subgraph(function(x, y) return x, y end)
        local swapped = i.graph:subgraph(function(x, y) return y, x end)
        one, two = i.graph:cond((i % 3):eq(0), same, swapped, { one, two })
          :results(2)
        return i - 1, two, one
      end)
      return g:while_loop(going, body, { n, a, b }):results(3)
    end)
    for i = 0, 5 do
      for _, pair in ipairs { { {}, {} }, { {}, 1 }, { "a", nil, n = 2 } } do
        local a, b = pair[1], pair[2]
        assert.same(compat.pack(in_lua(i, a, b)), compat.pack(f(i, a, b)))
        local _, x = f(i, a, b)
        assert.equal(x, select(2, in_lua(i, a, b)))
      end
    end
  end)

  it("keeps an object of an earlier round of a loop", function()
    local made = 0
    fixture.global("make", function()
      made = made + 1
      return { made }
    end)
    local f = compile(function(n)
      local g = n.graph
      local going = g:subgraph(function(i, _new, _old) return i:gt(0) end)
      local body = g:subgraph(function(i, new, _)
        return i - 1, i.graph:call_function(Global "make"), new
      end)
      return g:while_loop(going, body, { n, 0, 0 }):results(3)
    end)
    assert.same({ 0, { 4 }, { 3 } }, { f(4) })
  end)

  it("neither runs nor refuses unused nodes", function()
    local f = compile(function(a)
      local _ = a.graph:call_function("idiv", a, 0)
      _ = a.graph:get_attr(a, "field")
      return a
    end)
    assert.equal(1, f(1))
  end)

  it("keeps the attributes that the graph had when it was compiled", function()
    local object = {}
    local g = gbi.graph.new()
    g:output(g:attribute("n", 5) + g:attribute("m", 0.5),
      g:attribute("object", object))
    local f = g:compile { backend = c_backend.backend }
    g.attributes.n, g.attributes.object = 6, {}
    local n, o = f()
    assert.equal(5.5, n)
    assert.equal(object, o)
  end)

  it("finds the objects of sources in an environment and in inputs", function()
    local env = { f = function(x) return x + 1 end }
    local f = compile(function(x)
      local g = x.graph
      return g:call_function(Global "f", x), g:get_attr(Global "print"),
        g:get_attr(source.AttrSource(source.LocalSource "x", "field"))
    end, { env = env })
    local x = setmetatable({ field = "here" },
      { __add = function(_, n) return n end })
    assert.same({ 1, nil, "here" }, { f(x) })
  end)

  it("gives every run its own objects", function()
    local f = compile(function(x)
      local g = x.graph
      local object = g:external({}, source.LocalSource "x")
      return object, g:call_function(source.AttrSource(source.AttrSource(
        Global "gbi", "handles"), "get"), g:get_attr(Global "gbi"):getitem
        "handles", object:handle())
    end)
    fixture.global("gbi", gbi)
    for _ = 1, 3 do
      local x = {}
      local a, b = f(x)
      assert.equal(x, a)
      assert.equal(x, b)
    end
  end)

  it("refuses '...' by name, when it compiles", function()
    local g = gbi.graph.new()
    g:output(g:placeholder "...")
    assert.has_error(function()
      g:compile { backend = c_backend.backend }
    end, "c_backend does not support the input '...'")
  end)

  it("reports the errors of cc", function()
    local ok, err = pcall(c_backend.build, "nonsense", { "run" })
    assert.is_false(ok)
    assert.truthy(err:find "^c_backend: .*error")
    ok, err = pcall(c_backend.build, "", { "run" })
    assert.is_false(ok)
    assert.truthy(err:find "^c_backend: .*run")
  end)
end)

it("computes in examples/collatz.lua what Lua computes", function()
  local out, ok = portable.run(portable.start()
    .. " examples/collatz.lua 2000")
  assert.is_true(ok)
  assert.truthy(out:find "\nbelow 2000: 1161 takes 181 steps; C is %d+ times")
  assert.truthy(out:find "\nbelow 2000.0: 1161 takes 181 steps; C is %d+ times")
  assert.truthy(out:find "\nLua finds the same\n")
end)

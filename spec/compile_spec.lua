-- Compiled functions: they compute what the graph says, in its order, once.
local compat = require "gbi.compat"
local blamed = require "spec.support.generated".blamed
local line = require "spec.support.generated".line
local portable = require "spec.support.portable"
local random_graph = require "spec.support.random_graph"
local gbi = require "gbi"
local handles_since = require "spec.support.handles_since"
local nodes = require "spec.support.nodes"
local source = gbi.source

local L, G, Attr, Item = source.LocalSource, source.GlobalSource,
  source.AttrSource, source.GetItemSource

local SEED = require "spec.support.seed" "compile_spec"

local live -- counts the handles left by the running spec

before_each(function() live = handles_since() end)

-- Compiles a graph of inputs called `params`: build(g, input, ...) records it
-- and returns its outputs.
local function compile(params, build, options)
  local g, inputs = gbi.graph.new(), {}
  for i, name in ipairs(params) do inputs[i] = g:placeholder(name) end
  g:output(build(g, compat.unpack(inputs)))
  local f, text = g:compile(options)
  return f, g, text
end

-- Asserts that two lists, with length `n`, hold the same values: NaN is NaN,
-- 0.0 is not -0.0, 1 is not 1.0.
local function same_values(expected, got)
  assert.equal(expected.n, got.n)
  for i = 1, expected.n do
    local a, b = expected[i], got[i]
    if type(a) == "number" and type(b) == "number" then
      a, b = portable.digits(a), portable.digits(b)
    end
    assert.equal(a, b)
  end
end

local NUMBERS = { 0, 1, -1, 7, 0.0, -0.0, 0.1 + 0.2, -2.5, 1e300, 1 / 0, -1 / 0,
                  0 / 0, portable.max, portable.min }
local STRINGS = { "", "10", "0x10", "]]", "--", "\"\\\n\r\0\200", "%s %d",
                  "end", "1e9999", "a\\\nb", "\226\128\168", ("x"):rep(1000) }
local CONSTANTS = compat.move(STRINGS, 1, #STRINGS, #NUMBERS + 1,
  compat.move(NUMBERS, 1, #NUMBERS, 1, {}))
compat.move({ true, false }, 1, 2, #CONSTANTS + 1, CONSTANTS)

describe("operators compute what Lua's operators do:", function()
  local SYMBOLS = {
    add = "a + b", sub = "a - b", mul = "a * b", div = "a / b", mod = "a % b",
    pow = "a ^ b", idiv = "a // b", band = "a & b", bor = "a | b",
    bxor = "a ~ b", shl = "a << b", shr = "a >> b", concat = "a .. b",
    eq = "a == b", ne = "a ~= b", lt = "a < b", le = "a <= b", gt = "a > b",
    ge = "a >= b", getitem = "a[b]", unm = "-a", bnot = "~a", len = "#a",
    lnot = "not a",
  }
  local OPERANDS = { { 1, 2 } }
  for _, operand in ipairs(CONSTANTS) do table.insert(OPERANDS, operand) end

  -- Asserts that both give the same results for a and b.
  local function agree(plain, f, a, b)
    local expected, got = compat.pack(pcall(plain, a, b)),
      compat.pack(pcall(f, a, b))
    if not expected[1] then assert.is_false(got[1]) return end
    same_values(expected, got)
  end

  -- The result in Lua of `text` with constants in place of a and b, or of one.
  -- (Lua folds constants: x - 0 is x + 0, also for -0.0.)
  local function with(text, a, b)
    text = text:gsub("%f[%w][ab]%f[%W]", {
      a = a ~= "a" and ("(%s)"):format(portable.quote(a)),
      b = ("(%s)"):format(portable.quote(b)),
    })
    return assert(portable.expression(text))
  end

  for name, text in pairs(SYMBOLS) do
    if not portable.expression(text) then
      SYMBOLS[name] = nil
      it(name .. ", which it does not have", function()
        assert.has_error(function()
          gbi.graph.new():call_function(name, 1, 2)
        end, ("bad argument #1 to 'call_function' (there is no operator %q)")
          :format(name))
      end)
    end
  end

  for name, text in pairs(SYMBOLS) do
    local plain = portable.expression(text)
    local unary = not text:find("%f[%w]b%f[%W]")

    it(name, function()
      local f = compile({ "a", "b" }, function(g, a, b)
        if unary then return g:call_function(name, a) end
        return g:call_function(name, a, b)
      end)
      for _, a in ipairs(OPERANDS) do
        agree(plain, f, a, nil)
        agree(plain, f, nil, a)
        for _, b in ipairs(OPERANDS) do agree(plain, f, a, b) end
      end
    end)

    it(name .. " of constants", function()
      for i = 0, #CONSTANTS do
        local a = CONSTANTS[i]
        for k = i % 5, unary and i % 5 or #CONSTANTS, 5 do
          local b = CONSTANTS[k]
          agree(with(text, a, b), compile({}, function(g)
            if unary then return g:call_function(name, a) end
            return g:call_function(name, a, b)
          end))
          if not unary then
            agree(with(text, "a", b), compile({ "x" }, function(g, x)
              return g:call_function(name, x, b)
            end), a)
          end
        end
      end
    end)
  end

  it("the metamethods of the operands, once each", function()
    local log, mt = {}, {}
    for _, event in ipairs { "add", "concat", "lt", "len", "index", "unm" } do
      mt["__" .. event] = function()
        table.insert(log, event)
        return event
      end
    end
    local f = compile({ "x" }, function(_, x)
      return x + 1, x .. 1, x:lt(x), x:len(), x:getitem("k"), -x
    end)
    same_values(compat.pack("add", "concat", true, compat.len and "len" or 0,
      "index", "unm"), compat.pack(f(setmetatable({}, mt))))
    if not compat.len then table.insert(log, 4, "len") end
    assert.same({ "add", "concat", "lt", "len", "index", "unm" }, log)
  end)

  it("expressions", function()
    local f = compile({ "a", "b" }, function(_, a, b)
      return a + b * 2, (a + b) * 2, -(a - b), (-a) ^ 2, a .. b .. a, 2 - a
    end)
    same_values(compat.pack(7 + 3 * 2, (7 + 3) * 2, -4, 49.0, "737", -5),
      compat.pack(f(7, 3)))
  end)

  it("setitem, which writes in the order of the graph", function()
    local f = compile({ "t" }, function(g, t)
      local before = t:getitem("k")
      g:set_item(t, "k", 1)
      local between = t:getitem("k")
      g:set_item(t, "k", nil)
      return before, between, t:getitem("k")
    end)
    same_values(compat.pack(0, 1, nil), compat.pack(f { k = 0 }))
  end)
end)

describe("constants arrive as they are", function()
  -- While these last, constants of every type have methods and fields.
  local function with_methods(f)
    local methods = {
      give = function(self, ...) return self, ... end,
      ["end"] = function(self, ...) return "end", self, ... end,
      field = "field",
    }
    local string_mt, written = getmetatable(""), {}
    local index = string_mt.__index
    local mt = {
      __index = function(self, key)
        if methods[key] then return methods[key] end
        return key == key and key ~= nil and { self, key } or "no key"
      end,
      __newindex = function(self, key, value)
        table.insert(written, compat.pack(self, key, value))
      end,
    }
    local function set(t)
      for _, value in ipairs { 1, true } do debug.setmetatable(value, t) end
      debug.setmetatable(nil, t)
      string_mt.__index = t and t.__index or index
      string_mt.__newindex = t and t.__newindex
    end
    set(mt)
    local ok, err = xpcall(f, debug.traceback, written)
    set(nil)
    if not ok then error(err, 0) end
    return written
  end

  -- Calls f(constant) for all of them, nil included.
  local function each(f)
    for i = 0, #CONSTANTS do f(CONSTANTS[i]) end
  end

  -- The results of the compiled functions, compared without methods.
  local function compare(build, expect)
    local cases = {}
    each(function(c)
      local f = compile({ "f" }, function(g, f) return build(g, c, f) end)
      table.insert(cases, { f = f, constant = c })
    end)
    with_methods(function()
      for _, case in ipairs(cases) do
        case.got = compat.pack(case.f(function(...) return ... end))
      end
    end)
    for _, case in ipairs(cases) do
      same_values(expect(case.constant), case.got)
    end
  end

  it("as arguments of calls", function()
    compare(function(_, c, f) return f(c), f(1, c):results(2) end,
      function(c) return compat.pack(c, 1, c) end)
  end)

  it("as outputs", function()
    compare(function(_, c) return c, c end,
      function(c) return compat.pack(c, c) end)
  end)

  it("as objects of method calls, and their arguments", function()
    compare(function(g, c) return g:call_method("give", c, 1, c):results(3) end,
      function(c) return compat.pack(c, 1, c) end)
    compare(function(g, c) return g:call_method("end", c, c):results(3) end,
      function(c) return compat.pack("end", c, c) end)
  end)

  it("as objects with a field", function()
    compare(function(g, c) return g:get_attr(c, "field") end,
      function() return compat.pack("field") end)
  end)

  it("as indexed objects, and as keys", function()
    compare(function(g, c)
      local pair = g:call_function("getitem", c, 1)
      return g:get_attr(pair, "n"), pair:getitem(1), pair:getitem(2)
    end, function(c) return compat.pack(nil, c, 1) end)
    each(function(c)
      if c == nil or c ~= c then return end
      local f = compile({ "t" }, function(_, t) return t:getitem(c) end)
      assert.equal("value", f { [c] = "value" })
    end)
  end)

  it("as objects of a write, keys and values", function()
    local fs, expected = {}, {}
    each(function(c)
      table.insert(fs, (compile({ "t" }, function(g, t)
        g:set_item(t, 1, t) -- a name just before text that may begin with "("
        g:set_item(c, c, c)
      end)))
      table.insert(expected, compat.pack(c, c, c))
    end)
    local written = with_methods(function()
      for _, f in ipairs(fs) do f({}) end
    end)
    for i in ipairs(expected) do same_values(expected[i], written[i]) end
    each(function(c)
      if c == nil or c ~= c then return end
      local t = {}
      compile({ "t" }, function(g, x) g:set_item(x, c, c) end)(t)
      assert.equal(c, t[c])
    end)
  end)

  it("as names of methods, fields and inputs", function()
    for _, name in ipairs(STRINGS) do
      local f = compile({ name, name .. "2" }, function(g, x, y)
        return g:call_method(name, x, 1, y), g:get_attr(x, name), y
      end)
      local t = { [name] = function(self, ...) return { self, ... } end }
      local all, method, y = f(t, 2)
      assert.same({ t, 1, 2 }, all)
      assert.equal(t[name], method)
      assert.equal(2, y)
    end
  end)

  it("and never as code", function()
    for _, hostile in ipairs { '"); hit = true; --', "]]; hit = true; --[[",
        "\n hit = true --", "\\\nhit = true", "x\0hit = true" } do
      local f = compile({ hostile, hostile .. "2" }, function(g, x)
        g:set_item(x, hostile, hostile)
        return g:get_attr(x, hostile)
      end)
      assert.equal(hostile, f {})
      assert.is_nil(rawget(_G, "hit"))
    end
  end)
end)

describe("effects", function()
  it("happen in order, once each, used or not", function()
    local log = {}
    local f = compile({ "f" }, function(g, f)
      local one = f(1)
      f(2)
      local three = f(3)
      g:call_method("call", f, 4)
      f(f(5), one)
      g:set_item(f, "key", f(6))
      f(g:get_attr(f, "field"), three)
      return one, three, one
    end)
    local t = setmetatable({}, {
      __call = function(_, n) table.insert(log, n) return n end,
      __newindex = function(_, _, v) table.insert(log, "set " .. v) end,
      __index = function(_, key)
        if key == "call" then
          return function(_, n) table.insert(log, "method " .. n) end
        end
        table.insert(log, "get " .. key)
        return "got"
      end,
    })
    same_values(compat.pack(1, 3, 1), compat.pack(f(t)))
    assert.same({ 1, 2, 3, "method 4", 5, 5, 6, "set 6", "get field", "got" },
      log)
  end)

  it("of unused nodes: calls stay, other nodes are dropped", function()
    local log = {}
    local f, _, text = compile({ "t", "f" }, function(g, t, f)
      g:get_attr(t, "dead_field")
      local _ = t + "dead_operand"
      f("kept"):results(2)
      g:call_method("m", t)
      g:get_attr(G "dead_global")
    end)
    f({ m = function() table.insert(log, "m") end },
      function(s) table.insert(log, s) end)
    assert.same({ "kept", "m" }, log)
    assert.is_nil(text:find("dead", 1, true))
  end)

  it("happen after all objects are obtained, in order of index", function()
    _G.log = {}
    finally(function() _G.log = nil end)
    local function obtained(name)
      return { reconstruct = function(_, cg)
        cg:load_import("table", "insert")
        cg:load_global("log")
        cg:load_const(name)
        cg:call_function(2)
        cg:pop_top()
        cg:load_global("io")
      end }
    end
    local g = gbi.graph.new()
    local f = g:placeholder("f")
    f("first")
    local a = g:external({}, obtained "a")
    g:external({}, obtained "unused")
    local c = g:external({}, obtained "c")
    f(c)
    f(a)
    g:output()
    g:compile()(function(x)
      table.insert(_G.log, x == io and "io" or x)
    end)
    assert.same({ "a", "c", "first", "io", "io" }, _G.log)
  end)
end)

describe("results", function()
  it("nil among several outputs, and no output", function()
    same_values(compat.pack(), compat.pack(compile({}, function() end)()))
    same_values(compat.pack(nil),
      compat.pack(compile({}, function() return nil end)()))
    same_values(compat.pack(nil, 1, nil, nil), compat.pack(compile({ "x" },
      function(_, x) return nil, x, nil, nil end)(1)))
  end)

  for _, n in ipairs { 30, 31, 32, 49, 51, 199, 250, 251, 1000, 5000 } do
    it(("%d outputs, nil among them"):format(n), function()
      local f = compile({ "x", "y" }, function(_, x, y)
        local out = { n = n }
        for i = 1, n - 1 do out[i] = i % 3 == 0 and x or i % 7 > 0 and i or nil
        end
        out[n] = y
        return compat.unpack(out, 1, n)
      end)
      local got = compat.pack(f("x"))
      assert.equal(n, got.n)
      for i = 1, n - 1 do
        assert.equal(i % 3 == 0 and "x" or i % 7 > 0 and i or nil, got[i])
      end
      assert.is_nil(got[n])
    end)
  end

  -- A function that returns n results: 10, 20 and so on, every fifth nil.
  local function giving(n)
    local list = {}
    for i = 1, n do list[i] = i % 5 > 0 and i * 10 or nil end
    return function() return compat.unpack(list, 1, n) end
  end

  for _, n in ipairs { 1, 2, 5, 19, 20, 21, 22, 50, 100, 199, 200 } do
    it(("%d of a call, used in any order"):format(n), function()
      local f = compile({ "f" }, function(_, f)
        local made = compat.pack(f():results(n))
        local out = {}
        for i = 1, n do out[n + 1 - i] = made[i] end
        return compat.unpack(out)
      end)
      for _, given in ipairs { n, n - 1, n + 1, 0 } do
        local got = compat.pack(f(giving(given)))
        assert.equal(n, got.n)
        for i = 1, n do
          local expected = i <= given and i % 5 > 0 and i * 10 or nil
          assert.equal(expected, got[n + 1 - i])
        end
      end
    end)
  end

  it("only some of a call used", function()
    for _, n in ipairs { 3, 20, 21, 150 } do
      local f = compile({ "f" }, function(_, f)
        local made = { f():results(200) }
        return made[n], made[1]
      end)
      local function given() return compat.unpack((function()
        local list = {}
        for i = 1, 200 do list[i] = i end
        return list
      end)()) end
      same_values(compat.pack(n, 1), compat.pack(f(given)))
    end
  end)

  it("of a call together with the call itself", function()
    local f = compile({ "f" }, function(_, f)
      local call = f()
      local a, b = call:results(2)
      return call, a, b, call
    end)
    same_values(compat.pack(10, 10, 20, 10), compat.pack(f(giving(2))))
  end)

  it("of a call, recorded twice", function()
    local f = compile({ "f" }, function(_, f)
      local call = f()
      local a, b = call:results(2)
      local c, d, e = call:results(3)
      return a, b, c, d, e
    end)
    same_values(compat.pack(10, 20, 10, 20, 30), compat.pack(f(giving(3))))
  end)

  it("of a method", function()
    local f = compile({ "s" }, function(g, s)
      return g:call_method("find", s, "b(.)"):results(4)
    end)
    same_values(compat.pack(2, 3, "c", nil), compat.pack(f "abc"))
  end)

  it("of a call that is an argument: only the first", function()
    local f = compile({ "f", "g" }, function(_, f, g) return g(f()), f() end)
    same_values(compat.pack(1, 10), compat.pack(f(giving(3),
      function(...) return select("#", ...) end)))
  end)
end)

describe("arguments", function()
  local function count(...) return select("#", ...), ... end

  -- The numbers 1 to n, with nil for every fourth.
  local function numbers(n)
    local list = { n = n }
    for i = 1, n do list[i] = i % 4 > 0 and i or nil end
    return list
  end

  for _, n in ipairs { 0, 1, 29, 30, 31, 32, 49, 50, 51, 99, 250, 1000 } do
    it(("%d in a call"):format(n), function()
      for _, kind in ipairs { "function", "method", "odd method" } do
        local f = compile({ "f", "x" }, function(g, f, x)
          local args = numbers(n)
          if n > 0 then args[n] = x end
          if kind == "function" then
            return f(compat.unpack(args, 1, n)):results(math.min(n + 1, 200))
          end
          return g:call_method(kind == "method" and "m" or "a b", f,
            compat.unpack(args, 1, n)):results(math.min(n + 1, 200))
        end)
        local got
        local function note(...) got = compat.pack(...) return count(...) end
        local t = { m = function(_, ...) return note(...) end }
        t["a b"] = t.m
        local expected = numbers(n)
        if n > 0 then expected[n] = "x" end
        local results = compat.pack(f(kind == "function" and note or t, "x"))
        same_values(expected, got)
        assert.equal(n, results[1])
        assert.equal(math.min(n + 1, 200), results.n)
        for i = 2, results.n do assert.equal(expected[i - 1], results[i]) end
      end
    end)
  end

  for _, n in ipairs { 0, 1, 49, 50, 51, 52, 199, 255, 256, 1000 } do
    it(("%d of the compiled function"):format(n), function()
      local params = {}
      for i = 1, n do params[i] = "x" .. i end
      local f = compile(params, function(_, ...) return ... end)
      same_values(numbers(n), compat.pack(f(compat.unpack(numbers(n), 1, n))))
      if n == 0 then return end
      local few = compat.pack(f(1))
      assert.equal(n, few.n)
      assert.equal(1, few[1])
      assert.is_nil(few[2])
      same_values(numbers(n),
        compat.pack(f(compat.unpack(numbers(n + 9), 1, n + 9))))
    end)
  end

  for _, fixed in ipairs { 0, 1, 30, 50, 51, 60 } do
    it(("'...' after %d inputs"):format(fixed), function()
      local params = {}
      for i = 1, fixed do params[i] = "x" .. i end
      table.insert(params, "...")
      local f = compile(params, function(g, ...)
        local inputs = compat.pack(...)
        local rest = inputs[fixed + 1]
        local len = g:get_attr(Attr(G "table", "pack"))
        local forty = compat.pack(compat.unpack(numbers(40), 1, 40))
        forty[41] = rest
        return g:get_attr(len(rest), "n"), g:get_attr(len(1, nil, rest), "n"),
          len(compat.unpack(forty, 1, 41)),
          g:call_method("rep", "x", rest), fixed > 0 and inputs[1] or nil, rest
      end)
      for _, extra in ipairs { 0, 1, 2, 30, 31, 50, 255, 300 } do
        local args = numbers(fixed + extra)
        local inputs = compat.move(args, 1, fixed, 1, {})
        for i = 1, extra do args[fixed + i] = i % 3 > 0 and i or nil end
        args[fixed + 1] = extra > 0 and 2 or nil
        local rest = compat.pack(compat.unpack(args, fixed + 1, fixed + extra))
        if extra == 0 then args[fixed + 1], args.n = 2, fixed + 1 rest = { 2,
          n = 1 }
        end
        local got = compat.pack(f(compat.unpack(args, 1, args.n)))
        local n = rest.n
        assert.equal(5 + n, got.n)
        assert.equal(n, got[1])
        assert.equal(n + 2, got[2])
        assert.equal(n + 40, got[3].n)
        for i = 1, n do assert.equal(rest[i], got[3][40 + i]) end
        assert.equal(inputs[1], got[5])
        for i = 1, n do assert.equal(rest[i], got[5 + i]) end
      end
    end)
  end

  it("'...' without values", function()
    local f = compile({ "f", "..." }, function(_, f, rest)
      return f(rest), f(1, rest), rest
    end)
    same_values(compat.pack(0, 1), compat.pack(f(count)))
    assert.equal(0, (compile({ "..." }, function(g, rest)
      return g:call_function(Attr(G "table", "pack"), rest)
    end)()).n)
  end)
end)

describe("large graphs:", function()
  it("10,000 nodes in a chain", function()
    local f = compile({ "x" }, function(_, x)
      for i = 1, 10000 do x = x + i end
      return x
    end)
    assert.equal(5 + 10000 * 10001 / 2, f(5))
  end)

  it("10,000 calls in a chain", function()
    local f = compile({ "f", "x" }, function(_, f, x)
      for _ = 1, 10000 do x = f(x) end
      return x
    end)
    assert.equal(10000, f(function(x) return x + 1 end, 0))
  end)

  it("5,000 values that live at once", function()
    local f = compile({ "x" }, function(_, x)
      local values, sum = {}, 0
      for i = 1, 5000 do values[i] = x * i end
      for i = 5000, 1, -1 do sum = values[i] + sum end
      return sum, values[1], values[150], values[5000]
    end)
    same_values(compat.pack(5000 * 5001, 2, 300, 10000), compat.pack(f(2)))
  end)

  it("5,000 results that live at once", function()
    local f = compile({ "f" }, function(_, f)
      local values, sum = {}, 0
      for i = 1, 250 do values[i] = { f(i):results(i % 25 + 1) } end
      for i = 250, 1, -1 do
        for _, value in ipairs(values[i]) do sum = value + sum end
      end
      return sum
    end)
    local expected = 0
    for i = 1, 250 do
      for k = 1, i % 25 + 1 do expected = expected + i * k end
    end
    assert.equal(expected, f(function(i)
      local list = {}
      for k = 1, 30 do list[k] = i * k end
      return compat.unpack(list)
    end))
  end)

  it("values of every age: none is overwritten while it is needed", function()
    local f, g = compile({ "x" }, function(_, x)
      local values, out = { x }, {}
      for i = 1, 2000 do
        values[#values + 1] = values[i * 7919 % #values + 1] + i
        if i % 11 == 0 then out[#out + 1] = values[i * 104729 % #values + 1] end
      end
      return compat.unpack(out)
    end)
    local value = {}
    for i, node in ipairs(nodes.list(g)) do
      if node.op == "placeholder" then value[node] = 1
      elseif node.op == "output" then
        local got = compat.pack(f(1))
        for k = 1, node.args.n do
          assert.equal(value[node.args[k]], got[k])
        end
        assert.equal(nodes.count(g), i)
      else value[node] = value[node.args[1]] + node.args[2] end
    end
  end)

  it("10,000 external objects, used directly and handed on", function()
    local objects = {}
    _G.objects = objects
    finally(function() _G.objects = nil end)
    for i = 1, 10000 do objects[i] = { i = i } end
    local f = compile({ "check" }, function(g, check)
      for i = 1, 10000 do
        local object = g:external(objects[i], Item(G "objects", i))
        check(object, object:handle(), i)
      end
    end)
    local n = 0
    f(function(object, handle, i)
      n = n + 1
      if object ~= objects[i] or gbi.handles:get(handle) ~= object then
        error("wrong object " .. i)
      end
    end)
    assert.equal(10000, n)
    assert.equal(0, live())
  end)

  it("one call with 1,000 external objects", function()
    local objects = {}
    _G.objects = objects
    finally(function() _G.objects = nil end)
    for i = 1, 1000 do objects[i] = {} end
    local f = compile({ "f" }, function(g, f)
      local args = {}
      for i = 1, 1000 do
        args[i] = g:external(objects[i], Item(G "objects", i))
      end
      return f(compat.unpack(args))
    end)
    local got = f(compat.pack)
    assert.equal(1000, got.n)
    for i = 1, 1000 do assert.equal(objects[i], got[i]) end
  end)
end)

describe("external objects", function()
  it("are those of the run, not the examples", function()
    local f = compile({ "o" }, function(g)
      return g:external({}, L "o")
    end)
    local a, b = {}, {}
    assert.equal(a, f(a))
    assert.equal(b, f(b))
  end)

  it("are one object for the whole call when the graph creates them",
    function()
      local f = compile({ "f" }, function(g, f)
        local o = g:created({}, function(_, cg)
          cg:load_global("setmetatable")
          cg:load_import("string", "rep")
          cg:load_const("x")
          cg:load_const(0)
          cg:call_function(2)
          cg:pop_top()
          cg:load_import("gbi.compat", "pack")
          cg:call_function(0)
          cg:load_const(nil)
          cg:call_function(2)
        end)
        return o, f(o:handle()), o
      end)
      local function get(handle) return gbi.handles:get(handle) end
      local a, b, c = f(get)
      assert.equal("table", type(a))
      assert.equal(a, b)
      assert.equal(a, c)
      assert.not_equal(a, f(get))
    end)

  it("can be functions that are called", function()
    local f = compile({ "f" }, function(g)
      return g:external(print, L "f")(1, 2)
    end)
    assert.equal(3, f(function(a, b) return a + b end))
  end)

  it("are not obtained if unused", function()
    local boom = source.CallFunctionNoArgsSource(G "boom")
    _G.boom = function() error("obtained") end
    finally(function() _G.boom = nil end)
    local f, _, text = compile({ "f", "o" }, function(g, f)
      g:external({}, boom)
      local o = g:external({}, L "o")
      g:created({}, function(_, cg) cg(boom) end)
      local unused = g:external({}, boom)
      local _ = unused + unused:handle()
      return f(o:handle()), o
    end)
    local handle, same = f(function(h) return h end, io)
    assert.is_true(compat.is_integer(handle))
    assert.equal(io, same)
    assert.is_nil(text:find("boom", 1, true))
  end)

  it("keep their indices when others are dropped", function()
    local g = gbi.graph.new()
    g:external({}, G "dropped")
    local a = g:external(io, G "io")
    local removed = g:external({}, G "removed")
    local b = g:external(os, G "os")
    nodes.remove(nodes.list(g)[3])
    assert.equal(3, removed.args[1])
    g:output(a, b)
    g:compile { backend = function()
      return function(run)
        assert.equal(io, run[2])
        assert.equal(os, run[4])
        assert.is_nil(run[1])
        assert.is_nil(run[3])
      end
    end }()
  end)

  it("have a new handle in every run, greater than all indices", function()
    local f = compile({ "f", "o" }, function(g, f)
      return f(g:external({}, L "o"):handle())
    end)
    local last = 1000000000
    for _ = 1, 100 do
      local o = {}
      local handle = f(function(h)
        assert.equal(o, gbi.handles:get(h))
        return h
      end, o)
      assert.is_true(handle > last)
      last = handle
      assert.same({ nil, "dead" }, { gbi.handles:find(handle) })
    end
  end)

  it("cannot be handed on if their source does not find them", function()
    for from, got in pairs {
      [G "gone"] = "nil",
      [source.ConstantSource(nil)] = "nil",
      [source.ConstantSource(false)] = "boolean",
      [source.ConstantSource(true)] = "boolean",
      [source.ConstantSource(5)] = "number",
      [source.ConstantSource "x"] = "string",
    } do
      local function handed_on(g, f) f(g:external({}, from):handle()) end
      local function used(g, f) f(g:external({}, from)) end
      for _, f in ipairs {
        (compile({ "f" }, handed_on)),
        (compile({ "f" }, used, { backend = function()
          return function(_, f) f() end
        end })),
      } do
        local called = false
        local ok, err = pcall(f, function() called = true end)
        assert.is_false(ok)
        assert.equal(("external object 1 (%s) cannot be held weakly: got %s")
          :format(tostring(from), got), err)
        assert.is_false(called)
      end
    end
  end)
end)

describe("a graph that cannot be compiled", function()
  -- Asserts that compile raises and that nothing was obtained.
  local function fails(message, build, options)
    local obtained = false
    _G.obtain = function() obtained = true end
    finally(function() _G.obtain = nil end)
    local g = gbi.graph.new()
    local o = g:external({}, source.CallFunctionNoArgsSource(G "obtain"))
    build(g, o)
    local ok, err = pcall(g.compile, g, options)
    assert.is_false(ok)
    if message then assert.truthy(tostring(err):find(message, 1, true), err)
    end
    assert.is_false(obtained)
  end

  it("because it has no output", function()
    fails("the graph has no output", function() end)
  end)

  it("because a source raises", function()
    fails("no way", function(g, o)
      g:output(o, g:external({}, { reconstruct = function()
        error("no way")
      end }))
    end)
  end)

  it("because a constructor leaves no value, or two", function()
    fails("left 0 values", function(g, o)
      g:output(o, g:created({}, function() end))
    end)
    fails("left 2 values", function(g, o)
      g:output(o, g:created({}, function(_, cg)
        cg:load_const(1)
        cg:load_const(2)
      end))
    end)
  end)

  it("because a source needs a missing input", function()
    fails('L["x"]', function(g, o) g:output(o, g:external({}, L "x")) end)
  end)

  it("because an argument is not a constant", function()
    fails(nil, function(g, o)
      g:output(o, 1)
      nodes.list(g)[nodes.count(g)].args[2] = {}
    end)
  end)

  it("because a backend raises", function()
    fails("no backend", function(g, o) g:output(o) end,
      { backend = function() error("no backend") end })
  end)
end)

describe("a failure at run time", function()
  -- What gbi.traceback says when f(...) fails, and the names of the nodes in
  -- it, the innermost first.
  local function traced(f, ...)
    local args, names = compat.pack(...), {}
    local ok, text = xpcall(function()
      local x = f(compat.unpack(args, 1, args.n))
      return x
    end, gbi.traceback)
    assert.is_false(ok)
    for name in text:gmatch "\n\t\tnode ([%w_]+): " do
      names[#names + 1] = name
    end
    return text, names
  end

  -- Asserts that a graph of x and y fails in a node, also in a coroutine, and
  -- with the error of generated code at the line `code`, if that is given.
  local function fails(name, code, build, ...)
    local f, _, text = compile({ "x", "y" }, build)
    local _, names = traced(f, ...)
    assert.same({ name }, names)
    local ok, err = pcall(f, ...)
    assert.is_false(ok)
    if code then
      assert.equal(code, (blamed(err, "gbi graph(x, y)", text)))
    end
    local co = coroutine.create(f)
    assert.same({ false, err }, { coroutine.resume(co, ...) })
  end

  local function oops() error("oops", 0) end

  it("is Lua's own error, at the node's line", function()
    fails("add", "local add = x + 1", function(_, x) return x + 1 end, {})
    fails("lt", "local lt = x < 1", function(_, x) return x:lt(1) end, {})
    fails("getitem", "local getitem = x[1]",
      function(_, x) return x:getitem(1) end)
    fails("field", "local field = x.field",
      function(g, x) return g:get_attr(x, "field") end)
    fails("setitem", "x[1] = 2", function(g, x) g:set_item(x, 1, 2) end)
    fails("x_1", "x()", function(_, x) x() end)
    fails("m", "x:m()", function(g, x) g:call_method("m", x) end)
    fails("x_1", nil, function(_, x, y)
      local _ = y + 1
      x(y)
      x(y)
    end, oops, 1)
    fails("x_2", nil, function(_, x, y)
      x(y)
      return x(0), y + y
    end, function(n) if n == 0 then oops() end end, 1)
    fails("x_1", nil, function(_, x) x():results(30) end, oops)
    fails("sqrt", nil, function(g, x)
      return g:call_function(Attr(G "math", "sqrt"), x)
    end, {})
    fails("b", "local b = G.math.a.b", function(g)
      return g:get_attr(Attr(Attr(G "math", "a"), "b"))
    end)
  end)

  it("has the message of the same code written by hand", function()
    local build = function(g, x, y)
      local call = x(y)
      local sum = call + y
      return g:call_method("m", sum)
    end
    local f, _, text = compile({ "x", "y" }, build)
    local by_hand = assert(compat.load([[
-- written by hand

return function(x, y)
  local x_1 = x(y)
  local add = x_1 + y
  local m = add:m()
  return m
end
]], "=gbi graph(x, y)"))()
    assert.equal("local x_1 = x(y)", line(text, 4))
    local function id(v) return v end
    for _, args in ipairs { { n = 0 }, { id, n = 2 }, { id, {}, n = 2 },
                            { id, 1, n = 2 } } do
      local ok, err = pcall(by_hand, compat.unpack(args, 1, args.n))
      assert.is_false(ok)
      assert.matches("^gbi graph%(x, y%):%d: attempt to ", err)
      assert.same({ false, err }, { pcall(f, compat.unpack(args, 1, args.n)) })
      assert.same({ false, err }, { coroutine.resume(coroutine.create(f),
        compat.unpack(args, 1, args.n)) })
    end
  end)

  it("says which node of 1,000", function()
    local f = compile({ "f" }, function(_, f)
      for i = 1, 1000 do f(i) end
    end)
    for _, n in ipairs { 1, 99, 100, 777, 1000 } do
      local _, names = traced(f, function(i) if i == n then oops() end end)
      assert.same({ "f_" .. n }, names)
    end
    local g, _, text = compile({ "x" }, function(_, x)
      for i = 1, 1000 do x = x + i end
      return x
    end)
    local at_500 = setmetatable({}, { __add = function(self, i)
      if i < 500 then return self end
    end })
    local ok, err = pcall(g, at_500)
    assert.is_false(ok)
    local code, message = blamed(err, "gbi graph(x)", text)
    assert.matches(" %+ 501$", code)
    assert.matches("^attempt to perform arithmetic on .*nil value", message)
  end)

  it("names the external object that cannot be obtained", function()
    local f, _, text = compile({}, function(g)
      local io_node = g:external(io, G "io")
      return io_node, g:external({}, Attr(G "a_global", "b"))
    end)
    local ok, err = pcall(f)
    assert.is_false(ok)
    assert.equal("local b = G.a_global.b", (blamed(err, "gbi graph()", text)))
    assert.matches('\n\t\texternal object 2 (G["a_global"].b)\n', traced(f), 1,
      true)
    f, _, text = compile({}, function(g)
      return g:created({}, function(_, cg)
        cg:load_const(nil)
        cg:call_function(0)
      end)
    end)
    ok, err = pcall(f)
    assert.is_false(ok)
    assert.equal("local created = (nil)()", (blamed(err, "gbi graph()", text)))
    assert.matches("\n\t\texternal object 1\n", traced(f), 1, true)
  end)

  it("names the external object that it uses", function()
    local function build(g, o)
      local object = g:external({}, L "x")
      g:call_method("write", object, o)
      o(object:handle())
    end
    local f = compile({ "x", "y" }, function(g, _, y) build(g, y) end)
    assert.matches('node write: call_method write, external object 1 (L["x"])',
      traced(f, {}), 1, true)
    assert.matches('node y_1: call_function %y, external object 1 (L["x"])',
      traced(f, { write = function() end }, oops), 1, true)
    f = compile({ "o" }, function(g)
      local o = g:external({}, L "o")
      g:rename(nodes.list(g)[1], "input")
      o()
      g:rename(nodes.list(g)[nodes.count(g)], "o")
    end)
    assert.matches('node o: call_function %o_1, external object 1 (L["o"])',
      traced(f, oops), 1, true)
  end)

  it("names the right node even if _G has become strict", function()
    local f = compile({ "f" }, function(g, f)
      f()
      return g:get_attr(G "undefined_global")
    end)
    finally(function() setmetatable(_G, nil) end)
    setmetatable(_G, { __index = function(_, key)
      error("undefined " .. tostring(key), 0)
    end })
    local ok, err = pcall(f, function() end)
    local _, names = traced(f, function() end)
    setmetatable(_G, nil)
    assert.is_false(ok)
    assert.equal("undefined undefined_global", err)
    assert.same({ "undefined_global" }, names)
  end)

  it("names the nodes of functions in functions", function()
    local inner = compile({ "f" }, function(_, f) f() end)
    local outer = compile({ "g", "f" }, function(_, g, f) g(f) end)
    local _, names = traced(outer, inner, oops)
    assert.same({ "f_1", "g_1" }, names)
    assert.same({ false, "oops" }, { pcall(outer, inner, oops) })
  end)

  it("names the node even if another run has gone further", function()
    local f
    f = compile({ "f", "again" }, function(_, g, again)
      g(again)
      g(again)
      g(again)
    end)
    local n = 0
    local _, names = traced(f, function(again)
      if again then
        f(function() n = n + 1 end)
        oops()
      end
    end, true)
    assert.same({ "f_1" }, names)
    assert.equal(3, n)
  end)

  it("passes error objects unchanged", function()
    local f = compile({ "f" }, function(_, called) called() end)
    local g = compile({ "f" }, function(_, called) called(called) end)
    for _, value in ipairs { {}, 42, true, print,
        setmetatable({}, { __tostring = function() return "text" end }) } do
      local function raise() error(value, 0) end
      for _, each in ipairs { f, g } do
        assert.same({ false, value }, { pcall(each, raise) })
        local ok, err = coroutine.resume(coroutine.create(each), raise)
        assert.is_false(ok)
        assert.equal(value, err)
      end
    end
    local ok, err = pcall(f, function() error(nil) end)
    assert.is_false(ok)
    assert.equal(select(2, pcall(error, nil)), err) -- a string in 5.5
    ok, err = pcall(f, function() error("not enough memory", 0) end)
    assert.is_false(ok)
    assert.equal("not enough memory", err)
  end)

  it("has one message handler called, once, with the stack as it is",
    function()
      local inner = compile({ "f" }, function(_, f) return f(1) + 1 end)
      local outer = compile({ "g", "f", "o" }, function(g, h, f)
        return h(f), h(g:external({}, L "o"):handle())
      end)
      local by_backend = compile({ "f", "o" }, function(g)
        return g:external({}, L "o")
      end, { backend = function()
        return function(run, f)
          local x = f(run:handle(1))
          return x
        end
      end })
      local function fail() error({}) end
      for _, case in ipairs {
        { fail, function() local x = inner(fail) return x end },
        { inner, function() local x = inner(function() end) return x end },
        { fail, function() local x = outer(inner, fail, {}) return x end },
        { inner, function()
          local x = outer(inner, function() return {} end, {})
          return x
        end },
        { fail, function() local x = by_backend(fail, {}) return x end },
      } do
        local calls, raised, depth = 0, false, 0
        local function handler(err)
          calls = calls + 1
          for level = 2, 3 do -- error is a function, too
            local info = debug.getinfo(level, "f")
            raised = raised or info.func == case[1]
          end
          while debug.getinfo(depth + 1, "f") do depth = depth + 1 end
          return { err }
        end
        local ok, err = xpcall(case[2], handler)
        assert.is_false(ok)
        assert.equal("table", type(err))
        assert.equal(1, calls)
        assert.is_true(raised)
        assert.is_true(depth > 4)
      end
    end)

  it("leaves the function usable", function()
    local f = compile({ "f" }, function(_, f) return f(1), f(2) end)
    for _ = 1, 3 do
      assert.same({ false, "two" }, { pcall(f,
        function(n) if n == 2 then error("two", 0) end end) })
      same_values(compat.pack(1, 2), compat.pack(f(function(n) return n end)))
    end
  end)
end)

describe("names", function()
  local NAMES = { "run", "enter", "leave", "hand_on", "hand_back", "body",
    "vars", "params", "objects", "G", "require", "registry", "unpack",
    "select", "v1", "p1",
    "v2", "p2", "v101", "p51", "_G", "_ENV", "self", "arg", "load", "and",
    "end", "goto", "local", "nil", "return", "true", "while", "" }

  -- Names for which the generator has its own uses.
  local function use_all(g, f)
    local o = g:created({}, function(_, cg)
      cg:load_import("gbi.compat", "pack")
      cg:load_global("print")
      cg:call_function(1)
    end)
    local many = { f(o:handle(), g:get_attr(G "print")):results(30) }
    return f, o, many[30]
  end

  it("of inputs do not clash with the generator's own", function()
    local f = compile(NAMES, function(g, ...)
      local f, o, many = use_all(g, (select(3, ...)))
      return o, many, f, ...
    end)
    local values = {}
    for i = 1, #NAMES do values[i] = {} end
    values[3] = function(handle, p)
      assert.equal(print, p)
      local list = { gbi.handles:get(handle) }
      list[30] = "last"
      return compat.unpack(list, 1, 30)
    end
    local got = compat.pack(f(compat.unpack(values)))
    assert.equal(print, got[1][1])
    assert.equal("last", got[2])
    for i = 1, #NAMES do assert.equal(values[i], got[3 + i]) end
  end)

  it("of more than 50 inputs, with more than 100 variables", function()
    local params = compat.move(NAMES, 1, #NAMES, 1, {})
    for i = 1, 30 do params[#params + 1] = "more" .. i end
    params[#params + 1] = "..."
    local f = compile(params, function(g, ...)
      local inputs, out = { ... }, {}
      for i = 1, #inputs - 1 do
        out[i] = g:call_function("add", inputs[i], 1)
        out[#inputs - 1 + i] = g:call_function("add", inputs[i], i)
      end
      out[#out + 1] = inputs[#inputs]
      return compat.unpack(out)
    end)
    local args = {}
    for i = 1, #params do args[i] = i * 10 end
    local got, n = { f(compat.unpack(args)) }, #params - 1
    for i = 1, n do
      assert.equal(i * 10 + 1, got[i])
      assert.equal(i * 11, got[n + i])
    end
    assert.equal(#params * 10, got[2 * n + 1])
  end)

  it("of nodes do not clash either", function()
    local params = { "f" }
    local f = compile(params, function(g, f)
      local made = {}
      for i, name in ipairs(NAMES) do made[i] = g:get_attr(f, name) end
      local call = g:get_attr(f, "call")
      local _, o, many = use_all(g, call)
      for i, name in ipairs(NAMES) do
        made[#NAMES + i] = g:call_method(name, f)
      end
      return o, many, compat.unpack(made)
    end)
    local t = {}
    for i, name in ipairs(NAMES) do
      t[name] = setmetatable({}, { __call = function() return i end })
    end
    t.call = function(handle)
      local list = { gbi.handles:get(handle) }
      list[30] = "last"
      return compat.unpack(list, 1, 30)
    end
    local got = compat.pack(f(t))
    assert.equal(print, got[1][1])
    assert.equal("last", got[2])
    for i, name in ipairs(NAMES) do
      assert.equal(t[name], got[2 + i])
      assert.equal(i, got[2 + #NAMES + i])
    end
  end)

  it("of nodes cannot become code, even if edited", function()
    local g = gbi.graph.new()
    local a = g:placeholder("x") + 1
    a[require "gbi.node".F].name = "a\n]] hit = true --"
    g:output(a)
    local ok, f = pcall(g.compile, g)
    if ok then assert.equal(2, f(1)) end
    assert.is_nil(rawget(_G, "hit"))
  end)
end)

describe("a backend", function()
  it("finds in its runs the objects that it registered", function()
    -- only objects of the graph's nodes were obtained
    local g, seen = gbi.graph.new(), {}
    g:external({}, G "unused")
    g:output((g:placeholder "x"))
    local function backend(graph, registry)
      local i = registry:register({}, gbi.source.LocalSource "x")
      local k = registry:register_created({}, function(_, cg)
        cg:load_import("gbi.compat", "pack")
        cg:call_function(0)
      end)
      local n = graph:inserting_before(nil, function()
        return graph:external({}, G "print").index
      end)
      return function(run)
        seen[#seen + 1] = run[k]
        return run[1], run[i], run[n], gbi.handles:get(run:handle(i))
      end
    end
    local f, mine = g:compile { backend = backend }, {}
    assert.same({ nil, mine, print, mine }, { f(mine) })
    f(mine)
    assert.equal(0, seen[1].n)
    assert.not_equal(seen[1], seen[2])
    -- another backend of the same graph has its own
    local text = select(2, g:compile { backend = function()
      return function() end
    end })
    assert.is_nil(text:find 'L["x"]', 1, true)
  end)

  it("cannot register an object whose source needs a missing input", function()
    local g = gbi.graph.new()
    g:output()
    local ok, err = pcall(g.compile, g, { backend = function(_, registry)
      registry:register({}, gbi.source.LocalSource "y")
      return function() end
    end })
    assert.is_false(ok)
    assert.equal('external object 1 (L["y"]): L["y"] is not an input', err)
    local function call()
      g:compile { backend = function(_, registry)
        registry:register({}, gbi.source.LocalSource "y")
        return function() end
      end }
    end
    assert.matches("^[^:]*compile_spec%.lua:%d+: external object 2",
      select(2, pcall(call)))
  end)

  it("gets the graph and its registry", function()
    local got
    local _, g = compile({}, function() end, { backend = function(...)
      got = compat.pack(...)
      return print
    end })
    same_values(compat.pack(g, g.registry, nil), got) -- no env
  end)

  for _, n in ipairs { 0, 1, 31, 50, 51, 300 } do
    for _, extra in ipairs { 0, 1, 40 } do
      it(("replaces the body and gets the run, %d inputs, %d more"):format(n,
        extra), function()
          local params = {}
          for i = 1, n do params[i] = "x" .. i end
          table.insert(params, "...")
          for _, object in ipairs { false, io } do
            local ran = 0
            local f = compile(params, function(g, ...)
              g:call_function(G "a_function_that_is_not_there")
              if object then g:call_method("m", g:external(object, G "io")) end
              return ...
            end, { backend = function()
              return function(run, ...)
                ran = ran + 1
                assert.equal(object or nil, run[1])
                return "from the backend", ...
              end
            end })
            local args = { n = n + extra + 1, "from the backend" }
            for i = 1, n + extra do args[i + 1] = i % 3 > 0 and i or nil end
            same_values(args, compat.pack(f(compat.unpack(args, 2, args.n))))
            assert.equal(1, ran)
          end
        end)
    end
  end

  it("gets no extra arguments without '...'", function()
    local f = compile({ "x" }, function() end, { backend = function()
      return function(_, ...) return select("#", ...), ... end
    end })
    same_values(compat.pack(1, nil), compat.pack(f()))
    same_values(compat.pack(1, 1), compat.pack(f(1, 2, 3)))
  end)

  it("may return any callable value", function()
    local f = compile({ "x" }, function() end, { backend = function()
      return setmetatable({}, { __call = function(_, _, x) return x * 2 end })
    end })
    assert.equal(8, f(4))
  end)

  it("gets the objects of the run by their indices", function()
    local f = compile({ "a", "b" }, function(g)
      local a = g:external({}, L "a")
      g:external({}, G "unused")
      return a, g:external({}, L "b")
    end, { backend = function()
      return function(run) return run[1], run[3], run[2] end
    end })
    local a, b = {}, {}
    same_values(compat.pack(a, b, nil), compat.pack(f(a, b)))
    same_values(compat.pack(b, a, nil), compat.pack(f(b, a)))
  end)

  it("may return what the graph compiles to", function()
    local f = compile({ "x" }, function(_, x) return x + 1 end,
      { backend = function(g)
        local plain = g:compile()
        return function(_, ...) return plain(...) end
      end })
    assert.equal(3, f(2))
  end)

  it("must return a callable value, which compile checks",
    function()
      for i = 0, 5 do
        local made = ({ false, 42, "f", {}, setmetatable({}, {}) })[i]
        local g = gbi.graph.new()
        g:output(1)
        local ok = pcall(g.compile, g, { backend = function()
          return made
        end })
        assert(not ok, "a backend may return " .. tostring(made))
      end
    end)

  it("that fails is named; no node is blamed", function()
    local f = compile({ "t" }, function(g, t)
      return g:external({}, Attr(L "t", "x")), t
    end, { backend = function() return function() error("mine", 0) end end })
    local ok, err = pcall(f, { x = {} })
    assert.is_false(ok)
    assert.equal("mine", err)
    local _, text = xpcall(function() return f { x = {} } end, gbi.traceback)
    assert.is_nil(text:find("node ", 1, true))
    assert.matches("\n\t\tthe backend's function", text, 1, true)
  end)
end)

describe("the generated code", function()
  it("is what code() shows", function()
    local _, g, text = compile({ "x" }, function(_, x) return x + 1 end)
    assert.equal(text, g:code())
    assert.truthy(text:find("x + 1", 1, true))
  end)

  it("has a line and a local of its name for every node", function()
    local f, g, text = compile({ "x", "y" }, function(g, x, y)
      for i = 1, 90 do
        local what = i % 5
        if what == 0 then x = x + y
        elseif what == 1 then x = g:get_attr(x, "field" .. i)
        elseif what == 2 then x = x(y, i)
        elseif what == 3 then x = g:call_method("m" .. i, x, y)
        else x = g:call_function(Attr(G "math", "max"), x, y) end
      end
      return x
    end)
    assert.equal("function", type(f))
    local n = 0
    for _, each in ipairs(nodes.list(g)) do
      if each.op:find "^call" or each.op == "get_attr" then
        local _, lines = text:gsub("\n  local " .. each.name .. " = ", "")
        assert.equal(1, lines, each.name)
        n = n + 1
      end
    end
    assert.equal(90, n)
    local _, all = text:gsub("\n", "")
    assert.equal(90 + 5, all)
  end)

  it("uses neither pcall nor to-be-closed variables", function()
    -- In Lua 5.4.0 to 5.4.2 an error in __close is only a warning.
    local _, _, text = compile({ "o" }, function(g, o)
      o(g:external({}, L "o"):handle())
    end)
    for _, word in ipairs { "pcall", "error", "close", "setmetatable" } do
      assert.is_nil(text:find(word, 1, true))
    end
  end)

  it("is real bytecode", function()
    local f = compile({ "x", "..." }, function(g, x, rest)
      return g:call_function(Attr(G "math", "max"), x, rest) + 1
    end)
    assert.equal(8, portable.copy(f)(1, 7, 3))
    local simple = compile({ "x" }, function(_, x) return x, 5 end)
    same_values(compat.pack("x", 5),
      compat.pack(portable.copy(simple, true)("x")))
  end)

  it("is independent of a graph that changes afterwards", function()
    local f, g = compile({ "x" }, function(_, x) return x + 1 end)
    nodes.list(g)[2].args[2] = 100
    assert.equal(2, f(1))
    assert.equal(101, g:compile()(1))
  end)
end)

describe("random graphs", function()
  -- Lua 5.4.0 to 5.4.4 blame a division by zero on the line of the last call.
  local divide = compat.load "local f = ...\nlocal a = f()\nreturn 1 // a"
  local misplaced = divide and not select(2, pcall(divide, function()
    return 0
  end)):find(":3:", 1, true)

  it("do what an interpreter of their nodes does", function()
    finally(function() _G.world = nil end)
    local ended, failed, handed_on = 0, 0, 0
    local random = math.random
    for round = 1, 400 do
      math.randomseed((SEED * 1009 + round) % 2 ^ 31)
      local where = ("GBI_SEED=%d, graph %d: "):format(SEED, round)
      local g, from = random_graph.make(random)
      local f = g:compile()
      local by_backend = g:compile { backend = function()
        return function(run, ...)
          local outputs = random_graph.interpret(g, from, _G.world, run, ...)
          return compat.unpack(outputs, 1, outputs.n)
        end
      end }
      g:eliminate_dead_code()
      for _, compiled in ipairs { f, by_backend, f } do
        local ok, err, at, n = random_graph.compare(where, g, from, compiled,
          compiled == by_backend, random_graph.inputs(g, random))
        handed_on = handed_on + n
        if ok then
          ended = ended + 1
        elseif compiled == f then
          failed = failed + 1
          local name = err:match "\n\t\tnode ([%w_]+):"
          assert(name == at or misplaced and err:find "divide by zero"
            or misplaced and err:find "perform 'n%%%%0'",
            ("%s%s failed, and not %s"):format(where, at, err))
        end
      end
    end
    assert.is_true(ended > 100)
    assert.is_true(failed > 100)
    assert.is_true(handed_on > 100)
    _G.world = nil
    portable.collect()
    assert.equal(0, live())
  end)
end)

-- Sources: where an object came from, and how to obtain it again.
local gbi = require "gbi"
local compat = require "gbi.compat"
local fixture = require "spec.support.fixture"
local portable = require "spec.support.portable"
local raises = require "spec.support.errors".raises
local source = gbi.source

local L, G, Attr, Item = source.LocalSource, source.GlobalSource,
  source.AttrSource, source.GetItemSource
local Const, Call, Import = source.ConstantSource,
  source.CallFunctionNoArgsSource, source.ImportSource

local NAN = 0 / 0

-- How each source prints, and how to make it. All of them differ.
local SOURCES = {
  { 'L["x"]', function() return L "x" end },
  { 'L["y"]', function() return L "y" end },
  { 'L["a \\"b\\"\\n"]', function() return L 'a "b"\n' end },
  { 'G["x"]', function() return G "x" end },
  { 'G["io"].stdout', function() return Attr(G "io", "stdout") end },
  { 'L["x"].y', function() return Attr(L "x", "y") end },
  { 'L["x"].z', function() return Attr(L "x", "z") end },
  { 'L["x"]["end"]', function() return Attr(L "x", "end") end },
  { 'L["x"]["1a"]', function() return Attr(L "x", "1a") end },
  { 'L["x"].y.z', function() return Attr(Attr(L "x", "y"), "z") end },
  { 'G["t"][3]', function() return Item(G "t", 3) end },
  { 'G["t"]["3"]', function() return Item(G "t", "3") end },
  { 'G["t"][true]', function() return Item(G "t", true) end },
  { 'G["t"][-1]', function() return Item(G "t", -1) end },
  { 'G["t"][(0/0)]', function() return Item(G "t", NAN) end },
  { 'G["t"][L["x"]]', function() return Item(G "t", L "x") end },
  { 'G["t"][L["y"]]', function() return Item(G "t", L "y") end },
  { 'L["x"]["y"]', function() return Item(L "x", "y") end },
  { 'nil', function() return Const(nil) end },
  { '"nil"', function() return Const "nil" end },
  { 'false', function() return Const(false) end },
  { '0', function() return Const(0) end },
  { compat.minus_zero, function() return Const(-0.0) end },
  { '(0/0)', function() return Const(NAN) end },
  { 'L["x"]()', function() return Call(L "x") end },
  { 'L["x"]()()', function() return Call(Call(L "x")) end },
  { 'require("x")', function() return Import "x" end },
  { 'require("x").y', function() return Import("x", "y") end },
  { 'require("x")["nil"]', function() return Import("x", "nil") end },
}

if compat.integers then
  table.insert(SOURCES, { 'G["t"][3.0]', function()
    return Item(G "t", 3.0)
  end })
  table.insert(SOURCES, { "0.0", function() return Const(0.0) end })
end

-- The object of a source in a prologue of `params`.
local function obtain(s, params, ...)
  local registry = gbi.new()
  registry:register(print, s)
  gbi.compile_prologue(registry, params)(...)
  return registry:get(1)
end

-- The value of a source, of any type.
local function value(s, params, ...)
  return obtain({
    reconstruct = function(_, cg)
      cg:load_import("gbi.compat", "pack")
      cg(s)
      cg:call_function(1)
    end,
  }, params, ...)[1]
end

describe("a source", function()
  it("prints as the expression that it stands for", function()
    for _, case in ipairs(SOURCES) do
      assert.equal(case[1], tostring(case[2]()))
    end
  end)

  it("equals sources of the same content, and no other", function()
    for i, a in ipairs(SOURCES) do
      for j, b in ipairs(SOURCES) do
        assert.equal(i == j, a[2]() == b[2](), a[1] .. " and " .. b[1])
      end
    end
  end)

  it("does not equal a value that is not gbi's source", function()
    for _, other in ipairs { {}, { name = 'L["x"]' }, 'L["x"]', 1, io.stdout,
                             setmetatable({}, { __eq = rawequal }) } do
      assert.is_false(L "x" == other)
      assert.is_false(other == L "x")
    end
  end)

  it("equals sources of the same content at any depth", function()
    local function deep(member)
      local s = L "x"
      for _ = 1, 1000 do s = Attr(s, "y") end
      return Attr(s, member)
    end
    assert.is_true(deep "a" == deep "a")
    assert.is_false(deep "a" == deep "b")
  end)

  it("is immutable", function()
    for _, case in ipairs(SOURCES) do
      local s, text = case[2](), case[1]
      local message = "source " .. text .. " is immutable"
      raises(message, function() s.member = "other" end)
      raises(message, function() s.name = "other" end)
      raises(message, function() s.reconstruct = print end)
      raises(message, function() s.new = 1 end)
      raises(message, function() s[1] = 1 end)
      assert.equal(text, tostring(s))
      assert.is_true(s == case[2]())
    end
  end)

  it("is called ? if its __tostring does not return a text", function()
    local unnamed = setmetatable({
      reconstruct = function(_, cg) cg:load_const("x") end,
    }, { __tostring = function() return {} end })
    assert.equal("?", source.name(unnamed))
    local r, object = gbi.new(), {}
    r:register(object, unnamed)
    assert.truthy(gbi.inspect(r):find("table"))
    assert.equal("function", type(gbi.compile_prologue(r)))
    assert.equal("external", gbi.graph.new():external(object, unnamed).name)
  end)

  it("is distinguished from other values", function()
    assert.is_true(source.is_source(L "x"))
    assert.is_true(source.is_source { reconstruct = print })
    for _, other in ipairs { {}, 1, "x", true, print, io.stdout } do
      assert.is_false(source.is_source(other))
    end
    assert.is_false(source.is_source(nil))
    assert.is_false(source.is_source { reconstruct = 5 })
    assert.has_error(function() gbi.new():register({}, { reconstruct = 5 }) end)
    assert.is_false(source.is_source(gbi.new():snapshot()))
  end)
end)

describe("the object of a source", function()
  local object = { "object" }

  it("is a parameter for LocalSource", function()
    assert.equal(object, obtain(L "x", { "x" }, object))
    assert.equal(object, obtain(L "y", { "x", "y" }, {}, object))
    assert.equal(object, obtain(L "a b\n", { "x", "a b\n" }, {}, object))
  end)

  it("is a global variable for GlobalSource", function()
    assert.equal(io, obtain(G "io"))
    fixture.global("not a name\n", object)
    assert.equal(object, obtain(G "not a name\n"))
  end)

  it("is a field for AttrSource", function()
    assert.equal(io.stdout, obtain(Attr(G "io", "stdout")))
    for _, name in ipairs { "a", "end", "1", "", "a b", "\n", "\0" } do
      local holder = { [name] = object }
      assert.equal(object, obtain(Attr(L "x", name), { "x" }, holder))
    end
  end)

  it("is an element for GetItemSource", function()
    for _, key in ipairs { 1, -1, 1.5, true, false, "a", "end", "a\nb",
                           math.huge, portable.min } do
      local holder = { [key] = object }
      assert.equal(object, obtain(Item(L "x", key), { "x" }, holder))
    end
    local key = {}
    assert.equal(object, obtain(Item(L "x", L "y"), { "x", "y" },
      { [key] = object }, key))
  end)

  it("is the value of a ConstantSource", function()
    for _, constant in ipairs { true, false, 1, 1.5, "", "a\nb\0" } do
      assert.equal(constant, value(Const(constant)))
    end
    assert.is_nil(value(Const(nil)))
    assert.equal(portable.digits(1.0), portable.digits(value(Const(1.0))))
    assert.equal(-math.huge, 1 / value(Const(-0.0)))
    local nan = value(Const(NAN))
    assert.is_true(nan ~= nan)
    assert.equal(string.rep, obtain(Attr(Const "text", "rep")))
  end)

  it("is the first result for CallFunctionNoArgsSource", function()
    local function f(...)
      assert(select("#", ...) == 0)
      return object, "second"
    end
    assert.equal(object, obtain(Call(L "f"), { "f" }, f))
  end)

  it("is a module, or a field of one, for ImportSource", function()
    assert.equal(string, obtain(Import "string"))
    assert.equal(string.rep, obtain(Import("string", "rep")))
    fixture.module("gbi spec\n", { ["end"] = object })
    assert.equal(object, obtain(Import("gbi spec\n", "end")))
  end)

  it("may be many steps away", function()
    local s, holder = L "x", object
    for i = 1, 1000 do
      s = Attr(s, "f" .. i)
      holder = { ["f" .. 1001 - i] = holder }
    end
    assert.equal(object, obtain(s, { "x" }, holder))
  end)
end)

describe("a wrong argument of a source", function()
  local function bad(name, arg, expected, got)
    return ("bad argument #%d to '%s' (%s expected, got %s)"):format(arg, name,
      expected, got)
  end

  it("names the function and the argument", function()
    raises(bad("LocalSource", 1, "string", "nil"), function() L() end)
    raises(bad("LocalSource", 1, "string", "number"), function() L(1) end)
    raises(bad("GlobalSource", 1, "string", "table"), function() G {} end)
    raises(bad("AttrSource", 1, "source", "string"),
      function() Attr("x", "y") end)
    raises(bad("AttrSource", 1, "source", "table"),
      function() Attr({}, "y") end)
    raises(bad("AttrSource", 1, "source", "nil"), function() Attr() end)
    raises(bad("AttrSource", 2, "string", "nil"), function() Attr(L "x") end)
    raises(bad("AttrSource", 2, "string", "number"),
      function() Attr(L "x", 1) end)
    raises(bad("GetItemSource", 1, "source", "number"),
      function() Item(1, 1) end)
    raises(bad("GetItemSource", 2, "constant or source", "nil"),
      function() Item(L "x") end)
    raises(bad("GetItemSource", 2, "constant or source", "table"),
      function() Item(L "x", {}) end)
    raises(bad("ConstantSource", 1, "constant", "table"),
      function() Const {} end)
    raises(bad("ConstantSource", 1, "constant", "function"),
      function() Const(print) end)
    raises(bad("CallFunctionNoArgsSource", 1, "source", "function"),
      function() Call(print) end)
    raises(bad("ImportSource", 1, "string", "boolean"),
      function() Import(true) end)
    raises(bad("ImportSource", 2, "string", "number"),
      function() Import("x", 1) end)
  end)

  it("may be a userdata, of any kind", function()
    raises(bad("AttrSource", 1, "source", "FILE*"),
      function() Attr(io.stdout, "x") end)
    local userdata = gbi.new():snapshot() -- it cannot be indexed
    raises(bad("AttrSource", 1, "source", "gbi.snapshot"),
      function() Attr(userdata, "x") end)
    raises(bad("GetItemSource", 2, "constant or source", "gbi.snapshot"),
      function() Item(L "x", userdata) end)
  end)
end)

describe("a source that a user writes", function()
  local object = { "object" }

  local Twice = {} -- returned if a source's object is called twice
  Twice.__index = Twice
  function Twice.__tostring(self) return tostring(self.base) .. "()()" end
  function Twice:reconstruct(cg) cg(Call(Call(self.base))) end

  local function reconstruct(_, cg) cg:load_local "x" end

  local userdata = gbi.new():snapshot()
  debug.setmetatable(userdata, { __index = { reconstruct = reconstruct } })

  -- Ways to write a source that obtains parameter x.
  local MADE = {
    ["a plain table"] = { reconstruct = reconstruct },
    ["an object of a class"] = setmetatable({}, {
      __index = { reconstruct = reconstruct },
      __tostring = function() return "mine" end,
    }),
    ["a userdata"] = userdata,
    ["a table around one of gbi's"] = {
      reconstruct = function(_, cg) cg(L "x") end,
    },
  }

  for name, mine in pairs(MADE) do
    it("works as " .. name, function()
      assert.equal(object, obtain(mine, { "x" }, object))
    end)

    it("works as " .. name .. " inside another", function()
      local other = { reconstruct = function(_, cg) cg(mine) end }
      assert.equal(object, obtain(other, { "x" }, object))
    end)

    it("works as base and as key: " .. name, function()
      local function f() return object end
      assert.equal(object, obtain(Attr(mine, "y"), { "x" }, { y = object }))
      assert.equal(object, obtain(Item(mine, 1), { "x" }, { object }))
      assert.equal(object, obtain(Call(mine), { "x" }, f))
      assert.equal(object, obtain(Item(L "t", mine), { "t", "x" },
        { [f] = object }, f))
    end)
  end

  it("may fail to return its name", function()
    local mine = setmetatable({ reconstruct = reconstruct },
      { __tostring = function() error "nameless" end })
    assert.equal(object, obtain(mine, { "x" }, object))
  end)

  it("may contain gbi's sources", function()
    local s = setmetatable({ base = Attr(L "x", "f") }, Twice)
    local x = { f = function() return function() return object end end }
    assert.equal(object, obtain(s, { "x" }, x))
    assert.equal('L["x"].f()().y', tostring(Attr(s, "y")))
    assert.equal('G["t"][L["x"].f()()]', tostring(Item(G "t", s)))
  end)

  it("is the same base only when it is the same object", function()
    local function make() return { reconstruct = reconstruct } end
    local one = make()
    assert.is_true(Attr(one, "y") == Attr(one, "y"))
    assert.is_false(Attr(one, "y") == Attr(make(), "y"))
  end)

  it("must leave one value", function()
    local function left(n)
      return setmetatable({
        reconstruct = function(_, cg) for _ = 1, n do cg:load_const(1) end end,
      }, { __tostring = function() return "mine" end })
    end
    assert.error_matches(function() obtain(left(0)) end,
      "source mine left 0 values on the codegen's stack, not 1")
    assert.error_matches(function() obtain(left(2)) end,
      "source mine left 2 values on the codegen's stack, not 1")
  end)

  it("may fail, and its error is passed on", function()
    local failure = {}
    local s = { reconstruct = function() error(failure) end }
    local ok, err = pcall(obtain, s)
    assert.is_false(ok)
    assert.equal(failure, err)
  end)
end)

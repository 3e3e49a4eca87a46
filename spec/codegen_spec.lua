-- The codegen: what each operation means, and that everything emitted is
-- evaluated once and in the order emitted.
local compat = require "gbi.compat"
local fixture = require "spec.support.fixture"
local portable = require "spec.support.portable"
local gbi = require "gbi"

local SEED = require "spec.support.seed" "codegen_spec"

local NAN = 0 / 0

-- Compiles what emit(cg) emits, which leaves one value.
local function compile(emit, params)
  local registry = gbi.new()
  registry:register_created({}, function(_, cg) emit(cg) end)
  local prologue, text = gbi.compile_prologue(registry, params)
  return prologue, registry, text
end

-- Runs what emit(cg) emits with parameters f, x, y; returns its value, of any
-- type, and the text. The value is an argument of a function that wants exactly
-- one.
local function value(emit, f, x, y)
  local box
  local prologue, _, text = compile(function(cg)
    cg:load_local "box"
    emit(cg)
    cg:call_function(1)
  end, { "box", "f", "x", "y" })
  prologue(function(...)
    assert.equal(1, select("#", ...))
    box = { ... }
    return box
  end, f, x, y)
  return box[1], text
end

local function three() return "one", "two", "three" end

local function pack(...) return compat.pack(...) end

describe("a codegen operation", function()
  it("load_const pushes a constant", function()
    for _, constant in ipairs { true, false, 0, -1, 1.5, portable.min,
                                math.huge, -math.huge, "", "a\n\0]]" } do
      assert.equal(constant, value(function(cg) cg:load_const(constant) end))
    end
    assert.is_nil(value(function(cg) cg:load_const(nil) end))
    local nan = value(function(cg) cg:load_const(NAN) end)
    assert.is_true(nan ~= nan)
    local zero = value(function(cg) cg:load_const(-0.0) end)
    assert.equal(-math.huge, 1 / zero)
  end)

  it("load_local pushes a parameter", function()
    local x = {}
    assert.equal(x, value(function(cg) cg:load_local "x" end, nil, x))
    assert.is_nil(value(function(cg) cg:load_local "y" end, nil, x))
  end)

  it("load_global pushes a global variable", function()
    assert.equal(io, value(function(cg) cg:load_global "io" end))
    assert.is_nil(value(function(cg) cg:load_global "gbi_spec\n" end))
  end)

  it("load_import pushes a module or a field of one", function()
    assert.equal(io, value(function(cg) cg:load_import "io" end))
    assert.equal(io.open, value(function(cg) cg:load_import("io", "open") end))
    fixture.module("gbi spec\n]]", "mine")
    assert.equal("mine", value(function(cg)
      cg:load_import "gbi spec\n]]"
    end))
  end)

  it("load_registry pushes the registry", function()
    local prologue, registry = compile(function(cg) cg:load_registry() end)
    prologue()
    assert.equal(registry, registry:get(1))
  end)

  it("load_attr indexes with a constant", function()
    for _, key in ipairs { "a", "end", "", "a b\n", 1, 1.5, -1, true, false,
                           math.huge, portable.min } do
      assert.equal("found", value(function(cg)
        cg:load_local "x"
        cg:load_attr(key)
      end, nil, { [key] = "found" }))
    end
  end)

  it("load_attr indexes constants too", function()
    assert.equal(string.rep, value(function(cg)
      cg:load_const "text"
      cg:load_attr "rep"
    end))
  end)

  it("load_item indexes with the value on top", function()
    local function emit(cg)
      cg:load_local "x"
      cg:load_local "y"
      cg:load_item()
    end
    local key = {}
    assert.equal("found", value(emit, nil, { [key] = "found" }, key))
    assert.is_nil(value(emit, nil, {}, nil))
    assert.is_nil(value(emit, nil, {}, NAN))
  end)

  it("call_function calls with the arguments in order", function()
    local got = value(function(cg)
      cg:load_local "f"
      cg:load_const(nil)
      cg:load_local "x"
      cg:load_const(3)
      cg:load_const(nil)
      cg:call_function(4)
    end, pack, "second")
    assert.same({ n = 4, [2] = "second", [3] = 3 }, got)
  end)

  it("call_method calls with the object before the arguments", function()
    local x = {}
    for _, name in ipairs { "m", "end", "", "a b", "a\n]]", "1", "\0" } do
      x[name] = pack
      for nargs = 0, 3 do
        local got = value(function(cg)
          cg:load_local "x"
          for i = 1, nargs do cg:load_const(i) end
          cg:call_method(name, nargs)
        end, nil, x)
        assert.same({ n = nargs + 1, x, compat.unpack({ 1, 2, 3 }, 1, nargs) },
          got)
      end
    end
    assert.equal("TEXT", value(function(cg)
      cg:load_const "text"
      cg:call_method("upper", 0)
    end))
  end)

  it("store and load keep a value in a variable", function()
    assert.same({ n = 2, 1, 2 }, value(function(cg)
      local a, b = cg:new_var(), cg:new_var()
      assert.not_equal(a, b)
      cg:load_const(1)
      cg:store(a)
      cg:load_const(2)
      cg:store(b)
      cg:load_local "f"
      cg:load(a)
      cg:load(b)
      cg:call_function(2)
    end, pack))
  end)

  it("load gives the value of the time when it was emitted", function()
    local n = 0
    local function count()
      n = n + 1
      return n
    end
    local got = value(function(cg)
      local var, saved = cg:new_var(), cg:new_var()
      local function again()
        cg:load_local "x"
        cg:call_function(0)
        cg:store(var)
      end
      cg:load_local "f"
      again()
      cg:load(var)
      cg:load(var)
      again()
      cg:load(var)
      cg:load(var)
      cg:dup_top()
      cg:store(saved)
      again()
      cg:load(var)
      cg:load(saved)
      cg:load(var)
      cg:store(var)
      cg:call_function(6)
    end, pack, count)
    assert.same({ n = 6, 1, 1, 2, 2, 3, 2 }, got)
  end)

  it("dup_top pushes the top again and evaluates it once", function()
    local n = 0
    local got = value(function(cg)
      cg:load_local "f"
      cg:load_local "x"
      cg:call_function(0)
      cg:dup_top()
      cg:dup_top()
      cg:call_function(3)
    end, pack, function()
      n = n + 1
      return n
    end)
    assert.same({ n = 3, 1, 1, 1 }, got)
    assert.equal(1, n)
  end)

  it("pop_top drops the top, but still evaluates it", function()
    local log = {}
    local x = setmetatable({}, { __index = function(_, key)
      log[#log + 1] = key
      return function(argument) log[#log + 1] = argument end
    end })
    local got = value(function(cg)
      cg:load_const "kept"
      cg:load_local "x"
      cg:load_attr "a"
      cg:pop_top() -- not a call
      cg:load_local "x"
      cg:load_attr "b"
      cg:load_const "c"
      cg:call_function(1)
      cg:pop_top() -- a call
      cg:load_const "text"
      cg:call_method("upper", 0)
      cg:pop_top() -- a call of a constant's method
      cg:load_local "x"
      cg:load_const "d"
      cg:load_item()
      cg:pop_top()
      cg:load_local "x"
      cg:pop_top() -- nothing to evaluate
      cg:load_const(1)
      cg:pop_top()
    end, nil, x)
    assert.equal("kept", got)
    assert.same({ "a", "b", "c", "d" }, log)
  end)

  it("of a function with many results takes the first", function()
    local function call(cg)
      cg:load_local "x"
      cg:call_function(0)
    end
    assert.equal("one", value(call, nil, three))
    for nargs = 1, 33 do
      local got = value(function(cg)
        cg:load_local "f"
        for _ = 1, nargs do call(cg) end
        cg:call_function(nargs)
      end, pack, three)
      assert.equal(nargs, got.n)
      for i = 1, nargs do assert.equal("one", got[i]) end
    end
    for _, name in ipairs { "m", "end" } do
      local y = { [name] = pack }
      assert.same({ n = 3, y, "one", "one" }, value(function(cg)
        cg:load_local "y"
        call(cg)
        call(cg)
        cg:call_method(name, 2)
      end, nil, three, y))
    end
    assert.equal("found", value(function(cg) -- as a key
      cg:load_local "y"
      call(cg)
      cg:load_item()
    end, nil, three, { one = "found" }))
    assert.equal(string.len, value(function(cg) -- as an indexed object
      call(cg)
      cg:load_attr "len"
    end, nil, three))
    assert.same({ n = 2, "one", "one" }, value(function(cg) -- in a variable
      local var = cg:new_var()
      call(cg)
      cg:dup_top()
      cg:store(var)
      cg:pop_top()
      cg:load_local "f"
      cg:load(var)
      cg:load(var)
      cg:call_function(2)
    end, pack, three))
    assert.equal("one", value(function(cg) -- as a function
      cg:load_local "y"
      cg:call_function(0)
      cg:call_function(0)
    end, nil, nil, function() return three, error end))
  end)
end)

describe("the order of evaluation", function()
  -- A thing logs its operations.
  local log

  local function thing(name)
    return setmetatable({}, {
      __name = name,
      __index = function(_, key)
        log[#log + 1] = name .. "." .. tostring(key)
        return thing(name .. "." .. tostring(key))
      end,
      __call = function()
        log[#log + 1] = name .. "()"
        return thing(name .. "()")
      end,
    })
  end

  local function logged(emit)
    log = {}
    value(emit, nil, thing "x", thing "y")
    return table.concat(log, " ")
  end

  local function call(cg, name)
    cg:load_local(name)
    cg:call_function(0)
  end

  it("of the arguments of a call", function()
    assert.equal("x.f x() y() x.f()", logged(function(cg)
      cg:load_local "x"
      cg:load_attr "f"
      call(cg, "x")
      call(cg, "y")
      cg:call_function(2)
    end))
  end)

  it("of a method call: the method is looked up after the arguments", function()
    for _, name in ipairs { "m", "end", "a b" } do
      local m = "x." .. name
      assert.equal(("y() y.z %s %s()"):format(m, m), logged(function(cg)
        cg:load_local "x"
        call(cg, "y")
        cg:load_local "y"
        cg:load_attr "z"
        cg:call_method(name, 2)
      end))
      assert.equal(("x() x().%s x().%s()"):format(name, name),
        logged(function(cg)
          call(cg, "x")
          cg:load_const(1)
          cg:call_method(name, 1)
        end))
    end
  end)

  it("of indexing: the object, then the key", function()
    local order = logged(function(cg)
      call(cg, "x")
      call(cg, "y")
      cg:load_item()
    end)
    assert.equal("x() y() x().", order:sub(1, 12))
  end)

  it("is kept when a value above is dropped, copied or stored", function()
    for _, name in ipairs { "pop_top", "dup_top", "store" } do
      assert.equal("x() y() x().a", logged(function(cg)
        call(cg, "x")
        call(cg, "y")
        if name == "store" then cg:store(cg:new_var()) else cg[name](cg) end
        if name == "dup_top" then
          cg:pop_top()
          cg:pop_top()
        end
        cg:load_attr "a"
      end), name)
    end
  end)

  it("is kept when the first is used last", function()
    assert.equal("x.a y.b y() x.a()", logged(function(cg)
      local var = cg:new_var()
      cg:load_local "x"
      cg:load_attr "a"
      cg:load_local "y"
      cg:load_attr "b"
      call(cg, "y")
      cg:store(var)
      cg:load(var)
      cg:call_function(2)
    end))
  end)

  it("reads a global variable when the load was emitted", function()
    finally(function() rawset(_G, "gbi_spec", nil) end)
    local n = 0
    local function count()
      n = n + 1
      rawset(_G, "gbi_spec", n)
    end
    assert.same({ n = 4, [2] = 1, [4] = 2 }, value(function(cg)
      cg:load_local "f"
      for _ = 1, 2 do
        cg:load_local "x"
        cg:call_function(0)
        cg:load_global "gbi_spec"
      end
      cg:call_function(4)
    end, pack, count))
    assert.same({ n = 2, 2 }, value(function(cg)
      cg:load_local "f"
      cg:load_global "gbi_spec"
      cg:load_local "x" -- changes it too late
      cg:call_function(0)
      cg:call_function(2)
    end, pack, count))
  end)
end)

-- A machine with the codegen's operations, which executes them at once.
local Machine = {}
Machine.__index = Machine

function Machine.new(registry, params)
  return setmetatable({ registry = registry, params = params, stack = {},
                        top = 0, vars = {} }, Machine)
end

function Machine:push(v)
  self.top = self.top + 1
  self.stack[self.top] = v
end

function Machine:pop(n)
  self.top = self.top - n
  return compat.unpack(self.stack, self.top + 1, self.top + n)
end

function Machine:load_const(v) self:push(v) end
function Machine:load_local(name) self:push(self.params[name]) end
function Machine:load_global(name) self:push(_G[name]) end
function Machine:load_registry() self:push(self.registry) end
function Machine:load_attr(key) self:push(self:pop(1)[key]) end
function Machine:dup_top() self:push(self.stack[self.top]) end
function Machine:pop_top() self:pop(1) end
function Machine:store(var) self.vars[var] = self:pop(1) end
function Machine:load(var) self:push(self.vars[var]) end
function Machine:__call(source) source:reconstruct(self) end

function Machine:load_import(name, member)
  local m = require(name)
  if member ~= nil then m = m[member] end
  self:push(m)
end

function Machine:load_item()
  local object, key = self:pop(2)
  self:push(object[key])
end

function Machine:call_function(nargs)
  local called = compat.pack(self:pop(nargs + 1))
  self:push((called[1](compat.unpack(called, 2, nargs + 1))))
end

function Machine:call_method(name, nargs)
  local called = compat.pack(self:pop(nargs + 1))
  self:push((called[1][name](compat.unpack(called, 1, nargs + 1))))
end

function Machine:new_var()
  self.nvars = (self.nvars or 0) + 1
  return self.nvars
end

-- A world consists of things. Every operation on a thing is logged and makes a
-- new thing, so an operation that runs twice, not at all or out of order shows;
-- a call changes the global variable and the module of the world.
local NAME = "gbi_spec"

local function world()
  local log, n = {}, 0

  local thing

  local function describe(v)
    local mt = getmetatable(v)
    return type(v) == "table" and mt.id or type(v) == "userdata" and "registry"
      or type(v) == "number" and portable.digits(v) or tostring(v)
  end

  local function note(...)
    local parts = compat.pack(...)
    for i = 1, parts.n do parts[i] = describe(parts[i]) end
    log[#log + 1] = table.concat(parts, " ")
    return thing()
  end

  function thing()
    n = n + 1
    return setmetatable({}, {
      id = "#" .. n,
      __index = function(self, key) return note("index", self, key) end,
      __call = function(self, ...)
        local result = note("call", self, ...)
        rawset(_G, NAME, thing())
        package.loaded[NAME] = thing()
        return result, thing(), 3
      end,
    })
  end

  rawset(_G, NAME, thing())
  package.loaded[NAME] = thing()
  return { log = log, params = { a = thing(), ["b c"] = thing() },
           describe = describe }
end

local CONSTANTS = { true, false, 0, -1, 0.5, "", "text", "a\n]]", NAN,
                    portable.min, 1e300, n = 12 } -- and nil
local KEYS = { "k", "end", "a b", "\n", 1, -0.5, true, false, 1e300 }
local METHODS = { "m", "end", "a b", "", "\n]]" }

local function one_of(list) return list[math.random(list.n or #list)] end

-- A random program: a list of { operation, argument ... } that leaves a thing
-- on the stack. `things[i]` says whether value i of the stack is a thing, not a
-- constant, which can only be passed on; `vars` says the same of variables.
local function random_program(length)
  local program, things, vars = {}, {}, {}

  local function add(operation, pops, pushes, ...)
    program[#program + 1] = compat.pack(operation, ...)
    for _ = 1, pops do things[#things] = nil end
    things[#things + 1] = pushes
  end

  local function call()
    local nargs = math.random(0, math.min(#things - 1, one_of { 1, 4, 100 }))
    if not things[#things - nargs] then return end
    if math.random(3) == 1 then
      add("call_method", nargs + 1, true, one_of(METHODS), nargs)
    else
      add("call_function", nargs + 1, true, nargs)
    end
  end

  local function push()
    local which = math.random(7)
    if which == 1 then add("load_const", 0, false, one_of(CONSTANTS))
    elseif which == 2 then add("load_local", 0, true, one_of { "a", "b c" })
    elseif which == 3 then add("load_global", 0, true, NAME)
    elseif which == 4 then add("load_import", 0, true, NAME)
    elseif which == 5 then add("load_import", 0, true, NAME, one_of(KEYS))
    elseif which == 6 then add("load_registry", 0, false)
    else
      add("source", 0, true, gbi.source.AttrSource(
        gbi.source.LocalSource "a", "field"))
    end
  end

  local operations = {
    push, push, push, call, call, call,
    function() for _ = 1, math.random(70) do push() end end,
    function()
      if things[#things] then add("load_attr", 1, true, one_of(KEYS)) end
    end,
    function()
      if things[#things - 1] then add("load_item", 2, true) end
    end,
    function() add("dup_top", 0, things[#things]) end,
    function() if #things > 1 then add("pop_top", 1) end end,
    function()
      if #things == 1 then return end
      local var = math.random(#vars + 1)
      vars[var] = things[#things]
      add("store", 1, nil, var)
    end,
    function()
      local var = #vars > 0 and math.random(#vars)
      if var then add("load", 0, vars[var], var) end
    end,
  }

  push()
  while not things[1] do
    program, things = {}, {}
    push()
  end
  for _ = 1, length do
    -- the lowest value stays a thing, to call at last
    one_of(operations)()
    if not things[1] then error "the lowest value is no thing" end
  end
  add("call_function", #things, true, #things - 1)
  return program
end

-- Makes the codegen or a machine execute a program.
local function replay(program, target)
  local vars = {}
  for _, op in ipairs(program) do
    local name, argument = op[1], op[2]
    if name == "source" then target(argument)
    elseif name == "store" or name == "load" then
      vars[argument] = vars[argument] or target:new_var()
      target[name](target, vars[argument])
    else
      target[name](target, compat.unpack(op, 2, op.n))
    end
  end
end

describe("a random program", function()
  teardown(function()
    rawset(_G, NAME, nil)
    package.loaded[NAME] = nil
  end)

  it("computes what a simulated machine computes", function()
    math.randomseed(SEED)
    for round = 1, 150 do
      local registry, programs, params = gbi.new(), {}, { "a", "b c" }
      for i = 1, one_of { 1, 1, 2, 5, 60 } do
        programs[i] = random_program(math.random(one_of { 10, 60 }))
        registry:register_created({}, function(_, cg)
          replay(programs[i], cg)
        end)
      end
      for i = 3, one_of { 2, 150 } do params[i] = "p" .. i end

      local expected = world()
      local objects = {}
      for i, program in ipairs(programs) do
        local machine = Machine.new(registry, expected.params)
        replay(program, machine)
        objects[i] = expected.describe(machine:pop(1))
        assert(machine.top == 0)
      end

      local prologue, text = gbi.compile_prologue(registry, params)
      local got = world()
      prologue(got.params.a, got.params["b c"])
      local where = ("GBI_SEED=%s, round %d:\n%s"):format(SEED, round, text)
      for i = 1, math.max(#expected.log, #got.log) do
        if expected.log[i] ~= got.log[i] then
          assert.equal(expected.log[i], got.log[i], where)
        end
      end
      for i, object in ipairs(objects) do
        assert.equal(object, got.describe(registry:get(i)), where)
      end
    end
  end)
end)

describe("sizes", function()
  local COUNTS = { 0, 1, 29, 30, 31, 32, 49, 50, 51, 255, 1000 }

  it("a call may have any number of arguments", function()
    for _, nargs in ipairs(COUNTS) do
      local got = value(function(cg)
        cg:load_local "f"
        for i = 1, nargs do
          if i % 3 == 0 then cg:load_const(nil)
          else
            cg:load_local "x"
            cg:load_const(i)
            cg:load_item()
          end
        end
        cg:call_function(nargs)
      end, pack, setmetatable({}, { __index = function(_, i) return i end }))
      assert.equal(nargs, got.n)
      for i = 1, nargs do
        local expected = i
        if i % 3 == 0 then expected = nil end
        assert.equal(expected, got[i])
      end
    end
  end)

  it("a method call may have any number of arguments", function()
    for _, name in ipairs { "m", "a b" } do
      for _, nargs in ipairs(COUNTS) do
        local x = { [name] = pack }
        local got = value(function(cg)
          cg:load_local "x"
          for i = 1, nargs do cg:load_const(i) end
          cg:call_method(name, nargs)
        end, nil, x)
        assert.equal(nargs + 1, got.n)
        assert.equal(x, got[1])
        for i = 1, nargs do assert.equal(i, got[i + 1]) end
      end
    end
  end)

  it("the stack may be deep", function()
    local n, numbers = 0, {}
    local got = value(function(cg)
      for i = 1, 1000 do
        numbers[i] = i
        cg:load_local "f"
        cg:load_local "x"
        cg:call_function(0)
      end
      cg:load_const ""
      for _ = 1, 1000 do cg:call_function(2) end
    end, function(a, b) return a .. " " .. b end, function()
      n = n + 1
      return n
    end)
    assert.equal(table.concat(numbers, " ") .. " ", got)
  end)

  it("a chain of load_attr may be long", function()
    local x = {}
    x.x = x
    assert.equal(x, value(function(cg)
      cg:load_local "x"
      for _ = 1, 10000 do cg:load_attr "x" end
    end, nil, x))
  end)

  it("a chain of indices may start from constants", function()
    local got = value(function(cg)
      cg:load_const "text"
      for _ = 1, 1000 do cg:call_method("upper", 0) end
    end)
    assert.equal("TEXT", got)
  end)

  it("calls may be nested deeply", function()
    for _, first in ipairs { 0, 25 } do
      assert.equal(1000, value(function(cg)
        for _ = 1, 1000 do
          cg:load_local "f"
          for _ = 1, first do cg:load_const(0) end
        end
        cg:load_const(0)
        for _ = 1, 1000 do cg:call_function(first + 1) end
      end, function(...) return (select(select("#", ...), ...)) + 1 end))
    end
  end)

  it("keys may be nested deeply", function()
    assert.equal(1000, value(function(cg)
      for _ = 1, 1000 do cg:load_local "x" end
      cg:load_const(0)
      for _ = 1, 1000 do cg:load_item() end
    end, nil, setmetatable({}, { __index = function(_, i) return i + 1 end })))
  end)

  it("there may be many variables", function()
    local got = value(function(cg)
      local vars = {}
      for i = 1, 1000 do
        vars[i] = cg:new_var()
        cg:load_const(i)
        cg:store(vars[i])
      end
      for i = 1, 1000 do -- assigned once more
        cg:load(vars[i])
        cg:load(vars[1001 - i])
        cg:store(vars[i])
        cg:store(vars[1001 - i])
      end
      cg:load_local "f"
      for i = 1, 1000 do cg:load(vars[i]) end
      cg:call_function(1000)
    end, pack)
    for i = 1, 1000 do assert.equal(i, got[i]) end
  end)

  it("deep calls leave room for parameters and variables", function()
    local params = { "f" }
    for i = 2, 100 do params[i] = "x" .. i end
    local prologue, registry = compile(function(cg)
      for i = 1, 100 do
        local var = cg:new_var()
        cg:load_const(i)
        cg:store(var)
      end
      for _ = 1, 1000 do cg:load_local "f" end
      cg:load_const(0)
      for _ = 1, 1000 do cg:call_function(1) end
    end, params)
    prologue(function(v) return v == 0 and { 1 } or { v[1] + 1 } end)
    assert.same({ 1000 }, registry:get(1))
  end)

  it("constants may be long", function()
    local long = ("a\n"):rep(100000)
    assert.equal(long, value(function(cg) cg:load_const(long) end))
    assert.equal(1, value(function(cg)
      cg:load_local "x"
      cg:load_attr(long)
    end, nil, { [long] = 1 }))
  end)
end)

describe("misuse", function()
  -- The error message that compiling `emit` raises; `here`: is it raised at a
  -- line of this file?
  local function misused(message, here, emit)
    local ok, err = pcall(compile, emit, { "x" })
    assert.is_false(ok)
    local where, what = err:match "^(spec/codegen_spec%.lua:%d+: )(.*)"
    assert.equal(message, what or err)
    assert.equal(here, where ~= nil, err)
  end

  local function wrong(arg, name, expected)
    return ("bad argument #%d to '%s' (%s)"):format(arg, name, expected)
  end

  it("leaves no value, or several", function()
    local function left(n)
      return ("the constructor of external object 1 left %d values on the "
        .. "codegen's stack, not 1"):format(n)
    end
    misused(left(0), false, function() end)
    misused(left(2), false, function(cg)
      cg:load_const(1)
      cg:load_const(2)
    end)
    misused(left(0), false, function(cg)
      cg:load_const(1)
      cg:store(cg:new_var())
    end)
  end)

  it("takes more values than there are", function()
    local function short(name, needs, has)
      return ("'%s' needs %d values on the codegen's stack, but there are %d")
        :format(name, needs, has)
    end
    misused(short("pop_top", 1, 0), true, function(cg) cg:pop_top() end)
    misused(short("dup_top", 1, 0), true, function(cg) cg:dup_top() end)
    misused(short("load_attr", 1, 0), true, function(cg) cg:load_attr "x" end)
    misused(short("store", 1, 0), true, function(cg) cg:store(cg:new_var()) end)
    misused(short("load_item", 2, 1), true, function(cg)
      cg:load_const(1)
      cg:load_item()
    end)
    misused(short("call_function", 2, 1), true, function(cg)
      cg:load_local "x"
      cg:call_function(1)
    end)
    misused(short("call_method", 3, 2), true, function(cg)
      cg:load_local "x"
      cg:load_local "x"
      cg:call_method("m", 2)
    end)
  end)

  it("takes values that its constructor did not push", function()
    for _, name in ipairs { "pop_top", "dup_top", "load_item", "store" } do
      local ok, err = pcall(compile, function(cg)
        cg:load_local "x"
        cg:load_local "x"
        cg { reconstruct = function()
          if name == "store" then cg:store(cg:new_var()) else cg[name](cg) end
        end }
      end, { "x" })
      assert.is_false(ok)
      assert.matches(("'%s' needs %%d values.* there are 0"):format(name), err)
    end
  end)

  it("uses a value that is not a variable of a codegen", function()
    for _, name in ipairs { "store", "load" } do
      for _, var in pairs { "x", "v1", "nothing\n", 1, true, {}, NAN } do
        misused(wrong(1, name, "not a variable of this codegen"), true,
          function(cg)
            cg:load_local "x"
            cg[name](cg, var)
          end)
      end
      misused(wrong(1, name, "not a variable of this codegen"), true,
        function(cg)
          cg:load_local "x"
          cg[name](cg)
        end)
    end
  end)

  it("uses a variable of another codegen", function()
    local var
    compile(function(cg)
      var = cg:new_var()
      cg:load_global "_G"
    end)
    misused(wrong(1, "load", "not a variable of this codegen"), true,
      function(cg)
        cg:load_local "x"
        cg:store(cg:new_var())
        cg:load(var)
      end)
  end)

  it("loads a variable before it stores it", function()
    local ok, err = pcall(compile, function(cg) cg:load(cg:new_var()) end)
    assert.is_false(ok)
    assert.matches("^spec/codegen_spec%.lua:%d+: bad argument #1 to 'load' "
      .. "%(nothing was stored in the variable%)$", err)
  end)

  it("gives an argument of the wrong type", function()
    local function check(n, name, expected, ...)
      local arguments = compat.pack(...)
      misused(wrong(n, name, expected), true, function(cg)
        cg:load_local "x"
        cg[name](cg, compat.unpack(arguments, 1, arguments.n))
      end)
    end
    check(1, "load_const", "constant expected, got table", {})
    check(1, "load_const", "constant expected, got function", print)
    check(1, "load_attr", "constant expected, got nil")
    check(1, "load_attr", "constant expected, got table", {})
    check(1, "load_global", "string expected, got number", 1)
    check(1, "load_global", "string expected, got nil")
    check(1, "load_import", "string expected, got table", {})
    check(1, "load_import", "string expected, got nil", nil, "x")
    check(1, "call_method", "string expected, got nil")
    check(1, "call_method", "string expected, got number", 1, 0)
    check(2, "call_method", "non-negative integer expected", "m")
    check(2, "call_method", "non-negative integer expected", "m", -1)
    check(1, "call_function", "non-negative integer expected")
    check(1, "call_function", "non-negative integer expected", -1)
    check(1, "call_function", "non-negative integer expected", 0.5)
    check(1, "call_function", "non-negative integer expected", "0")
    local unknown = "L[%s] is not a parameter of the compiled function"
    check(1, "load_local", unknown:format '"y\\n"', "y\n")
    check(1, "load_local", unknown:format "nil")
    check(1, "load_local", unknown:format "1", 1)
  end)

  it("imports a member that is not a constant", function()
    misused(wrong(2, "load_import", "constant expected, got table"), true,
      function(cg) cg:load_import("io", {}) end)
  end)

  it("obtains a value that is not a source", function()
    for _, other in ipairs { 1, "x", true, print, {} } do
      misused(wrong(1, "codegen", "source expected, got " .. type(other)), true,
        function(cg) cg(other) end)
    end
    misused(wrong(1, "codegen", "source expected, got FILE*"), true,
      function(cg) cg(io.stdout) end)
    misused(wrong(1, "codegen", "source expected, got nil"), true,
      function(cg) cg() end)
  end)

  it("obtains a userdata that cannot be indexed", function()
    misused(wrong(1, "codegen", "source expected, got gbi.snapshot"), true,
      function(cg) cg(gbi.new():snapshot()) end)
  end)

  it("is raised before anything runs", function()
    local registry = gbi.new()
    local object = {}
    registry:register(object, gbi.source.GlobalSource "_G")
    registry:register_created({}, function(_, cg) cg:pop_top() end)
    assert.has_error(function() gbi.compile_prologue(registry) end)
    assert.equal(object, registry:get(1))
    assert.equal(2, #registry)
  end)
end)

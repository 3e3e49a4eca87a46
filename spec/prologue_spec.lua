-- The prologue: it obtains every external object of a registry, in index
-- order, and stores them all.
local compat = require "gbi.compat"
local gbi = require "gbi"
local fixture = require "spec.support.fixture"
local line = require "spec.support.generated".line
local grown = require "spec.support.grown"
local portable = require "spec.support.portable"
local source, collect = gbi.source, portable.collect

local L, G, Attr, Item = source.LocalSource, source.GlobalSource,
  source.AttrSource, source.GetItemSource
local Call, Import = source.CallFunctionNoArgsSource, source.ImportSource

-- A registry of these sources.
local function registry_of(sources)
  local registry = gbi.new()
  for _, s in ipairs(sources) do registry:register(print, s) end
  return registry
end

-- The function that a prologue's text makes with the documented bindings.
local function reload(text, registry)
  return assert(compat.load(text, "=text", {}))(_G, require, registry,
    compat.unpack)
end

-- The error that a prologue raises.
local function failure(prologue, ...)
  local ok, err = pcall(prologue, ...)
  assert.is_false(ok)
  return err
end

-- The external objects that gbi.traceback names if a prologue fails, the
-- innermost first.
local function blamed(prologue, ...)
  local arguments, names = compat.pack(...), {}
  local ok, text = xpcall(function()
    prologue(compat.unpack(arguments, 1, arguments.n))
    return true
  end, gbi.traceback)
  assert.is_false(ok)
  for name in text:gmatch "\n\t\t(external object [^\n]*)" do
    names[#names + 1] = name
  end
  return names
end

describe("a prologue", function()
  -- A registry of n objects, each an element of a parameter or, without
  -- parameters, of a global table; the parameters' names and values; and the
  -- objects.
  local function sized(n, nparams)
    local registry, objects, names, tables = gbi.new(), {}, {}, {}
    for i = 1, nparams do names[i], tables[i] = "name" .. i, {} end
    local shared = {}
    rawset(_G, "gbi_spec", shared)
    for i = 1, n do
      local k = (i - 1) % math.max(nparams, 1) + 1
      local object = {}
      objects[i] = object;
      (tables[k] or shared)[i] = object
      registry:register(object, Item(names[k] and L(names[k]) or G "gbi_spec",
        i))
    end
    return registry, names, tables, objects
  end

  local function assert_stored(objects, registry)
    for i, object in ipairs(objects) do
      if registry:find(i) ~= object then
        assert.equal(object, registry:get(i), "object " .. i)
      end
    end
  end

  local NPARAMS = { 0, 1, 99, 100, 101, 199, 200, 201, 255, 1000 }

  for _, n in ipairs { 0, 1, 49, 50, 51, 52, 59, 60, 61, 62, 99, 100, 101, 102,
                       199, 200, 201, 255, 256, 10000 } do
    it(("obtains %d objects"):format(n), function()
      finally(function() rawset(_G, "gbi_spec", nil) end)
      for _, nparams in ipairs(n == 10000 and { 0, 200 } or NPARAMS) do
        local registry, names, tables, objects = sized(n, nparams)
        local prologue, text = gbi.compile_prologue(registry, names)
        registry:store()
        prologue(compat.unpack(tables))
        assert_stored(objects, registry)
        assert.equal(n, (registry:count()))
        registry:store()
        reload(text, registry)(compat.unpack(tables))
        assert_stored(objects, registry)
      end
    end)
  end

  it("obtains objects in index order, each once", function()
    for _, n in ipairs { 3, 50, 51, 200 } do
      local log, registry = {}, gbi.new()
      for i = 1, n do
        registry:register_created({}, function(index, cg)
          assert(index == i)
          cg:load_local "f"
          cg:load_const(index)
          cg:call_function(1)
        end)
      end
      gbi.compile_prologue(registry, { "f" })(function(i)
        log[#log + 1] = i
        return {}
      end)
      assert.equal(n, #log)
      for i = 1, n do assert.equal(i, log[i]) end
    end
  end)

  it("stores only after all objects are obtained", function()
    local registry = registry_of { L "x", Call(L "f") }
    local old, new = {}, {}
    registry:store(old, old)
    local seen
    gbi.compile_prologue(registry, { "x", "f" })(new, function()
      seen = registry:get(1)
      return new
    end)
    assert.equal(old, seen)
    assert.equal(new, registry:get(1))
  end)

  it("keeps each object alive until the call ends", function()
    for _, n in ipairs { 2, 50, 59, 60, 61, 100 } do
      local registry, made = gbi.new(), setmetatable({}, { __mode = "v" })
      for _ = 1, n do registry:register(print, Call(L "f")) end
      local calls = 0
      gbi.compile_prologue(registry, { "f" })(function()
        local object = {}
        calls = calls + 1
        made[calls] = object
        collect()
        for i = 1, calls do
          assert.is_true(made[i] ~= nil, i .. " of " .. n)
        end
        return object
      end)
      assert.equal(n, calls)
    end
  end)

  it("does not keep objects alive after it", function()
    local registry = registry_of { Call(L "f") }
    gbi.compile_prologue(registry, { "f" })(function() return {} end)
    collect()
    assert.same({ nil, "dead" }, { registry:find(1) })
  end)

  it("returns nothing and may run again", function()
    local registry = registry_of { L "x" }
    local prologue = gbi.compile_prologue(registry, { "x" })
    for _ = 1, 3 do
      local x = {}
      assert.equal(0, select("#", prologue(x)))
      assert.equal(x, registry:get(1))
    end
  end)

  it("without parameters needs no list of them", function()
    local registry = registry_of { G "io" }
    gbi.compile_prologue(registry)()
    assert.equal(io, registry:get(1))
  end)

  it("takes only a registry and distinct names", function()
    local function wrong(message, ...)
      local arguments = compat.pack(...)
      local err = failure(function()
        gbi.compile_prologue(compat.unpack(arguments, 1, arguments.n))
      end)
      local where, what = err:match "^(spec/prologue_spec%.lua:%d+: )(.*)"
      assert.is_string(where, err)
      assert.equal(message, what)
    end
    local first = "bad argument #1 to 'compile_prologue' (gbi.registry "
      .. "expected, got %s)"
    local second = "bad argument #2 to 'compile_prologue' (%s)"
    wrong(first:format "nil")
    wrong(first:format "table", {})
    wrong(first:format "FILE*", io.stdout)
    wrong(second:format "table expected, got string", gbi.new(), "x")
    wrong(second:format "parameter 2: string expected, got number",
      gbi.new(), { "x", 1 })
    wrong(second:format 'parameter 3: duplicate name "x\\n"', gbi.new(),
      { "x\n", "y", "x\n" })
  end)

  it("names the object whose source needs another parameter", function()
    local registry = registry_of { G "io", Attr(L "o", "x") }
    local err = failure(function()
      gbi.compile_prologue(registry, { "x" })
    end)
    assert.matches('^spec/prologue_spec%.lua:%d+: external object 2 '
      .. '%(L%["o"%]%.x%): L%["o"%] is not a parameter of the prologue$', err)
  end)
end)

describe("a name", function()
  local NAMES = { "G", "require", "registry", "unpack", "select", "enter",
                  "leave", "hand_on", "hand_back", "body", "run", "vars",
                  "params", "objects", "_", "v1", "v2", "v60", "p1", "p2",
                  "p3",
                  "p0", "self", "_ENV", "and", "end", "nil", "true", "goto",
                  "a b", 'a"b', "a\nb", "a\r\nb", "a\0b", "", "...", "1", "é",
                  "\255", "]]", "--", "print", "_G" }

  -- Obtains every parameter, and an element of each in more steps than the
  -- generator has locals.
  local function check(names)
    local registry, values = gbi.new(), {}
    for i, name in ipairs(names) do
      values[i] = {}
      values[i].x = values[i]
      registry:register(values[i], L(name))
      registry:register_created(values[i], function(_, cg)
        local var = cg:new_var()
        cg(L(name))
        cg:store(var)
        for _ = 1, 2 do
          cg:load(var)
          cg:load_attr "x"
          cg:store(var)
        end
        cg:load(var)
      end)
    end
    local prologue, text = gbi.compile_prologue(registry, names)
    for _, f in ipairs { prologue, reload(text, registry) } do
      registry:store()
      f(compat.unpack(values))
      for i, value in ipairs(values) do
        assert.equal(value, registry:get(2 * i - 1), text)
        assert.equal(value, registry:get(2 * i), text)
      end
    end
  end

  it("of a parameter may be any string, alone", function()
    for _, name in ipairs(NAMES) do check { name } end
  end)

  it("of a parameter may be any string, among others", function()
    check(NAMES)
    local more = compat.move(NAMES, 1, #NAMES, 1, {})
    for i = 1, 150 do more[#more + 1] = "p" .. i + 3 end
    check(more)
  end)
end)

describe("a string", function()
  -- Code that would show if it ran, in forms that might escape from the text.
  local CODE = 'G.os.execute("gbi")'
  local STRINGS = {
    CODE, " " .. CODE, "x\n" .. CODE, "x\r" .. CODE, "x\r\n" .. CODE .. "\n",
    "x\0\n" .. CODE, '"' .. CODE .. '"', '" .. ' .. CODE .. ' .. "',
    '"] = ' .. CODE .. " --", '")' .. CODE .. "--", "'" .. CODE .. "'",
    "\\\n" .. CODE, '\\"' .. CODE, "\\\\\n" .. CODE, "\\", "]]" .. CODE .. "--",
    "]==]" .. CODE, "[[" .. CODE .. "]]", "--[[", "--", "--\n" .. CODE,
    "end " .. CODE, "end\nend\n" .. CODE .. "\ndo", "x) " .. CODE,
    "x; " .. CODE,
    "%s%d%q%%", "%1", "nil or " .. CODE, "a, b", "...", "and", "\\z\n" .. CODE,
    "\\u{0a}" .. CODE, "\27" .. CODE, "\226\128\168" .. CODE, "\133" .. CODE,
  }

  -- A registry in which every string that gets into the text is `s`.
  local function check(s)
    local object, called, got = {}, {}, {}
    local x = { [s] = object, m = { [s] = function(self, argument)
      called[#called + 1] = { self, argument }
      return object
    end } }
    fixture.global(s, object)
    -- require reads only up to a NUL
    fixture.module(s:sub(1, (s .. "\0"):find("\0", 1, true) - 1), x)
    local registry = registry_of { L(s), G(s), Attr(L "x", s), Item(L "x", s),
      Import(s), Import(s, s) }
    registry:register(object, setmetatable({
      reconstruct = function(_, cg)
        cg:load_local "x"
        cg:load_attr "m"
        cg:load_const(s)
        cg:call_method(s, 1)
      end,
    }, { __tostring = function() return s end }))
    registry:register_created(object, function(_, cg)
      local var = cg:new_var()
      cg:load_const(s)
      cg:store(var)
      cg:load_local "f"
      cg:load(var)
      cg:call_function(1)
      cg:load_const(s)
      cg:pop_top()
    end)
    local expected = { object, object, object, object, x, object, object,
                       object }
    local prologue, text = gbi.compile_prologue(registry, { s, "f", "x" })
    for _, f in ipairs { prologue, reload(text, registry) } do
      registry:store()
      f(object, function(argument)
        got[#got + 1] = argument
        return object
      end, x)
      for i, value in ipairs(expected) do
        assert.equal(value, registry:get(i), text)
      end
    end
    assert.same({ s, s }, got)
    assert.same({ { x.m, s }, { x.m, s } }, called)
  end

  local execute = os.execute
  after_each(function() os.execute = execute end) -- luacheck: ignore 122

  it("never becomes code", function()
    local ran = false
    os.execute = function() ran = true end -- luacheck: ignore 122
    for _, s in ipairs(STRINGS) do
      check(s)
      assert.is_false(ran, s)
    end
  end)

  it("of a source appears in a one-line comment", function()
    local registry = registry_of { L "a\nb", setmetatable({
      reconstruct = function(_, cg) cg:load_global "io" end,
    }, { __tostring = function() return "mine\n\r\27is long" end }) }
    local _, text = gbi.compile_prologue(registry, { "a\nb" })
    assert.matches('-- external object 1 (L["a\\nb"])\n', text, 1, true)
    assert.matches("-- external object 2 (mine   is long)\n", text, 1, true)
  end)
end)

describe("the text", function()
  local registry = gbi.new()
  local x = { f = function() return io end }
  registry:register(x, L "x")
  registry:register(io, Call(Attr(L "x", "f")))
  local prologue, text = gbi.compile_prologue(registry, { "x" })

  local function check(f)
    registry:store()
    f(x)
    assert.equal(x, registry:get(1))
    assert.equal(io, registry:get(2))
  end

  it("names its bindings", function()
    assert.matches("local G, require, registry, unpack, select", text, 1, true)
    check(reload(text, registry))
  end)

  it("reads and writes no global variable", function()
    local nothing = setmetatable({}, { __index = error, __newindex = error })
    check(assert(compat.load(text, "=text", nothing))(_G, require, registry,
      compat.unpack))
  end)

  it("makes a function that string.dump takes", function()
    check(portable.copy(prologue, false))
    check(portable.copy(prologue, true))
  end)

  it("makes a function that luac lists", function()
    local luac = portable.luac:match "%S+"
    local _, there = portable.run("command -v " .. luac)
    if not there then pending("there is no " .. luac) end
    local path = fixture.path()
    portable.write(path, string.dump(prologue))
    local listing, ok = portable.run(portable.luac .. " " .. path)
    assert.is_true(ok, listing)
    assert.matches("CALL", listing)
  end)
end)

describe("under a strict _G", function()
  -- Makes an undeclared global variable an error until the test ends.
  local function strict()
    local old = getmetatable(_G)
    finally(function() setmetatable(_G, old) end)
    local function undeclared(_, name)
      error(("variable '%s' is not declared"):format(name), 2)
    end
    setmetatable(_G, { __index = undeclared, __newindex = undeclared })
  end

  it("a prologue is compiled and runs", function()
    strict()
    local registry = registry_of { G "io", L "x" }
    gbi.compile_prologue(registry, { "x" })({})
    assert.equal(io, registry:get(1))
  end)

  -- Asserts that a prologue fails at the line that reads the variable.
  local function fails(prologue, text)
    local err = failure(prologue)
    local n, message = err:match "^gbi prologue%(%):(%d+): (.*)$"
    assert.equal("local v1 = G.gbi_spec", line(text, tonumber(n)))
    assert.equal("variable 'gbi_spec' is not declared", message)
    assert.same({ 'external object 1 (G["gbi_spec"])' }, blamed(prologue))
  end

  it("an undeclared variable is named with its index and source", function()
    strict()
    fails(gbi.compile_prologue(registry_of { G "gbi_spec" }))
  end)

  it("also if _G became strict after compiling", function()
    local prologue, text = gbi.compile_prologue(registry_of { G "gbi_spec" })
    strict()
    fails(prologue, text)
  end)
end)

describe("when an object cannot be obtained", function()
  -- Object 2 of 3 (or of 60) fails: gbi.traceback names it, the error is
  -- unchanged, and so is the side table. `where` says whether it failed in the
  -- prologue's own line.
  local function check(name, where, what, s, ...)
    for _, n in ipairs { 3, 60 } do
      local registry = gbi.new()
      registry:register(io, G "io")
      if type(s) == "function" then registry:register_created({}, s)
      else registry:register(print, s) end
      for _ = 3, n do registry:register(io, G "io") end
      local old = {}
      registry:store(old, old)
      local prologue, text = gbi.compile_prologue(registry, { "x" })
      assert.same({ name }, blamed(prologue, ...))
      local err = failure(prologue, ...)
      if where then
        local at, message = err:match "^gbi prologue%(x%):(%d+): (.*)$"
        assert.matches(n == 3 and "^local v2 = " or "^objects%[2%] = ",
          line(text, tonumber(at)))
        err = message
      end
      assert.matches(what, err)
      assert.equal(old, registry:get(1))
      assert.equal(old, registry:get(2))
      assert.equal("unregistered", select(2, registry:find(3)))
      assert.same({ false, failure(prologue, ...) },
        { coroutine.resume(coroutine.create(prologue), ...) })
    end
  end

  it("because nil is indexed", function()
    check('external object 2 (G["gbi_spec"].x)', true,
      "^attempt to index .*nil value", Attr(G "gbi_spec", "x"))
    check('external object 2 (L["x"][1])', true,
      "^attempt to index .*nil value", Item(L "x", 1))
  end)

  it("because __index raises", function()
    check('external object 2 (L["x"].y)', false,
      "^spec/prologue_spec%.lua:%d+: no y here$", Attr(L "x", "y"),
      setmetatable({}, {
        __index = function(_, key) error("no " .. key .. " here") end,
      }))
  end)

  it("because a call raises", function()
    check('external object 2 (L["x"]())', false,
      "^spec/prologue_spec%.lua:%d+: closed$", Call(L "x"),
      function() error "closed" end)
    check('external object 2 (L["x"]())', false, "^closed$", Call(L "x"),
      function() error("closed", 0) end)
    check('external object 2 (L["x"]())', true, "^attempt to call .*nil value",
      Call(L "x"))
  end)

  it("in a coroutine", function()
    local prologue, text = gbi.compile_prologue(registry_of { Call(L "x") },
      { "x" })
    local name = 'external object 1 (L["x"]())'
    local function closed() error("closed", 0) end
    assert.equal("closed", failure(coroutine.wrap(prologue), closed))
    assert.same({ true, false, "closed" },
      { coroutine.resume(coroutine.create(function(...)
        return pcall(...)
      end), prologue, closed) })
    local co = coroutine.create(prologue)
    assert.same({ false, "closed" }, { coroutine.resume(co, closed) })
    assert.matches("\n\t\t" .. name, gbi.traceback(co), 1, true)
    if coroutine.close then
      assert.same({ false, "closed" }, { coroutine.close(co) })
    end
    co = coroutine.create(prologue)
    local ok, err = coroutine.resume(co)
    assert.is_false(ok)
    local n, message = err:match "^gbi prologue%(x%):(%d+): (.*)$"
    assert.equal("local v1 = x()", line(text, tonumber(n)))
    assert.matches("^attempt to call .*nil value", message)
    assert.matches("\n\t\t" .. name, gbi.traceback(co, err), 1, true)
  end)

  it("under a message handler, which runs once", function()
    local prologue = gbi.compile_prologue(registry_of { Call(L "x") }, { "x" })
    local calls, seen = 0, false
    local function closed() error("closed", 0) end
    local ok, err = xpcall(function()
      prologue(closed)
      return true
    end, function(err)
      calls = calls + 1
      for level = 2, 3 do
        seen = seen or debug.getinfo(level, "f").func == closed
      end
      return { err }
    end)
    assert.is_false(ok)
    assert.same({ "closed" }, err)
    assert.equal(1, calls)
    assert.is_true(seen)
  end)

  it("because there is no such module", function()
    check('external object 2 (require("gbi no such module"))', true,
      "^module 'gbi no such module' not found", Import "gbi no such module")
  end)

  it("because a created object's code fails", function()
    check("external object 2", false, "no room$", function(_, cg)
      cg:load_local "x"
      cg:call_function(0)
    end, function() error "no room" end)
  end)

  it("because a user's source fails", function()
    check("external object 2 (mine !)", true, "^attempt to call .*nil value",
      setmetatable({
        reconstruct = function(_, cg)
          cg:load_local "x"
          cg:call_function(0)
        end,
      }, { __tostring = function() return "mine\n!" end }))
  end)

  it("with an error object, that passes unchanged", function()
    local prologue = gbi.compile_prologue(registry_of { Call(L "x") }, { "x" })
    for _, object in ipairs { {}, setmetatable({}, { __tostring = error }),
                              1, true, print } do
      assert.equal(object, failure(prologue, function() error(object, 0) end))
    end
    -- 5.5 has a string for it
    assert.equal(select(2, pcall(error)),
      failure(prologue, function() error() end))
  end)

  it("because it cannot be held weakly", function()
    for _, value in ipairs { 1, "x", true, false, 0.5 } do
      for _, n in ipairs { 2, 60 } do
        local registry, old = gbi.new(), {}
        for _ = 2, n do registry:register(io, G "io") end
        registry:register(print, L "x")
        registry:store(old, old)
        local prologue = gbi.compile_prologue(registry, { "x" })
        local message = ('external object %d (L["x"]) cannot be held weakly: '
          .. "got %s"):format(n, type(value))
        assert.equal(message, failure(prologue, value))
        assert.same({ false, message },
          { coroutine.resume(coroutine.create(prologue), value) })
        assert.equal(old, registry:get(1))
        assert.equal(old, registry:get(2))
      end
    end
    local prologue = gbi.compile_prologue(registry_of { L "x" }, { "x" })
    assert.equal('external object 1 (L["x"]) cannot be held weakly: got nil',
      failure(prologue))
  end)
end)

describe("an object that the prologue creates", function()
  local function creating(n)
    local registry = gbi.new()
    for i = 1, n do
      registry:register_created({}, function(_, cg)
        cg:load_global "setmetatable"
        cg:load_local "f"
        cg:load_const(i)
        cg:call_function(1)
        cg:load_const(nil)
        cg:call_function(2)
      end)
    end
    return registry, gbi.compile_prologue(registry, { "f" })
  end

  it("is alive after the prologue returned", function()
    for _, n in ipairs { 1, 2, 50, 51, 100 } do
      local registry, prologue = creating(n)
      for run = 1, 3 do
        prologue(function(i) return { run, i } end)
        collect()
        for i = 1, n do assert.same({ run, i }, registry:get(i)) end
      end
    end
  end)

  it("does not outlive a hundred thousand runs", function()
    local registry, prologue = creating(3)
    local function f() return {} end
    local more = grown(function() prologue(f) end, 100, 100000)
    assert.is_true(more < 4, ("%f KB more"):format(more))
    assert.equal(3, (registry:count()))
  end)
end)

describe("a prologue that yields", function()
  local function yielding(n)
    local registry = gbi.new()
    registry:register(print, L "x")
    for i = 2, n do
      registry:register_created({}, function(_, cg)
        local var = cg:new_var()
        cg(L "x")
        cg:store(var)
        cg:load_local "f"
        cg:load(var)
        cg:load_const(i)
        cg:call_function(2)
      end)
    end
    return registry, gbi.compile_prologue(registry, { "x", "f" })
  end

  local function f(x, i)
    coroutine.yield(i)
    return { x, i }
  end

  for _, n in ipairs { 2, 40, 60, 100 } do
    it(("completes, %d objects"):format(n), function()
      local registry, prologue = yielding(n)
      local co, x = coroutine.create(prologue), {}
      for i = 2, n do
        assert.same({ true, i }, { coroutine.resume(co, x, f) })
        collect()
      end
      assert.same({ true }, { coroutine.resume(co) })
      assert.equal("dead", coroutine.status(co))
      assert.equal(x, registry:get(1))
      for i = 2, n do assert.same({ x, i }, registry:get(i)) end
    end)

    it(("completes in two coroutines, %d objects"):format(n), function()
      local registry, prologue = yielding(n)
      local x, y = { "x" }, { "y" }
      local one, two = coroutine.wrap(prologue), coroutine.wrap(prologue)
      one(x, f)
      two(y, f)
      for _ = 3, n do
        two()
        one()
      end
      local function check(run, object)
        run()
        assert.equal(object, registry:get(1))
        for i = 2, n do assert.same({ object, i }, registry:get(i)) end
      end
      check(one, x)
      check(two, y)
    end)
  end

  it("may be closed and leaves the side table as it was", function()
    local registry, prologue = yielding(3)
    local old, co = {}, coroutine.create(prologue)
    registry:store(old)
    coroutine.resume(co, {}, f)
    if coroutine.close then assert.is_true(coroutine.close(co)) end
    co = nil -- luacheck: ignore 311
    collect()
    assert.equal(old, registry:get(1))
  end)

  local function fail()
    coroutine.yield()
    error("too late", 0)
  end

  it("fails with an error raised after it yielded", function()
    local _, prologue = yielding(3)
    local run = coroutine.wrap(prologue)
    run({}, fail)
    assert.equal("too late", failure(run))
    if portable.yields then
      run = coroutine.wrap(function(...) return pcall(...) end)
      run(prologue, {}, fail)
      assert.same({ false, "too late" }, { run() })
    end
    local co = coroutine.create(prologue)
    coroutine.resume(co, {}, fail)
    assert.matches("\n\t\texternal object 2", gbi.traceback(co), 1, true)
    assert.same({ false, "too late" }, { coroutine.resume(co) })
    assert.matches("\n\t\texternal object 2", gbi.traceback(co), 1, true)
    if coroutine.close then
      assert.same({ false, "too late" }, { coroutine.close(co) })
    end
  end)
end)

describe("a nested prologue", function()
  it("may belong to another registry", function()
    local inner = registry_of { L "x" }
    local inner_prologue = gbi.compile_prologue(inner, { "x" })
    local outer = registry_of { L "x", Call(L "f"), L "x" }
    local outer_prologue = gbi.compile_prologue(outer, { "x", "f" })
    local x, y = {}, {}
    outer_prologue(x, function()
      inner_prologue(y)
      return inner:get(1)
    end)
    assert.equal(y, inner:get(1))
    assert.equal(x, outer:get(1))
    assert.equal(y, outer:get(2))
    assert.equal(x, outer:get(3))
  end)

  it("may be the same prologue", function()
    for _, n in ipairs { 3, 100 } do
      local registry = gbi.new()
      registry:register(print, L "x")
      for i = 2, n do
        registry:register_created({}, function(_, cg)
          cg:load_local "f"
          cg:load_local "x"
          cg:load_const(i)
          cg:call_function(2)
        end)
      end
      local prologue = gbi.compile_prologue(registry, { "x", "f" })
      local function check(x)
        assert.equal(x, registry:get(1))
        for i = 2, n do assert.same({ x, i }, registry:get(i)) end
      end
      local function f(x, i)
        if i == 2 and x.depth < 5 then
          local y = { depth = x.depth + 1 }
          prologue(y, f)
          check(y)
        end
        return { x, i }
      end
      local x = { depth = 1 }
      prologue(x, f)
      check(x)
    end
  end)

  it("that fails is named, and the outer one, too", function()
    local inner = gbi.compile_prologue(registry_of { Call(L "f") }, { "f" })
    local outer = gbi.compile_prologue(registry_of { G "io", Call(L "f") },
      { "f" })
    local function f() inner(function() error("closed", 0) end) end
    assert.equal("closed", failure(outer, f))
    assert.same({ 'external object 1 (L["f"]())',
                  'external object 2 (L["f"]())' }, blamed(outer, f))
  end)
end)

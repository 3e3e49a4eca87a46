-- gbi.traceback: debug.traceback, and under each line of generated code the
-- node that it belongs to, whatever the stack looks like.
local compat = require "gbi.compat"
local gbi = require "gbi"
local fixture = require "spec.support.fixture"
local portable = require "spec.support.portable"
local source, global = gbi.source, fixture.global

local L, G, Attr = source.LocalSource, source.GlobalSource, source.AttrSource

-- Compiles a graph of inputs called `params`: build(g, input, ...) records it
-- and returns its outputs. Returns the function and its source.
local function compile(params, build)
  local g, inputs = gbi.graph.new(), {}
  for i, name in ipairs(params) do inputs[i] = g:placeholder(name) end
  g:output(build(g, compat.unpack(inputs)))
  local f, text = g:compile()
  return f, text
end

-- Calls f(...) in a coroutine, which must fail. Returns the coroutine, whose
-- stack is that of the error, and the error.
local function fail(f, ...)
  local co = coroutine.create(f)
  local ok, err = coroutine.resume(co, ...)
  assert.is_false(ok)
  return co, err
end

-- A traceback without its notes.
local function plain(text)
  return (text:gsub("\n\t\t[^\n]*", ""))
end

-- The notes of a traceback, in order: the code of the line of each, if `texts`
-- has the source of its chunk, and the note.
local function notes(text, texts)
  local list, entry = {}, nil
  for line in text:gmatch("[^\n]+") do
    local note = line:match("^\t\t(.*)$")
    if note then
      local chunk, number = entry:match("^\t(gbi %l+%b()):(%d*)")
      if number == "" then -- LuaJIT does not know it in a failed coroutine
        number = text:match("^gbi %l+%b():(%d+): ")
      end
      local code, n = texts and texts[chunk], 0
      if code then
        for each in code:gmatch("([^\n]*)\n") do
          n = n + 1
          if n == tonumber(number) then code = each:match("^%s*(.-)$") end
        end
      end
      list[#list + 1] = code and code .. " => " .. note or note
    end
    entry = line
  end
  return list
end

-- What gbi.traceback says of a coroutine; except for the notes, it must be what
-- debug.traceback says.
local function traceback(co, message)
  local text = gbi.traceback(co, message)
  assert.equal(debug.traceback(co, message or ""):gsub("^\n", ""), plain(text))
  return text
end

local function oops() error("oops", 0) end

describe("gbi.traceback names", function()
  local writer, code

  before_each(function()
    writer, code = compile({ "out", "t" }, function(g, out, t)
      local stream = g:external({}, L "out")
      local sum = t + 1
      g:call_method("write", stream, sum, out)
      return sum, g:call_function("getitem", sum, 1)
    end)
  end)

  local WRITE = 'out_1:write(add, out) => node write: call_method write, '
    .. 'external object 1 (L["out"])'

  it("the node and the object whose method fails", function()
    local co, err = fail(writer, { write = oops }, 1)
    assert.equal("oops", err)
    local said = traceback(co, err)
    assert.equal("oops\nstack traceback:\n", said:sub(1, 22))
    assert.same({ WRITE }, notes(said, { ["gbi graph(out, t)"] = code }))
  end)

  it("the object that lacks a method", function()
    local co, err = fail(writer, {}, 1)
    assert.matches("^gbi graph%(out, t%):%d+: attempt to call .*'write'", err)
    assert.same({ WRITE }, notes(traceback(co, err),
      { ["gbi graph(out, t)"] = code }))
  end)

  it("the right operator among several", function()
    local co, err = fail(writer, { write = function() end }, 1)
    assert.same({ "local getitem = add[1] => node getitem: "
      .. "call_function getitem" }, notes(traceback(co, err),
      { ["gbi graph(out, t)"] = code }))
  end)

  it("a function that a source finds, and a function that is a node", function()
    global("gbi_spec", oops)
    local f = compile({ "x" }, function(g) g:call_function(G "gbi_spec") end)
    assert.same({ 'node gbi_spec: call_function G["gbi_spec"]' },
      notes(traceback(fail(f))))
    f = compile({ "x" }, function(_, x) x(1):results(2) end)
    assert.same({ "node x_1: call_function %x" },
      notes(traceback(fail(f, oops))))
  end)

  it("all objects that a node works on, once each, also by number", function()
    local f = compile({ "f", "a", "b" }, function(g, f)
      local a, b = g:external({}, L "a"), g:external({}, L "b")
      f(b, a:handle(), b)
    end)
    assert.same({ 'node f_1: call_function %f, external object 2 (L["b"]), '
      .. 'external object 1 (L["a"])' },
      notes(traceback(fail(f, oops, {}, {}))))
  end)

  it("each node of a thousand", function()
    local f, text = compile({ "f" }, function(_, f)
      for i = 1, 1000 do f(f, i) end
    end)
    for _, i in ipairs { 1, 99, 100, 101, 121, 500, 1000 } do
      local co = fail(f, function(_, n) if n == i then oops() end end)
      assert.same({ ("f(f, %d) => node f_%d: call_function %%f"):format(i, i) },
        notes(traceback(co), { ["gbi graph(f)"] = text }))
    end
  end)

  it("the object that a graph cannot obtain", function()
    local f, text = compile({}, function(g)
      return g:external({}, G "io"), g:external({}, Attr(G "gbi_spec", "b"))
    end)
    local co, err = fail(f)
    assert.matches("^gbi graph%(%):%d+: attempt to index", err)
    assert.same({ 'local b = G.gbi_spec.b => external object 2 '
      .. '(G["gbi_spec"].b)' }, notes(traceback(co, err),
      { ["gbi graph()"] = text }))
  end)

  it("the object that a prologue cannot obtain, among any number", function()
    for _, n in ipairs { 3, 60 } do
      local registry = gbi.new()
      for i = 1, n do registry:register({}, i == 2
        and source.CallFunctionNoArgsSource(L "a b") or G "io") end
      local prologue = gbi.compile_prologue(registry, { "a b" })
      local co, err = fail(prologue, oops)
      assert.equal("oops", err)
      assert.same({ 'external object 2 (L["a b"]())' },
        notes(traceback(co, err)))
    end
  end)

  it("an object that cannot be held", function()
    local registry = gbi.new()
    registry:register({}, L "x")
    local co, err = fail(gbi.compile_prologue(registry, { "x" }), 5)
    assert.equal('external object 1 (L["x"]) cannot be held weakly: got number',
      err)
    assert.same({ "all objects are stored" }, notes(traceback(co, err)))
    local f = compile({ "f", "x" }, function(g, f)
      f(g:external({}, L "x"):handle())
    end)
    co, err = fail(f, print)
    assert.equal('external object 1 (L["x"]) cannot be held weakly: got nil',
      err)
    assert.same({ "the objects are checked" }, notes(traceback(co, err)))
    local g = gbi.graph.new()
    g:placeholder "x"
    g:output(g:external({}, L "x"))
    co, err = fail(g:compile {
      backend = function() return function() end end,
    }, nil)
    assert.equal('external object 1 (L["x"]) cannot be held weakly: got nil',
      err)
    assert.same({ "the objects are checked" }, notes(traceback(co, err)))
  end)

  it("the call of a backend's function", function()
    local g = gbi.graph.new()
    g:output(g:external({}, L "x"), g:placeholder "x")
    local f = g:compile { backend = function() return oops end }
    assert.same({ "the backend's function" }, notes(traceback(fail(f, {}))))
  end)

  it("the node in which a coroutine is suspended", function()
    local f = compile({ "f" }, function(_, f) f(1) f(2) end)
    local co = coroutine.create(f)
    assert(coroutine.resume(co, coroutine.yield))
    assert.same({ "node f_1: call_function %f" }, notes(traceback(co)))
    assert(coroutine.resume(co))
    assert.same({ "node f_2: call_function %f" }, notes(traceback(co)))
    local ok, protected = pcall(coroutine.create, pcall)
    if not ok then return end -- 5.1's coroutines begin in a Lua function
    assert(coroutine.resume(protected, f, coroutine.yield))
    assert.same({ "node f_1: call_function %f" }, notes(traceback(protected)))
  end)

  it("a node on one line, whatever its name", function()
    local name = "a\nb"
    local mine = setmetatable({
      reconstruct = function(_, cg) cg:load_local(name) end,
    }, { __tostring = function() return "my\n\t\tsource" end })
    local f = compile({ name }, function(g, x)
      g:call_method(name, g:external({}, L(name)), g:external({}, mine), x)
    end)
    local co = fail(f, { [name] = oops })
    assert.same({ 'node a_b_1: call_method a b, external object 1 '
      .. '(L["a\\nb"]), external object 2 (my   source)' },
      notes(gbi.traceback(co)))
  end)
end)

describe("gbi.traceback tells apart", function()
  local function inner(name)
    return compile({ "f" }, function(g, f)
      g:get_attr(f, "x")
      f = g:call_method(name, f)
      return f
    end)
  end

  it("a graph and the graph that it calls, as an input", function()
    local f = compile({ "f", "x" }, function(_, f, x) return f(x) end)
    assert.same({ "node m: call_method m", "node f_1: call_function %f" },
      notes(traceback(fail(f, inner "m", { m = oops }))))
  end)

  it("a graph and the graph that it calls, found by a source", function()
    global("gbi_spec", (inner "m"))
    local f = compile({ "x" }, function(g, x)
      return g:call_function(G "gbi_spec", x)
    end)
    assert.same({ "node m: call_method m",
      'node gbi_spec: call_function G["gbi_spec"]' },
      notes(traceback(fail(f, { m = oops }))))
  end)

  it("graphs whose chunks have the same name", function()
    local one, two = inner "one", inner "two"
    assert.same({ "node one: call_method one" },
      notes(traceback(fail(one, { one = oops }))))
    local t = { two = oops, one = function(t) return (two(t)) end }
    local said = traceback(fail(one, t))
    assert.equal(2, select(2, said:gsub("\n\tgbi graph%(f%):", "")))
    assert.same({ "node two: call_method two", "node one: call_method one" },
      notes(said))
  end)

  it("generated code and other code with the same chunk name", function()
    local f = compat.load("local f = ... f() return 1", "=gbi graph(f)")
    inner "m"
    assert.same({}, notes(traceback(fail(f, oops))))
  end)

  it("calls in tail position", function()
    local f = compile({ "f" }, function(_, f) return f() end)
    local said = traceback(fail(function(x) return f(x) end, function()
      return f(oops)
    end))
    assert.same({ "node f_1: call_function %f", "node f_1: call_function %f" },
      notes(said))
    for entry in said:gmatch("\n(\t[^\n]*)\n\t\t") do
      assert.equal("\tgbi graph(f):", entry:sub(1, 14))
    end
  end)
end)

describe("gbi.traceback of a deep stack", function()
  -- Two graphs that call each other: even(n) fails at n == 0.
  local even, odd, texts
  before_each(function()
    local function build(name)
      return function(g, n)
        local m = n - 1
        return g:call_function(G "gbi_spec_next", m, name) + 1
      end
    end
    texts = {}
    even, texts["gbi graph(even)"] = compile({ "even" }, build "odd")
    odd, texts["gbi graph(odd)"] = compile({ "odd" }, build "even")
  end)

  local function start(bottom)
    global("gbi_spec_next", function(n, name)
      if n == 0 then bottom() end
      local result = (name == "odd" and odd or even)(n)
      return result
    end)
  end

  -- Asserts that each line of generated code has its note, and other lines have
  -- none.
  local function check(said)
    local _, generated = said:gsub("\n\tgbi graph%(", "")
    local list = notes(said, texts)
    assert.equal(generated, #list)
    for _, note in ipairs(list) do
      local other = note:match '_next%(sub, "(%l+)"%)'
      assert.equal(('local gbi_spec_next = G.gbi_spec_next(sub, "%s") => node '
        .. 'gbi_spec_next: call_function G["gbi_spec_next"]'):format(other),
        note)
    end
    for entry in said:gmatch("\n(\t[^\t\n][^\n]*)\n\t\t") do
      assert.equal("\tgbi graph(", entry:sub(1, 11))
    end
    return generated
  end

  it("names nodes on both sides of the gap", function()
    start(oops)
    for depth = 1, 40 do
      local said = traceback((fail(even, depth)), "m")
      assert.equal(depth > 10, said:find("\n\t...", 1, true) ~= nil)
      local shown = check(said)
      assert.equal(math.min(depth, shown), shown)
      assert.is_true(shown >= math.min(depth, 8))
    end
    assert.is_true(check(traceback((fail(even, 3000)), "m")) >= 8)
  end)

  it("does so as a message handler", function()
    start(oops)
    for _, depth in ipairs { 1, 7, 30, 3000 } do
      local ok, said = xpcall(function()
        local result = even(depth)
        return result
      end, gbi.traceback)
      assert.is_false(ok)
      assert.equal("oops\nstack traceback:\n", said:sub(1, 22))
      assert.is_true(check(said) >= math.min(depth, 3))
    end
  end)

  it("works when the stack overflows, as debug.traceback does", function()
    portable.jit(false) -- compiled code of LuaJIT decides where its stack ends
    finally(function() portable.jit(true) end)
    start(function() even(-1) end)
    local function said_by(handler)
      local ok, said = xpcall(function()
        local result = even(-1)
        return result
      end, handler)
      assert.is_false(ok)
      return said
    end
    assert.matches("stack overflow", said_by(debug.traceback))
    local said = said_by(gbi.traceback)
    assert.matches("stack overflow[^\n]*\nstack traceback:\n", said)
    if rawget(_G, "jit") then return end -- it leaves no room for more
    assert.is_true(check(said) > 0)
  end)

  it("works when calls of C overflow the stack", function()
    portable.jit(false)
    finally(function() portable.jit(true) end)
    local function sorted(n)
      table.sort({ 1, 2 }, function() return even(n) end)
    end
    if rawget(_G, "jit") then sorted = even end -- it crashes by itself
    start(function() sorted(0) end)
    rawset(_G, "gbi_spec_next", function() sorted(0) end)
    for _, handler in ipairs { debug.traceback, gbi.traceback } do
      local ok, said = xpcall(function() return (sorted(0)) end, handler)
      assert.is_false(ok)
      assert.matches("stack overflow[^\n]*\nstack traceback:\n", said)
    end
  end)
end)

describe("gbi.traceback, like debug.traceback,", function()
  -- Runs f in a coroutine, where the stack is short enough to be shown
  -- completely.
  local function alone(f)
    local results = compat.pack(coroutine.wrap(f)())
    return compat.unpack(results, 1, results.n)
  end

  it("returns the same without generated code", function()
    alone(function()
      local a, b = gbi.traceback(), debug.traceback()
      assert.equal(b, a)
      a, b = gbi.traceback("message"), debug.traceback("message")
      assert.equal(b, a)
      a, b = gbi.traceback("a\nb\n\tc"), debug.traceback("a\nb\n\tc")
      assert.equal(b, a)
      a, b = gbi.traceback(5), debug.traceback(5)
      assert.equal(b, a)
      local co = coroutine.running()
      a, b = gbi.traceback(co), debug.traceback(co)
      assert.equal(b, a)
      a, b = gbi.traceback(co, "m", 2), debug.traceback(co, "m", 2)
      assert.equal(b, a)
    end)
    local co = coroutine.create(function() end)
    assert.equal(debug.traceback(co), gbi.traceback(co))
    assert(coroutine.resume(co))
    assert.equal(debug.traceback(co, "m"), gbi.traceback(co, "m"))
  end)

  it("begins at a level", function()
    alone(function()
      local function f(level)
        local a, b = gbi.traceback("m", level), debug.traceback("m", level)
        assert.equal(b, a)
        return a
      end
      local all = f(1)
      assert.not_equal(all, f(2))
      assert.not_equal(f(2), f(3))
      f(100)
      assert.matches("^m\nstack traceback:\n\t[^\n]*traceback",
        gbi.traceback("m", 0))
    end)
    local f = compile({ "f" }, function(_, f) f() end)
    local co = fail(f, oops)
    for level = 0, 4 do
      local said = gbi.traceback(co, "m", level)
      assert.equal(debug.traceback(co, "m", level), plain(said))
      assert.equal(level < 3 and 1 or 0, #notes(said))
    end
  end)

  it("treats a nil message as no message", function()
    local co = fail(oops)
    assert.equal(debug.traceback(co), gbi.traceback(co, nil))
    assert.equal(debug.traceback(co, "", 1), "\n" .. gbi.traceback(co, nil, 1))
    assert.equal("stack traceback:\n", gbi.traceback(nil):sub(1, 17))
    local _, said = xpcall(error, gbi.traceback)
    assert.equal("stack traceback:\n", said:sub(1, 17))
  end)

  it("returns any other message as it is", function()
    local co = fail(oops)
    for _, message in ipairs { {}, true, print, io.stdout,
        setmetatable({}, { __tostring = function() return "text" end }) } do
      assert.equal(message, gbi.traceback(message))
      assert.equal(message, gbi.traceback(message, 1))
      assert.equal(message, gbi.traceback(co, message))
      local f = compile({ "f" }, function(_, f) f() end)
      local _, err = xpcall(function() f(function() error(message) end) end,
        gbi.traceback)
      assert.equal(message, err)
    end
    assert.is_false(gbi.traceback(false))
  end)

  it("refuses a level that is not an integer, at its caller's line", function()
    for _, level in ipairs { "x", {}, 1.5 } do
      local line = debug.getinfo(1, "l").currentline
      local ok, err = pcall(function() local _ = gbi.traceback("m", level) end)
      assert.is_false(ok)
      assert.matches((":%d: bad argument #2 to 'traceback' (integer expected, "
        .. "got "):format(line + 1), err, 1, true)
    end
    local ok, err = pcall(gbi.traceback, fail(oops), "m", "x")
    assert.is_false(ok)
    assert.matches("bad argument #3 to 'traceback'", err, 1, true)
  end)

  it("is a message handler that runs once", function()
    local f = compile({ "f" }, function(_, f) f() end)
    local calls = 0
    local ok, said = xpcall(function() f(f) end, function(message)
      calls = calls + 1
      local text = gbi.traceback(message, 2)
      return text
    end)
    assert.is_false(ok)
    assert.equal(1, calls)
    assert.equal(2, #notes(said))
  end)
end)

describe("gbi.traceback with gbi.debug(true)", function()
  after_each(function() gbi.debug(false) end)

  local function here()
    local info = debug.getinfo(2, "Sl")
    return ("%s:%d"):format(info.short_src, info.currentline)
  end

  it("says where a node was recorded and an object registered", function()
    gbi.debug(true)
    local g, at = gbi.graph.new(), {}
    local x = g:placeholder("x")
    local object = g:external({}, Attr(L "x", "y")) at.object = here()
    g:call_method("m", object) at.method = here()
    local sum = x + 1 at.sum = here()
    g:output(sum)
    gbi.debug(false)
    local f = g:compile()
    assert.same({ ('external object 1 (L["x"].y), registered at %s'):format(
      at.object) }, notes(traceback(fail(f))))
    assert.same({ ('node m: call_method m, external object 1 (L["x"].y), '
      .. 'recorded at %s'):format(at.method) },
      notes(traceback(fail(f, { y = { m = oops } }))))
    assert.same({ ("node add: call_function add, recorded at %s"):format(
      at.sum) }, notes(traceback(fail(f, { y = { m =
        function() end } }))))
  end)

  it("says where an object of a prologue was registered", function()
    gbi.debug(true)
    local registry = gbi.new()
    registry:register({}, Attr(L "x", "y")) local place = here()
    local prologue = gbi.compile_prologue(registry, { "x" })
    assert.same({ ('external object 1 (L["x"].y), registered at %s'):format(
      place) }, notes(traceback(fail(prologue))))
  end)

  it("names no places for nodes recorded before", function()
    local g = gbi.graph.new()
    g:call_function(g:placeholder("f"))
    gbi.debug(true)
    g:output()
    assert.same({ "node f_1: call_function %f" },
      notes(traceback(fail(g:compile(), oops))))
  end)
end)

describe("gbi.traceback never puts a note under another line", function()
  -- The name of a method is part of the traceback: this name looks like the
  -- entries that follow it.
  local function deep(n, f, x)
    if n > 0 then return (deep(n - 1, f, x)) end
    return (f(x))
  end

  it("even if a name looks like an entry", function()
    local entry = "\n\tgbi graph(x):%d: in function 'x'"
    for i = 1, 64 do
      local line, depth = i % 8, i > 32 and 100 or 0
      local name = "m" .. entry:format(line):rep(i % 4 < 3 and i % 4 + 1 or 30)
      local f = compile({ "x" }, function(g, x)
        g:get_attr(x, "y")
        return g:call_method(name, x)
      end)
      local co = fail(deep, depth, f, { [name] = oops })
      local said = traceback(co, "m")
      assert.is_true(#notes(said) <= 1)
      local at = said:find("\n\t\t", 1, true)
      if at then -- under the last of them, the graph's own
        assert.is_nil(said:find("\n\tgbi graph(x):", at, true))
      end
    end
  end)
end)

describe("a function that gbi.traceback knows", function()
  it("can be collected, even if its graph's objects refer to it", function()
    local witness = setmetatable({}, { __mode = "k" })
    do
      local g, example = gbi.graph.new(), {}
      local created = g:created(example, function(_, cg)
        cg:load_import("gbi.compat", "pack")
        cg:call_function(0)
      end)
      g:call_method("m", created)
      g:output()
      local f = g:compile()
      example.f, witness[f] = f, true
      assert.equal(1, #notes(traceback(fail(f))))
    end
    portable.collect()
    assert.is_nil(next(witness))
  end)
end)

describe("where a host has no debug library", function()
  it("gbi.traceback returns the message", function()
    local out = portable.script [[
      debug, package.loaded.debug = nil, nil
      local gbi = require "gbi"
      local t, co = {}, coroutine.create(function() end)
      print(gbi.traceback("message"), gbi.traceback("message", 2),
        gbi.traceback(co, "message"), gbi.traceback(t) == t, gbi.traceback())
      print(select(2, xpcall(error, gbi.traceback)))
    ]]
    assert.equal(("message\tmessage\tmessage\ttrue\tnil\n%s\n"):format(
      tostring(select(2, pcall(error)))), out) -- a string in 5.5
  end)

  it("with only a traceback, gbi.traceback returns that", function()
    local out = portable.script [[
      debug = { traceback = debug.traceback }
      package.loaded.debug = debug
      local gbi = require "gbi"
      local g = gbi.graph.new()
      g:call_function(g:placeholder("f"))
      g:output()
      local co = coroutine.create(g:compile())
      coroutine.resume(co, error)
      print(gbi.traceback(co, "m") == debug.traceback(co, "m"))
    ]]
    assert.equal("true\n", out)
  end)
end)

-- Graphs in files: a saved graph loads, here and in another process; any other
-- file gives nil and a reason.
local compat = require "gbi.compat"
local fixture = require "spec.support.fixture"
local portable = require "spec.support.portable"
local raises = require "spec.support.errors".raises
local gbi = require "gbi"
local nodes = require "spec.support.nodes"
local source = gbi.source

local L, G, Attr, Item = source.LocalSource, source.GlobalSource,
  source.AttrSource, source.GetItemSource
local Const, Call, Import = source.ConstantSource,
  source.CallFunctionNoArgsSource, source.ImportSource

local SEED = require "spec.support.seed" "saved_spec"

local CONSTANTS = { true, false, 0, 1, -1, 0.0, -0.0, 0.1 + 0.2, 1e300, 5e-324,
  2.0 ^ 53, 1 / 0, -1 / 0, 0 / 0, portable.max, portable.min, "", "nil",
  "a\nb\r\0\200\255", "s5:hello", "]]", ("x"):rep(10000) }

local path -- for a file of the running spec; does not exist yet

before_each(function()
  path = os.tmpname()
  os.remove(path)
end)

after_each(function()
  os.remove(path)
  os.remove(path .. ".tmp")
end)

local function write(text) portable.write(path, text) end

local function read() return portable.read(path) end

-- Saves a graph and loads it.
local function again(g)
  assert.is_true(g:save(path))
  return assert(gbi.load_graph(path))
end

-- A graph: build(g) records it and returns its outputs.
local function graph(build)
  local g = gbi.graph.new()
  g:output(build(g))
  return g
end

-- A graph of every kind of node, all of them live.
local function everything()
  return graph(function(g)
    local x, y, f = g:placeholder("x"), g:placeholder("end"),
      g:placeholder("a \"b\"\n")
    local rest = g:placeholder("...")
    local out = g:external(io.stdout, Attr(G "io", "stdout"))
    local gap = g:external({}, G "nobody uses it")
    local input = g:external({}, L "x")
    local t = g:external({}, Item(Item(G "t", 3), L "end"))
    local called = g:external({}, Call(Import("m", "n")))
    local _ = gap
    f(out:handle(), input:handle(), t, called)
    g:call_function(Attr(G "math", "max"), 1, rest)
    local call = g:call_method("find", x, "b", 1, true, rest)
    local a, b, c = call:results(3)
    g:call_method("odd name", call)
    g:set_item(t, 1, a)
    g:set_item(t, a, nil)
    local sum = a + b * 2 - -c
    for _, name in ipairs { "div", "mod", "pow", "concat", "eq", "ne", "lt",
        "le", "gt", "ge", "getitem" } do
      sum = g:call_function(name, sum, y)
    end
    if portable.expression "a // b" then
      for _, name in ipairs { "idiv", "band", "bor", "bxor", "shl", "shr" } do
        sum = g:call_function(name, sum, y)
      end
      sum = g:call_function("bnot", sum)
    end
    return sum:len(), sum:lnot(), g:get_attr(x, "field"),
      g:get_attr(Import "m"), g:get_attr(Const(1)), nil, f(rest), rest
  end)
end


-- A text about a graph, with the indices of its external objects counted from
-- 1, as in a file.
local function dense(g, text)
  local indices, counted = {}, {}
  for _, each in ipairs(nodes.list(g)) do
    if each.target == "get_external_object_by_index" then
      indices[#indices + 1] = each.args[1]
    end
  end
  table.sort(indices)
  for i, index in ipairs(indices) do counted[tostring(index)] = i end
  for _, before in ipairs { "by_index%]%(args = %(", "external object ",
                            "hand_on%(registry, [^,]*, " } do
    text = text:gsub("(" .. before .. ")(%d+)", function(found, index)
      return found .. counted[index]
    end)
  end
  return (text:gsub("check(%b())", function(pairs)
    return "check" .. pairs:gsub(" (%d+), ", function(index)
      return (" %d, "):format(counted[index])
    end)
  end))
end

describe("what is saved is loaded:", function()
  it("every kind of node", function()
    local g = everything()
    g:eliminate_dead_code()
    local h = again(g)
    assert.equal(dense(g, tostring(g)), tostring(h))
    assert.equal(dense(g, g:code()), h:code())
    assert.equal(dense(g, g:to_dot()), h:to_dot())
    assert.is_true(h:lint())
  end)

  it("the same bytes when it is saved again", function()
    local g = everything()
    local h = again(g)
    local text = read()
    again(h)
    assert.equal(text, read())
  end)

  it("every constant, as an argument and an output", function()
    for i = 0, #CONSTANTS do
      local c = CONSTANTS[i]
      local f = again(graph(function(g)
        local f = g:placeholder("f")
        return c, f(c), g:call_function("eq", c, c)
      end)):compile()
      local out, given, equal = f(function(...) return ... end)
      if type(c) == "number" then
        assert.equal(portable.digits(c), portable.digits(out))
        assert.equal(portable.digits(c), portable.digits(given))
      else
        assert.equal(c, out)
        assert.equal(c, given)
      end
      assert.equal(c == c, equal)
    end
  end)

  it("every string as the name of an input, a method and a field", function()
    for _, c in ipairs(CONSTANTS) do
      if type(c) == "string" then
        local f = again(graph(function(g)
          local x = g:placeholder(c)
          return g:call_method(c, x, 1), g:get_attr(x, c), x
        end)):compile()
        local t = { [c] = function(_, n) return n end }
        local one, method, x = f(t)
        assert.equal(1, one)
        assert.equal(t[c], method)
        assert.equal(t, x)
      end
    end
  end)

  it("every kind of source, as an object, a function and a field", function()
    local sources = { L "x", G "print", G "odd name", Attr(G "io", "stdout"),
      Attr(Attr(L "x", "end"), ""), Item(G "t", G "k"), Item(L "x", L "x"),
      Call(G "f"), Call(Call(G "f")), Import "m", Import("m", "n"),
      Import("", "end"), Const(nil) }
    for _, c in ipairs(CONSTANTS) do
      table.insert(sources, Item(G "t", c))
      table.insert(sources, Const(c))
    end
    local deep = L "x"
    for i = 1, 40 do deep = Item(Attr(deep, "a"), i) end
    table.insert(sources, deep)
    for _, s in ipairs(sources) do
      local g = graph(function(g)
        g:placeholder("x")
        local o = g:external({}, s)
        return o, g:call_function(s, o:handle()), g:get_attr(s)
      end)
      local h = again(g)
      assert.equal(tostring(g), tostring(h))
      assert.equal(g:code(), h:code())
      local _, _, _, loaded = h.registry:constructors()(h.registry, 0)
      assert.equal(s, loaded)
    end
  end)

  it("indices, counted from 1 where there were gaps", function()
    local g = graph(function(g)
      g:external({}, G "unused")
      local a = g:external({}, G "io")
      g:external({}, G "removed")
      nodes.remove(nodes.list(g)[nodes.count(g)])
      local b = g:external({}, G "os")
      return g:placeholder("f")(b, a, b:handle())
    end)
    local h = again(g)
    assert.equal(2, #h.registry)
    assert.equal('external object 1 (G["io"])', h.registry:name(1))
    assert.equal('external object 2 (G["os"])', h.registry:name(2))
    local first, second, handle = h:compile { backend = function()
      return function(run) return run[1], run[2], run:handle(2) end
    end }()
    assert.equal(io, first)
    assert.equal(os, second)
    assert.is_true(handle > 1000000000)
    h:compile()(function(b, a, found)
      assert.equal(os, b)
      assert.equal(io, a)
      assert.equal(os, gbi.handles:get(found))
    end)
  end)

  it("without unused nodes", function()
    local h = again(graph(function(g)
      local x = g:placeholder("x")
      g:external({}, { reconstruct = print }) -- which could not be saved
      g:get_attr(x + 1, "dead")
      return x
    end))
    assert.equal(2, nodes.count(h))
    assert.equal(0, #h.registry)
  end)

  it("an empty graph", function()
    assert.equal(0, select("#", again(graph(function() end)):compile()()))
  end)

  it("10,000 nodes and 1,000 objects", function()
    local g = graph(function(g)
      local x, f = g:placeholder("x"), g:placeholder("f")
      for i = 1, 1000 do f(g:external({}, Item(G "t", i)):handle()) end
      for i = 1, 10000 do x = x + i end
      return x
    end)
    local h = again(g)
    assert.equal(tostring(g), tostring(h))
    assert.equal(g:code(), h:code())
  end)

  it("over an existing file", function()
    write("something else")
    assert.equal(2, nodes.count(again(graph(function(g)
      return g:placeholder("x")
    end))))
    assert.is_nil(portable.read(path .. ".tmp"))
  end)
end)

describe("another process", function()
  it("loads the graph and finds its own objects", function()
    local g = graph(function(g)
      local name = g:placeholder("name")
      local out = g:external(io.stdout, Attr(G "io", "stdout"))
      local secret = g:external({}, G "secret")
      local look_up = g:external(print, G "look_up")
      g:call_method("write", out, "hello ", name, "\n")
      return look_up(secret:handle()), g:call_function(Import("string", "rep"),
        name, 2)
    end)
    assert.is_true(g:save(path))
    local said = portable.script(([[
      local gbi = require "gbi"
      local g = assert(gbi.load_graph(%q))
      secret = { word = "theirs" }
      function look_up(handle) return gbi.handles:get(handle).word end
      print(g:compile()("you"))
    ]]):format(path))
    assert.equal("hello you\ntheirs\tyouyou\n", said)
  end)
end)

describe("what cannot be saved:", function()
  local own = setmetatable({ reconstruct = function(_, cg)
    cg:load_global("io")
  end }, { __tostring = function() return "my own" end })

  -- Asserts that saving raises an error that names `what`, and leaves no file.
  local function fails(what, build)
    local g = graph(build)
    assert.equal("function", type(g:compile()))
    for _, before in ipairs { false, "what was there" } do
      if before then write(before) else os.remove(path) end
      local ok, err = pcall(g.save, g, path)
      assert.is_false(ok)
      assert.truthy(err:find(what .. " cannot be saved", 1, true), err)
      assert.equal(before or nil, read())
      assert.is_nil(portable.read(path .. ".tmp"))
    end
  end

  it("an object that a Lua function creates", function()
    fails("external object 2", function(g)
      g:external({}, G "fine")
      return g:created({}, function(_, cg) cg:load_global("io") end)
    end)
  end)

  it("an object whose source is the user's own", function()
    fails("external object 1 (my own)", function(g)
      return g:external({}, own)
    end)
  end)

  it("a source that contains the user's own", function()
    fails("external object 1 (my own.x)", function(g)
      return g:external({}, Attr(own, "x"))
    end)
    fails('external object 1 (G["t"][my own])', function(g)
      return g:external({}, Item(G "t", own))
    end)
  end)

  it("a call of a function whose source is the user's own", function()
    fails("node call", function(g)
      g:rename(g:call_function(own), "call")
    end)
  end)

  it("a field whose source is the user's own", function()
    fails("node field", function(g)
      local field = g:get_attr(own)
      g:rename(field, "field")
      return field
    end)
  end)

  it("a source that is nested too deeply, which load would refuse", function()
    local deep = G "t"
    for i = 1, 200 do deep = Item(deep, i) end
    local g = graph(function(g) return g:external({}, deep) end)
    local ok, err = pcall(g.save, g, path)
    if ok then assert(gbi.load_graph(path))
    else
      assert.truthy(err:find("external object 1 ", 1, true))
      assert.is_nil(read())
    end
  end)

  it("a graph that lint refuses", function()
    local g = gbi.graph.new()
    raises("the graph has no output", function() g:save(path) end)
    assert.is_nil(read())
  end)
end)

describe("a path", function()
  local g

  before_each(function() g = graph(function() end) end)

  it("that is not a string raises", function()
    raises("bad argument #1 to 'save' (string expected, got nil)",
      function() g:save() end)
    raises("bad argument #1 to 'save' (string expected, got number)",
      function() g:save(5) end)
    raises("bad argument #1 to 'load_graph' (string expected, got nil)",
      function() gbi.load_graph() end)
    raises("bad argument #1 to 'load_graph' (string expected, got table)",
      function() gbi.load_graph({}) end)
  end)

  -- Asserts that a call returned nil and a reason.
  local function refused(result, reason)
    assert.is_nil(result)
    assert.equal("string", type(reason))
    assert.is_true(#reason > 0)
  end

  -- ... with a reason that begins with the file's name.
  local function named(name, ...)
    refused(...)
    local reason = select(2, ...)
    assert.equal(name .. ": ", reason:sub(1, #name + 2))
    assert.is_nil(reason:find(".tmp", 1, true), reason)
  end

  it("where there is no file, or no folder", function()
    named(path, gbi.load_graph(path))
    named(path .. "/x", gbi.load_graph(path .. "/x"))
    refused(gbi.load_graph(""))
    named(path .. "/x", g:save(path .. "/x"))
    refused(g:save(""))
  end)

  it("that is a folder", function()
    named("spec", gbi.load_graph("spec"))
    named("spec", g:save("spec"))
    assert.is_nil(io.open("spec.tmp"))
  end)

  it("that cannot be written keeps the existing file", function()
    assert.is_true(g:save(path))
    local before = read()
    local folder = portable.folder()
    local inside = folder .. "/graph"
    portable.write(inside, before)
    local script = fixture.path()
    portable.write(script, ([[
      local gbi = require "gbi"
      local g = gbi.graph.new()
      g:output((g:placeholder("x")))
      print(g:save(%q))
    ]]):format(inside))
    -- the greatest size of a file is 0, as on a full disk
    local said = portable.run(("trap '' XFSZ; ulimit -f 0; %s %s"):format(
      portable.start(), script))
    assert.truthy(said:find("nil\t" .. inside .. ": ", 1, true), said)
    assert.is_nil(said:find(".tmp", 1, true), said)
    assert.equal(before, portable.read(inside))
    assert.equal("graph\n", (portable.run("ls " .. folder):gsub("\n+$", "\n")))
    os.remove(inside)
    os.remove(folder)
  end)

  -- GBI_SAVES=1000 tries longer.
  it("that several write at a time always has one whole file", function()
    local folder, script = portable.folder(), fixture.path()
    local inside = folder .. "/graph"
    portable.write(script, ([[
      local gbi, SAVES = require "gbi", %d
      if arg[1] == "load" then
        for _ = 1, SAVES do assert(assert(gbi.load_graph(%q)):lint()) end
        return
      end
      local g = gbi.graph.new()
      local x = g:placeholder("x")
      for _ = 1, 100 * arg[1] do x = x + arg[1] end
      g:output(x)
      for _ = 1, SAVES do assert(g:save(%q)) end
    ]]):format(os.getenv "GBI_SAVES" or 100, inside, inside))
    local empty = gbi.graph.new()
    empty:output()
    assert(empty:save(inside))
    local start = ("%s %s"):format(portable.start(), script)
    local said, ok = portable.run(("%s 1 & %s 2 & %s load & wait"):format(start,
      start, start))
    assert.is_true(ok, said)
    assert.equal("", said)
    assert.is_true(assert(gbi.load_graph(inside)):lint())
    assert.equal("graph\n", (portable.run("ls " .. folder):gsub("\n+$", "\n")))
    os.remove(inside)
    os.remove(folder)
  end)
end)


-- A float that is neither index nor count, even if 1.0 is an integer.
local FLOAT = compat.integers and 1.0 or 1.5

-- The format, implemented again from its description.

-- Adler-32.
local function checksum(text)
  local a, b = 1, 0
  for i = 1, #text do
    a = (a + text:byte(i)) % 65521
    b = (b + a) % 65521
  end
  return b * 65536 + a
end

local function sealed(payload)
  return ("gbi graph 2\n%d %.0f\n%s"):format(#payload, checksum(payload),
    payload)
end

local function raw(text) return { raw = text } end

local function ref(n) return raw(("r%d;"):format(n)) end

-- A value in the format.
local function value(v)
  if type(v) == "table" then return v.raw
  elseif v == nil then return "n"
  elseif type(v) == "boolean" then return v and "t" or "f"
  elseif compat.is_integer(v) then return ("i%d;"):format(v)
  elseif type(v) == "number" then return ("d%.17g;"):format(v) end
  return ("s%d:%s"):format(#v, v)
end

-- A source: its letter and its parts.
local function from(letter, ...)
  local parts = compat.pack(...)
  for i = 1, parts.n do parts[i] = value(parts[i]) end
  return raw(letter .. table.concat(parts))
end

-- A node.
local function node(op, name, target, ...)
  local args = compat.pack(...)
  local out = { value(op), value(name), value(target), value(args.n) }
  for i = 1, args.n do table.insert(out, value(args[i])) end
  return table.concat(out)
end

local function external(name, index, source_text)
  return node("call_function", name, "get_external_object_by_index", index)
    .. value(source_text)
end

local X = node("placeholder", "x", "x")
local OUT = node("output", "output", "output")

-- A list of nodes.
local function list(...)
  return value(select("#", ...)) .. table.concat { ... }
end

-- Loads a file of n bytes, within three times the instructions that any of
-- these needs.
local function load_quickly(n)
  if debug.gethook() then return gbi.load_graph(path) end -- make coverage
  local late = false -- gbi catches what the hook raises
  debug.sethook(function()
    late = true
    error "it takes too long"
  end, "", 30000 + 30 * n)
  local ok, g, reason = pcall(gbi.load_graph, path)
  debug.sethook()
  assert(not late, "it takes too long")
  assert(ok, g)
  return g, reason
end

-- Asserts that a file is refused quickly: nil and a reason.
local function refused(text)
  write(text)
  local g, reason = load_quickly(#text)
  assert(g == nil, "accepted: " .. text:sub(1, 200))
  assert.equal("string", type(reason))
  assert.is_nil(rawget(_G, "hit"))
end

-- Asserts that nodes are refused.
local function refuses(...) refused(sealed(list(...))) end

-- Asserts that nodes are accepted and compile; returns their graph.
local function accepts(...)
  write(sealed(list(...)))
  local g = assert(gbi.load_graph(path))
  g:compile()
  return g
end

describe("a file that was damaged gives nil and a reason:", function()
  local text

  before_each(function()
    assert.is_true(graph(function(g)
      local x, o = g:placeholder("x"), g:external({}, Attr(L "x", "o"))
      local a, b = g:call_method("m", o, o:handle(), 0.5, "]]"):results(2)
      return a + b, nil, x:getitem(true)
    end):save(path))
    text = read()
  end)

  it("cut off anywhere", function()
    for n = 0, #text - 1 do refused(text:sub(1, n)) end
    for n = 2, #text do refused(text:sub(n)) end
  end)

  local function flip(byte, bit)
    return byte % (2 * bit) < bit and byte + bit or byte - bit
  end

  it("with any byte changed", function()
    for i = 1, #text do
      local byte = text:byte(i)
      for _, other in ipairs { 0, 10, 48, 57, 110, flip(byte, 1),
                               flip(byte, 128) } do
        if other ~= byte then
          refused(text:sub(1, i - 1) .. string.char(other) .. text:sub(i + 1))
        end
      end
    end
  end)

  it("with bytes inserted, removed or exchanged", function()
    for i = 1, #text do
      for _, more in ipairs { "\0", "0", "n", "\n" } do
        if text:sub(i, i) ~= more and text:sub(i - 1, i - 1) ~= more then
          refused(text:sub(1, i - 1) .. more .. text:sub(i))
        end
      end
      refused(text:sub(1, i - 1) .. text:sub(i + 1))
      local a, b = text:sub(i, i), text:sub(i + 1, i + 1)
      if b ~= "" and a ~= b then
        refused(text:sub(1, i - 1) .. b .. a .. text:sub(i + 2))
      end
    end
    refused(text .. "n")
    refused(text .. text)
  end)

  it("or something else altogether", function()
    local payload = list(X, OUT)
    assert.equal(2, nodes.count(accepts(X, OUT)))
    local sum = checksum(payload)
    for _, other in ipairs {
      "", "\n", "gbi graph", "gbi graph 2", "gbi graph 2\n", "return {}",
      "\27Lua", string.dump(function() end),
      "hit = true", "gbi graph 2\nhit = true",
      ("gbi graph 1\n%d %d\n%s"):format(#payload, sum, payload),
      ("gbi graph 3\n%d %d\n%s"):format(#payload, sum, payload),
      ("gbi graph 2\r\n%d %d\r\n%s"):format(#payload, sum, payload),
      ("gbi graph 2\n%d %d\n%s"):format(#payload + 1, sum, payload),
      ("gbi graph 2\n%d %d\n%s"):format(#payload - 1, sum, payload),
      ("gbi graph 2\n%d %d\n%s"):format(#payload, sum + 1, payload),
      ("gbi graph 2\n%d %d\n%s"):format(#payload, sum + 2 ^ 32, payload),
      ("gbi graph 2\n%d 0x%x\n%s"):format(#payload, sum, payload),
      ("gbi graph 2\n%d.0 %d\n%s"):format(#payload, sum, payload),
      ("gbi graph 2\n%d %d%s"):format(#payload, sum, payload),
      (" gbi graph 2\n%d %d\n%s"):format(#payload, sum, payload),
      ("9"):rep(100000),
      "gbi graph 2\n" .. ("9"):rep(10000) .. " 1\n",
    } do refused(other) end
  end)
end)

describe("a file with a right checksum is refused for", function()
  it("a malformed list of nodes", function()
    for _, payload in ipairs { "", "n", "t", "i0;", "i1;", "i-1;", "d2;",
        "s1:2", "i2;" .. X, "i1;" .. X, "i1;" .. X .. OUT, list(X, OUT) .. "n",
        list(X, OUT) .. list(X, OUT), " " .. list(X, OUT), "i02" .. X .. OUT,
        "i9223372036854775807;" .. X .. OUT, "i1000000000;" .. OUT,
        "i-9223372036854775808;" .. OUT, "d1e999;" .. OUT, "dnan;" .. OUT,
        "r1;", "Gs1:x" } do
      refused(sealed(payload))
    end
  end)

  it("wrong counts of arguments", function()
    for _, n in ipairs { -1, portable.min, portable.max, 2147483648,
        9007199254740992,
        1000000, 2, FLOAT, "1", false, raw "n", raw "dnan;", raw "dinf;",
        raw "i;", raw "i1" } do
      refused(sealed("i2;" .. X .. value "call_method" .. value "m" .. value "m"
        .. value(n) .. value(ref(1)) .. OUT))
    end
    for _, n in ipairs { -1, portable.min } do
      for _, op in ipairs { "placeholder", "call_method", "get_attr" } do
        refused(sealed("i3;" .. X .. value(op) .. value "m" .. value "m"
          .. value(n) .. OUT))
        refused(sealed("i2;" .. X .. value "output" .. value "output"
          .. value "output" .. value(n)))
      end
    end
  end)

  it("values that are cut off or malformed", function()
    for _, v in ipairs { "", "i", "i;", "i1", "i1.5;", "i0x10;", "i 1;",
        "i--1;", "i99999999999999999999;", "i-99999999999999999999;", "d;",
        "dx;", "d1", "d0x;", "d1e;", "d1 ;", "dNaN;", "s", "s1", "s:", "s-1:x",
        "s1.5:x", "s 1:x", "s99999999999999999999999:x", "s2000000000:x",
        "s9223372036854775807:x", "s18446744073709551616:x",
        "s" .. ("9"):rep(400) .. ":x", "r", "r;", "r1", "r0;", "r-1;", "r1.5;",
        "r2;", "r3;", "r99999999999999999999;", "rnan;", "x", "Z", "B", "N",
        "1", ";", "\0", "\255", "é" } do
      local cut = "i2;" .. X .. value "output" .. value "output"
        .. value "output" .. "i1;" .. v
      refused(sealed(cut))
      if v ~= "" then refused(sealed(cut .. "n")) end
    end
  end)

  it("a graph that is an argument of another node", function()
    local part = raw("g" .. list(node("output", "output", "output", 1)))
    accepts(X, node("call_function", "n", "cond", ref(1), part, part), OUT)
    local heads = { { "call_method", "m" }, { "get_attr", "a" },
                    { "output", "output" }, { "placeholder", "p" } }
    for _, target in ipairs { "len", "lt", "cond", "while_loop", "call_result",
        "get_external_object_by_index", "external_object_handle",
        from("G", "print"), ref(1) } do
      heads[#heads + 1] = { "call_function", target }
    end
    for _, head in ipairs(heads) do
      for _, args in ipairs { { part }, { part, 1 },
          { ref(1), part, part, part }, { part, ref(1), part, part } } do
        refuses(X, node(head[1], "n", head[2], compat.unpack(args)), OUT)
      end
    end
  end)

  it("nodes that are used before they are made", function()
    local function add(name, a)
      return node("call_function", name, "add", a, 1)
    end
    refuses(X, add("a", ref(2)), OUT)
    refuses(X, add("a", ref(3)), add("b", ref(2)), OUT)
    refuses(X, add("a", ref(3)), OUT)
    refuses(add("a", ref(2)), X, OUT)
    refuses(node("call_function", "f", ref(2)), X, OUT)
    refuses(node("call_function", "f", ref(1)), OUT)
    refuses(node("output", "output", "output", ref(1)))
    refuses(node("output", "output", "output", ref(2)), X)
    assert.equal(3, nodes.count(accepts(X, add("a", ref(1)), OUT)))
  end)

  it("no output, several outputs, or data after the output", function()
    refuses()
    refuses(X)
    refuses(OUT, X)
    refuses(OUT, OUT)
    refuses(X, OUT, node("output", "output_1", "output"))
    refuses(X, OUT, external("t", 1, from("G", "t")))
    refuses(node("output", "output", "input"))
    refuses(node("output", "output", nil))
    refuses(OUT, node("call_method", "m", "m", ref(1)))
  end)

  it("unknown kinds of nodes", function()
    for _, op in ipairs { "", "call", "call_module", "append", "lint", "save",
        "compile", "__index", "nodes", "registry", "external", "set_item", 1,
        false, raw "n", ref(1), from("G", "x") } do
      refuses(X, node(op, "a", "x", ref(1)), OUT)
    end
  end)

  it("names that are not identifiers, or are taken", function()
    for _, name in ipairs { "", "1", "a b", "end", "nil", "a.b", "a\n", "x",
        "x = hit --", "\0", "é", 1, false, raw "n", ref(1) } do
      refuses(X, node("call_method", name, "m", ref(1)), OUT)
    end
  end)

  it("malformed inputs", function()
    refuses(X, node("placeholder", "y", "x"), OUT)
    refuses(node("placeholder", "rest", "..."), X, OUT)
    refuses(node("placeholder", "x", 1), OUT)
    refuses(node("placeholder", "x", nil), OUT)
    refuses(node("placeholder", "x", "x", 1), OUT)
    refuses(X, node("placeholder", "y", ref(1)), OUT)
    refuses(node("placeholder", "x", from("G", "x")), OUT)
  end)

  it("unknown operators, or wrong operands", function()
    for _, target in ipairs { "", "plus", "+", "__add", "os.exit", "operands",
        1, false, raw "n" } do
      refuses(X, node("call_function", "a", target, ref(1), ref(1)), OUT)
    end
    for name, text in pairs {
      idiv = "a // b", shl = "a << b", bor = "a | b",
    } do
      if not portable.expression(text) then -- a file of another Lua
        refuses(X, node("call_function", "a", name, ref(1), 1), OUT)
      end
    end
    refuses(X, node("call_function", "a", "add"), OUT)
    refuses(X, node("call_function", "a", "add", ref(1)), OUT)
    refuses(X, node("call_function", "a", "add", 1, 2, 3), OUT)
    refuses(X, node("call_function", "a", "setitem", 1, 2), OUT)
    refuses(X, node("call_function", "a", "add", 1, from("G", "x")), OUT)
    local rest = node("placeholder", "rest", "...")
    refuses(rest, node("call_function", "a", "add", 1, ref(1)), OUT)
    refuses(rest, node("call_function", "a", "unm", ref(1)), OUT)
    refuses(rest, node("call_method", "a", "m", ref(1)), OUT)
    refuses(rest, node("call_method", "a", "m", 1, ref(1), 1), OUT)
    refuses(rest, node("get_attr", "a", "m", ref(1)), OUT)
    refuses(rest, node("output", "output", "output", ref(1), 1))
  end)

  it("a write that is used as a value", function()
    local setitem = node("call_function", "s", "setitem", ref(1), 1, 2)
    refuses(X, setitem, node("output", "output", "output", ref(2)))
    refuses(X, setitem, node("call_function", "a", "add", ref(2), 1), OUT)
    refuses(X, setitem, node("call_function", "a", ref(2)), OUT)
    accepts(X, setitem, OUT)
  end)

  it("malformed methods and fields", function()
    refuses(X, node("call_method", "a", 1, ref(1)), OUT)
    refuses(X, node("call_method", "a", ref(1), ref(1)), OUT)
    refuses(X, node("call_method", "a", from("G", "f"), ref(1)), OUT)
    refuses(X, node("get_attr", "a", 1, ref(1)), OUT)
    refuses(X, node("get_attr", "a", from("G", "f"), ref(1)), OUT)
    refuses(X, node("get_attr", "a", "f", ref(1), 1), OUT)
    refuses(X, node("get_attr", "a", "f"), OUT)
    refuses(X, node("get_attr", "a", ref(1)), OUT)
  end)

  it("malformed indices", function()
    local t = from("G", "t")
    for _, index in ipairs { 0, -1, 9007199254740992, 9007199254740993,
        portable.max, portable.min, 1000000, 2147483648, 1099511627776, FLOAT,
        1.5, "1", false, raw "n", raw "dinf;", raw "dnan;" } do
      refuses(external("t", index, t), OUT)
    end
    local other = from("G", "u")
    refuses(external("t", 1, t), external("u", 1, other), OUT)
    refuses(external("t", 1, t), external("u", 2, t),
      external("v", 1, other), OUT)
    assert.equal(1, #accepts(external("t", 1, t), external("u", 1, t), OUT)
      .registry)
    refuses(external("u", 3, t), external("t", 1, t), OUT)
    refuses(external("u", 2, t), OUT)
    assert.equal(2, #accepts(external("u", 2, t), external("t", 1, t), OUT)
      .registry)
  end)

  it("external objects without a source", function()
    for _, s in ipairs { "G", 1, false, raw "n", raw "", ref(1) } do
      refuses(X, external("t", 1, s), OUT)
    end
    local op, target = "call_function", "get_external_object_by_index"
    local t = value(from("G", "t"))
    refuses(X, node(op, "t", target) .. t, OUT)
    refuses(X, node(op, "t", target, 1, 1) .. t, OUT)
    refuses(X, node(op, "t", target, ref(1)) .. t, OUT)
    refuses(X, node(op, "t", target, 1), OUT)
    refuses(X, node("call_method", "t", target, 1) .. t, OUT)
  end)

  it("a handle of a node that cannot have one", function()
    local op, target = "call_function", "external_object_handle"
    local t = external("t", 1, from("G", "t"))
    refuses(X, node(op, "i", target, ref(1)), OUT)
    refuses(t, node(op, "i", target), OUT)
    refuses(t, node(op, "i", target, 1), OUT)
    refuses(t, node(op, "i", target, ref(1), ref(1)), OUT)
    refuses(t, node(op, "i", target, ref(1)), node(op, "k", target, ref(2)),
      OUT)
    refuses(t, OUT, node(op, "i", target, ref(1)))
    accepts(t, node(op, "i", target, ref(1)), OUT)
  end)

  it("results of other nodes than calls, or a wrong number", function()
    local op, target = "call_function", "call_result"
    local call = node("call_method", "m", "m", ref(1))
    refuses(X, node(op, "r", target, ref(1), 1), OUT)
    for _, n in ipairs { 0, -1, 201, 9007199254740992, portable.max,
        FLOAT, 1.5, "1",
        false, raw "n", ref(1) } do
      refuses(X, call, node(op, "r", target, ref(2), n), OUT)
    end
    refuses(X, call, node(op, "r", target), OUT)
    refuses(X, call, node(op, "r", target, ref(2)), OUT)
    refuses(X, call, node(op, "r", target, 1, ref(2)), OUT)
    refuses(X, call, node(op, "r", target, ref(2), 1, 1), OUT)
    local sum = node(op, "s", "add", 1, 2)
    refuses(X, sum, node(op, "r", target, ref(2), 1), OUT)
    local r = node(op, "r", target, ref(2), 200)
    accepts(X, call, r, OUT)
    refuses(X, call, r, node(op, "q", target, ref(3), 1), OUT)
  end)

  it("attributes that are not plain data", function()
    -- a node or a source was taken for a table, and could not be saved again
    local attribute = node("get_attr", "a", "a")
    accepts(X, attribute .. "T" .. value(1) .. value("k") .. value(2), OUT)
    for _, key in ipairs { "n", "dnan;", "T" .. value(0) } do
      refuses(X, attribute .. "T" .. value(1) .. key .. value(2), OUT)
    end
    for _, data in ipairs { "r1;", "Gs1:x", "n" } do
      refuses(X, attribute .. data, OUT)
      if data ~= "n" then
        refuses(X, attribute .. "T" .. value(1) .. value("k") .. data, OUT)
      end
    end
  end)

  it("sources that are malformed", function()
    local g = from("G", "g")
    for _, s in ipairs {
      from("G", 1), from("G", nil), from("G"), from("G", g), from("L", 1),
      from("L", g), from("A", g, 1), from("A", g, nil), from("A", "g", "x"),
      from("A", g, g), from("A", g), from("A"), from("I", g, nil), from("I", g),
      from("I", 1, 1), from("C", g), from("C"), from("F", "f"), from("F"),
      from("F", nil), from("M", 1, nil), from("M", "m", 1), from("M", "m"),
      from("M", g, nil), from("M", "m", g), from("G", ref(1)),
      from("A", ref(1), "x"), from("I", g, ref(1)), from("C", ref(1)),
      from("F", ref(1)), from("M", "m", ref(1)), from("Q", "x"),
      from("g", "x"), raw "GG", raw(("A"):rep(99)),
    } do
      refuses(X, external("t", 1, s), OUT)
      refuses(X, node("call_function", "f", s), OUT)
      refuses(X, node("get_attr", "f", s), OUT)
    end
  end)

  it("sources that are nested without end", function()
    for _, n in ipairs { 1000, 100000, 1000000 } do
      for _, letters in ipairs { "A", "F", "I", "IG", "C", "AIF" } do
        refuses(X, external("t", 1, raw(letters:rep(n))), OUT)
      end
      refuses(X, external("t", 1, raw(("F"):rep(n) .. "Gs1:f")), OUT)
      refuses(X, external("t", 1, raw(("A"):rep(n) .. "Gs1:f"
        .. ("s1:x"):rep(n))), OUT)
    end
    local g = from("G", "g")
    for _ = 1, 500 do g = from("I", from("G", "t"), g) end
    refuses(X, external("t", 1, g), OUT)
  end)

  it("an object whose source is a missing input", function()
    refuses(external("t", 1, from("L", "x")), OUT)
    refuses(X, external("t", 1, from("A", from("L", "y"), "z")), OUT)
    refuses(X, node("call_function", "f", from("L", "y")), OUT)
    refuses(X, node("get_attr", "f", from("L", "y")), OUT)
    accepts(X, external("t", 1, from("L", "x")), OUT)
  end)

  it("too many arguments", function()
    local n = 2000000
    local text = "i2;" .. X .. value "output" .. value "output"
      .. value "output" .. value(n) .. ("n"):rep(n)
    write(sealed(text))
    local ok, g, reason = pcall(gbi.load_graph, path)
    assert.is_true(ok)
    assert.is_true(g ~= nil or type(reason) == "string")
  end)
end)

describe("an unusual file is accepted and works:", function()
  it("one result recorded twice", function()
    local f = accepts(node("placeholder", "f", "f"),
      node("call_function", "c", ref(1)),
      node("call_function", "a", "call_result", ref(2), 2),
      node("call_function", "b", "call_result", ref(2), 2),
      node("output", "output", "output", ref(3), ref(4))):compile()
    local a, b = f(function() return 1, 2 end)
    assert.same({ 2, 2 }, { a, b })
  end)

  it("names that the generator uses itself", function()
    local written, last = { X }, 1
    for _, name in ipairs { "run", "enter", "leave", "hand_on", "registry",
                            "v1", "p1", "vars" } do
      table.insert(written, node("call_function", name, "add", ref(last), 1))
      last = last + 1
    end
    table.insert(written, node("output", "output", "output", ref(last)))
    assert.equal(9, accepts(compat.unpack(written)):compile()(1))
  end)

  it("strings that look like code, which never runs", function()
    local evil = '"); hit = true; --'
    local g = accepts(node("placeholder", "x", evil),
      external("t", 1, from("I", from("L", evil), evil)),
      node("call_method", "m", evil, ref(1), evil),
      node("get_attr", "a", evil, ref(1)),
      node("output", "output", "output", ref(2), ref(3), ref(4), evil))
    local t = { [evil] = function() return 1 end }
    local a, b, c, d = g:compile()(t)
    assert.same({ t[evil], 1, t[evil], evil }, { a, b, c, d })
    assert.is_nil(rawget(_G, "hit"))
  end)
end)

describe("random changes with a right checksum", function()
  it("never raise, and accepted files compile", function()
    math.randomseed(SEED)
    local random = math.random
    assert.is_true(everything():save(path))
    local payload = read():match("^gbi graph 2\n%d+ %d+\n(.*)$")
    assert.equal(read(), sealed(payload))
    local PIECES = { "n", "t", "f", "i1;", "i0;", "i2;", "i-1;", "i200;", "r1;",
      "r3;", "r9;", "d0.5;", "s1:x", "Gs1:x", "Ls1:x", "s3:...", "s6:output",
      "s13:call_function", "s11:call_result", "s8:get_attr", "s3:add", "i5;" }
    local change = {
      function(s, i) -- a byte
        return s:sub(1, i - 1) .. string.char(random(0, 255)) .. s:sub(i + 1)
      end,
      function(s, i) -- a digit or a letter
        local some = "0123456789ntfidsrLGAICFM;:"
        local k = random(#some)
        return s:sub(1, i - 1) .. some:sub(k, k) .. s:sub(i + 1)
      end,
      function(s, i) -- a piece inserted
        return s:sub(1, i - 1) .. PIECES[random(#PIECES)] .. s:sub(i)
      end,
      function(s, i) -- a piece removed
        return s:sub(1, i - 1) .. s:sub(i + random(20))
      end,
      function(s, i) -- a piece copied
        local k = random(#s)
        return s:sub(1, i - 1) .. s:sub(k, k + random(40)) .. s:sub(i)
      end,
      function(s) -- a value replaced by another
        local from_at, to = s:find("[nirs]%d+[;:]", random(#s))
        if not from_at then return s end
        return s:sub(1, from_at - 1) .. PIECES[random(#PIECES)] .. s:sub(to + 1)
      end,
      function(s) -- a number
        local n, times = random(0, 12), 0
        local at = random(60)
        return (s:gsub("([ir])%d+;", function(letter)
          times = times + 1
          return times == at and ("%s%d;"):format(letter, n) or nil
        end))
      end,
    }
    local accepted = 0
    for round = 1, 4000 do
      local s = payload
      for _ = 1, random(3) == 1 and random(4) or 1 do
        s = change[random(#change)](s, random(#s))
      end
      write(sealed(s))
      local where = ("GBI_SEED=%d, change %d: "):format(SEED, round)
      local ok, g, reason = pcall(gbi.load_graph, path)
      assert(ok, where .. tostring(g))
      if g then
        accepted = accepted + 1
        assert(g:lint())
        local fine, err = pcall(g.compile, g)
        assert(fine, where .. tostring(err))
        assert(tostring(g) and g:to_dot())
        assert.is_true(g:save(path))
        local h = assert(gbi.load_graph(path))
        g:eliminate_dead_code()
        assert(dense(g, tostring(g)) == tostring(h),
          where .. "saved and loaded")
      else
        assert(type(reason) == "string", where .. "no reason")
      end
      assert(rawget(_G, "hit") == nil, where .. "code ran")
    end
    assert(accepted > 50, accepted .. " accepted")
  end)
end)

describe("limits of load_graph", function()
  -- A file of 1 MB could make the reader allocate any amount.
  local file

  before_each(function()
    file = os.tmpname()
    local g = gbi.graph.new()
    local s = gbi.source.GlobalSource "g"
    for _ = 1, 20 do s = gbi.source.AttrSource(s, "x") end
    local x = g:external({}, s)
    for _ = 1, 7 do x = x + 1 end
    g:output(x)
    assert(g:save(file))
  end)

  after_each(function() os.remove(file) end)

  for name, at in pairs { nodes = 9, depth = 22 } do
    it(name .. " is met at one more", function()
      assert.truthy(gbi.load_graph(file, { [name] = at }))
      local g, reason = gbi.load_graph(file, { [name] = at - 1 })
      assert.is_nil(g)
      assert.matches(("%d"):format(at - 1), reason, 1, true)
      assert.matches("option '" .. name .. "'", reason, 1, true)
    end)
  end

  it("bytes is exceeded at one more", function()
    local size = #portable.read(file)
    assert.truthy(gbi.load_graph(file, { bytes = size }))
    assert.same({ nil, ("%s: the file has more than %d bytes (option 'bytes')")
      :format(file, size - 1) },
      { gbi.load_graph(file, { bytes = size - 1 }) })
  end)

  it("must be numbers", function()
    for _, option in ipairs { { nodes = "1" }, { bytes = -1 }, { depth = 101 },
                              { nodes = 1.5 } } do
      assert.has_error(function() gbi.load_graph(file, option) end)
    end
  end)
end)

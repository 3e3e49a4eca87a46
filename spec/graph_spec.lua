-- Graphs: what they record, print, find by lint, and refuse.
local compat = require "gbi.compat"
local fixture = require "spec.support.fixture"
local portable = require "spec.support.portable"
local raises = require "spec.support.errors".raises
local gbi = require "gbi"
local nodes = require "spec.support.nodes"
local source = gbi.source

local L, G, Attr = source.LocalSource, source.GlobalSource, source.AttrSource

-- Asserts that lint refuses the graph, that compile raises the same message,
-- and at the line of its caller.
local function refused(g, message)
  local ok, reason = g:lint()
  assert.is_nil(ok)
  assert.equal(message, reason)
  raises(message, function() g:compile() end)
end

-- Asserts the fields of a node.
local function is(node, op, target, ...)
  assert.equal(op, node.op)
  assert.equal(target, node.target)
  local args = compat.pack(...)
  assert.equal(args.n, node.args.n)
  for i = 1, args.n do assert.equal(args[i], node.args[i]) end
end

describe("a graph records", function()
  local g, x, y

  before_each(function()
    g = gbi.graph.new()
    x, y = g:placeholder("x"), g:placeholder("y")
  end)

  it("inputs", function()
    is(x, "placeholder", "x")
    assert.equal("x", x.name)
    assert.equal(g, x.graph)
    is(g:placeholder("..."), "placeholder", "...")
  end)

  it("calls of a source's object and of a node's value", function()
    local sin = Attr(G "math", "sin")
    is(g:call_function(sin, x, 2), "call_function", sin, x, 2)
    is(g:call_function(x, nil), "call_function", x, nil)
    is(x(y, "s", nil), "call_function", x, y, "s", nil)
    is(x(), "call_function", x)
  end)

  it("calls of methods", function()
    is(g:call_method("write", x, y, 1, nil), "call_method", "write", x, y, 1,
      nil)
    is(g:call_method("upper", "text"), "call_method", "upper", "text")
  end)

  it("fields, and the values that sources find", function()
    is(g:get_attr(x, "end"), "get_attr", "end", x)
    is(g:get_attr("text", "len"), "get_attr", "len", "text")
    local pi = Attr(G "math", "pi")
    is(g:get_attr(pi), "get_attr", pi)
  end)

  it("writes", function()
    is(g:set_item(x, "key", nil), "call_function", "setitem", x, "key", nil)
  end)

  it("outputs, nil among them", function()
    is(g:output(nil, x, 1, nil), "output", "output", nil, x, 1, nil)
  end)

  it("external objects, which its own registry holds", function()
    local other = gbi.graph.new()
    local out = g:external(io.stdout, L "x")
    local made = g:created({}, function() end)
    is(out, "call_function", "get_external_object_by_index", 1)
    is(made, "call_function", "get_external_object_by_index", 2)
    assert.equal(2, #g.registry)
    assert.equal(io.stdout, g.registry:get(1))
    assert.equal(0, #other.registry)
    assert.equal(0, #gbi.default)
    is(out:handle(), "call_function", "external_object_handle", out)
    is(made:handle(), "call_function", "external_object_handle", made)
  end)

  it("several results of a call", function()
    local call = x()
    local a, b, c = call:results(3)
    is(a, "call_function", "call_result", call, 1)
    is(b, "call_function", "call_result", call, 2)
    is(c, "call_function", "call_result", call, 3)
    assert.equal(200, select("#", g:call_method("m", x):results(200)))
  end)

  it("all in the order they were made", function()
    local sum = x + y
    local out = g:output(sum)
    assert.same({ "x", "y", "add", "output" }, { x.name, y.name, sum.name,
      out.name })
    for i, node in ipairs { x, y, sum, out } do
      assert.equal(node, nodes.list(g)[i])
    end
    assert.equal(4, nodes.count(g))
  end)

  local BINARY = {
    add = "+", sub = "-", mul = "*", div = "/", mod = "%", pow = "^",
    idiv = "//", band = "&", bor = "|", bxor = "~", shl = "<<", shr = ">>",
    concat = "..",
  }
  for name, symbol in pairs(BINARY) do
    local operator = portable.expression(("a %s b"):format(symbol))
    it(name .. " as an operator, constants on both sides", function()
      if not operator then
        return assert.has_error(function() g:call_function(name, x, y) end)
      end
      is(operator(x, y), "call_function", name, x, y)
      is(operator(x, x), "call_function", name, x, x)
      is(operator(x, 2), "call_function", name, x, 2)
      is(operator(2.5, x), "call_function", name, 2.5, x)
      is(operator("s", x), "call_function", name, "s", x)
      is(operator(x, nil), "call_function", name, x, nil)
    end)
  end

  for _, name in ipairs { "eq", "ne", "lt", "le", "gt", "ge", "getitem" } do
    it(name .. " as a method", function()
      is(x[name](x, y), "call_function", name, x, y)
      is(x[name](x, false), "call_function", name, x, false)
      is(g:call_function(name, 1, 2), "call_function", name, 1, 2)
    end)
  end

  it("the unary operators", function()
    is(-x, "call_function", "unm", x)
    is(portable.len(x), "call_function", "len", x)
    is(x:len(), "call_function", "len", x)
    local bnot = portable.expression "~a"
    if bnot then is(bnot(x), "call_function", "bnot", x) end
    is(x:lnot(), "call_function", "lnot", x)
    is(g:call_function("unm", 1), "call_function", "unm", 1)
  end)

  it("expressions by Lua's precedence", function()
    local sum = x + y * 2 .. "!"
    local add = sum.args[1]
    is(sum, "call_function", "concat", add, "!")
    is(add, "call_function", "add", x, add.args[2])
    is(add.args[2], "call_function", "mul", y, 2)
  end)
end)

describe("a node's name", function()
  it("is the input's, the operator's, the method's, the source's", function()
    local g = gbi.graph.new()
    local x = g:placeholder("x")
    local out = g:external(io.stdout, Attr(G "io", "stdout"))
    local call = x()
    assert.equal("add", (x + 1).name)
    assert.equal("write", g:call_method("write", x).name)
    assert.equal("field", g:get_attr(x, "field").name)
    assert.equal("sin", g:call_function(Attr(G "math", "sin"), 1).name)
    assert.equal("stdout", out.name)
    assert.equal("stdout_handle", out:handle().name)
    assert.equal("x_1", call.name)
    local first, second = call:results(2)
    assert.same({ "x_1_1", "x_1_2" }, { first.name, second.name })
    assert.equal("created", g:created({}, print).name)
    assert.equal("varargs", g:placeholder("...").name)
    assert.equal("output", g:output().name)
    assert.equal("x", tostring(x))
  end)

  it("is an identifier whatever the input is called, and unique", function()
    local g, seen = gbi.graph.new(), {}
    for _, name in ipairs { "", " ", "1", "1a", "a b", "a-b", "a.b", "a_b",
        "end", "end_", "goto", "nil", "\0", "\n", "é", "x", "x_1", "x_2",
        "]]", "--", "'", '"', "_ENV", "_", "__", ".", ".." } do
      local node = g:placeholder(name)
      assert.equal(name, node.target)
      assert.truthy(node.name:find("^[%a_][%w_]*$"))
      assert.truthy(compat.load(("local %s = 1"):format(node.name)), node.name)
      assert.is_nil(seen[node.name])
      seen[node.name] = true
    end
    local x = nodes.list(g)[nodes.count(g)]
    for _ = 1, 3 do
      for _, name in ipairs { "x", "end", "a b", "1", "" } do
        local made = g:get_attr(x, name).name
        assert.truthy(compat.load(("local %s = 1"):format(made)), made)
        assert.is_nil(seen[made])
        seen[made] = true
      end
    end
  end)

  it("is found quickly among 10,000 of a kind", function()
    local g = gbi.graph.new()
    local x, seen = g:placeholder("x"), {}
    local function grow()
      for _ = 1, 10000 do
        x = x + 1
        assert(not seen[x.name])
        seen[x.name] = true
      end
    end
    if debug.gethook() then return grow() end -- make coverage
    local n = 0
    debug.sethook(function() n = n + 1 end, "", 1000)
    grow()
    debug.sethook()
    assert.is_true(n < 30000, n .. " thousand instructions")
  end)
end)

-- A graph with a node of every kind.
local function everything()
  local g = gbi.graph.new()
  local x, y = g:placeholder("x"), g:placeholder("y")
  local rest = g:placeholder("...")
  local out = g:external(io.stdout, Attr(G "io", "stdout"))
  local made = g:created({}, print)
  local sum = x + y * 2
  local call = g:call_function(Attr(G "string", "find"), sum .. "", "%d", rest)
  local from, to = call:results(2)
  g:call_method("write", out, from, "\n")
  g:set_item(made, "a\nb", out:handle())
  g:call_function(y, nil, true, -0.0)
  g:output(to, g:get_attr(made, "field"), g:get_attr(Attr(G "math", "pi")))
  return g
end

describe("a graph shows itself", function()
  it("as FX prints it", function()
    local function call(name, users, target, args)
      return ("    %%%s : [num_users=%d] = call_function[target=%s](args = %s)")
        :format(name, users, target, args)
    end
    assert.equal(table.concat({
      "graph():",
      "    %x : [num_users=1] = placeholder[target=x]",
      "    %y : [num_users=2] = placeholder[target=y]",
      "    %varargs : [num_users=1] = placeholder[target=...]",
      call("stdout", 2, "get_external_object_by_index", "(1,)"),
      call("created", 2, "get_external_object_by_index", "(2,)"),
      call("mul", 1, "mul", "(%y, 2)"),
      call("add", 1, "add", "(%x, %mul)"),
      call("concat", 1, "concat", '(%add, "")'),
      call("find", 2, 'G["string"].find', '(%concat, "%d", %varargs)'),
      call("find_1", 1, "call_result", "(%find, 1)"),
      call("find_2", 1, "call_result", "(%find, 2)"),
      "    %write : [num_users=0] = call_method[target=write]"
        .. '(args = (%stdout, %find_1, "\\n"))',
      call("stdout_handle", 1, "external_object_handle", "(%stdout,)"),
      call("setitem", 0, "setitem", '(%created, "a\\nb", %stdout_handle)'),
      call("y_1", 0, "%y", ("(nil, true, %s)"):format(compat.minus_zero)),
      "    %field : [num_users=1] = get_attr[target=field](args = (%created,))",
      '    %pi : [num_users=1] = get_attr[target=G["math"].pi]',
      "    return (%find_2, %field, %pi)",
    }, "\n"), tostring(everything()))
    assert.equal("graph():", tostring(gbi.graph.new()))
  end)

  it("one node per line, whatever its name", function()
    local g = gbi.graph.new()
    local x = g:placeholder("a\nb\r")
    g:call_method("c\nd", g:get_attr(x, "e\n"), "\n\r\0")
    g:call_function(G "f\n")
    g:output()
    local _, lines = tostring(g):gsub("\n", "")
    assert.equal(5, lines)
    assert.is_nil(tostring(g):find "[\r%z]")
  end)

  it("as a table", function()
    local name = fixture.path()
    local file = assert(io.open(name, "w"))
    local g = gbi.graph.new()
    local x = g:placeholder("x")
    g:output(g:call_method("write", x, 1, x))
    g:print_tabular(file)
    file:close()
    local text = portable.read(name)
    assert.equal([[
opcode       name    target  args
-----------  ------  ------  ----------
placeholder  x       x       ()
call_method  write   write   (%x, 1, %x)
output       output  output  (%write,)
]], (text:gsub("%-+\n", "----------\n", 1)))
  end)

  it("with the graphs of conditions and loops under their nodes", function()
    local g = gbi.graph.new()
    local x = g:placeholder "x"
    local function same(y) return y end
    local function part() return g:subgraph(same, { "y" }) end
    g:output(g:while_loop(part(), g:subgraph(function(y)
      return y.graph:cond(y, part(), part(), { y })
    end, { "y" }), { x }))
    local list = {}
    assert.equal([[
        cond():
            %y : [num_users=1] = placeholder[target=y]
            return (%y,)
        body():
            %y : [num_users=1] = placeholder[target=y]
            %cond : [num_users=1] = call_function[target=cond](...)
                then():
                    %y : [num_users=1] = placeholder[target=y]
                    return (%y,)
                else():
                    %y : [num_users=1] = placeholder[target=y]
                    return (%y,)
            return (%cond,)
    return (%while_loop,)]], (tostring(g)
      :gsub("%(args = [^\n]*", "(...)"):gsub("^.-while_loop%][^\n]*\n", "")))
    g:print_tabular { write = function(_, line) list[#list + 1] = line end }
    local rows = table.concat(list)
    for _, name in ipairs { "x", "while_loop.cond.y", "while_loop.body.y",
                            "while_loop.body.cond.then.output" } do
      assert.truthy(rows:find("  " .. name .. " ", 1, true), rows)
    end
  end)

  it("as a table on standard output", function()
    local text, ok = portable.run(portable.start()
      .. " -e 'local g = require(\"gbi\").graph.new() "
      .. "g:output() g:print_tabular()'")
    assert.is_true(ok, text)
    assert.truthy(text:find("\noutput  output  output  ()\n", 1, true))
  end)
end)

-- Graphviz's opinion of a graph: true, or false and its complaint.
local function dot(text)
  local name = os.tmpname()
  local p = assert(io.popen(("dot -Tplain >%s 2>&1"):format(name), "w"))
  p:write(text)
  local ok = p:close()
  local said = portable.read(name)
  os.remove(name)
  return ok and not said:find("Error", 1, true)
    and not said:find("Warning", 1, true), said
end

describe("to_dot", function()
  local p = io.popen("dot -V 2>&1")
  local has_dot = p:read("*a"):find("version", 1, true)
  p:close()

  -- Asserts that `g` is drawn as one graph with its nodes and `edges` edges.
  local function draws(g, edges)
    local text = g:to_dot()
    assert.equal("digraph gbi {\n", text:sub(1, 14))
    assert.equal("\n}\n", text:sub(-3))
    assert.equal(nodes.count(g), select(2, text:gsub("%[label=", "")))
    assert.equal(edges, select(2, text:gsub("\n  [^\n]- %-> [^\n]-;", "")))
    if not has_dot then return end
    local ok, said = dot(text)
    assert(ok, said)
    assert.equal(nodes.count(g), select(2, said:gsub("\nnode ", "")))
    assert.equal(edges, select(2, said:gsub("\nedge ", "")))
  end

  it("draws every kind of node", function()
    local g = everything()
    draws(g, 18)
    local text = g:to_dot()
    assert.truthy(text:find([[external object 1 (G[\"io\"].stdout)]], 1, true))
  end)

  it("draws a graph without edges", function()
    local g = gbi.graph.new()
    g:output()
    draws(g, 0)
  end)

  it("quotes characters that are special in records and strings", function()
    local g = gbi.graph.new()
    local x = g:placeholder([[<p> {a|b} "q" \n \ ]])
    local y = g:get_attr(x, "a\nb]")
    g:output(g:call_function(G [["\|}{<>]], y), g:call_method("]; x -> y", x))
    draws(g, 5)
  end)

  it("draws nodes named like Graphviz's keywords", function()
    local g = gbi.graph.new()
    local words = {}
    for i, word in ipairs { "node", "edge", "graph", "digraph", "subgraph",
        "strict", "Node", "EDGE" } do
      words[i] = g:placeholder(word)
    end
    g:output(compat.unpack(words))
    draws(g, 8)
  end)
end)

describe("lint", function()
  local g, x

  before_each(function()
    g = gbi.graph.new()
    x = g:placeholder("x")
  end)

  it("accepts a good graph", function()
    g:output(x)
    assert.is_true(g:lint())
    assert.is_true(everything():lint())
  end)

  it("finds a missing output", function()
    refused(g, "the graph has no output")
    refused(gbi.graph.new(), "the graph has no output")
  end)

  it("finds a node used before it is made, as an argument", function()
    local a = x + 1
    local b = a + 2
    g:output(b)
    nodes.move(g, b, a)
    refused(g, "node add_1 uses add before it is made")
  end)

  it("finds a node called before it is made", function()
    local f = g:get_attr(x, "f")
    f(x)
    nodes.move(g, f)
    g:output()
    refused(g, "node f_1 uses f before it is made")
  end)

  it("finds a node that uses itself", function()
    local a = x + 1
    a.args[1] = a
    g:output()
    refused(g, "node add uses add before it is made")
  end)

  it("finds the use of a node without a value", function()
    local write = g:set_item(x, 1, 2)
    g:output(x)
    nodes.list(g)[3].args[1] = write
    refused(g, ("node output uses %s, which has no value"):format(write.name))
  end)

  it("finds an attribute that the graph no longer has", function()
    g:output(g:attribute("a", 1))
    g.attributes.a = nil
    refused(g, "node a: the graph has no attribute \"a\"")
  end)

  it("finds the use of a node that was erased", function()
    g:output(x + 1)
    nodes.remove(nodes.list(g)[2])
    refused(g, "node output uses add before it is made")
  end)

  it("finds a node of another graph", function()
    g:output(x)
    nodes.list(g)[2].args[1] = gbi.graph.new():placeholder("y")
    refused(g, "node output uses y before it is made")
  end)

  it("finds nodes after the output", function()
    local a = x + 1
    local output = g:output(x)
    nodes.move(g, output, a)
    refused(g, "node add comes after the output")
  end)

  it("finds an index that a reset forgot", function()
    g:output(g:external({}, G "t"))
    g.registry:reset()
    refused(g, "node t: external object 1 is not registered")
  end)

  it("finds an index that was never given out", function()
    g:output(g:external({}, G "t"))
    for _, index in ipairs { 2, 0, -1, 1.5, "1", false } do
      nodes.list(g)[2].args[1] = index
      refused(g, ("node t: external object %s is not registered"):format(
        tostring(index)))
    end
  end)

  it("finds a handle of a node that is not an external object", function()
    local t = g:external({}, G "t")
    local handle = t:handle()
    g:output(handle)
    for _, other in ipairs { x, 1, "t" } do
      handle.args[1] = other
      refused(g, "node t_handle: only an external object has a handle")
    end
    handle.args[1] = nil
    refused(g, "node t_handle: only an external object has a handle")
    handle.args[1] = t
    assert.is_true(g:lint())
  end)

  it("finds a mistake in an unused node, too", function()
    g:external({}, G "t")
    g:output()
    g.registry:reset()
    refused(g, "node t: external object 1 is not registered")
  end)

  it("finds an object whose source is a missing input", function()
    g:output(g:external({}, L "y"))
    local ok, reason = g:lint()
    assert.is_nil(ok)
    assert.truthy(reason:find('L["y"]', 1, true))
  end)
end)

describe("eliminate_dead_code", function()
  it("drops unused nodes, except calls, writes and inputs", function()
    local g = gbi.graph.new()
    local x, y = g:placeholder("x"), g:placeholder("y")
    g:external({}, G "unused")
    local used = g:external({}, G "used")
    local handle = used:handle()
    g:external({}, G "handed_on"):handle()
    g:get_attr(g:get_attr(x, "a") + 1, "b")
    g:get_attr(G "c")
    local call = x(handle)
    local result = call:results(2)
    g:call_method("m", "s")
    g:set_item(x, 1, 2)
    g:output(result, y)
    assert.is_true(g:eliminate_dead_code())
    local names = {}
    for i, node in ipairs(nodes.list(g)) do names[i] = node.name end
    assert.same({ "x", "y", "used", "used_handle", "x_1", "x_1_1", "m",
      "setitem", "output" }, names)
    assert.is_true(g:lint())
    assert.is_false(g:eliminate_dead_code())
    assert.equal(9, nodes.count(g))
  end)

  it("keeps nodes that are called, and their inputs", function()
    local g = gbi.graph.new()
    local f = g:get_attr(g:placeholder("x"), "f")
    f()
    g:output()
    assert.is_false(g:eliminate_dead_code())
  end)

  it("drops nodes that only dropped nodes used, to any depth", function()
    local g = gbi.graph.new()
    local x = g:placeholder("x")
    local last = x
    for _ = 1, 1000 do last = last + 1 end
    g:output(x)
    assert.is_true(g:eliminate_dead_code())
    assert.equal(2, nodes.count(g))
  end)

  it("leaves a graph to which nodes can be added", function()
    local g = gbi.graph.new()
    local x = g:placeholder("x")
    g:get_attr(x, "dead")
    g:eliminate_dead_code()
    g:output(x + 1)
    assert.equal(3, g:compile()(2))
  end)
end)

describe("misuse raises at the caller's line:", function()
  local g, x, alien, rest

  before_each(function()
    g = gbi.graph.new()
    x = g:placeholder("x")
    rest = g:placeholder("...")
    alien = gbi.graph.new():placeholder("alien")
  end)

  -- How to call every function that takes values with one at its first and at
  -- its last place; and the numbers of those places.
  local TAKERS = {
    call_function = { function(v) g:call_function(x, v, 1) end,
      function(v) g:call_function(x, 1, v) end, 2 },
    call_method = { function(v) g:call_method("m", v, 1) end,
      function(v) g:call_method("m", 1, v) end, 2 },
    set_item = { function(v) g:set_item(v, 1, 1) end,
      function(v) g:set_item(x, v, 1) end, 1 },
    output = { function(v) g:output(v, 1) end,
      function(v) g:output(1, v) end, 1 },
    get_attr = { function(v) g:get_attr(v, "name") end, nil, 1 },
  }
  for name, taker in pairs(TAKERS) do
    for i = 1, 2 do
      local take, arg = taker[i], taker[3] + i - 1
      if take then
        local function bad(message, value)
          local info = debug.getinfo(take, "S")
          local ok, err = pcall(take, value)
          assert.is_false(ok)
          assert.equal(("%s:%d: bad argument #%d to '%s' (%s)"):format(
            info.short_src, info.linedefined, arg, name, message), err)
          assert.equal(2, nodes.count(g))
        end
        it(("values that %s cannot take as argument #%d"):format(name, arg),
          function()
            bad("node or constant expected, got table", {})
            bad("node or constant expected, got function", print)
            bad("node or constant expected, got FILE*", io.stdout)
            bad("node or constant expected, got gbi.source", L "x")
            bad("node of another graph", alien)
          end)
      end
    end
  end

  it("'...' before the end", function()
    local last = "only the last argument can be '...'"
    local function bad(name, arg, message, f)
      raises(("bad argument #%d to '%s' (%s)"):format(arg, name, message), f)
    end
    bad("call_function", 2, last, function() g:call_function(x, rest, 1) end)
    bad("call_method", 3, last, function() g:call_method("m", x, rest, 1) end)
    bad("output", 1, last, function() g:output(rest, nil) end)
    bad("call_method", 2, "'...' is not a single value",
      function() g:call_method("m", rest) end)
    bad("get_attr", 1, "'...' is not a single value",
      function() g:get_attr(rest, "a") end)
    bad("call_function", 2, "'...' is not a single value",
      function() g:call_function("unm", rest) end)
    bad("add", 2, "'...' is not a single value", function() return x + rest end)
    bad("unm", 1, "'...' is not a single value", function() return -rest end)
    bad("add", 1, "'...' is not a single value", function() return rest + x end)
    assert.equal(2, nodes.count(g))
  end)

  it("'...' before another input", function()
    raises("bad argument #1 to 'placeholder' ('...' must be the last input)",
      function() g:placeholder("y") end)
    raises("bad argument #1 to 'placeholder' (input \"...\" already exists)",
      function() g:placeholder("...") end)
    local h = gbi.graph.new()
    h:inserting_before(h:placeholder "x")
    h:inserting_before(h:call_function(G "print"))
    raises("bad argument #1 to 'placeholder' ('...' must be the last input)",
      function() h:placeholder "..." end)
    assert.equal("print x", nodes.names(nodes.list(h)))
  end)

  it("an input that exists already, or has no name", function()
    raises("bad argument #1 to 'placeholder' (input \"x\" already exists)",
      function() g:placeholder("x") end)
    raises("bad argument #1 to 'placeholder' (string expected, got number)",
      function() g:placeholder(1) end)
    raises("bad argument #1 to 'placeholder' (string expected, got nil)",
      function() g:placeholder() end)
  end)

  it("names that are not strings", function()
    raises("bad argument #1 to 'call_method' (string expected, got gbi.node)",
      function() g:call_method(x, x) end)
    raises("bad argument #1 to 'call_method' (string expected, got table)",
      function() g:call_method({}, x) end)
    raises("bad argument #2 to 'get_attr' (string expected, got nil)",
      function() g:get_attr(x) end)
    raises("bad argument #2 to 'get_attr' (string expected, got number)",
      function() g:get_attr(x, 1) end)
    raises("bad argument #2 to 'get_attr' (string expected, got nil)",
      function() g:get_attr({}) end)
  end)

  it("a method of no object", function()
    raises("bad argument #2 to 'call_method' (node or constant expected, got no"
      .. " value)", function() g:call_method("close") end)
  end)

  it("a call of a value that cannot be called", function()
    local what = "bad argument #1 to 'call_function' "
      .. "(operator, source or node expected, got %s)"
    for _, value in ipairs { {}, 1, true } do
      raises(what:format(type(value)),
        function() g:call_function(value) end)
    end
    raises("bad argument #1 to 'call_function' (the function is neither a "
      .. "global nor a field of a loaded module; pass its source, or make it "
      .. "an attribute)", function() g:call_function(function() end) end)
    raises(what:format("nil"), function() g:call_function() end)
    raises("bad argument #1 to 'call_function' (node of another graph)",
      function() g:call_function(alien) end)
    raises("bad argument #1 to 'call_function' (there is no operator \"plus\")",
      function() g:call_function("plus", 1, 2) end)
    raises("bad argument #1 to 'call_function' "
      .. "(there is no operator \"get_external_object_by_index\")",
      function() g:call_function("get_external_object_by_index", 1) end)
  end)

  it("operators with too few or too many operands", function()
    raises("operator 'add' takes 2 operands, got 1",
      function() g:call_function("add", x) end)
    raises("operator 'lt' takes 2 operands, got 3",
      function() g:call_function("lt", x, x, x) end)
    raises("operator 'unm' takes 1 operands, got 0",
      function() g:call_function("unm") end)
    raises("operator 'setitem' takes 3 operands, got 2",
      function() g:call_function("setitem", x, 1) end)
  end)

  it("operators on values that are neither nodes nor constants", function()
    local function bad(arg, name, f)
      raises(("bad argument #%d to '%s' (node or constant expected, got table)")
        :format(arg, name), f)
    end
    bad(2, "add", function() return x + {} end)
    bad(2, "concat", function() return x .. {} end)
    bad(1, "lt", function() local _ = x:lt({}) end)
    bad(1, "getitem", function() local _ = x:getitem({}) end)
    bad(1, "mul", function() return {} * x end)
    bad(1, "x", function() x({}) end)
    bad(2, "call_function", function() g:call_function(x, {}) end)
    raises("bad argument #2 to 'add' (node of another graph)",
      function() return x + alien end)
  end)

  it("code of a graph that cannot be compiled", function()
    raises("the graph has no output", function() return (g:code()) end)
  end)

  it("options that do not exist, or have another type", function()
    g:output()
    raises("bad argument #1 to 'compile' (there is no option 'tracing')",
      function() g:compile { tracing = false } end)
    raises("bad argument #1 to 'compile' (field 'backend' is not a function)",
      function() g:compile { backend = 1 } end)
    raises("the backend returned a nil, not a function",
      function() local _ = g:compile { backend = function() end } end)
  end)

  it("a table printed to a value that is not a file", function()
    raises("bad argument #1 to 'print_tabular' (file expected, got string)",
      function() g:print_tabular("graph.txt") end)
  end)

  it("an output as a value", function()
    local output = g:output()
    raises("bad argument #1 to 'output' (an output has no value)",
      function() g:output(output) end)
    raises("bad argument #1 to 'get_attr' (an output has no value)",
      function() g:get_attr(output, "a") end)
  end)

  it("a write as a value", function()
    local write = g:set_item(x, 1, 2)
    local function bad(name, arg, f)
      local info = debug.getinfo(f, "S")
      local ok, err = pcall(f)
      assert.is_false(ok)
      local prefix = ("%s:%d: bad argument #%d to '%s' ("):format(
        info.short_src, info.linedefined, arg, name)
      assert.equal(prefix, err:sub(1, #prefix))
    end
    bad("output", 1, function() g:output(write, 1) end)
    bad("get_attr", 1, function() g:get_attr(write, "a") end)
    bad("call_method", 2, function() g:call_method("m", write) end)
    bad("add", 1, function() return write + 1 end)
    bad("call_function", 1, function() write(1) end)
  end)

  it("any node after the output; the graph does not change", function()
    local call = x()
    local t = g:external({}, G "t")
    g:output()
    local count, over = nodes.count(g),
      "no node can follow the graph's output"
    raises(over, function() g:output(x) end)
    raises(over, function() return x + 1 end)
    raises(over, function() return -x end)
    raises(over, function() local _ = x:lt(1) end)
    raises(over, function() x(1) end)
    raises(over, function() g:call_function(G "f") end)
    raises(over, function() g:call_method("m", x) end)
    raises(over, function() g:get_attr(x, "a") end)
    raises(over, function() g:get_attr(G "a") end)
    raises(over, function() g:set_item(x, 1, 1) end)
    raises(over, function() call:results(2) end)
    raises(over, function() t:handle() end)
    raises(over, function() g:external({}, G "t") end)
    raises(over, function() g:created({}, print) end)
    assert.equal(count, nodes.count(g))
    g = gbi.graph.new()
    g:output()
    raises(over, function() g:placeholder("y") end)
  end)

  it("an external object after the output, which is not registered", function()
    -- It was registered first, and kept an index without a node.
    g:output()
    pcall(g.external, g, {}, G "t")
    assert.equal(0, #g.registry)
    pcall(g.created, g, {}, print)
    assert.equal(0, #g.registry)
  end)

  it("external objects without a source", function()
    raises("bad argument #2 to 'external' (source expected, got nil)",
      function() g:external({}) end)
    for _, from in ipairs { 5, "x", {}, print } do
      local info = debug.getinfo(1, "l")
      local ok, err = pcall(function() g:external({}, from) end)
      assert.is_false(ok)
      assert.truthy(err:find((":%d: bad argument #2 to 'external' "):format(
        info.currentline + 1), 1, true), err)
    end
    assert.equal(0, #g.registry)
  end)

  it("created objects without a function", function()
    local info = debug.getinfo(1, "l")
    local ok, err = pcall(function() g:created({}, 5) end)
    assert.is_false(ok)
    assert.truthy(err:find((":%d: bad argument #2 to 'created' "):format(
      info.currentline + 1), 1, true), err)
    assert.equal(0, #g.registry)
  end)

  it("values that are not objects, with the registry's error", function()
    for _, value in ipairs { 1, "s", true } do
      local ok, err = pcall(g.external, g, value, G "t")
      assert.is_false(ok)
      assert.equal("Failed to make weakref to User Object", err.gb_type)
      ok, err = pcall(g.created, g, value, print)
      assert.is_false(ok)
      assert.equal("Failed to make weakref to graph-created external object",
        err.gb_type)
    end
    assert.equal(0, #g.registry)
    assert.equal(2, nodes.count(g))
  end)

  it("results of other nodes than calls, or a wrong number", function()
    local call, sum = x(), x + 1
    raises("x is not a call; it has one value", function() x:results(2) end)
    raises("add is not a call; it has one value", function() sum:results(1) end)
    for _, n in ipairs { 0, -1, 201, 1.5, compat.integers and 2.0, "2",
                         portable.max } do
      raises("bad argument #1 to 'results' (number from 1 to 200 expected)",
        function() call:results(n) end)
    end
    raises("bad argument #1 to 'results' (number from 1 to 200 expected)",
      function() call:results() end)
    assert.equal(4, nodes.count(g))
  end)

  it("the handle of a node that is not an external object", function()
    local call, t = x(), g:external({}, G "t")
    local handle = t:handle()
    for _, node in ipairs { x, call, handle } do
      raises("only an external object has a handle",
        function() node:handle() end)
    end
  end)

  it("compile with options that are not a table", function()
    g:output()
    raises("bad argument #1 to 'compile' (table expected, got number)",
      function() g:compile(1) end)
    raises("bad argument #1 to 'compile' (field 'backend' is not a function)",
      function() g:compile { backend = {} } end)
  end)

  it("a name that is taken", function()
    g:get_attr(x, "a")
    assert.has_error(function() g:rename(nodes.list(g)[3], "x") end)
    g:rename(nodes.list(g)[3], "b")
    g:rename(nodes.list(g)[3], "b")
    assert.equal("b", nodes.list(g)[3].name)
    assert.equal("a", g:get_attr(x, "a").name)
  end)
end)

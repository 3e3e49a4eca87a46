-- Graphs that are read, changed, branched, traced and interpreted.
local compat = require "gbi.compat"
local fixture = require "spec.support.fixture"
local handles_since = require "spec.support.handles_since"
local nodes = require "spec.support.nodes"
local raises = require "spec.support.errors".raises
local gbi = require "gbi"
local source = gbi.source

local L, G, Attr = source.LocalSource, source.GlobalSource, source.AttrSource

local names = nodes.names

-- Asserts that a graph is sound and consists of these nodes.
local function has(g, expected)
  assert.equal(expected, names(nodes.list(g)))
  if g:output_node() then assert(g:lint()) end
  local before = {}
  for node in g:nodes(true) do table.insert(before, 1, node) end
  assert.equal(expected, names(before))
end

-- Asserts what a graph computes: compiled, loaded, copied, interpreted and
-- transformed.
local function computes(g, inputs, ...)
  local expected, path = compat.pack(...), fixture.path()
  assert(g:save(path))
  local made = { g:compile(), assert(gbi.load_graph(path)):compile(),
    g:copy():compile(), gbi.graph.transformer(g):transform():compile(),
    function(...) return gbi.graph.interpreter(g):run(...) end }
  for i, f in ipairs(made) do
    local got = compat.pack(f(compat.unpack(inputs, 1, inputs.n)))
    assert.equal(expected.n, got.n)
    for k = 1, got.n do assert.equal(expected[k], got[k], i) end
  end
end

describe("a node", function()
  local g, x, y, sum

  before_each(function()
    g = gbi.graph.new()
    x, y = g:placeholder "x", g:placeholder "y"
    sum = x + y
  end)

  it("has its neighbours, inputs and users", function()
    local twice = sum + sum
    local call = twice(sum, 1, twice)
    assert.equal("add_1 add_2", names(sum.users))
    assert.equal("add_1 add", names(call.inputs))
    assert.equal(y, x.next)
    assert.equal(x, y.prev)
    assert.is_nil(x.prev)
    assert.is_nil(call.next)
    assert.same({}, call.users)
    sum.meta.type = "number"
    assert.equal("number", sum.meta.type)
    assert.is_true(gbi.graph.is_node(x))
    assert.is_false(gbi.graph.is_node(g))
  end)

  it("has the index, source and kind of an external object", function()
    local from = Attr(G "io", "stdout")
    local out, made = g:external(io.stdout, from), g:created({}, print)
    assert.same({ 1, from, "user" }, { out.index, out.source, out.kind })
    assert.same({ 2, "graph_created" }, { made.index, made.kind })
    assert.is_nil(made.source)
    assert.is_nil(x.index)
  end)

  it("has no other fields, and says what to write instead", function()
    raises('node x has no field "total"; to read a field of its value, use '
      .. 'x:getitem("total") or g:get_attr(x, "total"); to call a method of '
      .. 'its value, use g:call_method("total", x, ...)',
      function() return x.total end)
    raises("node x has no field 1; to read an element of its value, use "
      .. "x:getitem(1)", function() return x[1] end)
    raises('node x has no field "total"; to write a field of its value, use '
      .. 'g:set_item(x, "total", value)', function() x.total = 1 end)
    raises('field "args" of node x is read-only; use node:update_arg',
      function() x.args = {} end)
    for _, field in ipairs { "op", "target", "name", "graph", "users", "inputs",
        "meta", "index" } do
      assert.has_error(function() x[field] = 1 end)
    end
  end)

  it("raises where Lua would use the node itself", function()
    raises("a graph cannot record x < y: use x:lt(y) or x:gt(y)",
      function() return x < y end)
    raises("a graph cannot record x <= y: use x:le(y) or x:ge(y)",
      function() return x <= y end)
    if pcall(pairs, setmetatable({}, { __pairs = function() error() end })) then
      return -- 5.1
    end
    raises("a graph cannot record pairs(x): record a call of pairs",
      function() pairs(x) end)
  end)

  it("raises for a wrong number of operands, and without its node", function()
    raises("bad argument #1 to 'lt' (node or constant expected, got no value)",
      function() x:lt() end)
    raises("bad argument #2 to 'lt' (no argument expected)",
      function() x:lt(1, 2) end)
    raises("bad argument #1 to 'lt' (gbi.node expected, got no value)",
      function() x.lt() end)
    raises("bad argument #1 to 'handle' (gbi.node expected, got table)",
      function() x.handle({}) end)
    raises("operator 'setitem' takes 3 operands, got 2",
      function() g:set_item(x, 1) end)
  end)
end)

it("every method of a graph raises when it is called with a dot", function()
  local g = gbi.graph.new()
  for name, method in pairs(require "gbi.node".Graph) do
    local internal = { check_self = true, append = true, operate = true,
      call = true, rename = true, adopt = true, output_node = true,
      external_node = true, check_open = true, check_args = true,
      check_one = true, check_part = true, check_input = true,
      check_target = true, check_input_name = true, withdraw = true,
      check_env = true, check_new_input = true, finish = true }
    if type(method) == "function" and not name:find "^__"
       and not internal[name] then
      raises(("bad argument #1 to '%s' (gbi.graph expected, got no value)")
        :format(name), function() g[name]() end)
    end
  end
end)

it("find_nodes finds by op and target", function()
  local g = gbi.graph.new()
  local x = g:placeholder "x"
  local a, b = x + 1, g:call_function(G "f", x)
  local c = a + b
  assert.same({ a, c }, g:find_nodes { target = "add" })
  assert.same({ b }, g:find_nodes { op = "call_function", target = G "f" })
  assert.same({ x }, g:find_nodes { op = "placeholder" })
  assert.equal(4, #g:find_nodes {})
end)

describe("changing", function()
  local g, x, a, b, out

  before_each(function()
    g = gbi.graph.new()
    x = g:placeholder "x"
    a = x + 1
    b = a * 2
    out = g:output(b)
  end)

  it("inserts before and after, in order", function()
    g:inserting_before(b, function()
      local c = a - 3
      b:update_arg(1, -c)
    end)
    has(g, "x add sub unm mul output")
    assert.equal(-4, g:compile()(4))
    local last = g:inserting_after(b, function() return b / 2 end)
    out:update_arg(1, last)
    has(g, "x add sub unm mul div output")
    g:inserting_before()
    g:placeholder "first"
    g:inserting_after()
    has(g, "first x add sub unm mul div output")
    raises("no node can follow the graph's output",
      function() return x + 1 end)
  end)

  it("restores the point when the function raises", function()
    assert.has_error(function()
      g:inserting_before(a, function() error "oops" end)
    end)
    raises("no node can follow the graph's output",
      function() return x + 1 end)
  end)

  it("refuses a node that comes after its user, and changes nothing", function()
    local before = tostring(g)
    raises("bad argument #1 to 'mul' (node mul comes after the node "
      .. "that would use it)",
      function() g:inserting_before(a, function() return b * 2 end) end)
    raises("bad argument #2 to 'update_arg' (node mul comes after the "
      .. "node that would use it)",
      function() a:update_arg(1, b) end)
    raises("bad argument #2 to 'update_arg' (node add comes after the "
      .. "node that would use it)",
      function() a:update_arg(1, a) end)
    raises("bad argument #1 to 'update_arg' (add has no such argument)",
      function() a:update_arg(3, 1) end)
    raises("bad argument #2 to 'update_arg' (node or constant expected, got "
      .. "table)", function() a:update_arg(1, {}) end)
    raises("node add is used by mul", function() g:erase_node(a) end)
    assert.equal(before, tostring(g))
  end)

  it("erases, and finds that it is erased", function()
    b:update_arg(1, x)
    g:erase_node(a)
    has(g, "x mul output")
    assert.equal("mul", names(x.users))
    g:erase_node(out)
    raises("bad argument #1 to 'output' (node add was erased)",
      function() g:output(a) end)
    g:output(b)
    assert.equal(6, g:compile()(3))
  end)

  it("leaves an erased node alone", function()
    out:update_arg(1, x)
    g:erase_node(b)
    raises("node mul was erased", function() b:update_arg(1, x) end)
    raises("node mul was erased", function() b:set_target "add" end)
    assert.equal("add output", names(x.users))
    out:update_arg(1, a)
    out:update_arg(1, 5)
    a:update_arg(1, 1)
    g:erase_node(x)
    raises("node x was erased", function() x:set_target "y" end)
    g:inserting_before()
    g:placeholder "y"
    has(g, "y add output")
  end)

  it("raises for arguments of another kind, or none", function()
    raises("bad argument #2 to 'inserting_before' (function expected, got "
      .. "number)", function() g:inserting_before(a, 5) end)
    raises("bad argument #2 to 'inserting_after' (function expected, got "
      .. "table)", function() g:inserting_after(a, {}) end)
    raises("bad argument #2 to 'node_copy' (table or function expected, got "
      .. "number)", function() g:node_copy(a, 5) end)
    raises("bad argument #2 to 'update_arg' (value expected, got no value)",
      function() a:update_arg(1) end)
    raises("bad argument #1 to 'replace_all_uses_with' (node or constant "
      .. "expected, got no value)", function() a:replace_all_uses_with() end)
    raises("bad argument #2 to 'replace_all_uses_with' (function expected, got "
      .. "boolean)", function() a:replace_all_uses_with(x, true) end)
    a:update_arg(2, nil)
    has(g, "x add mul output")
  end)

  it("erases while it iterates", function()
    out:update_arg(1, 5)
    for node in g:nodes(true) do
      if #node.users == 0 and not node:is_impure() then g:erase_node(node) end
    end
    has(g, "x output")
  end)

  it("replaces uses, all or some, by a node or a constant", function()
    local c = g:inserting_after(a, function() return a + 100 end)
    assert.same({ b }, a:replace_all_uses_with(c))
    assert.equal("mul", names(c.users))
    assert.equal(2 * 104, g:compile()(3))
    assert.same({}, c:replace_all_uses_with(x, function() return false end))
    assert.same({ b }, c:replace_all_uses_with(7))
    assert.equal(14, g:compile()(3))
    raises("bad argument #1 to 'replace_all_uses_with' (node mul comes after"
      .. " the node that would use it)",
      function() x:replace_all_uses_with(b) end)
    assert.equal(14, g:compile()(3))
  end)

  it("replaces targets", function()
    a:set_target "sub"
    assert.equal(4, g:compile()(3))
    x:set_target "y"
    assert.is_nil(g.inputs.x)
    raises("bad argument #1 to 'set_target' (operator 'unm' takes 1 operands)",
      function() a:set_target "unm" end)
    local h = gbi.graph.new()
    local call = h:call_function(G "f", h:placeholder "y", 1, 2)
    h:output(call)
    raises("bad argument #1 to 'set_target' (f has users that need a value)",
      function() call:set_target "setitem" end)
    raises("the target of output cannot be changed",
      function() out:set_target "x" end)
  end)

  it("copies nodes, and a graph into another", function()
    local h = gbi.graph.new()
    local y = h:placeholder "y"
    local map = { [x] = y }
    local result = h:graph_copy(g, map)
    assert.equal(map[b], result)
    local again = h:graph_copy(g, { [x] = result })
    h:output(again, h:node_copy(a, function() return 10 end))
    local first, second = h:compile()(1)
    assert.same({ 10, 11 }, { first, second })
    raises("bad argument #2 to 'node_copy' (no value for node x)",
      function() gbi.graph.new():node_copy(a) end)
  end)

  it("copies what fits: '...', results of a call", function()
    local h, inner = gbi.graph.new(), gbi.graph.new()
    local f, rest = inner:placeholder "f", inner:placeholder "..."
    local call = f(rest)
    inner:output(call:results(2))
    local y = h:placeholder "y"
    local one, two = h:graph_copy(inner)
    h:output(y, one, two)
    has(h, "y f varargs f_1 f_1_1 f_1_2 output")
    assert.same({ 1, 5, 6 }, { h:compile()(1, function(...) return ... end, 5,
      6) })

    h = gbi.graph.new()
    local own, more = h:placeholder "own", h:placeholder "..."
    h:output(h:graph_copy(inner, { [f] = own, [rest] = more }))
    assert.same({ 5, 6 }, { h:compile()(function(...) return ... end, 5, 6) })

    h = gbi.graph.new()
    own = h:placeholder "own"
    local other = own(1)
    assert.equal(other, h:graph_copy(inner, { [call] = other,
      [f] = own, [rest] = 1 }).args[1])
    local must = "bad argument #2 to '%s' (f_1 calls it, so it must be a node)"
    raises(must:format("graph_copy"),
      function() h:graph_copy(inner, { [f] = 1 }) end)
    local result, map = call.users[1], { [call] = own }
    local message = "bad argument #2 to '%s' (%s needs a call that has "
      .. "result %d)"
    raises(message:format("node_copy", result.name, 1),
      function() h:node_copy(result, map) end)
    result:replace_all_uses_with(5)
    inner:erase_node(result)
    raises(message:format("graph_copy", call.users[1].name, 2),
      function() h:graph_copy(inner, map) end)
    raises(must:format("node_copy"),
      function() h:node_copy(call, { [f] = 5, [rest] = 5 }) end)
  end)

  it("copies an object that runs create, as one object", function()
    -- the constructor took the index for the codegen
    local other, indices = gbi.graph.new(), {}
    local made = other:created({}, function(index, cg)
      indices[#indices + 1] = index
      cg:load_import("gbi.compat", "pack")
      cg:call_function(0)
    end)
    local yes, no = other:subgraph(), other:subgraph()
    yes:output(yes:external(made))
    no:output(no:external(made))
    other:output(made, other:cond(true, yes, no, {}))
    local h = gbi.graph.new()
    h:external(io.stdout, G "io")
    local map = {}
    h:output(h:graph_copy(other, map))
    assert.equal(2, map[made].index)
    local object, same = h:compile()()
    assert.equal("table", type(object))
    assert.equal(object, same)
    assert.same({ 2 }, indices)
    local k = gbi.graph.new()
    k:output(k:node_copy(map[made]))
    assert.equal("table", type((k:compile()())))
  end)

  it("copies a user's object with its source, once for each copy", function()
    local other, h = gbi.graph.new(), gbi.graph.new()
    local one = other:external(io.stderr, Attr(G "io", "stderr"))
    other:output(one)
    h:external(io, G "io")
    local map = {}
    h:graph_copy(other, map)
    local two = h:node_copy(one)
    h:output(map[one], two)
    assert.same({ 2, 3 }, { map[one].index, two.index })
    assert.equal("user", two.kind)
    assert.same({ io.stderr, io.stderr }, { h:compile()() })
  end)

  it("copies a graph", function()
    a.meta.note = "seen"
    local h, map = g:copy()
    assert.equal(tostring(g), tostring(h))
    assert.equal("seen", map[a].meta.note)
    map[a]:update_arg(2, 100)
    assert.equal(8, g:compile()(3))
    assert.equal(206, h:compile()(3))
  end)

  it("keeps the order of 10,000 nodes wherever they are inserted", function()
    math.randomseed(7)
    local all = { a, b }
    for i = 1, 10000 do
      local at = i % 3 == 0 and b or i % 3 == 1 and a
        or all[math.random(#all)]
      local insert = math.random(2) == 1 and g.inserting_before
        or g.inserting_after
      insert(g, at, function() all[#all + 1] = x + i end)
    end
    local F, order = require "gbi.node".F, nil
    for node in g:nodes() do
      assert(order == nil or order < node[F].order)
      order = node[F].order
    end
    assert.equal(10004, nodes.count(g))
  end)

  it("passes take linear time", function()
    if debug.gethook() or rawget(_G, "jit") then return end
    local function cost(n)
      local h = gbi.graph.new()
      local value = h:placeholder "x"
      for _ = 1, n do value = value + 1 end
      h:output(value)
      local count = 0
      debug.sethook(function() count = count + 1 end, "", 1000)
      for node in h:nodes() do
        if node.target == "add" then
          local other = h:inserting_after(node, function() return node - 1 end)
          node:replace_all_uses_with(other)
        end
      end
      h:eliminate_dead_code()
      h:lint()
      debug.sethook()
      return count / n
    end
    local small, large = cost(1000), cost(16000)
    assert(large < 2 * small, ("%g and %g"):format(small, large))
  end)
end)

describe("conditions and loops", function()
  -- The graph of a function of i, which counts down to 0 and adds.
  local function countdown(g, i)
    local loop = g:while_loop(
      g:subgraph(function(n) return n:gt(0) end, { "n", "s" }),
      g:subgraph(function(n, s) return n - 1, s + n end, { "n", "s" }),
      { i, 0 })
    local _, sum = loop:results(2)
    return sum
  end

  it("compute", function()
    local g = gbi.graph.new()
    local x, y = g:placeholder "x", g:placeholder "y"
    local cond = g:cond(x:lt(y),
      g:subgraph(function(a, b) return a + b, a end, { "a", "b" }),
      g:subgraph(function(a) return countdown(a.graph, a), nil end,
        { "a", "b" }), { x, y })
    local first, second = cond:results(2)
    g:output(first, second, x:land(y), g:call_function("lor", nil, x))
    computes(g, { 1, 2 }, 3, 1, 2, 1)
    computes(g, { 4, 2 }, 10, nil, 2, 4)
    assert.is_truthy(g:to_dot():find "cluster_cond.then")
    assert.is_true(g:lint())
  end)

  it("run the branch that is taken alone", function()
    fixture.global("log", {})
    local g = gbi.graph.new()
    local x = g:placeholder "x"
    local insert = Attr(G "table", "insert")
    local log = g:external(_G.log, G "log")
    local function branch(text)
      return g:subgraph(function(it)
        local sub = it.graph
        sub:call_function(insert, sub:external(log), text)
      end, { "it" })
    end
    g:cond(x, branch "then", branch "else", { x })
    g:output()
    computes(g, { true })
    computes(g, { nil })
    assert.same({ "then", "then", "then", "then", "then", "else", "else",
      "else", "else", "else" }, _G.log)
    assert.equal(1, select(2, g:code():gsub("local log = ", "")))
  end)

  it("hand external objects on, once per run", function()
    local g = gbi.graph.new()
    local n, f = g:placeholder "n", g:placeholder "f"
    local o = g:external(io, G "io")
    local body = g:subgraph(function(i, call)
      call(i.graph:external(o):handle())
      return i - 1, call
    end, { "i", "call" })
    g:while_loop(g:subgraph(function(i) return i:gt(0) end, { "i", "call" }),
      body, { n, f })
    g:output()
    local live = handles_since()
    local compiled, seen, count = g:compile(), {}, 0
    local function see(handle)
      assert.equal(io, gbi.handles:get(handle))
      count = count + (seen[handle] and 0 or 1)
      seen[handle] = true
    end
    compiled(100, see)
    assert.equal(1, count)
    for handle in pairs(seen) do
      assert.same({ nil, "dead" }, { gbi.handles:find(handle) })
    end
    compiled(0, see)
    gbi.graph.interpreter(g):run(3, see)
    assert.equal(2, count)
    assert.equal(0, live())
  end)

  it("keep within Lua's limits", function()
    for _, n in ipairs { 30, 90, 150, 300 } do
      local function many(...)
        local value, all = (...), { ... }
        for i = 1, n do
          value = value + i
          all[#all + 1] = value
        end
        for _, one in ipairs(all) do value = value + one end
        return value
      end
      local g = gbi.graph.trace(function(p, x)
        local g = p.graph
        local before = many(x)
        local c = g:cond(p, g:subgraph(many, { "a", "b" }),
          g:subgraph(function(a, b) return many(many(a, b), b) end,
            { "a", "b" }), { x, before })
        return many(c, before), before
      end, { "p", "x" })
      local before = many(1)
      computes(g, { true, 1 }, many(many(1, before), before), before)
      computes(g, { false, 1 },
        many(many(many(1, before), before), before), before)
    end
  end)

  it("carry 200 values around a loop", function()
    local inputs = {}
    for i = 1, 200 do inputs[i] = "v" .. i end
    local g = gbi.graph.new()
    local n = g:placeholder "n"
    local operands = { n }
    for i = 2, 200 do operands[i] = i end
    local loop = g:while_loop(
      g:subgraph(function(i) return i:gt(0) end, inputs),
      g:subgraph(function(i, ...)
        local rest = { ... }
        table.insert(rest, (table.remove(rest, 1)))
        return i - 1, compat.unpack(rest)
      end, inputs), operands)
    g:output(loop:results(200))
    local got = { g:compile()(3) }
    for i = 2, 200 do assert.equal((i - 2 + 3) % 199 + 2, got[i]) end
    assert.same(got, { gbi.graph.interpreter(g):run(3) })
  end)

  it("nest 50 deep, but no deeper than Lua allows", function()
    local function nested(g, x, depth)
      if depth == 0 then return x + 1 end
      local inner = g:subgraph()
      local y = inner:placeholder "y"
      inner:output(nested(inner, y, depth - 1))
      return g:cond(x:gt(0), inner,
        g:subgraph(function(z) return z - depth end, { "z" }), { x })
    end
    for _, depth in ipairs { 50, 90, 120 } do
      local g = gbi.graph.new()
      local x = g:placeholder "x"
      g:output(nested(g, x, depth))
      if depth > 100 then
        assert.is_nil((g:lint()))
      else
        computes(g, { 1 }, 2)
        computes(g, { 0 }, -depth)
      end
    end
  end)

  it("are named by gbi.traceback", function()
    local g = gbi.graph.new()
    local x = g:placeholder "x"
    g:output(g:cond(x, g:subgraph(function(a) return a + 1 end, { "a" }),
      g:subgraph(function(a) return a end, { "a" }), { x }))
    local _, text = xpcall(function() return (g:compile()({})) end,
      gbi.traceback)
    assert.truthy(text:find("\n\t\tnode cond.then.add: call_function add", 1,
      true), text)
  end)

  it("refuse graphs that do not fit, and change nothing", function()
    local g = gbi.graph.new()
    local x = g:placeholder "x"
    local function id() return g:subgraph(function(a) return a end, { "a" }) end
    local function none() return g:subgraph(function() end, { "a" }) end
    raises("cond: the then graph takes 1 inputs, but there are 0 operands",
      function() g:cond(x, id(), id()) end)
    raises("cond: the then graph has 1 outputs, but the else graph has 0",
      function() g:cond(x, id(), none(), { x }) end)
    raises("cond: the then graph has no output",
      function() g:cond(x, g:subgraph(), id(), { x }) end)
    raises("while_loop: the cond graph has 0 outputs, not 1",
      function() g:while_loop(none(), id(), { x }) end)
    raises("while_loop: the body graph has 0 outputs, but there are 1 operands",
      function() g:while_loop(id(), none(), { x }) end)
    raises("bad argument #1 to 'external' (x is not an external object)",
      function() g:external(x) end)
    raises("bad argument #2 to 'cond' (a graph cannot be part of itself)",
      function() g:cond(x, g, id(), { x }) end)
    raises("bad argument #2 to 'cond' (gbi.graph expected, got nil)",
      function() g:cond(x) end)
    local own = gbi.graph.trace(function(a) return a end, { "a" })
    own:inserting_before(own:output_node())
    own:external({}, G "t")
    raises("bad argument #2 to 'cond' (the graph has external objects or "
      .. "attributes of its own; create it with graph:subgraph)",
      function() g:cond(x, own, id(), { x }) end)
    assert.equal(1, nodes.count(g))
    local one, two = id(), id()
    local node = g:cond(x, one, two, { x })
    raises("bad argument #2 to 'cond' (the graph is already part of cond; "
      .. "use a copy)", function() g:cond(x, one, id(), { x }) end)
    raises("bad argument #2 to 'update_arg' (the then graph has 0 outputs, but "
      .. "the else graph has 1)", function() node:update_arg(2, none()) end)
    node:update_arg(2, one:copy())
    assert.is_false(one.owner)
    g:erase_node(node)
    assert.is_false(two.owner)
    for _, n in ipairs { -1, 0.5, "1", {} } do
      raises("bad argument #4 to 'cond' (field 'n' is not a count)",
        function() g:cond(x, id(), id(), { n = n }) end)
    end
  end)

  it("with fewer results than are used are found by lint", function()
    local g = gbi.graph.new()
    local parts = {}
    for i = 1, 2 do
      parts[i] = g:subgraph(function() return i, -i end, {})
    end
    g:output(g:cond(true, parts[1], parts[2]):results(2))
    assert(g:lint())
    for _, part in ipairs(parts) do
      part:erase_node(part:output_node())
      part:output(1)
    end
    assert.same({ nil, "node cond_2: its call has no result 2" },
      { g:lint() })
  end)
end)

describe("attributes", function()
  it("are a graph's own", function()
    local g, logger = gbi.graph.new(), {}
    local node = g:attribute("logger", logger)
    assert.equal(logger, g.attributes.logger)
    g:output(node, (g:get_attr "logger"))
    local f = g:compile()
    local a, b = f()
    assert.equal(logger, a)
    assert.equal(logger, b)
    g.attributes.logger = 5
    assert.equal(5, (g:compile()()))
    assert.equal(logger, (f()))
    raises("bad argument #1 to 'get_attr' (the graph has no attribute \"x\")",
      function() g:get_attr "x" end)
  end)

  it("are saved if they are plain data; else the error names them", function()
    local path, g = fixture.path(), gbi.graph.new()
    g:output(g:attribute("data", { 1, 2.5, "x", { a = true, [false] = -0.0 } }),
      (g:get_attr "data"))
    assert(g:save(path))
    local a, b = assert(gbi.load_graph(path)):compile()()
    assert.same({ 1, 2.5, "x", { a = true, [false] = -0.0 } }, a)
    assert.equal(a, b)
    local loop = {}
    loop.loop = loop
    for _, value in ipairs { print, { print }, setmetatable({}, {}), loop,
        { [{}] = 1 } } do
      g.attributes.data = value
      local ok, err = pcall(g.save, g, path)
      assert.is_false(ok)
      assert.truthy(err:find('attribute "data" cannot be saved', 1, true), err)
    end
  end)

  it("that share a table are not saved, as they would share it no more",
    function()
      local g, shared = gbi.graph.new(), {}
      g:output(g:attribute("a", shared), (g:attribute("b", { shared })))
      raises('attribute "b" cannot be saved: it contains the same table twice',
        function() g:save(fixture.path()) end)
    end)

  it("are saved as deeply as they can be loaded", function()
    local path, value, depth = fixture.path(), 1, 0
    repeat
      value, depth = { value }, depth + 1
      local g = gbi.graph.new()
      g:output(g:attribute("deep", value))
      local ok = pcall(g.save, g, path)
      if ok then assert.same(value, (assert(gbi.load_graph(path)):compile()()))
      end
    until not ok
    assert.equal(100, depth)
  end)
end)

describe("trace", function()
  it("makes a graph of a function", function()
    local g = gbi.graph.trace(function(x, y)
      return x + y, x.graph:call_function(math.max, x, y),
        x.graph:call_function(tostring, x)
    end, { "x", "y" })
    has(g, "x y add max tostring output")
    local a, b, c = g:compile()(1, 2)
    assert.same({ 3, 2, "1" }, { a, b, c })
    assert.equal(Attr(G "math", "max"), nodes.list(g)[4].target)
  end)

  it("finds the functions of loaded modules, where they are now", function()
    local function f() end
    local function target()
      local g = gbi.graph.trace(function(x)
        return x.graph:call_function(f, x)
      end, { "x" })
      return nodes.list(g)[2].target
    end
    local name, module = "a module", { b = f, a = f }
    finally(function() package.loaded[name] = nil end)
    package.loaded[name] = f
    assert.equal(source.ImportSource(name), target())
    package.loaded[name] = module
    assert.equal(source.ImportSource(name, "a"), target())
    module.a = nil
    assert.equal(source.ImportSource(name, "b"), target())
  end)

  it("refuses names that are not strings, repeated, or after '...'", function()
    local function f() end
    local function trace(list)
      return function() gbi.graph.trace(f, list) end
    end
    raises("bad argument #2 to 'trace' (table expected, got string)",
      trace "x")
    raises("bad argument #2 to 'trace' (name 2: string expected, got number)",
      trace { "x", 1 })
    raises("bad argument #2 to 'trace' (name 2: duplicate name \"x\")",
      trace { "x", "x" })
    raises("bad argument #2 to 'trace' ('...' must be the last input)",
      trace { "...", "x" })
  end)

  it("takes the names of the parameters if Lua knows them", function()
    local function f(x, second, ...) return x, second, ... end
    local ok, g = pcall(gbi.graph.trace, f)
    if not ok then
      assert.truthy(_VERSION == "Lua 5.1")
      raises("bad argument #2 to 'trace' (the names of the function's "
        .. "parameters are unknown; pass the names of the inputs)",
        function() gbi.graph.trace(f) end)
      return
    end
    has(g, "x second varargs output")
  end)
end)

it("what a traced function returns raises at the caller's line", function()
  local f = function() return {} end
  local g = gbi.graph.new()
  raises("bad argument #1 to 'output' (node or constant expected, got table)",
    function() gbi.graph.trace(f, {}) end)
  raises("bad argument #1 to 'output' (node or constant expected, got table)",
    function() g:subgraph(f, {}) end)
end)

describe("an interpreter", function()
  it("calls overridden methods, in branches, too", function()
    local g = gbi.graph.new()
    local x = g:placeholder "x"
    g:output(g:cond(x:gt(0), g:subgraph(function(a) return a * 2 end, { "a" }),
      g:subgraph(function(a) return a end, { "a" }), { x }))
    local it, log = gbi.graph.interpreter(g), {}
    local call_function = it.call_function
    function it:call_function(target, args, node)
      log[#log + 1] = node.name
      self.calls = (self.calls or 0) + 1
      return call_function(self, target == "mul" and "add" or target, args,
        node)
    end
    assert.equal(7, it:run(5))
    assert.same({ "gt", "cond", "mul" }, log)
    assert.equal(3, it.calls)
  end)

  it("runs again while it runs", function()
    local g = gbi.graph.new()
    local f, x = g:placeholder "f", g:placeholder "x"
    g:output(f(x), x)
    local it = gbi.graph.interpreter(g)
    local function down(n) return n == 0 and "end" or it:run(down, n - 1) end
    local a, b = it:run(down, 5)
    assert.equal("end", a)
    assert.equal(5, b)
  end)

  it("has methods that raise outside a run, or called with a dot", function()
    local g = gbi.graph.trace(function(x) return x end, { "x" })
    local methods = { "run_node", "placeholder", "get_attr", "call_function",
                      "call_method", "output" }
    local it = gbi.graph.interpreter(g)
    raises("'run_graph' is called only in a run",
      function() it:run_graph(g) end)
    for _, each in ipairs { it, gbi.graph.transformer(g) } do
      for _, name in ipairs(methods) do
        raises(("bad argument #1 to '%s' (gbi.interpreter expected, got no "
          .. "value)"):format(name), function() each[name]() end)
        raises(("'%s' is called only in a run"):format(name),
          function() each[name](each, "x", { n = 0 }, g:output_node()) end)
      end
    end
  end)

  it("runs a graph that was changed since", function()
    local g = gbi.graph.new()
    g:placeholder "x"
    g:output(g:get_attr(L "x"))
    local it = gbi.graph.interpreter(g)
    assert.equal(1, it:run(1))
    g:inserting_before()
    g:placeholder "before"
    assert.equal(2, it:run(1, 2))
  end)

  it("refuses to transform what no longer fits", function()
    local g = gbi.graph.new()
    local call, object = g:call_function(G "f"), g:external({}, G "o")
    local cases = { f = function() return call:results(1) end,
                    o = function() return object:handle() end }
    for name, record in pairs(cases) do
      local node = record()
      local out = g:output(node)
      local t = gbi.graph.transformer(g)
      local call_function = t.call_function
      function t:call_function(target, args, each)
        if each.name == name then return 5 end
        return call_function(self, target, args, each)
      end
      local ok, err = pcall(t.transform, t)
      assert.is_false(ok)
      assert.equal(("node %s cannot use what replaces %s"):format(node.name,
        name), err)
      g:erase_node(out)
      g:erase_node(node)
    end
  end)

  it("keeps call sites and meta when it transforms", function()
    local before = gbi.debug(true)
    finally(function() gbi.debug(before) end)
    local g = gbi.graph.new()
    local x = g:placeholder "x"
    local inner = g:subgraph()
    local y = inner:placeholder "y"
    inner:output(y * 2)
    local chosen = g:cond(x, inner, inner:copy(), { x })
    g:output(chosen - 1)
    chosen.meta.cost, chosen.meta.kind = 3, "slow"
    local t = gbi.graph.transformer(g)
    local call_function = t.call_function
    function t:call_function(target, args, node)
      local new = call_function(self, target, args, node)
      new.meta.kind = "new"
      if target == "sub" then return new + 5 end -- two nodes in place of one
      return new
    end
    local h = t:transform()
    assert.equal(10, h:compile()(3))
    -- the place of each node of a graph, and of those in conditions
    local function places(graph, list)
      for node in graph:nodes() do
        list[#list + 1] = node.place
        for i = 1, node.args.n do
          local part = node.args[i]
          if getmetatable(part) == getmetatable(g) then places(part, list) end
        end
      end
      return list
    end
    local old, now = places(g, {}), places(h, {})
    table.insert(old, #old, old[#old - 1]) -- before the output
    assert.truthy(#old == 11 and old[1]:find("change_spec.lua:%d+$"))
    assert.same(old, now)
    for node in h:nodes() do
      if node.target == chosen.target then
        assert.same({ cost = 3, kind = "new" }, node.meta)
        assert.are_not.equal(chosen.meta, node.meta)
      end
    end
    assert.same({ cost = 3, kind = "slow" }, chosen.meta)
  end)

  it("transforms", function()
    local g = gbi.graph.trace(function(x)
      local o = x.graph:external(io, G "io")
      return x * 2 + 1, o, o:handle()
    end, { "x" })
    local t = gbi.graph.transformer(g)
    local call_function = t.call_function
    function t:call_function(target, args, node)
      return call_function(self, target == "mul" and "add" or target, args,
        node)
    end
    local h = t:transform()
    assert.equal(6, (h:compile()(3)))
    assert.equal(7, (g:compile()(3)))
  end)

  it("runs and transforms '...' and attributes", function()
    local g = gbi.graph.new()
    local x, rest = g:placeholder "x", g:placeholder "..."
    local scale = g:attribute("scale", { by = 2 })
    g:output(x * g:get_attr(scale, "by"), g:call_function(G "select", "#",
      rest), rest)
    local h = gbi.graph.transformer(g):transform()
    g.attributes.scale = { by = 3 } -- of g alone
    for each, product in pairs { [g] = 15, [h] = 10 } do
      computes(each, { 5 }, product, 0)
      computes(each, compat.pack(5, 1, nil, nil), product, 3, 1, nil, nil)
    end
  end)
end)

describe("env", function()
  it("is the only table that sources can reach", function()
    local g = gbi.graph.new()
    g:output(g:get_attr(G "os"), g:get_attr(G "word"))
    local os_, word = g:compile { env = { word = "mine" } }()
    assert.is_nil(os_)
    assert.equal("mine", word)
    local path = fixture.path()
    assert(g:save(path))
    local loaded = assert(gbi.load_graph(path, { env = { word = "theirs" } }))
    assert.equal("theirs", (select(2, loaded:compile()())))
    assert.equal("theirs", (select(2, gbi.graph.interpreter(loaded):run())))
    g = gbi.graph.new()
    g:output(g:get_attr(source.ImportSource "os"))
    local ok, err = pcall(g:compile { env = {} })
    assert.is_false(ok)
    assert.truthy(err:find("module 'os' cannot be reached: env has no "
      .. "'require'", 1, true))
    assert.equal(1, g:compile { env = { require = function() return 1 end } }())
  end)

  it("confines the parts of a graph, its copies and what is made of it",
    function()
      local g, path, env = gbi.graph.new(), fixture.path(), { _G = "mine" }
      local function part(h)
        local new = h:subgraph()
        new:output(new:get_attr(G "_G"))
        return new
      end
      g:output(g:cond(true, part(g), part(g)))
      assert(g:save(path))
      local loaded = assert(gbi.load_graph(path, { env = env }))
      for _, h in ipairs { loaded, loaded:copy(),
          gbi.graph.transformer(loaded):transform() } do
        local inner = h:find_nodes { target = "cond" }[1].args[2]
        for _, each in ipairs { h, inner, inner:copy(), part(h) } do
          assert.equal("mine", (each:compile()()))
          assert.equal("mine", (gbi.graph.interpreter(each):run()))
        end
      end
      local adopted = gbi.graph.trace(function() return 1 end, {})
      loaded:inserting_before(loaded:output_node())
      loaded:cond(true, adopted, part(loaded))
      adopted:erase_node(adopted:output_node())
      adopted:output(adopted:get_attr(G "_G"))
      assert.equal("mine", adopted:compile()())

      local other, message = gbi.graph.new(),
        "bad argument #%d to '%s' (it was loaded with another env)"
      local inner = loaded:copy()
      raises(message:format(1, "graph_copy"),
        function() other:graph_copy(loaded) end)
      raises(message:format(1, "node_copy"),
        function() other:node_copy(loaded:find_nodes { op = "output" }[1]) end)
      raises(message:format(2, "cond"),
        function() other:cond(true, inner, part(other)) end)
      assert.equal("", names(nodes.list(other)))
    end)
end)

it("refuses a value that cannot be held, with and without a backend", function()
  for _, value in ipairs { false, 5, "s" } do
    for _, backend in ipairs { false, function() return print end } do
      local g = gbi.graph.new()
      g:placeholder "x"
      g:output(g:external({}, L "x"))
      local f = g:compile { backend = backend or nil }
      local ok, err = pcall(f, value)
      assert.is_false(ok)
      assert.equal('external object 1 (L["x"]) cannot be held weakly: got '
        .. type(value), err)
      g = gbi.graph.new()
      g:output(g:created({}, function(_, cg) cg:load_const(value) end))
      ok, err = pcall(g:compile { backend = backend or nil })
      assert.is_false(ok)
      assert.truthy(tostring(err):find("cannot be held weakly: got "
        .. type(value), 1, true))
    end
  end
  local g = gbi.graph.new()
  g:placeholder "x"
  g:output(g:external({}, L "x"))
  local f = g:compile()
  local co = coroutine.create(function() end)
  for _, object in ipairs { {}, print, io.stdout, co } do
    assert.equal(object, f(object))
  end
  assert.is_false(pcall(f, nil))
end)

describe("a graph says what is wrong with", function()
  local g, x, rest, o

  before_each(function()
    g = gbi.graph.new()
    x, rest = g:placeholder "x", g:placeholder "..."
    o = g:external({}, G "o")
  end)

  local function wrong(fname, arg, what, f)
    raises(("bad argument #%d to '%s' (%s)"):format(arg, fname, what), f)
  end

  it("a node of another graph, or one that was erased", function()
    local other = gbi.graph.new()
    wrong("erase_node", 1, "node of another graph",
      function() other:erase_node(x) end)
    local sum = x + 1
    g:erase_node(sum)
    wrong("erase_node", 1, "node add was erased",
      function() g:erase_node(sum) end)
  end)

  it("an input", function()
    local sum, handle = x + 1, o:handle()
    local object = "get_external_object_by_index"
    wrong("update_arg", 2, ("the index of %s cannot be changed"):format(o.name),
      function() o:update_arg(1, 2) end)
    wrong("update_arg", 2, "'...' is not a single value",
      function() sum:update_arg(1, rest) end)
    wrong("update_arg", 2, ("handle %s needs an external object"):format(
      handle.name), function() handle:update_arg(1, x) end)
    raises(("the target of %s cannot be changed"):format(o.name),
      function() o:set_target(object) end)
  end)

  it("a target", function()
    g:attribute("a", 1)
    local sum, method = x + 1, g:call_method("m", x)
    local field, global = g:get_attr(x, "f"), g:get_attr(G "y")
    for node, what in pairs {
      [x] = "string", [method] = "string", [field] = "string",
      [global] = "source or attribute",
      [sum] = "operator, source or node",
    } do
      wrong("set_target", 1, what .. " expected, got boolean",
        function() node:set_target(true) end)
    end
    wrong("set_target", 1, "'...' cannot be renamed",
      function() x:set_target "..." end)
    wrong("set_target", 1, "'...' cannot be renamed",
      function() rest:set_target "y" end)
    wrong("set_target", 1, 'the graph has no attribute "b"',
      function() global:set_target "b" end)
    wrong("set_target", 1, 'there is no operator "plus"',
      function() sum:set_target "plus" end)
    local other = gbi.graph.new():placeholder "f"
    local call = g:call_function(G "f", x)
    wrong("set_target", 1, "node of another graph",
      function() call:set_target(other) end)
    global:set_target "a"
    assert.equal("a", global.target)
  end)

  it("what is to be copied", function()
    g:attribute("a", 1)
    local other = gbi.graph.new()
    local theirs = other:attribute("a", 2)
    wrong("node_copy", 1, 'attribute "a" already has another value',
      function() g:node_copy(theirs) end)
    other:output()
    for value, got in pairs { [g] = "gbi.graph", [5] = "number" } do
      wrong("graph_copy", 1, "another graph expected, got " .. got,
        function() g:graph_copy(value) end)
    end
    wrong("graph_copy", 2, "table expected, got number",
      function() g:graph_copy(other, 5) end)
    wrong("external", 1, "external object of another graph; create this graph "
      .. "with graph:subgraph", function() other:external(o) end)
  end)

  it("a part", function()
    local function part(input)
      local sub = g:subgraph()
      sub:placeholder(input)
      sub:output(1)
      return sub
    end
    raises("cond: the then graph takes '...'",
      function() g:cond(true, part "...", part "y", { x }) end)
    local both = part "y"
    wrong("cond", 3, "already used as the then graph; use a copy",
      function() g:cond(true, both, both, { x }) end)
    wrong("while_loop", 2, "already used as the cond graph; use a copy",
      function() g:while_loop(both, both, { x }) end)
    wrong("cond", 4, "table expected, got number",
      function() g:cond(true, part "y", part "y", 5) end)
    local one, two = g:subgraph(), g:subgraph()
    one:output()
    two:output()
    local none = g:cond(true, one, two)
    raises(none.name .. " has no result", function() none:results(1) end)
  end)

  it("what is looked for, an option, a path", function()
    wrong("find_nodes", 1, "there is no field 'name'",
      function() g:find_nodes { name = "x" } end)
    wrong("compile", 1, "field 'env' is not a table",
      function() g:compile { env = 5 } end)
    wrong("load_graph", 2, "table expected, got number",
      function() gbi.load_graph("x", 5) end)
    wrong("load_graph", 2, "there is no option 'most'",
      function() gbi.load_graph("x", { most = 5 }) end)
    wrong("load_graph", 2, "field 'env' is not a table",
      function() gbi.load_graph("x", { env = 5 }) end)
    wrong("trace", 1, "function expected, got number",
      function() gbi.graph.trace(5) end)
  end)

  it("an object whose method is called on something else", function()
    for name, class in pairs { run = "interpreter",
                               transform = "transformer" } do
      local object = gbi.graph[class](g)
      wrong(name, 1, ("gbi.%s expected, got table"):format(class),
        function() object[name]({}) end)
      wrong(class, 1, "gbi.graph expected, got number",
        function() gbi.graph[class](5) end)
    end
  end)

  it("arguments that were changed directly", function()
    local sum = x + 1
    g:output(sum)
    sum.args[1] = rest
    local sound, why = g:lint()
    assert.is_nil(sound)
    assert.equal("node add: an argument was changed directly; use "
      .. "node:update_arg", why)
  end)
end)

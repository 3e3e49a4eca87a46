-- docs/pytorch.md's table of what FX has: each row is run.
local compat = require "gbi.compat"
local fixture = require "spec.support.fixture"
local nodes = require "spec.support.nodes"
local read = require "spec.support.portable".read
local gbi = require "gbi"
local source = gbi.source

local G = source.GlobalSource

-- A graph of an input, `a + 1` and its double, and these nodes.
local function small()
  local g = gbi.graph.new()
  local a = g:placeholder "a"
  local sum = a + 1
  return g, a, sum, sum * 2
end

local function names(g) return nodes.names(nodes.list(g)) end

-- Asserts that neither graphs nor nodes nor the module have these names.
local function absent(...)
  local g, a = small()
  for _, name in ipairs { ... } do
    assert.is_nil(g[name] or gbi.graph[name], name)
    assert.is_false(pcall(function() return a[name] end), name)
  end
end

local METHODS = { "placeholder", "call_function", "call_method", "get_attr",
                  "output" }

-- Overrides methods of an interpreter or transformer. Returns a table that
-- counts their calls.
local function count_calls(it)
  local n = {}
  for _, name in ipairs(METHODS) do
    local before = it[name]
    it[name] = function(self, target, args, node)
      assert.equal("number", type(args.n))
      assert.equal(name, node.op)
      n[name] = (n[name] or 0) + 1
      return before(self, target, args, node)
    end
  end
  return n
end

-- What the first column of a row begins with -> what the row says.
local ROWS = {}

ROWS["Graph()"] = function()
  assert.equal("", names(gbi.graph.new()))
end

ROWS["Graph.placeholder(name)"] = function()
  assert.equal("a", gbi.graph.new():placeholder("a").target)
end

ROWS["Graph.call_function(the_function, args)"] = function()
  local g, a = small()
  g:output(g:call_function("add", a, 5), a + 5, g:placeholder("f")(a),
    (g:call_function(tostring, a)))
  local x, y, z, text = g:compile()(2, function(v) return -v end)
  assert.same({ 7, 7, -2, "2" }, { x, y, z, text })
end

ROWS["Graph.call_method(method_name, args)"] = function()
  local g, a = small()
  g:output(g:call_method("rep", "x", a))
  assert.equal("xxx", g:compile()(3))
end

ROWS["Graph.get_attr(qualified_name)"] = function()
  local g, a = small()
  g:attribute("key", 5)
  fixture.global("word", "w")
  g:output(g:get_attr "key", g:get_attr(a, "field"), (g:get_attr(G "word")))
  local x, y, z = g:compile()({ field = 3 })
  assert.same({ 5, 3, "w" }, { x, y, z })
end

ROWS["an attribute of a `GraphModule`"] = function()
  local g = gbi.graph.new()
  g:output(g:attribute("key", 5))
  assert.equal(5, g.attributes.key)
  assert.equal(5, g:compile()())
end

ROWS["Graph.output(result)"] = function()
  local g, a = small()
  g:output(a, 5)
  assert.equal(5, (select(2, g:compile()(1))))
end

ROWS["Graph.lint()"] = function()
  local g = small()
  assert.same({ nil, "the graph has no output" }, { g:lint() })
end

ROWS["Graph.eliminate_dead_code()"] = function()
  local g, a = small()
  a()
  g:output()
  assert.is_true(g:eliminate_dead_code())
  assert.equal("a a_1 output", names(g))
end

ROWS["Graph.nodes"] = function()
  local g, back = small(), {}
  for each in g:nodes(true) do back[#back + 1] = each.name end
  assert.equal("a add mul", names(g))
  assert.equal("mul add a", table.concat(back, " "))
end

ROWS["Graph.find_nodes(op=, target=)"] = function()
  local g, _, sum = small()
  assert.same({ sum }, g:find_nodes { op = "call_function", target = "add" })
end

ROWS["Node.op"] = function()
  local g, a, sum, double = small()
  local expected = { op = "call_function", target = "add", name = "add",
                     graph = g, prev = a, next = double }
  for name, value in pairs(expected) do assert.equal(value, sum[name]) end
  sum.meta.mine = 5
  assert.equal(5, sum.meta.mine)
  assert.equal(1, sum.args[2])
  expected.args, expected.meta = true, true
  for name in pairs(expected) do
    assert.is_false(pcall(function() sum[name] = 1 end), name)
  end
  absent "kwargs"
end

ROWS["Node.users"] = function()
  local _, a, sum, double = small()
  assert.same({ double }, sum.users)
  assert.same({ a }, sum.inputs)
  assert.is_false(sum.users == sum.users or sum.inputs == sum.inputs)
  local before = gbi.debug(true)
  fixture.later(function() gbi.debug(before) end)
  local node = sum - 1
  assert.truthy(node.place:find("pytorch_spec.lua:%d+$"))
end

ROWS["Node.is_impure()"] = function()
  local _, a, sum = small()
  assert.same({ true, true, false },
    { a:is_impure(), a():is_impure(), sum:is_impure() })
end

ROWS["Graph.inserting_before(n)"] = function()
  local g, a, _, double = small()
  g:inserting_before(double, function() return a - 1 end)
  g:inserting_after(a, function() return a / 1, a .. "x" end)
  assert.equal("a div concat add sub mul", names(g))
end

ROWS["Graph.erase_node(n)"] = function()
  local g, _, _, double = small()
  g:erase_node(double)
  assert.equal("a add", names(g))
end

ROWS["Node.replace_all_uses_with(n, delete_user_cb)"] = function()
  local _, a, sum, double = small()
  local other = sum - 1
  assert.same({ double },
    sum:replace_all_uses_with(a, function(user) return user == double end))
  assert.same({ other }, sum:replace_all_uses_with(7))
  assert.same({ a, 7 }, { double.args[1], other.args[1] })
end

ROWS["Node.update_arg(idx, arg)"] = function()
  local g, _, sum = small()
  sum:update_arg(2, 10)
  sum:set_target "sub"
  g:output(sum)
  assert.equal(-7, g:compile()(3))
end

ROWS["Node.insert_arg"] = function()
  absent("insert_arg", "update_kwarg", "replace_input_with", "prepend")
  assert.is_false(pcall(function() return select(2, small()).append end))
end

ROWS["Graph.node_copy(n, arg_transform)"] = function()
  local _, a, sum = small()
  local h = gbi.graph.new()
  local b = h:placeholder "b"
  for _, map in ipairs { { [a] = b }, function() return b end } do
    assert.equal(b, h:node_copy(sum, map).args[1])
  end
end

ROWS["Graph.graph_copy(g, val_map)"] = function()
  local g, a, _, double = small()
  g:output(double)
  local h = gbi.graph.new()
  h:output(h:graph_copy(g, { [a] = h:placeholder "b" }))
  local copy, map = g:copy()
  assert.equal(copy, map[a].graph)
  assert.same({ 8, 8 }, { h:compile()(3), (copy:compile()(3)) })
end

ROWS["symbolic_trace(f)"] = function()
  local g = gbi.graph.trace(function(a) return a + 1 end, { "a" })
  assert.equal(4, g:compile()(3))
end

local function methods_of(make)
  local g = gbi.graph.trace(function(a)
    return a.graph:call_method("rep", a, 2) .. a, a.graph:get_attr(a, "rep")
  end, { "a" })
  local it = make(g)
  local n = count_calls(it)
  local text = it.run and it:run "x" or it:transform():compile() "x"
  assert.equal("xxx", text)
  for _, name in ipairs(METHODS) do assert.equal(1, n[name]) end
end

ROWS["Interpreter(module)"] = function()
  methods_of(gbi.graph.interpreter)
  methods_of(gbi.graph.transformer)
end

ROWS["Interpreter.run(*args)"] = function()
  local g, _, _, double = small()
  g:output(double)
  local it, ran = gbi.graph.interpreter(g), {}
  function it:run_node(each)
    ran[#ran + 1] = each.name
    return getmetatable(it).__index.run_node(self, each)
  end
  assert.equal(8, it:run(3))
  assert.equal("a add mul output", table.concat(ran, " "))
  assert.equal(8, gbi.graph.transformer(g):transform():compile()(3))
end

ROWS["Interpreter.placeholder"] = ROWS["Interpreter(module)"]

ROWS["torch.cond(pred, true_fn, false_fn, operands)"] = function()
  local g, a = small()
  g:output(g:cond(a:gt(0), g:subgraph(function(x) return x end, { "x" }),
    g:subgraph(function(x) return -x end, { "x" }), { a }))
  local f = g:compile()
  assert.same({ 3, 4 }, { f(3), f(-4) })
end

ROWS["torch.while_loop(cond_fn, body_fn, carried_inputs)"] = function()
  local g, a = small()
  g:output(g:while_loop(g:subgraph(function(x) return x:gt(9) end, { "x" }),
    g:subgraph(function(x) return x - 10 end, { "x" }), { a }))
  assert.equal(7, g:compile()(57))
end

ROWS["call_module"] = function()
  absent("call_module", "on_generate_code", "subgraph_rewriter",
    "replace_pattern", "shape_prop")
end

ROWS["Graph.python_code(root_module)"] = function()
  local g = small()
  g:output()
  assert(compat.load(g:code(), "=code"))
end

ROWS["Graph.print_tabular()"] = function()
  local g, text = small(), nil
  g:print_tabular { write = function(_, s) text = s end }
  assert.truthy(text:find "^opcode +name +target +args")
  assert.truthy(tostring(g):find("graph():\n", 1, true))
end

ROWS["a `GraphModule`, compiled"] = function()
  local g, a = small()
  fixture.global("object", {})
  g:output(a, (g:external({}, G "object")))
  local x, object = g:compile { backend = function()
    return function(run, value) return value, run[1] end
  end }(3)
  assert.equal(3, x)
  assert.equal(_G.object, object)
end

ROWS["call_function(get_external_object_by_index, (i,))"] = function()
  fixture.global("object", {})
  local g = gbi.graph.new()
  local a = g:external({}, G "object")
  local b = g:created({}, function(_, cg) cg:load_global "object" end)
  g:output(a, b)
  local x, y = g:compile()()
  assert.equal(_G.object, x)
  assert.equal(x, y)
  assert.equal("get_external_object_by_index", a.target)
end

describe("the table of what FX has", function()
  local n = 0
  for row in read("docs/pytorch.md"):match("\n## torch.fx\n.-\n|%-.-\n(.-\n)\n")
      :gmatch("| ([^\n]+)\n") do
    local says, title
    for begins, f in pairs(ROWS) do
      if row:gsub("^`", ""):sub(1, #begins) == begins then
        says, title = f, begins
      end
    end
    n = n + 1
    it("is right about " .. (title or row), function() assert(says, row)() end)
  end

  it("has a row for each of these", function()
    local rows = 0
    for _ in pairs(ROWS) do rows = rows + 1 end
    assert.equal(rows, n)
  end)
end)

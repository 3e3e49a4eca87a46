-- Random graphs, and an interpreter of their nodes to compare with.

local compat = require "gbi.compat"
local gbi = require "gbi"
local nodes = require "spec.support.nodes"
local portable = require "spec.support.portable"
local source = gbi.source

local G, Attr, Item = source.GlobalSource, source.AttrSource,
  source.GetItemSource

local random_graph = {}

-- The globals of graphs: functions, objects and a log of their calls. Two
-- worlds made alike behave alike. lookup(handle) finds an object of the run.
function random_graph.world(lookup)
  local world, ids = { log = {}, fs = {}, objects = {}, made = 0 }, {}
  local function show(value)
    if type(value) == "number" then return portable.digits(value) end
    return ids[value] or tostring(value)
  end
  local function log(what, ...)
    local texts = compat.pack(...)
    for i = 1, texts.n do texts[i] = show(texts[i]) end
    table.insert(world.log, what .. "(" .. table.concat(texts, ", ") .. ")")
  end
  world.show = show
  local methods = {}
  function methods.method(self, ...)
    log("method", self, ...)
    return select("#", ...), self, ...
  end
  local function object(id)
    local o = setmetatable({ field = id }, {
      __index = methods,
      __add = function(...) log("add", ...) return 1 end,
    })
    ids[o] = id
    return o
  end
  for i = 1, 4 do
    world.fs[i] = function(...)
      log("f" .. i, ...)
      if i == 4 and select("#", ...) == 3 then error("f4 was given three") end
      return (...), i, select("#", ...) + 0.5, world.objects[i]
    end
    ids[world.fs[i]] = "f" .. i
  end
  for i = 1, 6 do world.objects[i] = object("o" .. i) end
  function world.obtain()
    world.made = world.made + 1
    log("obtain", world.made)
    return object("made" .. world.made)
  end
  function world.lookup(...)
    log("lookup", ...)
    return lookup(...)
  end
  ids[world.lookup], ids[world.obtain] = "lookup", "obtain"
  ids[methods.method] = "method"
  return world
end

local OPERATORS = {}
for name, text in pairs { add = "a + b", sub = "a - b", mul = "a * b",
    eq = "a == b", ne = "a ~= b", lnot = "not a", concat = "a .. b",
    lt = "a < b", unm = "-a", idiv = "a // b", band = "a & b",
    getitem = "a[b]" } do
  OPERATORS[name] = portable.expression(text)
end
local NAMES = {}
for name in pairs(OPERATORS) do table.insert(NAMES, name) end
table.sort(NAMES)

-- A random graph on G["world"]; also returns a table from its sources to the
-- functions that find their objects in a world.
function random_graph.make(random)
  local g = gbi.graph.new()
  local values, calls, externals, from = {}, {}, {}, {}
  local function pick(list) return list[random(#list)] end
  local function source_of(s, find)
    from[s] = find
    return s
  end
  local world = G "world"
  for i = 1, random(0, 60) do values[i] = g:placeholder("x" .. i) end
  local rest = random(3) == 1 and g:placeholder("...") or nil
  local function any()
    if #values == 0 or random(4) == 1 then
      return pick { 1, 2, -1, 0.5, "3", "s", "field", true, false, -0.0, 7 }
    end
    -- mostly recent values
    return values[random(2) == 1 and random(#values)
      or math.max(1, #values - random(0, 5))]
  end
  local function arguments()
    local args = { n = random(10) == 1 and random(28, 55) or random(0, 4) }
    for i = 1, args.n do args[i] = any() end
    if rest and random(4) == 1 then
      args.n = args.n + 1
      args[args.n] = rest
    end
    return compat.unpack(args, 1, args.n)
  end
  local function add(node) table.insert(values, node) end
  local safe = random(3) > 1 -- otherwise few graphs would come to their end
  local makers = {
    function()
      local i = random(6)
      local node = g:external({}, source_of(Item(Attr(world, "objects"), i),
        function(w) return w.objects[i] end))
      table.insert(externals, node)
      add(node)
    end,
    function()
      local node = g:external({}, source_of(source.CallFunctionNoArgsSource(
        Attr(world, "obtain")), function(w) return w.obtain() end))
      table.insert(externals, node)
      add(node)
    end,
    function() if #externals > 0 then add(pick(externals):handle()) end end,
    function()
      if #externals == 0 then return end
      local call = g:call_function(source_of(Attr(world, "lookup"),
        function(w) return w.lookup end), pick(externals):handle())
      add(call)
    end,
    function()
      local i = random(4)
      local call = g:call_function(source_of(Item(Attr(world, "fs"), i),
        function(w) return w.fs[i] end), arguments())
      table.insert(calls, call)
      add(call)
    end,
    function()
      local name = safe and pick { "eq", "ne", "lnot" } or pick(NAMES)
      if name == "lnot" or name == "unm" then
        add(g:call_function(name, any()))
      else add(g:call_function(name, any(), any())) end
    end,
    function()
      local n = random(12) == 1 and random(15, 30) or random(5)
      if #calls > 0 then
        for _, node in ipairs { pick(calls):results(n) } do
          if random(2) == 1 then add(node) end
        end
      end
    end,
    function()
      if #externals == 0 then return end
      local o = not safe and random(8) == 1 and any() or pick(externals)
      local what = random(3)
      if what == 1 then add(g:get_attr(o, "field"))
      elseif what == 2 then
        local call = g:call_method("method", o, arguments())
        table.insert(calls, call)
        add(call)
      else
        local key = any()
        if safe then key = pick { "field", "a b", 1 } end
        g:set_item(o, key, any())
      end
    end,
  }
  for _ = 1, random(3) == 1 and random(150, 400) or random(60) do
    pick(makers)()
  end
  local outputs = {}
  for i = 1, random(0, 40) do outputs[i] = any() end
  if rest and random(2) == 1 then table.insert(outputs, rest) end
  g:output(compat.unpack(outputs))
  return g, from
end

-- Random arguments for a graph, a list with its length `n`.
function random_graph.inputs(g, random)
  local inputs, rest = { n = 0 }, random(0, 3)
  for _, node in ipairs(nodes.list(g)) do
    if node.op == "placeholder" and node.target ~= "..." then
      inputs.n = inputs.n + 1
      inputs[inputs.n] = random(3) > 1 and random(5) or nil
    end
  end
  for i = 1, rest do
    inputs[inputs.n + i] = random(2) == 1 and i or nil
  end
  inputs.n = inputs.n + rest
  return inputs
end

-- The external objects of a graph that are used, by their indices in order.
local function externals(g)
  local indices = {}
  for _, node in ipairs(nodes.list(g)) do
    if node.target == "get_external_object_by_index" then
      table.insert(indices, node.args[1])
    end
  end
  table.sort(indices)
  return indices
end

-- The run that a graph would have in a world of its own, if gbi.handles gave it
-- the next handles: run[index], run:handle(index), and run.handles, handle ->
-- object. A run `by_backend` has one handle per object, other runs have one per
-- node.
function random_graph.model(g, from, by_backend)
  local last, sources = gbi.handles:strong("the last one"), {}
  gbi.handles:release(last)
  local run, given = { handles = {} }, {}
  run.world = random_graph.world(function(handle)
    return run.handles[handle]
  end)
  for index, _, _, s in g.registry:constructors() do sources[index] = s end
  for _, index in ipairs(externals(g)) do
    run[index] = from[sources[index]](run.world)
  end
  function run:handle(index)
    if not (by_backend and given[index]) then
      last = last + 1
      given[index] = last
      self.handles[last] = self[index]
    end
    return given[index]
  end
  return run
end

function OPERATORS.setitem(t, key, value) t[key] = value end

-- Runs the graph node by node in a world, whose `at` is the current node; `run`
-- has its external objects. Returns the outputs.
function random_graph.interpret(g, from, world, run, ...)
  local values, results, inputs, taken = {}, {}, compat.pack(...), 0
  local rest, outputs = { n = 0 }, nil
  local function value(arg)
    if type(arg) == "table" then return values[arg] end
    return arg
  end
  local function arguments(node, first)
    local args = { n = 0 }
    for i = first, node.args.n do
      local arg = node.args[i]
      if type(arg) == "table" and arg.target == "..."
         and arg.op == "placeholder" then
        compat.move(rest, 1, rest.n, args.n + 1, args)
        args.n = args.n + rest.n
      else
        args.n = args.n + 1
        args[args.n] = value(arg)
      end
    end
    return compat.unpack(args, 1, args.n)
  end
  local function visit(node)
    world.at = node
    local target, args = node.target, node.args
    if node.op == "placeholder" and target == "..." then
      compat.move(inputs, taken + 1, inputs.n, 1, rest)
      rest.n = math.max(0, inputs.n - taken)
    elseif node.op == "placeholder" then
      taken = taken + 1
      values[node] = inputs[taken]
    elseif node.op == "output" then outputs = compat.pack(arguments(node, 1))
    elseif node.op == "get_attr" then values[node] = value(args[1])[target]
    elseif node.op == "call_method" then
      local object = value(args[1])
      results[node] = compat.pack(object[target](object, arguments(node, 2)))
    elseif target == "get_external_object_by_index" then
      values[node] = run[args[1]]
    elseif target == "external_object_handle" then
      values[node] = run:handle(args[1].args[1])
    elseif target == "call_result" then
      values[node] = results[args[1]][args[2]]
    elseif type(target) == "string" then
      values[node] = OPERATORS[target](value(args[1]), value(args[2]),
        value(args[3]))
    else
      results[node] = compat.pack(from[target](world)(arguments(node, 1)))
    end
    if results[node] then values[node] = results[node][1] end
  end
  for _, node in ipairs(nodes.list(g)) do visit(node) end
  return outputs
end

-- Runs f(...), with gbi.traceback as its message handler.
local function call(f, ...)
  local args = compat.pack(...)
  return compat.pack(xpcall(function()
    return f(compat.unpack(args, 1, args.n))
  end, gbi.traceback))
end

-- Runs what was compiled from a graph, and an interpreter of its nodes in a
-- world of its own; raises an error that begins with `where` if they differ.
-- Returns whether they came to an end; if not, the error and the name of the
-- node that failed; and how many objects were handed on.
function random_graph.compare(where, g, from, compiled, by_backend, inputs)
  local model = random_graph.model(g, from, by_backend)
  local ok, outputs = pcall(random_graph.interpret, g, from, model.world, model,
    compat.unpack(inputs, 1, inputs.n))
  _G.world = random_graph.world(function(handle)
    return gbi.handles:get(handle)
  end)
  local got = call(compiled, compat.unpack(inputs, 1, inputs.n))
  local log, said = table.concat(model.world.log, "\n"),
    table.concat(_G.world.log, "\n")
  if log ~= said then
    error(("%s\n%s\n\nexpected\n%s\n\ngot\n%s"):format(where, tostring(g), log,
      said))
  end
  assert(ok == got[1], where .. tostring(got[2]))
  if ok then
    assert(outputs.n == got.n - 1, where .. "number of outputs")
    for i = 1, outputs.n do
      local a, b = model.world.show(outputs[i]), _G.world.show(got[i + 1])
      assert(a == b, ("%soutput %d is %s, not %s"):format(where, i, b, a))
    end
  end
  local handed_on = 0
  for handle, o in pairs(model.handles) do
    handed_on = handed_on + 1
    local found, why = gbi.handles:find(handle)
    -- a run that failed is over once it has been collected
    assert(why == "dead" or not ok and found
      and _G.world.show(found) == model.world.show(o),
      where .. "a handle that is over")
  end
  _G.world = nil
  return ok, not ok and got[2], not ok and model.world.at.name, handed_on
end

return random_graph

--- Graphs like those of torch.fx: record, compile, run on fresh objects.
--
--     local g = gbi.graph.new()
--     local x, out = g:placeholder("x"), g:external(io.stdout, source)
--     g:call_method("write", out, x * 2, "\n")
--     g:output(x)
--     local f = g:compile()
--
-- The kinds of nodes are FX's: `placeholder`, `call_function`, `call_method`,
-- `get_attr`, `output`. A node's arguments are nodes and constants: booleans,
-- numbers, strings and nil. A function that cannot record its arguments raises
-- an argument error at its caller's line and changes nothing.
-- @classmod gbi.graph
local compat = require "gbi.compat"
local core = require "gbi.core"
local errors = require "gbi.errors"
local literal = require "gbi.literal"
local source = require "gbi.source"
local chain = require "gbi.chain"
local compile = require "gbi.compile"
local control = require "gbi.control"
local interpreter = require "gbi.interpreter"
local lint = require "gbi.lint"
local node = require "gbi.node"
local saved = require "gbi.saved"
local trace = require "gbi.trace"
local view = require "gbi.view"

compat.interpret()

local bad, expected = errors.argument, errors.expected
local operators, is_node, F = node.operators, node.is, node.F
local EXTERNAL = node.EXTERNAL

local graph = {}

local Graph = node.Graph
Graph.__index = Graph

-- Raises the argument error for a method that was called without its graph.
function Graph:check_self(fname)
  if getmetatable(self) ~= Graph then
    errors.self(3, fname, "gbi.graph", self)
  end
end
local check_self = Graph.check_self

local MAX_NAME = 100 -- bytes of a hint, because a name is written at each use

-- Returns a name without the numbers appended to it: f for f_1 and f_1_2. (It
-- steps from the end, because a pattern would be tried again at every place.)
local function unnumbered(name)
  local from_end, at = name:reverse(), 1
  repeat
    local _, last = from_end:find("^%d+_", at)
    at = last and last + 1 or at
  until not last
  return at <= #name and name:sub(1, #name - at + 1) or name
end

-- Finds a name for a node that no other node has: its hint, hint_1, hint_2 …
-- Returns the name, its base, and the last number appended to the base.
local function unique(self, hint)
  local base = hint:sub(1, MAX_NAME):gsub("[^%w_]", "_"):gsub("^%d", "_%0")
  if not literal.is_identifier(base) then base = base .. "_" end
  local name = base
  if self.names[name] then base = unnumbered(base) end
  local n = self.counts[base] or 0
  while self.names[name] do
    n = n + 1
    name = ("%s_%d"):format(base, n)
  end
  return name, base, n
end

-- Returns the output's node, or nil.
function Graph:output_node()
  local last = self.root[F].prev
  return last[F].op == "output" and last or nil
end

-- Checks that a node inserted before `at` would not follow the output.
function Graph:check_open(level, at)
  if at == self.root and self:output_node() then
    error("no node can follow the graph's output", level + 1)
  end
end

-- Checks the arguments of a node before `at`, by default at the point of
-- insertion. They must be constants and nodes that come before it; only the
-- last may stand for many values. Errors call them the arguments of `fname`,
-- from number `first` on.
function Graph:check_args(level, args, fname, first, at)
  at = at or self.point
  for i = 1, args.n do
    local arg = args[i]
    if is_node(arg) then
      local f = arg[F]
      if f.graph ~= self then
        bad(level + 1, fname, first + i - 1, "node of another graph")
      elseif f.erased then
        bad(level + 1, fname, first + i - 1, ("node %s was erased"):format(
          f.name))
      elseif not node.has_value(arg) then
        bad(level + 1, fname, first + i - 1, ("%s has no value"):format(
          f.op == "output" and "an output" or "a write"))
      elseif i < args.n and node.is_varargs(arg) then
        bad(level + 1, fname, first + i - 1,
          "only the last argument can be '...'")
      elseif not chain.before(self.root, arg, at) then
        bad(level + 1, fname, first + i - 1,
          ("node %s comes after the node that would use it"):format(f.name))
      end
    elseif not literal.is_constant(arg) then
      expected(level + 1, fname, first + i - 1, "node or constant", arg)
    end
  end
end

-- Checks a single operand or object.
function Graph:check_one(level, value, fname, arg, at)
  self:check_args(level + 1, { n = 1, value }, fname, arg, at)
  if is_node(value) and node.is_varargs(value) then
    bad(level + 1, fname, arg, "'...' is not a single value")
  end
end

-- Makes a node before `at`, by default at the point of insertion. Its name is
-- made from `hint`. Steps that may run out of memory come before those that
-- others can see. An external object also has `index`, `source` and `kind`.
-- Returns the node, and the further arguments of `withdraw`.
function Graph:append(level, op, target, args, hint, at, index, from, kind)
  at = at or self.point
  self:check_open(level + 1, at)
  local place, name, base, n = core.place(), unique(self, hint)
  local before = self.counts[base] or 0
  self.names[name], self.counts[base] = false, before
  local new, counted = node.new {
    graph = self, op = op, target = target, args = args, name = name,
    place = place, prev = false, next = false, order = 0, erased = false,
    index = index, source = from, kind = kind,
  }
  self.names[name], self.counts[base] = true, n
  chain.insert(self.root, new, at)
  return new, base, before, counted
end

-- Removes a node that was just made. Allocates nothing and calls nothing,
-- because a call may need memory.
function Graph:withdraw(each, base, before, counted)
  local f = each[F]
  for i = 1, #counted do counted[i][each] = nil end
  f.prev[F].next, f.next[F].prev, f.erased = f.next, f.prev, true
  self.names[f.name], self.counts[base] = false, before
end

-- Returns a name for a source's object: the last name in `G["io"].stdout`.
local function last_name(from, otherwise)
  local from_end = source.name(from):reverse() -- see `unnumbered`
  local _, last = from_end:find "^[^%w_]*"
  local word = from_end:match("^[%w_]+", last + 1) or ""
  return word:reverse():match "[%a_][%w_]*" or otherwise
end

-- Makes a graph with this registry, these attributes and this env.
local function make(registry, attributes, env)
  local root = chain.new()
  return setmetatable({
    --- The registry of its external objects.
    -- @tfield gbi.registry registry
    registry = registry,
    --- The attributes by name; you may replace the values.
    -- @tfield table attributes
    attributes = attributes,
    root = root,
    point = root, -- new nodes go before this node
    names = {}, -- name -> is it taken?
    counts = {}, -- name -> the last number appended to it
    inputs = {}, -- target -> placeholder
    owner = false, -- the condition or loop that this graph is part of
    env = env, -- the table where sources look for globals, nil for _G
  }, Graph)
end

--- Creates an empty graph with a registry of its own, `graph.registry`.
-- @function gbi.graph.new
-- @treturn gbi.graph
-- @seed torch.fx.Graph
function graph.new()
  return make(core.new(), {})
end

--- Records a function as a graph: calls it with an input for each of its
-- parameters, and makes its results the output.
-- @function gbi.graph.trace
-- @tparam function f
-- @tparam ?{string,...} names of the inputs; default: the names of the
-- function's parameters, which Lua 5.1 does not know
-- @treturn gbi.graph
-- @raise the errors of `f`
-- @seed torch.fx.symbolic\_trace
function graph.trace(f, names)
  names = trace.inputs(2, "trace", f, names)
  local new = graph.new()
  trace.into(2, new, f, names)
  return new
end

--- Is a value a node of a graph?
-- @function gbi.graph.is_node
-- @tparam any value any value
-- @treturn boolean
graph.is_node = is_node

--- Creates a graph for a condition or loop in this graph. The two share the
-- registry and the attributes: `sub:external(node)` makes an external object of
-- this graph available in the new one.
-- @tparam ?function f the function to record, as in @{gbi.graph.trace}
-- @tparam ?{string,...} names of the inputs
-- @treturn gbi.graph
-- @raise the errors of `f`
function Graph:subgraph(f, names)
  check_self(self, "subgraph")
  if f ~= nil then names = trace.inputs(2, "subgraph", f, names) end
  local new = make(self.registry, self.attributes, self.env)
  if f ~= nil then trace.into(2, new, f, names) end
  return new
end

-- Checks that there is no input of this name.
function Graph:check_input_name(level, name, fname)
  if self.inputs[name] then
    bad(level + 1, fname, 1, ("input %s already exists"):format(
      literal.of(name)))
  end
end

-- Is there an input at or after the point of insertion?
local function input_follows(self)
  local each = self.point
  while each ~= self.root do
    if each[F].op == "placeholder" then return true end
    each = each[F].next
  end
  return false
end

-- Checks that an input of this name can be inserted: '...' must be the last.
function Graph:check_new_input(level, name, fname)
  self:check_input_name(level + 1, name, fname)
  local rest = self.inputs["..."]
  if name == "..." and input_follows(self)
     or rest and chain.before(self.root, rest, self.point) then
    bad(level + 1, fname, 1, "'...' must be the last input")
  end
end

--- Records an input.
-- @tparam string name any string, different for each input; `"..."` must be the
-- last input and stands for the remaining arguments; it can be the last
-- argument of a call or the last output
-- @treturn gbi.node
-- @seed torch.fx.Graph.placeholder
function Graph:placeholder(name)
  check_self(self, "placeholder")
  if type(name) ~= "string" then
    expected(2, "placeholder", 1, "string", name)
  end
  self:check_new_input(2, name, "placeholder")
  self.inputs[name] = false -- makes room
  local new = self:append(2, "placeholder", name, { n = 0 },
    name == "..." and "varargs" or name)
  self.inputs[name] = new
  return new
end

-- Applies an operator to operands; errors call them the arguments of `fname`,
-- from number `first` on.
function Graph:operate(level, name, fname, first, ...)
  local args, operator = compat.pack(...), operators[name]
  if args.n ~= operator.operands then
    error(("operator '%s' takes %d operands, got %d"):format(name,
      operator.operands, args.n), level + 1)
  end
  for i = 1, args.n do
    self:check_one(level + 1, args[i], fname, first + i - 1)
  end
  local new = self:append(level + 1, "call_function", name, args, name)
  return new
end

-- Records a call of a source's object or a node's value; errors call its
-- arguments those of `fname`, from number `first` on.
function Graph:call(level, fname, first, target, ...)
  local args, hint = compat.pack(...), "call"
  if is_node(target) then
    self:check_one(level + 1, target, "call_function", 1)
    hint = target.name
  elseif source.is_source(target) then
    hint = last_name(target, hint)
  else
    expected(level + 1, "call_function", 1, "operator, source or node", target)
  end
  self:check_args(level + 1, args, fname, first)
  local new = self:append(level + 1, "call_function", target, args, hint)
  return new
end

--- Records a call, or an operator with its operands.
-- @tparam string|gbi.source|gbi.node|function target the name of an operator:
-- `add sub mul div mod pow idiv unm band bor bxor shl shr bnot concat len eq ne
-- lt le gt ge lnot land lor getitem setitem`; a source whose object is called;
-- a node whose value is called; or a function that is a global or a field of a
-- loaded module: `call_function` finds its source
-- @tparam ?gbi.node|gbi.constant ... nodes and constants
-- @treturn gbi.node its first result; `node:results(n)` for more
-- @seed torch.fx.Graph.call_function
function Graph:call_function(target, ...)
  check_self(self, "call_function")
  local new
  if type(target) == "string" then
    if not operators[target] then
      bad(2, "call_function", 1, ("there is no operator %s"):format(
        literal.of(target)))
    end
    new = self:operate(2, target, "call_function", 2, ...)
    return new
  end
  if type(target) == "function" then
    target = trace.source_of(target, self.env or _G)
      or bad(2, "call_function", 1, "the function is neither a global nor a "
        .. "field of a loaded module; pass its source, or make it an attribute")
  end
  new = self:call(2, "call_function", 2, target, ...)
  return new
end

--- Records a method call.
-- @function gbi.graph:call_method
-- @tparam string name
-- @tparam gbi.node|gbi.constant object
-- @tparam ?gbi.node|gbi.constant ... nodes and constants
-- @treturn gbi.node its first result; `node:results(n)` for more
-- @seed torch.fx.Graph.call_method

function Graph:call_method(name, ...) -- the object must be given, even nil
  check_self(self, "call_method")
  if type(name) ~= "string" then
    expected(2, "call_method", 1, "string", name)
  end
  local args = compat.pack(...)
  if args.n == 0 then
    bad(2, "call_method", 2, "node or constant expected, got no value")
  end
  self:check_one(2, args[1], "call_method", 2)
  self:check_args(2, args, "call_method", 2)
  local new = self:append(2, "call_method", name, args, name)
  return new
end

--- Records the reading of a field, `object.name`; of the value that a source
-- obtains anew in every run, which may be any value; or of an attribute of the
-- graph.
-- @tparam gbi.node|gbi.constant|gbi.source|string object or an attribute's
-- name
-- @tparam ?string name of the field; omit it for a source or an attribute
-- @treturn gbi.node
-- @seed torch.fx.Graph.get_attr
function Graph:get_attr(object, name)
  check_self(self, "get_attr")
  local new
  if name == nil and type(object) == "string" then
    if self.attributes[object] == nil then
      bad(2, "get_attr", 1, ("the graph has no attribute %s"):format(
        literal.of(object)))
    end
    new = self:append(2, "get_attr", object, { n = 0 }, object)
    return new
  elseif name == nil and not is_node(object) and source.is_source(object) then
    new = self:append(2, "get_attr", object, { n = 0 },
      last_name(object, "attr"))
    return new
  end
  if type(name) ~= "string" then expected(2, "get_attr", 2, "string", name) end
  self:check_one(2, object, "get_attr", 1)
  new = self:append(2, "get_attr", name, { n = 1, object }, name)
  return new
end

--- Sets an attribute, a value that the graph keeps alive, and records its
-- reading. Functions compiled earlier keep the earlier value of the attribute.
-- @tparam string name
-- @tparam any value any value but nil
-- @treturn gbi.node `graph:get_attr(name)` makes more of these nodes
-- @seed an attribute of torch.fx.GraphModule
function Graph:attribute(name, value)
  check_self(self, "attribute")
  if type(name) ~= "string" then expected(2, "attribute", 1, "string", name) end
  if value == nil then expected(2, "attribute", 2, "value", value) end
  self:check_open(2, self.point)
  local attributes = self.attributes
  local before = attributes[name]
  local ok, new = pcall(function()
    attributes[name] = value
    return (self:append(2, "get_attr", name, { n = 0 }, name))
  end)
  if not ok then -- out of memory, which nil under a new key may need, too
    if attributes[name] ~= nil then attributes[name] = before end
    error(new, 0)
  end
  return new
end

--- Records a write to a field: `object[key] = value`. Writes and calls run in
-- the order of the graph.
-- @tparam gbi.node|gbi.constant object
-- @tparam gbi.node|gbi.constant key
-- @tparam ?gbi.node|gbi.constant ... the value
-- @treturn gbi.node a node without a value
function Graph:set_item(object, key, ...)
  check_self(self, "set_item")
  local new = self:operate(2, "setitem", "set_item", 1, object, key, ...)
  return new
end

-- Makes the output.
function Graph:finish(level, ...)
  local args = compat.pack(...)
  self:check_args(level + 1, args, "output", 1, self.root)
  local new = self:append(level + 1, "output", "output", args, "output",
    self.root)
  return new
end

--- Records the graph's results, as its last node.
-- @tparam ?gbi.node|gbi.constant ... nodes and constants
-- @treturn gbi.node a node without a value
-- @seed torch.fx.Graph.output
function Graph:output(...)
  check_self(self, "output")
  local new = self:finish(2, ...)
  return new
end

-- Renames a node; the name must not be taken.
function Graph:rename(each, name)
  if each.name ~= name then
    if self.names[name] then error("name is taken: " .. name, 2) end
    self.names[each.name] = nil
    self.names[name] = true
    each[F].name = name
  end
end


-- Conditions and loops ----------------------------------------------------

-- Checks that nodes of a graph that was loaded with an `env` stay confined.
function Graph:check_env(level, other, fname, arg)
  if other.env and other.env ~= self.env then
    bad(level + 1, fname, arg, "it was loaded with another env")
  end
end

-- Checks that a graph can be part of a node of this graph.
function Graph:check_part(level, part, fname, arg)
  if getmetatable(part) ~= Graph then
    expected(level + 1, fname, arg, "gbi.graph", part)
  elseif part.owner then
    bad(level + 1, fname, arg, ("the graph is already part of %s; use a copy")
      :format(part.owner.name))
  end
  self:check_env(level + 1, part, fname, arg)
  local outer = self
  while outer do
    if outer == part then
      bad(level + 1, fname, arg, "a graph cannot be part of itself")
    end
    outer = outer.owner and outer.owner.graph
  end
  if part.registry ~= self.registry
     and (#part.registry > 0 or next(part.attributes) ~= nil) then
    bad(level + 1, fname, arg, "the graph has external objects or attributes "
      .. "of its own; create it with graph:subgraph")
  end
end

-- Makes a part of this graph share its registry and attributes.
function Graph:adopt(part)
  if part.registry == self.registry then return end
  part.registry, part.attributes = self.registry, self.attributes
  part.env = self.env
  for each in part:nodes() do
    for _, inner in control.graphs(each) do self:adopt(inner) end
  end
end

-- Makes a condition or a loop.
local function make_control(self, level, target, args, operands, first)
  if operands ~= nil and type(operands) ~= "table" or is_node(operands) then
    expected(level + 1, target, first, "table", operands)
  end
  operands = operands or {}
  local n, more = args.n, operands.n or #operands
  if not compat.is_integer(more) or more < 0 then
    bad(level + 1, target, first, "field 'n' is not a count")
  end
  args.n = n + more
  for i = 1, more do args[n + i] = operands[i] end
  for i = n + 1, args.n do
    self:check_one(level + 1, args[i], target, first)
  end
  local wrong = control.wrong(target, args)
  if wrong then error(("%s: %s"):format(target, wrong), level + 1) end
  local new = self:append(level + 1, "call_function", target, args, target)
  for _, part in control.graphs(new) do self:adopt(part) end
  return new
end

--- Records a condition: a run executes one of two graphs, the other costs
-- nothing.
-- @tparam gbi.node|gbi.constant predicate tested like the condition of Lua's
-- `if`
-- @tparam gbi.graph then_graph its inputs are the operands; see
-- `graph:subgraph`
-- @tparam gbi.graph else_graph with the same number of outputs
-- @tparam ?{gbi.node|gbi.constant,...} operands a list, with its length in `n`
-- if it contains nil
-- @treturn gbi.node its first result; `node:results(n)` for more
-- @seed torch.cond
function Graph:cond(predicate, then_graph, else_graph, operands)
  check_self(self, "cond")
  self:check_one(2, predicate, "cond", 1)
  self:check_part(2, then_graph, "cond", 2)
  self:check_part(2, else_graph, "cond", 3)
  if then_graph == else_graph then
    bad(2, "cond", 3, "already used as the then graph; use a copy")
  end
  local new = make_control(self, 2, control.COND,
    { n = 3, predicate, then_graph, else_graph }, operands, 4)
  return new
end

--- Records a loop: as long as the output of the first graph is true, the second
-- graph runs, and its outputs become the next operands of both.
-- @tparam gbi.graph cond_graph has one output, tested like the condition of
-- Lua's `while`
-- @tparam gbi.graph body_graph has as many outputs as there are operands
-- @tparam ?{gbi.node|gbi.constant,...} operands a list, with its length in `n`
-- if it contains nil
-- @treturn gbi.node the first of the final operands; `node:results(n)` for more
-- @seed torch.while\_loop
function Graph:while_loop(cond_graph, body_graph, operands)
  check_self(self, "while_loop")
  self:check_part(2, cond_graph, "while_loop", 1)
  self:check_part(2, body_graph, "while_loop", 2)
  if cond_graph == body_graph then
    bad(2, "while_loop", 2, "already used as the cond graph; use a copy")
  end
  local new = make_control(self, 2, control.WHILE,
    { n = 2, cond_graph, body_graph }, operands, 3)
  return new
end


-- External objects --------------------------------------------------------

-- Makes the node of an external object of the registry.
function Graph:external_node(level, index, from, kind, hint)
  local new = self:append(level + 1, "call_function", EXTERNAL,
    { n = 1, index }, hint, nil, index, from, kind)
  return new
end

-- Registers an external object; errors name the caller's line. Makes the node
-- first, because a node can be removed and a registration cannot.
local function register(self, level, method, hint, value, from)
  self:check_open(level + 1, self.point)
  local user, args = method == "register", { n = 1, 0 }
  local new, base, before, counted = self:append(level + 1, "call_function",
    EXTERNAL, args, hint, nil, 0, user and from or nil,
    user and "user" or "graph_created")
  local ok, index = pcall(self.registry[method], self.registry, value, from)
  if not ok then
    self:withdraw(new, base, before, counted)
    if type(index) == "table" then -- gbi's `unimplemented`
      index.where = errors.position(level + 1)
      error(index, 0)
    end
    error(index, errors.exhausted(index) and 0 or level + 1)
  end
  args[1], new[F].index = index, index
  return new
end

--- Registers an object that the graph needs but does not take as an input.
-- @tparam gbi.object|gbi.node value the object, an example for the runs to
-- come; or, in the graph of a condition or loop, the node of an external object
-- of the enclosing graph
-- @tparam ?gbi.source from the object's source; omit it for a node
-- @treturn gbi.node the object of the run
-- @raise the error @{gbi.registry.unimplemented} for a value that cannot be
-- held weakly
function Graph:external(value, from)
  check_self(self, "external")
  local new
  if is_node(value) and from == nil then
    local f = value[F]
    if not f.index then
      bad(2, "external", 1, ("%s is not an external object"):format(f.name))
    elseif f.graph.registry ~= self.registry then
      bad(2, "external", 1, "external object of another graph; create this "
        .. "graph with graph:subgraph")
    end
    new = self:external_node(2, f.index, f.source, f.kind, f.name)
    new[F].construct = f.construct
    return new
  elseif not source.is_source(from) then
    expected(2, "external", 2, "source", from)
  end
  new = register(self, 2, "register", last_name(from, "external"), value, from)
  return new
end

--- Registers an object that every run creates.
-- @tparam gbi.object example one such object
-- @tparam fun(index:integer,cg:gbi.codegen) construct_fn emits the code that
-- creates one
-- @treturn gbi.node the object of the run
-- @raise the error @{gbi.registry.unimplemented} for an example that cannot
-- be held weakly
function Graph:created(example, construct_fn)
  check_self(self, "created")
  if type(construct_fn) ~= "function" then
    expected(2, "created", 2, "function", construct_fn)
  end
  local new = register(self, 2, "register_created", "created", example,
    construct_fn)
  new[F].construct = construct_fn -- for copies
  return new
end


-- Looking at a graph ------------------------------------------------------

--- Iterates over the nodes in their order: `for node in graph:nodes() do`. The
-- loop may erase and insert nodes.
-- @tparam ?boolean back true to iterate backwards
-- @treturn function
-- @seed torch.fx.Graph.nodes, reversed(torch.fx.Graph.nodes)
function Graph:nodes(back)
  check_self(self, "nodes")
  return chain.nodes(self.root, back)
end

--- Finds nodes, in the order of the graph.
-- @tparam table what the `op` and `target` that the nodes must have; you can
-- omit either
-- @treturn {gbi.node,...}
-- @seed torch.fx.Graph.find\_nodes
function Graph:find_nodes(what)
  check_self(self, "find_nodes")
  if type(what) ~= "table" then expected(2, "find_nodes", 1, "table", what) end
  for key in pairs(what) do
    if key ~= "op" and key ~= "target" then
      bad(2, "find_nodes", 1, ("there is no field '%s'"):format(tostring(key)))
    end
  end
  local list = {}
  for each in chain.nodes(self.root) do
    local f = each[F]
    if (what.op == nil or f.op == what.op)
       and (what.target == nil or f.target == what.target) then
      list[#list + 1] = each
    end
  end
  return list
end

--- Formats the graph as FX prints it: `tostring(graph)`.
-- @treturn string
-- @seed torch.fx.Graph.\_\_str\_\_
function Graph:__tostring()
  return view.text(self)
end

--- Prints the graph as a table: opcode, name, target, args.
-- @tparam ?file* out default: standard output
-- @seed torch.fx.Graph.print_tabular
function Graph:print_tabular(out)
  check_self(self, "print_tabular")
  if out == nil then out = io.stdout
  elseif type(out) ~= "userdata" and type(out) ~= "table" then
    expected(2, "print_tabular", 1, "file", out)
  end
  out:write(view.tabular(self))
end

--- Formats the graph in Graphviz's language.
-- @treturn string
function Graph:to_dot()
  check_self(self, "to_dot")
  return view.dot(self)
end

--- Finds the first mistake that prevents compiling: use of a node before it is
-- made, or of a node without a value; a missing output; an index that is not
-- registered; a handle of a value that is not an external object; a source that
-- needs a missing input; a condition or loop whose graphs do not fit; a direct
-- write to a node's arguments.
-- @treturn ?boolean true, or nil
-- @treturn ?string the mistake
-- @seed torch.fx.Graph.lint
function Graph:lint()
  check_self(self, "lint")
  return lint(self)
end


-- Running a graph ---------------------------------------------------------

-- Raises the mistake that `lint` finds, at the line of the caller's caller.
local function check(self)
  local ok, reason = lint(self)
  if not ok then error(reason, 3) end
end

--- The options of `compile`.
-- @table options
-- @tfield ?fun(graph:gbi.graph,registry:gbi.registry,env:table):function
-- backend is given the graph, its registry, and `env` or nil; returns the
-- function that replaces the body, called with the run and the inputs.
-- `run[index]` is an external object of this run, or nil; `run:handle(index)`
-- returns a handle of it, like `node:handle()`. A run also has the objects that
-- the backend registers while it compiles.
-- @tfield ?table env the globals that sources find, in place of `_G`; its
-- `require` finds modules. String constants keep the methods of `string`.

--- Compiles the graph and its prologue to one Lua function.
-- @tparam ?gbi.options options
-- @treturn function of the inputs; @{gbi.traceback} tells which node of the
-- graph failed
-- @treturn string its source
-- @raise the mistake that `lint` finds
function Graph:compile(options)
  check_self(self, "compile")
  if options ~= nil and type(options) ~= "table" then
    expected(2, "compile", 1, "table", options)
  end
  options = options or {}
  for name, value in pairs(options) do
    if name ~= "backend" and name ~= "env" then
      bad(2, "compile", 1, ("there is no option '%s'"):format(tostring(name)))
    elseif name == "backend" and type(value) ~= "function" then
      bad(2, "compile", 1, "field 'backend' is not a function")
    elseif name == "env" and type(value) ~= "table" then
      bad(2, "compile", 1, "field 'env' is not a table")
    end
  end
  check(self)
  local f, text = compile(self, options.backend, options.env or self.env)
  return f, text
end

--- Returns the Lua source that `compile` generates.
-- @treturn string
-- @raise the errors of `compile`
-- @seed torch.fx.Graph.python_code
function Graph:code()
  check_self(self, "code")
  check(self)
  local _, text = compile(self)
  return text
end

--- Creates an interpreter of the graph: module @{gbi.interpreter}.
-- @function gbi.graph.interpreter
-- @tparam gbi.graph g
-- @treturn gbi.interpreter
-- @seed torch.fx.Interpreter
function graph.interpreter(g)
  if getmetatable(g) ~= Graph then
    errors.self(2, "interpreter", "gbi.graph", g)
  end
  return interpreter.new(g)
end

--- Creates an interpreter that writes a new graph.
-- @function gbi.graph.transformer
-- @tparam gbi.graph g
-- @treturn gbi.transformer
-- @seed torch.fx.Transformer
function graph.transformer(g)
  if getmetatable(g) ~= Graph then
    errors.self(2, "transformer", "gbi.graph", g)
  end
  return interpreter.transformer(g)
end

--- Writes the graph to a file, for `gbi.load_graph` in another process. The
-- file is written completely or not at all, even if several processes write it
-- at the same time.
-- @tparam string path
-- @treturn ?boolean true, or nil
-- @treturn ?string why the file cannot be written
-- @raise if an object or a function has no source from @{gbi.source}, or an
-- attribute is not plain data, that is, constants and tables that occur once;
-- the error names it
function Graph:save(path)
  check_self(self, "save")
  if type(path) ~= "string" then expected(2, "save", 1, "string", path) end
  check(self)
  local ok, reason = saved.save(self, path)
  return ok, reason
end

--- Reads a graph that `graph:save` wrote. The file is data, which is checked
-- and never executed. But running the graph calls whatever its sources find in
-- this process, even `os.execute`; pass `env` to confine them, in the graphs
-- of conditions and loops and in copies, too.
-- @function gbi.load_graph
-- @tparam string path
-- @tparam ?table options `env`: the globals that its sources find, as in
-- @{gbi.graph.options}; `bytes`, `nodes`, `depth`: the most that a file may
-- have; default: 64 MiB, 1,000,000 and 100. (`depth` limits graphs in graphs,
-- sources in sources, and tables in tables; it cannot be more than 100.)
-- @treturn ?gbi.graph
-- @treturn ?string why the file cannot be loaded
function graph.load(path, options)
  if type(path) ~= "string" then
    expected(2, "load_graph", 1, "string", path)
  elseif options ~= nil and type(options) ~= "table" then
    expected(2, "load_graph", 2, "table", options)
  end
  local limits = {}
  for name, limit in pairs(saved.LIMITS) do limits[name] = limit.most end
  for name, value in pairs(options or {}) do
    local limit = saved.LIMITS[name]
    if limit then
      if not compat.is_integer(value) or value < 0
         or limit.never_more and value > limit.most then
        bad(2, "load_graph", 2, ("field '%s' is not a valid limit"):format(
          name))
      end
      limits[name] = value
    elseif name ~= "env" then
      bad(2, "load_graph", 2, ("there is no option '%s'"):format(
        tostring(name)))
    elseif type(value) ~= "table" then
      bad(2, "load_graph", 2, "field 'env' is not a table")
    end
  end
  local new = graph.new()
  new.env = options and options.env
  return saved.load(new, path, limits)
end

require "gbi.change" -- the methods that change a graph

return graph

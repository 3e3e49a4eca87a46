--- Graphs in the manner of torch.fx: record, compile, run on fresh objects.
--
--     local g = gbi.graph.new()
--     local x, out = g:placeholder("x"), g:external(io.stdout, source)
--     g:call_method("write", out, x * 2, "\n")
--     g:output(x)
--     local f = g:compile()
--
-- A node is one of FX's: `placeholder`, `call_function`, `call_method`,
-- `get_attr`, `output`. Its arguments are nodes and constants: booleans,
-- numbers, strings and nil. All functions raise an argument error, at their
-- caller's line, for what they cannot record.
-- @classmod gbi.graph
local compat = require "gbi.compat"
local core = require "gbi.core"
local errors = require "gbi.errors"
local literal = require "gbi.literal"
local source = require "gbi.source"
local compile = require "gbi.compile"
local saved = require "gbi.saved"
local node = require "gbi.node"
local view = require "gbi.view"

compat.interpret()

local bad, expected = errors.argument, errors.expected
local operators, is_node = node.operators, node.is
local EXTERNAL = node.EXTERNAL

local graph = {}

local Graph = { __name = "gbi.graph" }
Graph.__index = Graph

-- A name for a node that no other has: its hint, hint_1, hint_2 … Returns it,
-- what it begins with, and the last number put behind that.
local function unique(self, hint)
  local base = hint:gsub("[^%w_]", "_"):gsub("^%d", "_%0")
  if not literal.is_identifier(base) then base = base .. "_" end
  local name, n = base, self.counts[base] or 0
  while self.names[name] do
    n = n + 1
    name = ("%s_%d"):format(base, n)
  end
  return name, base, n
end

-- Checks that nothing follows the output.
function Graph:check_open(level)
  if self.finished then
    error("the graph has its output, nothing can follow it", level + 1)
  end
end

-- Checks the values that a node takes: constants, and nodes of this graph of
-- which only the last may stand for many values. They are the arguments of
-- `fname` from number `first` on.
local function check_args(self, level, args, fname, first)
  for i = 1, args.n do
    local arg = args[i]
    if is_node(arg) then
      if arg.graph ~= self then
        bad(level + 1, fname, first + i - 1, "node of another graph")
      elseif not arg:has_value() then
        bad(level + 1, fname, first + i - 1, ("%s has no value"):format(
          arg.op == "output" and "an output" or "a write"))
      elseif arg:is_varargs() and i < args.n then
        bad(level + 1, fname, first + i - 1,
          "only the last argument can be '...'")
      end
    elseif not literal.is_constant(arg) then
      expected(level + 1, fname, first + i - 1, "node or constant", arg)
    end
  end
end

-- Checks a value that is one operand or object.
local function check_one(self, level, value, fname, arg)
  check_args(self, level + 1, { n = 1, value }, fname, arg)
  if is_node(value) and value:is_varargs() then
    bad(level + 1, fname, arg, "'...' is not one value")
  end
end

-- Appends a node. `hint` is what it would like to be called. What may fail
-- comes before what others can see. Returns the node, and what `withdraw`
-- needs.
function Graph:append(level, op, target, args, hint)
  self:check_open(level + 1)
  local place, name, base, n = core.place(), unique(self, hint)
  local before = self.counts[base] or 0
  local new = node.new {
    graph = self, op = op, target = target, args = args, name = name,
    place = place,
  }
  self.names[name], self.counts[base] = false, before
  self.nodes[#self.nodes + 1] = new
  self.names[name], self.counts[base] = true, n
  return new, base, before
end

-- Takes back a node that was appended. Allocates nothing.
function Graph:withdraw(each, base, before)
  local i = #self.nodes
  while self.nodes[i] ~= each do i = i - 1 end -- finalizers may have added some
  table.remove(self.nodes, i)
  self.names[each.name], self.counts[base] = false, before
end

-- What a source's object may be called: the last name in `G["io"].stdout`.
local function last_name(from, otherwise)
  return source.name(from):match("([%a_][%w_]*)[^%w_]*$") or otherwise
end

--- A new, empty graph with a registry of its own, `graph.registry`.
-- @function gbi.graph.new
-- @treturn gbi.graph
-- @seed torch.fx.Graph
function graph.new()
  return setmetatable({
    --- The registry of its external objects.
    -- @tfield gbi.registry registry
    registry = core.new(),
    nodes = {}, -- in the order they run
    names = {}, -- name -> is it taken?
    counts = {}, -- name -> the last number put behind it
    finished = false, -- is the output there?
  }, Graph)
end

--- An input.
-- @tparam string name any string, none twice; `"..."`, after all others,
-- stands for the arguments that are left: as the last argument of a call or
-- the last output
-- @treturn gbi.node
-- @seed torch.fx.Graph.placeholder
function Graph:placeholder(name)
  if type(name) ~= "string" then
    expected(2, "placeholder", 1, "string", name)
  end
  for _, other in ipairs(self.nodes) do
    if other.op == "placeholder" and other.target == name then
      bad(2, "placeholder", 1, ("input %s is there already"):format(
        literal.of(name)))
    elseif other:is_varargs() then
      bad(2, "placeholder", 1, "'...' is the last input")
    end
  end
  local new = self:append(2, "placeholder", name, { n = 0 },
    name == "..." and "varargs" or name)
  return new
end

-- Applies an operator to operands, which are the arguments of `fname` from
-- number `first` on.
function Graph:operate(level, name, fname, first, ...)
  local args, operator = compat.pack(...), operators[name]
  if args.n ~= operator.operands then
    error(("operator '%s' takes %d operands, got %d"):format(name,
      operator.operands, args.n), level + 1)
  end
  for i = 1, args.n do
    check_one(self, level + 1, args[i], fname, first + i - 1)
  end
  local new = self:append(level + 1, "call_function", name, args, name)
  return new
end

-- Calls a source's object or a node's value with the arguments of `fname` from
-- number `first` on.
function Graph:call(level, fname, first, target, ...)
  local args, hint = compat.pack(...), "call"
  if is_node(target) then
    check_one(self, level + 1, target, "call_function", 1)
    hint = target.name
  elseif source.is_source(target) then
    hint = last_name(target, hint)
  else
    expected(level + 1, "call_function", 1, "operator, source or node", target)
  end
  check_args(self, level + 1, args, fname, first)
  local new = self:append(level + 1, "call_function", target, args, hint)
  return new
end

--- A call, or an operator on its operands.
-- @tparam string|gbi.source|gbi.node target the name of an operator: `add sub
-- mul div mod pow idiv unm band bor bxor shl shr bnot concat len eq ne lt le gt
-- ge lnot getitem setitem`; a source whose object is called; or a node whose
-- value is
-- @tparam ?gbi.node|gbi.constant ... nodes and constants
-- @treturn gbi.node its first result; `node:results(n)` for more
-- @seed torch.fx.Graph.call_function
function Graph:call_function(target, ...)
  local new
  if type(target) == "string" then
    if not operators[target] then
      bad(2, "call_function", 1, ("there is no operator %s"):format(
        literal.of(target)))
    end
    new = self:operate(2, target, "call_function", 2, ...)
  else
    new = self:call(2, "call_function", 2, target, ...)
  end
  return new
end

--- A method call.
-- @tparam string name
-- @tparam gbi.node|gbi.constant object
-- @tparam ?gbi.node|gbi.constant ... nodes and constants
-- @treturn gbi.node its first result; `node:results(n)` for more
-- @seed torch.fx.Graph.call_method
function Graph:call_method(name, object, ...)
  if type(name) ~= "string" then
    expected(2, "call_method", 1, "string", name)
  end
  check_one(self, 2, object, "call_method", 2)
  local args = compat.pack(object, ...)
  check_args(self, 2, args, "call_method", 2)
  local new = self:append(2, "call_method", name, args, name)
  return new
end

--- A field of a value, `object.name`; or the value that a source obtains anew
-- in every run, which need not be an object.
-- @tparam gbi.node|gbi.constant|gbi.source object
-- @tparam ?string name none for a source
-- @treturn gbi.node
-- @seed torch.fx.Graph.get_attr
function Graph:get_attr(object, name)
  local new
  if not is_node(object) and name == nil and source.is_source(object) then
    new = self:append(2, "get_attr", object, { n = 0 },
      last_name(object, "attr"))
    return new
  end
  if type(name) ~= "string" then expected(2, "get_attr", 2, "string", name) end
  check_one(self, 2, object, "get_attr", 1)
  new = self:append(2, "get_attr", name, { n = 1, object }, name)
  return new
end

--- Writes a field, in its turn: `object[key] = value`.
-- @tparam gbi.node|gbi.constant object
-- @tparam gbi.node|gbi.constant key
-- @tparam ?gbi.node|gbi.constant value
-- @treturn gbi.node without a value
function Graph:set_item(object, key, value)
  local new = self:operate(2, "setitem", "set_item", 1, object, key, value)
  return new
end

--- The graph's results, and its end.
-- @tparam ?gbi.node|gbi.constant ... nodes and constants
-- @treturn gbi.node without a value
-- @seed torch.fx.Graph.output
function Graph:output(...)
  local args = compat.pack(...)
  check_args(self, 2, args, "output", 1)
  local last = self:append(2, "output", "output", args, "output")
  self.finished = true
  return last
end

-- Gives a node another name, which nobody else may have.
function Graph:rename(each, name)
  if each.name ~= name then
    if self.names[name] then error("name is taken: " .. name, 2) end
    self.names[each.name] = nil
    self.names[name] = true
    each.name = name
  end
end

-- Registers an external object; an error is the caller's. The node comes first:
-- that can be taken back.
local function register(self, level, method, hint, ...)
  self:check_open(level + 1)
  local args = { n = 1, 0 }
  local new, base, before = self:append(level + 1, "call_function", EXTERNAL,
    args, hint)
  local ok, index = pcall(self.registry[method], self.registry, ...)
  if not ok then
    self:withdraw(new, base, before)
    if type(index) == "table" then -- gbi's `unimplemented`
      index.where = errors.position(level + 1)
      error(index, 0)
    end
    error(index, errors.exhausted(index) and 0 or level + 1)
  end
  args[1] = index
  return new
end

--- Registers an object that the graph needs and does not take as an input.
-- @tparam gbi.object value the object, an example for the
-- runs to come
-- @tparam gbi.source from its source
-- @treturn gbi.node the object of the run
-- @raise the error @{gbi.registry.unimplemented} for a value that cannot be
-- held weakly
function Graph:external(value, from)
  if not source.is_source(from) then
    expected(2, "external", 2, "source", from)
  end
  local new = register(self, 2, "register", last_name(from, "external"),
    value, from)
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
  if type(construct_fn) ~= "function" then
    expected(2, "created", 2, "function", construct_fn)
  end
  local new = register(self, 2, "register_created", "created", example,
    construct_fn)
  return new
end


-- Looking at a graph ------------------------------------------------------

--- The graph as FX prints it: `tostring(graph)`.
-- @treturn string
-- @seed torch.fx.Graph.\_\_str\_\_
function Graph:__tostring()
  return view.text(self)
end

--- Prints the graph as a table: opcode, name, target, args.
-- @tparam ?file* out standard output otherwise
-- @seed torch.fx.Graph.print_tabular
function Graph:print_tabular(out)
  if out == nil then out = io.stdout
  elseif type(out) ~= "userdata" and type(out) ~= "table" then
    expected(2, "print_tabular", 1, "file", out)
  end
  out:write(view.tabular(self))
end

--- The graph in Graphviz's language.
-- @treturn string
function Graph:to_dot()
  return view.dot(self)
end

--- Looks for what cannot be compiled: a node used before it is made, or one
-- without a value; a missing output; an index that is not registered; a handle
-- of another value than an external object; a source that wants an input which
-- is not there.
-- @treturn ?boolean true, or nil
-- @treturn ?string what is wrong
-- @seed torch.fx.Graph.lint
function Graph:lint()
  local made, inputs, sources, finished = {}, {}, {}, false
  for index, _, _, from in self.registry:constructors() do
    sources[index] = from or false
  end
  for _, each in ipairs(self.nodes) do
    if each.op == "placeholder" then inputs[each.target] = true end
  end
  for _, each in ipairs(self.nodes) do
    local from = each.target
    if each:builtin() == EXTERNAL then
      from = sources[each.args[1]]
      if from == nil then
        return nil, ("node %s: external object %s is not registered"):format(
          each.name, tostring(each.args[1]))
      end
    elseif each:builtin() == node.HANDLE and not each:external() then
      return nil, ("node %s: only an external object has a handle"):format(
        each.name)
    end
    local name = source.missing_input(from, inputs)
    if name then
      return nil, ("node %s: L[%s] is not an input"):format(each.name,
        literal.of(name))
    elseif finished then
      return nil, ("node %s comes after the output"):format(each.name)
    end
    for _, used in each:inputs() do
      if not made[used] then
        return nil, ("node %s uses %s before it is made"):format(each.name,
          used.name)
      elseif not used:has_value() then
        return nil, ("node %s uses %s, which has no value"):format(each.name,
          used.name)
      end
    end
    made[each], finished = true, each.op == "output"
  end
  if not finished then return nil, "the graph has no output" end
  return true
end

-- The nodes that matter: those with effects, the inputs, the output, and what
-- they use.
local function live_nodes(self)
  local live = {}
  for i = #self.nodes, 1, -1 do
    local each = self.nodes[i]
    if live[each] or not each:is_pure() then
      live[each] = true
      for _, used in each:inputs() do live[used] = true end
    end
  end
  return live
end

--- Drops the nodes that nobody uses and that have no effects: all but calls,
-- writes, inputs and the output.
-- @treturn boolean were there any?
-- @seed torch.fx.Graph.eliminate\_dead\_code
function Graph:eliminate_dead_code()
  local live, kept = live_nodes(self), {}
  for _, each in ipairs(self.nodes) do
    if live[each] then kept[#kept + 1] = each end
  end
  local changed = #kept < #self.nodes
  self.nodes = kept
  return changed
end

-- Raises what `lint` finds, where the caller's caller is.
local function check(self)
  local ok, reason = self:lint()
  if not ok then error(reason, 3) end
end

--- What `compile` is told.
-- @table options
-- @tfield ?fun(graph:gbi.graph,registry:gbi.registry):function backend returns
-- what replaces the body: a function of the run and the inputs. `run[index]` is
-- an external object of this run, nil where it has none; `run:handle(index)` is
-- a handle of it, as `node:handle()` makes one.

--- Compiles the graph and its prologue to one Lua function.
-- @tparam ?gbi.options options
-- @treturn function of the inputs; @{gbi.traceback} says which node of it
-- failed
-- @treturn string its source
-- @raise what `lint` finds, before any object is obtained
function Graph:compile(options)
  if options ~= nil and type(options) ~= "table" then
    expected(2, "compile", 1, "table", options)
  end
  for name, value in pairs(options or {}) do
    if name ~= "backend" then
      bad(2, "compile", 1, ("there is no option '%s'"):format(tostring(name)))
    elseif type(value) ~= "function" then
      bad(2, "compile", 1, "field 'backend' is not a function")
    end
  end
  check(self)
  local f, text = compile(self, live_nodes(self), options and options.backend)
  return f, text
end

--- The Lua source that `compile` generates.
-- @treturn string
-- @raise what `compile` does
-- @seed torch.fx.Graph.python_code
function Graph:code()
  check(self)
  local _, text = compile(self, live_nodes(self))
  return text
end

--- Writes the graph to a file, for `gbi.load_graph` in another process.
-- @tparam string path
-- @treturn ?boolean true, or nil
-- @treturn ?string why the file cannot be written
-- @raise naming it, when an object or a function has no source of gbi's own
-- kinds
function Graph:save(path)
  if type(path) ~= "string" then expected(2, "save", 1, "string", path) end
  check(self)
  local ok, reason = saved.save(self, live_nodes(self), path)
  return ok, reason
end

--- Reads a graph that `graph:save` wrote. The file is data, checked and never
-- executed; what its sources find are the objects of this process.
-- @function gbi.load_graph
-- @tparam string path
-- @treturn ?gbi.graph
-- @treturn ?string what is wrong with the file
function graph.load(path)
  if type(path) ~= "string" then
    expected(2, "load_graph", 1, "string", path)
  end
  return saved.load(graph.new(), path)
end

return graph

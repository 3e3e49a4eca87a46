--- Runs a graph node by node, or writes a new graph node by node.
--
-- An interpreter calls a method for every live node, in order; override these
-- methods in the object. A method gets the node's target, the values of its
-- arguments (a list with its length `n`) and the node, and returns the node's
-- value.
--
--     local it = gbi.graph.interpreter(g)
--     local call_function = it.call_function
--     function it:call_function(target, args, node)
--       print(node.name)
--       return call_function(self, target, args, node)
--     end
--     print(it:run(1, 2))
--
-- The graphs of conditions and loops run by the same methods.
-- @classmod gbi.interpreter
local compat = require "gbi.compat"
local compile = require "gbi.compile"
local control = require "gbi.control"
local errors = require "gbi.errors"
local node = require "gbi.node"
local Codegen = require "gbi.codegen"

compat.interpret()

local F = node.F

local interpreter = {}

local Interpreter = { __name = "gbi.interpreter" }
Interpreter.__index = Interpreter

-- Operator -> the function that applies it, made at its first use.
local apply = setmetatable({}, {
  __index = function(self, name)
    local operator = node.operators[name]
    local text = operator.format:format("a", "b", "c")
    self[name] = assert(compat.load(("local a, b, c = ... %s%s"):format(
      operator.effect and "" or "return ", text), "=" .. name, {}))
    return self[name]
  end,
})

-- Makes an interpreter.
function interpreter.new(graph)
  return setmetatable({
    --- The graph.
    -- @tfield gbi.graph graph
    graph = graph,
  }, Interpreter)
end

-- Makes the `self` of the methods in one call of `run`. It has the fields of
-- that call, so that calls of `run` may be nested; reads of other fields, and
-- all writes of new ones, go to the interpreter.
local function derived(self, fields)
  return setmetatable(fields, { __index = self, __newindex = self })
end

-- Checks the `self` of a method that runs call.
local function check_in_run(self, fname)
  if type(self) ~= "table" then
    errors.self(3, fname, "gbi.interpreter", self)
  elseif not self.values then
    error(("'%s' is called only in a run"):format(fname), 3)
  end
end

-- Returns the value of an argument.
local function value(self, arg)
  if node.is(arg) then return self.values[arg] end
  return arg
end

-- Returns the values of a node's arguments; '...' becomes all of its values.
local function arguments(self, each)
  local args, out = each.args, { n = 0 }
  for i = 1, args.n do
    if node.is(args[i]) and node.is_varargs(args[i]) then
      local rest = self.values[args[i]]
      compat.move(rest, 1, rest.n, out.n + 1, out)
      out.n = out.n + rest.n
    else
      out.n = out.n + 1
      out[out.n] = value(self, args[i])
    end
  end
  return out
end

-- Returns the object that a source finds in this run.
local function find(self, from)
  local f = self.sources[from]
  if not f then
    local params = {}
    for i, each in ipairs(control.inputs(self.graph)) do
      params[i] = each.target
    end
    local cg = Codegen.new(params)
    cg(from)
    cg:emit("return " .. Codegen.list(cg:take(1, "interpreter")))
    f = cg:finish("gbi source", self.graph.registry, { env = self.graph.env })
    self.sources[from] = f
  end
  return (f(compat.unpack(self.inputs, 1, self.inputs.n)))
end

--- Runs the graph, with the same effects as the compiled function. Obtains the
-- external objects first, like the prologue of that function.
-- @tparam any ... the inputs
-- @treturn any the outputs
-- @raise the errors of `graph:compile`
-- @seed torch.fx.Interpreter.run
function Interpreter:run(...)
  if getmetatable(self) ~= Interpreter then
    errors.self(2, "run", "gbi.interpreter", self)
  end
  local graph = self.graph
  local ok, reason = graph:lint()
  if not ok then error(reason, 2) end
  local live = control.live(graph, {})
  local f = compile(graph, function()
    return function(run, ...)
      local inputs = compat.pack(...)
      local own = derived(self, { current = run, live = live, inputs = inputs,
        values = {}, -- node -> its value
        sources = {} }) -- source -> function of the inputs: its object
      return own:run_graph(graph, ...)
    end
  end, graph.env)
  return f(...)
end

--- Runs the graph, or the graph of a condition or loop, with these inputs.
-- @tparam gbi.graph graph
-- @tparam any ... the inputs
-- @treturn any the outputs
function Interpreter:run_graph(graph, ...)
  check_in_run(self, "run_graph")
  local inputs, taken = compat.pack(...), 0
  local own = derived(self, { values = {}, results = {}, outputs = { n = 0 },
                              given = {} }) -- the input, at a placeholder
  for each in graph:nodes() do
    if each.op == "placeholder" then
      if node.is_varargs(each) then
        own.given[1] = compat.move(inputs, taken + 1, inputs.n, 1,
          { n = math.max(0, inputs.n - taken) })
      else
        taken = taken + 1
        own.given[1] = inputs[taken]
      end
    end
    if self.live[each] then own.values[each] = own:run_node(each) end
  end
  return compat.unpack(own.outputs, 1, own.outputs.n)
end

--- Runs a node with the method for its kind.
-- @tparam gbi.node each
-- @treturn any its value
-- @seed torch.fx.Interpreter.run\_node
function Interpreter:run_node(each)
  check_in_run(self, "run_node")
  local target, op = each.target, each.op
  local args = node.builtin(each) == node.RESULT
    and { n = 2, self.results[each.args[1]], each.args[2] }
    or arguments(self, each)
  if node.is(target) then target = self.values[target] end
  if op == "output" then
    local outputs = compat.pack(self:output(target, args, each))
    compat.move(outputs, 1, outputs.n, 1, self.outputs)
    self.outputs.n = outputs.n
    return
  elseif node.is_call(each) then
    local results = compat.pack(self[op](self, target, args, each))
    self.results[each] = results
    return results[1]
  end
  return (self[op](self, target, args, each))
end

--- Runs an input.
-- @tparam string target its name
-- @tparam table args empty
-- @tparam gbi.node each
-- @treturn any its value; of `...`, a list of values with their number `n`
-- @seed torch.fx.Interpreter.placeholder
function Interpreter:placeholder(target, args, each) -- luacheck: ignore 212
  check_in_run(self, "placeholder")
  return self.given[1]
end

--- Reads a field, an attribute, or the object that a source finds.
-- @tparam string|gbi.source target
-- @tparam table args the object, if `target` is a field's name
-- @tparam gbi.node each
-- @treturn any its value
-- @seed torch.fx.Interpreter.get\_attr
function Interpreter:get_attr(target, args, each) -- luacheck: ignore 212
  check_in_run(self, "get_attr")
  if args.n > 0 then return args[1][target] end
  if type(target) == "string" then return self.graph.attributes[target] end
  return find(self, target)
end

--- Runs a call, an operator, or another target listed in
-- @{gbi.node.nodefields}.
-- @tparam any target the node's target; if that is a node, its value
-- @tparam table args the values of the arguments; for `cond` and `while_loop`
-- with their graphs; for `call_result`, all results of the call and a number
-- @tparam gbi.node each
-- @treturn any its results
-- @seed torch.fx.Interpreter.call\_function
function Interpreter:call_function(target, args, each)
  check_in_run(self, "call_function")
  if node.is(each.target) then
    return target(compat.unpack(args, 1, args.n))
  elseif type(target) ~= "string" then
    return find(self, target)(compat.unpack(args, 1, args.n))
  elseif target == node.EXTERNAL then
    return self.current[args[1]]
  elseif target == node.HANDLE then
    return self.current:handle(node.external(each))
  elseif target == node.RESULT then
    return args[1][args[2]]
  elseif target == control.COND then
    local part = args[2]
    if not args[1] then part = args[3] end
    return self:run_graph(part, compat.unpack(args, 4, args.n))
  elseif target == control.WHILE then
    local values = compat.pack(compat.unpack(args, 3, args.n))
    local n = values.n
    while self:run_graph(args[1], compat.unpack(values, 1, n)) do
      values = compat.pack(self:run_graph(args[2],
        compat.unpack(values, 1, n)))
    end
    return compat.unpack(values, 1, n)
  end
  return apply[target](args[1], args[2], args[3])
end

--- Runs a method call.
-- @tparam string target the method's name
-- @tparam table args the object, and the arguments
-- @tparam gbi.node each
-- @treturn any its results
-- @seed torch.fx.Interpreter.call\_method
function Interpreter:call_method(target, args, each) -- luacheck: ignore 212
  check_in_run(self, "call_method")
  local object = args[1]
  return object[target](object, compat.unpack(args, 2, args.n))
end

--- Runs the output.
-- @tparam string target `output`
-- @tparam table args the outputs
-- @tparam gbi.node each
-- @treturn any the outputs
-- @seed torch.fx.Interpreter.output
function Interpreter:output(target, args, each) -- luacheck: ignore 212
  check_in_run(self, "output")
  return compat.unpack(args, 1, args.n)
end


-- Transforming ------------------------------------------------------------

--- An interpreter whose values are nodes of a new graph: each method records
-- its node there. Override a method to record something else; its result
-- replaces the node.
-- @table transformer
-- @tfield gbi.graph graph the graph to read
-- @tfield gbi.graph new in the methods, the graph being written

local Transformer = {}
for name, f in pairs(Interpreter) do Transformer[name] = f end
Transformer.__name, Transformer.__index = "gbi.transformer", Transformer
Transformer.run = nil

-- Makes a transformer.
function interpreter.transformer(graph)
  return setmetatable({ graph = graph }, Transformer)
end

-- Writes a graph to an empty one.
local function transform(self, graph, new)
  local own = derived(self, { new = new, values = {}, results = {},
                              outputs = { n = 0 } })
  local done = { [new.root] = true }
  for each in graph:nodes() do
    own.values[each] = own:run_node(each)
    local made = new.root[F].prev
    while not done[made] do
      done[made], made[F].place = true, each.place
      for key, datum in pairs(each[F].meta or {}) do
        if made.meta[key] == nil then made.meta[key] = datum end
      end
      made = made[F].prev
    end
  end
  return new
end

--- Writes a new graph, which shares the registry of the old one and gets a copy
-- of its attributes. The nodes recorded for a node get its call site (see
-- `gbi.debug`) and a copy of its `meta`.
-- @function gbi.transformer:transform
-- @treturn gbi.graph
-- @seed torch.fx.Transformer.transform
function Transformer:transform()
  if getmetatable(self) ~= Transformer then
    errors.self(2, "transform", "gbi.transformer", self)
  end
  local new = self.graph:subgraph()
  new.attributes = {}
  for name, datum in pairs(self.graph.attributes) do
    new.attributes[name] = datum
  end
  return transform(self, self.graph, new)
end

-- Runs a node: its value is a node or a constant of the new graph.
function Transformer:run_node(each)
  check_in_run(self, "run_node")
  local args, target = { n = each.args.n }, each.target
  for i = 1, args.n do args[i] = value(self, each.args[i]) end
  if node.is(target) then target = self.values[target] end
  return (self[each.op](self, target, args, each))
end

function Transformer:placeholder(target)
  check_in_run(self, "placeholder")
  return self.new:placeholder(target)
end

function Transformer:get_attr(target, args)
  check_in_run(self, "get_attr")
  if args.n > 0 then return self.new:get_attr(args[1], target) end
  return self.new:get_attr(target)
end

-- Raises an error if what replaces the first argument of a node does not fit.
local function check_replaced(each, fits)
  if not fits then
    error(("node %s cannot use what replaces %s"):format(each.name,
      each.args[1].name), 0)
  end
end

function Transformer:call_function(target, args, each)
  check_in_run(self, "call_function")
  local new = self.new
  if target == node.EXTERNAL then
    return new:external(each)
  elseif target == node.HANDLE then
    check_replaced(each, node.is(args[1]) and args[1].index)
    return args[1]:handle()
  elseif target == node.RESULT then
    check_replaced(each, control.results(args[1]) >= args[2])
    return new:append(2, "call_function", target, args, each.name)
  elseif target == control.COND or target == control.WHILE then
    for i = 1, args.n do
      if node.is_graph(args[i]) then
        args[i] = transform(self, args[i], new:subgraph())
      end
    end
    return control.record(new, target, args)
  end
  return new:call_function(target, compat.unpack(args, 1, args.n))
end

function Transformer:call_method(target, args)
  check_in_run(self, "call_method")
  return self.new:call_method(target, compat.unpack(args, 1, args.n))
end

function Transformer:output(_, args)
  check_in_run(self, "output")
  return self.new:output(compat.unpack(args, 1, args.n))
end

return interpreter

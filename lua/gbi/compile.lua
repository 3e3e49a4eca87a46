--- Compiles a graph and its prologue to one Lua function.
--
-- Every value is a local of the function, named after its node; beyond Lua's
-- limit, values share locals, then they are elements of a table. So using an
-- object in the body costs no more than using a local. A run, which finds
-- objects by number, is made only for a backend.
local compat = require "gbi.compat"
local core = require "gbi.core"
local Codegen = require "gbi.codegen"
local control = require "gbi.control"
local literal = require "gbi.literal"
local node = require "gbi.node"
local source = require "gbi.source"
local view = require "gbi.view"

compat.interpret()

local MAX_RESULTS = 20 -- of one call; beyond, they are gathered in a table

local Compiler = {}
Compiler.__index = Compiler

-- Returns the expression of an argument.
function Compiler:operand(arg)
  if node.is(arg) then return self.values[arg] end
  return Codegen.constant(arg)
end

-- Stores the top in a variable named after its node, or drops it if unused.
function Compiler:keep(each)
  if not self.last_use[each] then
    self.cg:pop_top()
    return
  end
  local var = self.cg:new_var(each.name)
  self.cg:store(var)
  self.values[each], self.owned[each] = var, var
end

-- Frees the variables whose last use is in `each`.
function Compiler:free(each)
  for _, used in node.inputs(each) do
    if self.last_use[used] == each and self.owned[used] then
      self.cg:free_var(self.owned[used])
      self.owned[used] = nil
    end
  end
end

-- Pushes a call.
function Compiler:call(each)
  local cg, args = self.cg, each.args
  if each.op == "call_method" then
    for i = 1, args.n do cg:push(self:operand(args[i])) end
    cg:call_method(each.target, args.n - 1)
    return
  end
  if node.is(each.target) then cg:push(self.values[each.target])
  else cg(each.target) end
  for i = 1, args.n do cg:push(self:operand(args[i])) end
  cg:call_function(args.n)
end

-- Assigns the results of a call to their nodes, and the first one also to the
-- node of the call.
function Compiler:spread(each, results)
  local cg, vars = self.cg, {}
  if results.n > MAX_RESULTS then
    local var = cg:new_var(each.name)
    cg:collect(var)
    for i = 1, results.n do vars[i] = Codegen.field(var, i) end
  else
    for i = 1, results.n do
      vars[i] = cg:new_var(results.names[i])
    end
    cg:store_many(vars)
  end
  self.values[each] = vars[1]
  for _, result in ipairs(results) do
    self.values[result] = vars[result.args[2]]
  end
end

-- Makes variables for the first `n` results of a condition or loop: the values
-- of the results' nodes. A result without a node is named after the node in
-- `names`. Returns the variables.
function Compiler:variables(each, n, names)
  local results, vars = self.results[each] or { names = {} }, {}
  for i = 1, n do
    vars[i] = self.cg:new_var(results.names[i] or i == 1 and each.name
      or names and names[i].name)
  end
  self.values[each] = vars[1]
  for _, result in ipairs(results) do
    self.values[result] = vars[result.args[2]]
  end
  return vars
end

-- Emits the nodes of a graph in a condition or loop, with these values for its
-- inputs. Returns its outputs.
function Compiler:part(graph, values)
  for i, input in ipairs(control.inputs(graph)) do
    self.values[input] = values[i]
  end
  return self:nodes(graph)
end

-- Emits a condition.
function Compiler:cond(each)
  local cg, operands = self.cg, control.operands(each)
  for i = 1, operands.n do operands[i] = self:operand(operands[i]) end
  local used = self.results[each] and self.results[each].n
    or self.last_use[each] and 1 or 0
  local vars, what = self:variables(each, used), cg.what
  for _, var in ipairs(vars) do cg:declare(var) end
  for _, part, label in control.graphs(each) do
    if label == "then" then
      cg:open(("if %s then"):format(self:operand(each.args[1]).text))
    else
      cg:open "else"
    end
    local outputs = self:part(part, operands)
    cg:note(what)
    for i, var in ipairs(vars) do
      cg:emit(("%s = %s"):format(var.text, outputs[i].text))
    end
    cg:close(label == "else" and "end" or nil)
  end
end

-- Emits a loop, whose operands are variables.
function Compiler:while_loop(each)
  local cg, operands, what = self.cg, control.operands(each), self.cg.what
  local cond, body = each.args[1], each.args[2]
  local vars = self:variables(each, operands.n, control.inputs(body))
  for i, var in ipairs(vars) do
    cg:push(self:operand(operands[i]))
    cg:store(var)
  end
  cg:open "while true do"
  local goes_on = self:part(cond, vars)
  cg:note(what)
  cg:emit(("if not %s then break end"):format(goes_on[1].text))
  local outputs = self:part(body, vars)
  cg:note(what)
  cg:assign_all(vars, outputs)
  cg:close "end"
end

-- Emits a node that is neither input nor output nor external object.
function Compiler:emit(each)
  local cg, builtin, operator = self.cg, node.builtin(each), node.operator(each)
  if builtin == node.HANDLE then
    local list, maybe = cg:hand_on(self.values[each.args[1]],
      node.external(each))
    table.insert(maybe and self.maybe or self.lists, list)
    self:keep(each)
  elseif builtin == node.RESULT then
    return -- its call has given it a value
  elseif builtin == control.COND then
    self:cond(each)
  elseif builtin == control.WHILE then
    self:while_loop(each)
  elseif each.op == "get_attr" then
    if node.attribute(each) then
      cg:load_attribute(each.target)
    elseif each.args.n == 0 then
      cg(each.target)
    else
      cg:push(self:operand(each.args[1]))
      cg:load_attr(each.target)
    end
    self:keep(each)
  elseif operator then
    local operands = {}
    for i = 1, each.args.n do operands[i] = self:operand(each.args[i]) end
    if operator.effect then
      cg:statement(operator.format, operands)
    else
      cg:operate(operator.format, operands)
      self:keep(each)
    end
  else
    self:call(each)
    local results = self.results[each]
    if results then self:spread(each, results) else self:keep(each) end
  end
end

-- Collects, from a graph and its parts, the external objects, the results of
-- calls, and for each node the last one that uses it.
function Compiler:scan(graph)
  for each in graph:nodes() do
    if self.live[each] then
      local builtin = node.builtin(each)
      if builtin == node.EXTERNAL then
        local index = each.index
        if not self.objects[index] then
          self.objects[index] = each.name -- replaced by its variable later
          table.insert(self.indices, index)
        end
      elseif builtin == node.RESULT then
        local call, i = each.args[1], each.args[2]
        local results = self.results[call] or { n = 0, names = {} }
        table.insert(results, each)
        results.names[i] = each.name
        results.n = math.max(results.n, i)
        self.results[call] = results
      end
      for _, used in node.inputs(each) do self.last_use[used] = each end
      for _, part in control.graphs(each) do self:scan(part) end
    end
  end
end

-- Adds the external objects from index `first` on, which a backend registered
-- while it compiled. They may have no nodes.
function Compiler:add_registered(first, inputs)
  for index, _, _, from in self.registry:constructors() do
    if index >= first and self.objects[index] == nil then
      local missing = source.missing_input(from, inputs)
      if missing then
        error(("%s: L[%s] is not an input"):format(self.registry:name(index),
          literal.of(missing)), 4)
      end
      self.objects[index] = false -- no name
      table.insert(self.indices, index)
    end
  end
end

-- Emits the prologue: obtains the external objects in the order of their
-- indices.
function Compiler:prologue(registry)
  local cg, constructors = self.cg, {}
  for index, constructor in registry:constructors() do
    constructors[index] = constructor
  end
  table.sort(self.indices)
  for _, index in ipairs(self.indices) do
    local var = cg:new_var(self.objects[index])
    cg:obtain(registry, index, constructors[index], var)
    self.objects[index] = var
  end
  cg:check_held(self.indices, self.objects)
end

-- Emits the nodes of a graph, except its output. Returns the outputs.
function Compiler:nodes(graph)
  local cg, outputs = self.cg, {}
  for each in graph:nodes() do
    if each.op == "output" then
      local args = each.args
      for i = 1, args.n do outputs[i] = self:operand(args[i]) end
    elseif node.builtin(each) == node.EXTERNAL then
      self.values[each] = self.objects[each.index]
    elseif self.live[each] and each.op ~= "placeholder" then
      cg:note(self:describe(each))
      self:emit(each)
      self:free(each)
    end
  end
  return outputs
end

-- Emits the nodes, and the return of the outputs.
function Compiler:body(graph)
  local cg, outputs = self.cg, self:nodes(graph)
  cg:note(self:describe(graph:output_node()))
  cg:hand_back(self.lists, self.maybe)
  cg:emit("return " .. Codegen.list(outputs))
end

-- Emits the call of a backend's function, with the run and all inputs. Calls
-- without external objects share one run. The code uses the run and the stash
-- once more after the call, because LuaJIT does not keep a local alive after
-- its last use.
function Compiler:call_backend(inputs)
  local cg, arguments = self.cg, { Codegen.RUN }
  for i, each in ipairs(inputs) do arguments[i + 1] = self.values[each] end
  local call = ("body(%s)"):format(Codegen.list(arguments))
  local objects, last = {}, 0
  for _, index in ipairs(self.indices) do
    for i = last + 1, index - 1 do objects[i] = "false" end -- unused
    objects[index] = self.objects[index].text
    last = index
  end
  if last == 0 then
    table.insert(cg.head, "local run = enter(registry, {}, 0)")
  else
    cg:note("the run begins")
    cg:emit(("local run, stash = enter(registry, {%s}, %d)"):format(
      table.concat(objects, ", "), last))
    call = ("leave(run, stash, %s)"):format(call)
  end
  cg:note("the backend's function")
  cg:emit("return " .. call)
end

-- What a node does, for gbi.traceback: a list, because the name of an external
-- object may be long and have many users.
function Compiler:describe(each)
  local parts, seen = { literal.comment(("node %s: %s%s"):format(
    control.path(each), each.op, each.op == "output" and ""
    or " " .. view.target(each.target))) }, {}
  for _, used in node.inputs(each) do
    local index = node.external(used)
    if index and not seen[index] then
      seen[index] = true
      local name = self.named[index]
        or literal.comment(self.registry:name(index))
      self.named[index] = name
      table.insert(parts, name)
    end
  end
  if each.place then
    table.insert(parts, literal.comment("recorded at " .. each.place))
  end
  return parts
end

local function callable(value)
  local mt = getmetatable(value)
  return type(value) == "function" or type(mt) == "table" and mt.__call ~= nil
end

--- Compiles a graph that passes its `lint`.
-- @param graph
-- @tparam ?function backend see Graph:compile
-- @tparam ?table env the globals that sources find
-- @treturn function
-- @treturn string its source
local function compile(graph, backend, env)
  local body
  local last = #graph.registry
  if backend then
    body = backend(graph, graph.registry, env)
    if not callable(body) then
      error(("the backend returned a %s, not a function"):format(
        core.typename(body)), 3)
    end
  end
  local self = setmetatable({
    registry = graph.registry,
    live = control.live(graph, {}), -- the live nodes
    objects = {}, -- index -> variable of the external object
    named = {}, -- index -> name of the external object
    indices = {}, -- those of the external objects, in order
    lists = {}, -- texts of the lists of objects that are handed on
    maybe = {}, -- those that a condition or loop may have made
    results = {}, -- call -> list of its result nodes; `n`, the highest number
    -- that is used; `names`, number -> name
    last_use = {}, -- node -> the last node that uses it
    values = {}, -- node -> its expression
    owned = {}, -- node -> the variable to free after its last use
  }, Compiler)
  local inputs, params, attributes = control.inputs(graph), {}, {}
  for i, each in ipairs(inputs) do params[i] = each.target end
  for name, value in pairs(graph.attributes) do attributes[name] = value end
  self:scan(graph)
  if backend then self:add_registered(last + 1, graph.inputs) end
  self.cg = Codegen.new(params)
  for _, each in ipairs(inputs) do
    self.values[each] = self.cg.locals[each.target]
  end
  self:prologue(graph.registry)
  if body then self:call_backend(inputs) else self:body(graph) end
  local f, text = self.cg:finish(("gbi graph(%s)"):format(
    table.concat(params, ", ")), graph.registry,
    { body = body, attributes = attributes, env = env })
  return f, text
end

return compile

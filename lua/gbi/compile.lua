--- Compiles a graph and its prologue to one Lua function.
--
-- Every value is a local of the function, named after its node; beyond Lua's
-- limit, values share locals, then they are elements of a table. So an object
-- that the body uses costs no more than a local. A run, which knows objects by
-- number, is made only for a backend.
local compat = require "gbi.compat"
local core = require "gbi.core"
local Codegen = require "gbi.codegen"
local node = require "gbi.node"
local view = require "gbi.view"

compat.interpret()

local MAX_RESULTS = 20 -- of one call; beyond, they are gathered in a table
local MAX_LISTS = 30 -- in one call of hand_back


local Compiler = {}
Compiler.__index = Compiler

-- The expression of an argument.
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

-- Gives back the variables that `each` was the last to use.
function Compiler:free(each)
  for _, used in each:inputs() do
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

-- Gives the results of a call to their nodes, and the first to its own.
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

-- Emits a node that is neither input nor output nor external object.
function Compiler:emit(each)
  local cg, builtin, operator = self.cg, each:builtin(), each:operator()
  if builtin == node.HANDLE then
    local list = cg:hand_on(self.values[each.args[1]], each:external())
    table.insert(self.lists, list)
    self:keep(each)
  elseif builtin == node.RESULT then
    return -- its call has given it a value
  elseif each.op == "get_attr" then
    if each.args.n == 0 then
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

-- Collects the inputs, the external objects, the results of calls, and who is
-- the last to use a node.
function Compiler:scan(nodes, live)
  for _, each in ipairs(nodes) do
    if each.op == "placeholder" then
      table.insert(self.params, each.target)
    end
    if live[each] then
      local builtin = each:builtin()
      if builtin == node.EXTERNAL then
        table.insert(self.externals, each)
      elseif builtin == node.RESULT then
        local call, i = each.args[1], each.args[2]
        local results = self.results[call] or { n = 0, names = {} }
        table.insert(results, each)
        results.names[i] = each.name
        results.n = math.max(results.n, i)
        self.results[call] = results
      end
      for _, used in each:inputs() do self.last_use[used] = each end
    end
  end
  table.sort(self.externals, function(a, b) return a.args[1] < b.args[1] end)
end

-- Emits the prologue: obtains the external objects in the order of their
-- indices.
function Compiler:prologue(registry)
  local cg, constructors = self.cg, {}
  for index, constructor in registry:constructors() do
    constructors[index] = constructor
  end
  for _, each in ipairs(self.externals) do
    local index, var = each.args[1], cg:new_var(each.name)
    cg:obtain(registry, index, constructors[index], var)
    self.values[each] = var
  end
end

-- Emits the nodes, and the return of the outputs.
function Compiler:body(nodes, live)
  local cg = self.cg
  for _, each in ipairs(nodes) do
    if each.op == "output" then
      local outputs = {}
      for i = 1, each.args.n do outputs[i] = self:operand(each.args[i]) end
      cg:note(self:describe(each))
      for first = 1, #self.lists, MAX_LISTS do
        cg:emit(("hand_back(%s)"):format(Codegen.list(compat.move(self.lists,
          first, math.min(first + MAX_LISTS - 1, #self.lists), 1, {}))))
      end
      cg:emit("return " .. Codegen.list(outputs))
    elseif live[each] and each.op ~= "placeholder"
           and each:builtin() ~= node.EXTERNAL then
      cg:note(self:describe(each))
      self:emit(each)
      self:free(each)
    end
  end
end

-- Emits the call of a backend's function, with the run and all inputs. All
-- runs without objects are one. A run is used again when the call is over:
-- LuaJIT does not keep a local alive that is not.
function Compiler:call_backend(nodes)
  local cg, arguments = self.cg, { Codegen.RUN }
  for _, each in ipairs(nodes) do
    if each.op == "placeholder" then
      table.insert(arguments, self.values[each])
    end
  end
  local call = ("body(%s)"):format(Codegen.list(arguments))
  local objects, last = {}, 0
  for _, each in ipairs(self.externals) do
    local index = each.args[1]
    for i = last + 1, index - 1 do objects[i] = "false" end
    -- false says that there is none, so a false that was obtained is nil
    objects[index] = self.values[each].text .. " or nil"
    last = index
  end
  local enter = ("local run = enter(registry, {%s}, %d)"):format(
    table.concat(objects, ", "), last)
  if last == 0 then
    table.insert(cg.head, enter)
  else
    cg:note("the run begins")
    cg:emit(enter)
    call = ("leave(run, %s)"):format(call)
  end
  cg:note("the backend's function")
  cg:emit("return " .. call)
end

-- What a node does, for gbi.traceback.
function Compiler:describe(each)
  local parts, seen = { ("node %s: %s%s"):format(each.name, each.op,
    each.op == "output" and "" or " " .. view.target(each.target)) }, {}
  for _, used in each:inputs() do
    local index = used:external()
    if index and not seen[index] then
      seen[index] = true
      table.insert(parts, self.registry:name(index))
    end
  end
  if each.place then table.insert(parts, "recorded at " .. each.place) end
  return table.concat(parts, ", ")
end

local function callable(value)
  local mt = getmetatable(value)
  return type(value) == "function" or type(mt) == "table" and mt.__call ~= nil
end

--- Compiles a graph that passes its `lint`.
-- @param graph
-- @tparam {[node]=true,...} live the nodes that matter
-- @tparam ?function backend see Graph:compile
-- @treturn function
-- @treturn string its source
local function compile(graph, live, backend)
  local body
  if backend then
    body = backend(graph, graph.registry)
    if not callable(body) then
      error(("the backend returned a %s, not a function"):format(
        core.typename(body)), 3)
    end
  end
  local self = setmetatable({
    registry = graph.registry,
    params = {}, -- names of the inputs
    externals = {}, -- nodes of the external objects, in the order of indices
    lists = {}, -- variables of the lists of objects that are handed on
    results = {}, -- call -> list of its result nodes; `n`, the highest number
    -- that is used; `names`, number -> name
    last_use = {}, -- node -> the last one to use it
    values = {}, -- node -> its expression
    owned = {}, -- node -> the variable that is free after its last use
  }, Compiler)
  self:scan(graph.nodes, live)
  self.cg = Codegen.new(self.params)
  for _, each in ipairs(graph.nodes) do
    if each.op == "placeholder" then
      self.values[each] = self.cg.locals[each.target]
    end
  end
  self:prologue(graph.registry)
  if body then self:call_backend(graph.nodes)
  else self:body(graph.nodes, live) end
  local f, text = self.cg:finish(("gbi graph(%s)"):format(
    table.concat(self.params, ", ")), graph.registry, body)
  return f, text
end

return compile

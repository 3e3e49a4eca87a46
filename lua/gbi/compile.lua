--- Compiles a graph and its prologue to one Lua function.
--
-- Every value is a local of the function (beyond Lua's limit, an element of a
-- table), so an object that the body uses costs no more than a local. One that
-- is handed on by number gets a number of this call's own, until its end. For a
-- backend, which looks objects up by their indices, they are stored in a frame
-- of the registry, which belongs to this call alone.
local compat = require "gbi.compat"
local literal = require "gbi.literal"
local Codegen = require "gbi.codegen"
local node = require "gbi.node"

compat.interpret()

local MAX_RESULTS = 20 -- of one call; beyond, they are gathered in a table
local MAX_NUMBERS = 5000 -- that one call takes back

local Compiler = {}
Compiler.__index = Compiler

-- The expression of an argument.
function Compiler:operand(arg)
  if node.is(arg) then return self.values[arg] end
  return Codegen.constant(arg)
end

-- Names the value on the top after its node; nobody needs it, drops it.
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
  local function done(used)
    if node.is(used) and self.last_use[used] == each and self.owned[used] then
      self.cg:free_var(self.owned[used])
      self.owned[used] = nil
    end
  end
  done(each.target)
  for i = 1, each.args.n do done(each.args[i]) end
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
  if builtin == node.INDEX then
    local external = each.args[1]
    cg:number(self.values[external], external.args[1])
    self:keep(each)
    self.owned[each] = nil -- needed to the end, to take the number back
    table.insert(self.numbers, self.values[each])
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

-- What the inputs, the uses and the results of calls are.
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
      if node.is(each.target) then self.last_use[each.target] = each end
      for i = 1, each.args.n do
        local arg = each.args[i]
        if node.is(arg) then self.last_use[arg] = each end
      end
    end
  end
  table.sort(self.externals, function(a, b) return a.args[1] < b.args[1] end)
end

-- Emits the prologue: obtains the external objects in the order of their
-- indices, and stores them in a frame if a backend is to look them up.
function Compiler:prologue(graph, framed)
  local cg, constructors = self.cg, {}
  for index, constructor in graph.registry:constructors() do
    constructors[index] = constructor
  end
  local stored, last = {}, 0
  for _, each in ipairs(self.externals) do
    local index = each.args[1]
    local var = cg:new_var(each.name)
    cg:traced_as(self.at[each], function()
      cg:construct(constructors[index], "the constructor of "
        .. graph.registry:name(index))
      cg:store(var)
    end)
    self.values[each] = var
    if framed then
      for i = last + 1, index - 1 do stored[i] = "false" end
      -- a false that was obtained is no object: an error, as nil is
      stored[index], last = var.text .. " or nil", index
    end
  end
  if last > 0 then
    if cg.traced then cg:trace(0) end
    cg:enter(table.concat(stored, ", "), last)
  end
end

local function callable(value)
  local mt = getmetatable(value)
  return type(value) == "function" or type(mt) == "table" and mt.__call ~= nil
end

--- Compiles a graph that passes its `lint`.
-- @param graph
-- @tparam {[node]=true,...} live the nodes that matter
-- @tparam table options see Graph:compile
-- @treturn function
-- @treturn string its source
local function compile(graph, live, options)
  local self = setmetatable({
    params = {}, -- names of the inputs
    externals = {}, -- nodes of the external objects
    results = {}, -- call -> list of its result nodes; `n`, the highest number
    -- that is used; `names`, number -> name
    last_use = {}, -- node -> the last one to use it
    values = {}, -- node -> its expression
    numbers = {}, -- what objects are handed on by, in this run
    owned = {}, -- node -> the variable that is free after its last use
    at = {}, -- node -> its number in the run
  }, Compiler)
  self:scan(graph.nodes, live)
  local names, body = {}, nil
  for i, each in ipairs(graph.nodes) do
    self.at[each] = i
    names[i] = "node " .. each.name
    local function add(used)
      if node.is(used) and used:builtin() == node.EXTERNAL then
        names[i] = ("%s, %s"):format(names[i],
          graph.registry:name(used.args[1]))
      end
    end
    add(each)
    add(each.target)
    for k = 1, each.args.n do add(each.args[k]) end
  end
  if options.backend then
    body = options.backend(graph, graph.registry)
    if not callable(body) then
      error(("the backend returned a %s, not a function"):format(type(body)),
        3)
    end
  end
  local cg = Codegen.new(self.params, options.trace)
  self.cg, cg.may_yield = cg, true
  self:prologue(graph, body ~= nil)
  local inputs = {}
  for _, each in ipairs(graph.nodes) do
    if each.op == "placeholder" then
      self.values[each] = cg.locals[each.target]
      table.insert(inputs, self.values[each])
    end
  end
  if body then
    if cg.traced then cg:trace(0) end
    cg:return_from(("body(%s)"):format(Codegen.list(inputs)))
  else
    for i, each in ipairs(graph.nodes) do
      if each.op == "output" then
        local outputs = {}
        for k = 1, each.args.n do outputs[k] = self:operand(each.args[k]) end
        for first = 1, #self.numbers, MAX_NUMBERS do
          cg:emit(("unnumber(registry, %s)"):format(Codegen.list(compat.move(
            self.numbers, first, math.min(first + MAX_NUMBERS - 1,
              #self.numbers), 1, {}))))
        end
        cg:emit("return " .. Codegen.list(outputs))
      elseif live[each] and each.op ~= "placeholder"
             and each:builtin() ~= node.EXTERNAL then
        cg:traced_as(i, function() self:emit(each) end)
        self:free(each)
      end
    end
  end
  return cg:finish(("gbi graph, inputs: %s"):format(
    literal.comment(table.concat(self.params, ", "))), graph.registry, names,
    body)
end

return compile

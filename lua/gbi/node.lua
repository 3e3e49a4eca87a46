--- Nodes of a graph: their fields, and the operators that record.
--
-- A node stands for a value of the run. Lua's operators make nodes of nodes and
-- constants: `a + b`, `-a`, `a .. b`, `#a`. Comparisons, `not`, `and` and `or`
-- are methods, because Lua forces their results to booleans or calls no
-- metamethod for them. `len` is also a method, for Lua 5.1. If a graph cannot
-- record an operation, it raises an argument error at its caller's line.
--
-- A node's fields are read-only, and no fields can be added:
-- @{gbi.node.nodefields} lists them.
-- @classmod gbi.node
local compat = require "gbi.compat"
local errors = require "gbi.errors"
local literal = require "gbi.literal"

compat.interpret()

local node = {}

-- Lua's operators as targets of `call_function`, by the names of their
-- metamethods where there is one.
--
-- Each has its number of `operands`, a `format` of its Lua text, and the
-- `metamethod` that records it; operators without a metamethod are methods of a
-- node. Operators that this Lua lacks are left out.
local operators = {}
node.operators = operators

-- The numbers of operands of the metamethods, in all Luas.
node.overloads = {}

-- The operators that not every Lua has, each with an example: a, b and the
-- result, which needs an integer of 64 bits where the operator works on bits.
local BIG = 2 ^ 40
local EXAMPLES = {
  idiv = { 7, 2, 3 }, band = { BIG, BIG + 1, BIG }, bor = { BIG, 1, BIG + 1 },
  bxor = { BIG, 1, BIG + 1 }, shl = { 1, 40, BIG }, shr = { BIG, 40, 1 },
  bnot = { BIG, nil, -BIG - 1 },
}

-- Adds an operator if this Lua has it.
local function add_operator(name, operands, format)
  local example = EXAMPLES[name]
  node.overloads[name] = operands
  if not example or compat.is_operator(
      compat.expression(format:format("a", "b")), "__" .. name,
      example[1], example[2], example[3]) then
    operators[name] = { operands = operands, format = format,
                        metamethod = "__" .. name }
  end
end

for name, symbol in pairs {
  add = "+", sub = "-", mul = "*", div = "/", mod = "%%", pow = "^",
  idiv = "//", band = "&", bor = "|", bxor = "~", shl = "<<", shr = ">>",
  concat = "..",
} do
  add_operator(name, 2, "%s " .. symbol .. " %s")
end

for name, symbol in pairs { unm = "-", bnot = "~", len = "#" } do
  add_operator(name, 1, symbol .. "%s")
end

for name, symbol in pairs {
  eq = "==", ne = "~=", lt = "<", le = "<=", gt = ">", ge = ">=",
  land = "and", lor = "or",
} do
  operators[name] = { operands = 2, format = "%s " .. symbol .. " %s" }
end

operators.lnot = { operands = 1, format = "not %s" }
operators.getitem = { operands = 2, format = "%s[%s]" }
operators.setitem = { operands = 3, format = "%s[%s] = %s", effect = true }

-- Further targets of call_function, with their arguments: the object of an
-- external index (index); the handle of an external object in this run (node);
-- one of a call's results (call, number). See control.lua for conditions and
-- loops.
node.EXTERNAL = "get_external_object_by_index"
node.HANDLE = "external_object_handle"
node.RESULT = "call_result"

local Node = { __name = "gbi.node" }

-- A node keeps its fields under this key, so that users cannot write them:
-- graph, op, target, args, name, place, meta; index, source and kind of an
-- external object; uses, a table from each node that uses it to the number of
-- these uses; prev, next and order, see chain.lua; erased.
local F = {}
node.F = F

-- Is `value` a node?
function node.is(value)
  return getmetatable(value) == Node
end

-- The metatable of graphs, which graph.lua and change.lua fill.
local Graph = { __name = "gbi.graph" }
node.Graph = Graph

-- Is `value` a graph?
function node.is_graph(value)
  return getmetatable(value) == Graph
end

-- Adds `by`, 1 or -1, to the count of a value's uses by `user`.
local function count(value, user, by)
  if getmetatable(value) == Node then
    local uses = value[F].uses
    local n = (uses[user] or 0) + by
    -- in some Luas, assigning nil to a new key needs memory
    if n > 0 then uses[user] = n
    elseif uses[user] then uses[user] = nil end
  elseif getmetatable(value) == Graph then
    value.owner = by > 0 and user or false
  end
end

-- Adds `by`, 1 or -1, to the use counts of all inputs of a node.
function node.count(self, by)
  local f = self[F]
  count(f.target, self, by)
  for i = 1, f.args.n do count(f.args[i], self, by) end
end

-- Sets argument `i` of a node; 0 stands for its target. Only counting a new use
-- may need memory.
function node.set(self, i, value)
  local f = self[F]
  count(value, self, 1)
  if i == 0 then
    count(f.target, self, -1)
    f.target = value
  else
    count(f.args[i], self, -1)
    f.args[i] = value
  end
end

-- Makes nodes use `other`, a node or a constant, wherever they use this node.
function node.replace(self, users, other)
  if other == self then return end
  local old, new = self[F].uses, node.is(other) and other[F].uses or {}
  local before = {}
  for i, user in ipairs(users) do before[i] = new[user] or false end
  local ok, err = pcall(function()
    for _, user in ipairs(users) do new[user] = (new[user] or 0) + old[user] end
  end)
  if not ok then -- out of memory, which only a new key needs
    for i = 1, #users do
      if new[users[i]] then new[users[i]] = before[i] or nil end
    end
    error(err, 0)
  end
  for _, user in ipairs(users) do
    local f = user[F]
    if rawequal(f.target, self) then f.target = other end
    for i = 1, f.args.n do
      if f.args[i] == self then f.args[i] = other end
    end
    old[user] = nil
  end
end

local function next_input(f, i)
  for k = i + 1, f.args.n do
    local used = f.args[k]
    if k == 0 then used = f.target end
    if getmetatable(used) == Node then return k, used end
  end
end

-- Iterates over the nodes that a node uses: at 0 the node that it calls, then
-- the nodes among its arguments.
function node.inputs(self)
  return next_input, self[F], -1
end

-- Counts the uses by a new node, and adds the changed tables to a list.
local function count_inputs(self, counted)
  for _, used in node.inputs(self) do
    local uses = used[F].uses
    counted[#counted + 1] = uses
    uses[self] = (uses[self] or 0) + 1
  end
end

-- Makes a node with these fields, and counts its uses of its inputs. Returns
-- the node, and the tables that count it.
function node.new(fields)
  local self, counted = setmetatable({ [F] = fields }, Node), {}
  fields.uses = {}
  local ok, err = pcall(count_inputs, self, counted)
  if not ok then -- out of memory: calls, and nil under a new key, may fail, too
    for i = 1, #counted do
      if counted[i][self] then counted[i][self] = nil end
    end
    error(err, 0)
  end
  for i = 1, fields.args.n do
    if node.is_graph(fields.args[i]) then fields.args[i].owner = self end
  end
  return self, counted
end

-- Returns the target of a call_function if it is one of gbi's names, else nil.
function node.builtin(self)
  local f = self[F]
  return f.op == "call_function" and type(f.target) == "string" and f.target
    or nil
end
local builtin = node.builtin

-- Returns the index of the external object that the node stands for, as object
-- or handle; or nil.
function node.external(self)
  if builtin(self) == node.HANDLE then self = self[F].args[1] end
  return node.is(self) and self[F].index or nil
end

-- Returns the operator that the node applies, or nil.
function node.operator(self)
  return operators[builtin(self)]
end

-- Returns the name of the graph's attribute that the node reads, or nil.
function node.attribute(self)
  local f = self[F]
  return f.op == "get_attr" and f.args.n == 0 and type(f.target) == "string"
    and f.target or nil
end

-- Does the node stand for all remaining arguments?
function node.is_varargs(self)
  return self[F].op == "placeholder" and self[F].target == "..."
end

-- Does the node have a value?
function node.has_value(self)
  local operator = node.operator(self)
  return self[F].op ~= "output" and not (operator and operator.effect)
end

-- Does the node call something that may give several results?
function node.is_call(self)
  local f = self[F]
  return f.op == "call_method"
    or f.op == "call_function" and (type(f.target) ~= "string"
      or f.target == "cond" or f.target == "while_loop")
end


-- Reading -----------------------------------------------------------------

--- The fields of a node, `node.op`. Writing a field raises an error.
-- @table nodefields
-- @tfield string op `placeholder`, `call_function`, `call_method`, `get_attr`
-- or `output`
-- @tfield any target for a placeholder, the name of the input; for a
-- call_method, the name of the method; for a call_function, the name of an
-- operator, a source, a node whose value is called, or one of
-- `get_external_object_by_index`, `external_object_handle`, `call_result`,
-- `cond`, `while_loop`; for a get_attr, the name of the field or attribute, or
-- a source
-- @tfield table args a list of nodes, constants and (for `cond` and
-- `while_loop`) graphs, with its length `n`; `node:update_arg` changes it
-- @tfield string name an identifier that no other node of the graph has
-- @tfield gbi.graph graph the graph that contains the node
-- @tfield {gbi.node,...} users a new list of the nodes that use this one, in
-- the order of the graph
-- @tfield {gbi.node,...} inputs a new list of the nodes that this one uses,
-- each once
-- @tfield table meta a table for your own data
-- @tfield ?gbi.node prev the node before it
-- @tfield ?gbi.node next the node after it
-- @tfield ?string place the call site that recorded it, after `gbi.debug(true)`
-- @tfield ?integer index of an external object
-- @tfield ?gbi.source source of an external object that is not created
-- @tfield ?string kind of an external object: `user` or `graph_created`
-- @seed the attributes of torch.fx.Node: op, target, args, name, graph, users,
-- all\_input\_nodes, meta, prev, next, stack\_trace

local PLAIN = { op = true, target = true, args = true, name = true,
                graph = true, place = true, index = true, source = true,
                kind = true }

local COMPUTED = {}

function COMPUTED.users(f)
  local list = {}
  for user in pairs(f.uses) do list[#list + 1] = user end
  table.sort(list, function(a, b) return a[F].order < b[F].order end)
  return list
end

function COMPUTED.inputs(_, self)
  local list, seen = {}, {}
  for _, used in node.inputs(self) do
    if not seen[used] then
      seen[used] = true
      list[#list + 1] = used
    end
  end
  return list
end

function COMPUTED.meta(f)
  f.meta = f.meta or {}
  return f.meta
end

function COMPUTED.prev(f)
  return f.prev and f.prev[F].op and f.prev or nil
end

function COMPUTED.next(f)
  return f.next and f.next[F].op and f.next or nil
end

local function key_text(key)
  return literal.is_constant(key) and literal.of(key) or tostring(key)
end

local methods = {}

function Node:__index(key)
  local f = self[F]
  if PLAIN[key] then return f[key] end
  local method = methods[key]
  if method then return method end
  local compute = COMPUTED[key]
  if compute then return compute(f, self) end
  local x, text = f.name, key_text(key)
  if type(key) ~= "string" then
    error(("node %s has no field %s; to read an element of its value, use "
      .. "%s:getitem(%s)"):format(x, text, x, text), 2)
  end
  error(("node %s has no field %s; to read a field of its value, use "
    .. "%s:getitem(%s) or g:get_attr(%s, %s); to call a method of its value, "
    .. "use g:call_method(%s, %s, ...)"):format(
    x, text, x, text, x, text, text, x), 2)
end

local INSTEAD = { args = "node:update_arg", target = "node:set_target",
                  users = "node:update_arg of the users",
                  inputs = "node:update_arg", meta = "a field of node.meta" }

function Node:__newindex(key)
  local x, text = self[F].name, key_text(key)
  if PLAIN[key] or COMPUTED[key] then
    error(("field %s of node %s is read-only%s"):format(text, x,
      INSTEAD[key] and "; use " .. INSTEAD[key] or ""), 2)
  end
  error(("node %s has no field %s; to write a field of its value, use "
    .. "g:set_item(%s, %s, value)"):format(x, text, x, text), 2)
end

-- Raises an error where Lua would compare or iterate over the node, not over
-- its value.
local function refuse(message, level)
  return function() error(message, level or 2) end
end

Node.__lt = refuse "a graph cannot record x < y: use x:lt(y) or x:gt(y)"
Node.__le = refuse "a graph cannot record x <= y: use x:le(y) or x:ge(y)"
Node.__pairs = refuse("a graph cannot record pairs(x): record a call of pairs",
  3)
Node.__ipairs = refuse(
  "a graph cannot record ipairs(x): record a call of ipairs", 3)

function Node:__tostring()
  return self[F].name
end

-- Raises the argument error for a method that was called without its node.
local function check_self(self, fname)
  if getmetatable(self) ~= Node then
    errors.self(3, fname, "gbi.node", self)
  end
end
node.check_self = check_self

--- Does the node have effects, so that it stays even if it has no users? Calls,
-- writes, inputs, the output, conditions and loops have effects.
-- @treturn boolean
-- @seed torch.fx.Node.is\_impure
function methods:is_impure()
  check_self(self, "is_impure")
  if self[F].op == "get_attr" then return false end
  local operator = node.operator(self)
  if operator then return operator.effect == true end
  return builtin(self) == nil or node.is_call(self)
end


-- Recording ---------------------------------------------------------------

--- Records a handle of an external object, a number to pass to other code. It
-- is a handle of `gbi.handles` that finds the object of this run and no other,
-- from any coroutine or C callback, until the run ends. The handles of a run
-- that failed or was abandoned are dead after the next full collection. (A
-- coroutine that failed keeps its stack, and with it the handles of its run, as
-- long as something refers to the coroutine.)
-- @treturn gbi.node
-- @raise if the node is not an external object
function methods:handle()
  check_self(self, "handle")
  if builtin(self) ~= node.EXTERNAL then
    error("only an external object has a handle", 2)
  end
  self.graph:check_args(2, { n = 1, self }, "handle", 0)
  local new = self.graph:append(2, "call_function", node.HANDLE,
    { n = 1, self }, self.name .. "_handle")
  return new
end

--- Records the first `n` results of a call, a condition or a loop, each as a
-- node of its own.
-- @tparam integer n from 1 to 200
-- @treturn gbi.node ... `n` nodes
-- @raise if the node is not a call, or is a condition or loop with fewer
-- results
function methods:results(n)
  check_self(self, "results")
  local most = require "gbi.control".results(self)
  if not node.is_call(self) then
    error(("%s is not a call; it has one value"):format(self.name), 2)
  elseif most == 0 then
    error(("%s has no result"):format(self.name), 2)
  end
  if not compat.is_integer(n) or n < 1 or n > most then
    errors.argument(2, "results", 1, ("number from 1 to %d expected"):format(
      most))
  end
  local graph, nodes, taken = self.graph, {}, {}
  graph:check_open(2, graph.point)
  graph:check_args(2, { n = 1, self }, "results", 0)
  local ok, err = pcall(function()
    for i = 1, n do
      taken[i] = { self.name .. "_" .. i, 0, 0 } -- later writes cannot fail
      nodes[i] = false
    end
    for i = 1, n do
      nodes[i], taken[i][1], taken[i][2], taken[i][3] = graph:append(2,
        "call_function", node.RESULT, { n = 2, self, i }, taken[i][1])
    end
  end)
  if not ok then -- out of memory
    for i = n, 1, -1 do
      if nodes[i] then
        graph:withdraw(nodes[i], taken[i][1], taken[i][2], taken[i][3])
      end
    end
    error(err, 0)
  end
  return compat.unpack(nodes)
end

--- The node of `a == b`.
-- @function Node:eq
-- @tparam ?gbi.node|gbi.constant b
-- @treturn gbi.node

--- The node of `a ~= b`.
-- @function Node:ne
-- @tparam ?gbi.node|gbi.constant b
-- @treturn gbi.node

--- The node of `a < b`.
-- @function Node:lt
-- @tparam ?gbi.node|gbi.constant b
-- @treturn gbi.node

--- The node of `a <= b`.
-- @function Node:le
-- @tparam ?gbi.node|gbi.constant b
-- @treturn gbi.node

--- The node of `a > b`.
-- @function Node:gt
-- @tparam ?gbi.node|gbi.constant b
-- @treturn gbi.node

--- The node of `a >= b`.
-- @function Node:ge
-- @tparam ?gbi.node|gbi.constant b
-- @treturn gbi.node

--- The node of `a and b`, of two values that are both evaluated before; use
-- `graph:cond` to evaluate one only if needed.
-- @function Node:land
-- @tparam ?gbi.node|gbi.constant b
-- @treturn gbi.node

--- The node of `a or b`, of two values that are both evaluated before.
-- @function Node:lor
-- @tparam ?gbi.node|gbi.constant b
-- @treturn gbi.node

--- The node of `a[b]`.
-- @function Node:getitem
-- @tparam ?gbi.node|gbi.constant b
-- @treturn gbi.node

--- The node of `not a`.
-- @function Node:lnot
-- @treturn gbi.node

--- The node of `#a`; in Lua 5.1, `#a` itself does not record.
-- @function Node:len
-- @treturn gbi.node

-- Makes a metamethod. (Lua passes a single operand twice.)
local function overload(name, operator)
  if operator.operands == 1 then
    return function(a)
      local new = a.graph:operate(2, name, name, 1, a)
      return new
    end
  end
  return function(a, b)
    local graph = (node.is(a) and a or b)[F].graph
    local new = graph:operate(2, name, name, 1, a, b)
    return new
  end
end

-- Makes a method; its arguments are the operands after the node.
local function method(name, operator)
  return function(a, ...)
    check_self(a, name)
    local n = select("#", ...)
    if n < operator.operands - 1 then
      errors.argument(2, name, 1, "node or constant expected, got no value")
    elseif n >= operator.operands then
      errors.argument(2, name, operator.operands,
        "no argument expected")
    end
    local new = a.graph:operate(2, name, name, 0, a, ...)
    return new
  end
end

for name, operator in pairs(operators) do
  if operator.metamethod then
    Node[operator.metamethod] = overload(name, operator)
  end
  if (not operator.metamethod and operator.operands < 3) or name == "len" then
    -- before Lua 5.2, `#` calls no metamethod of a table
    methods[name] = method(name, operator)
  end
end

--- Records a call of the function that the node stands for: `f(a, b)`.
-- @tparam ?gbi.node|gbi.constant ... nodes and constants
-- @treturn gbi.node its first result; `node:results(n)` for more
function Node:__call(...)
  local new = self.graph:call(2, self.name, 1, self, ...)
  return new
end


-- Changing ----------------------------------------------------------------

-- Checks that a node with these fields was not erased.
local function check_there(f)
  if f.erased then error(("node %s was erased"):format(f.name), 3) end
end

--- Replaces an argument.
-- @function Node:update_arg
-- @tparam integer i from 1 to `node.args.n`
-- @tparam ?gbi.node|gbi.constant|gbi.graph value a node must come before this
-- one
-- @raise if the node cannot have that argument; nothing is changed then
-- @seed torch.fx.Node.update\_arg

function methods:update_arg(i, ...) -- the value must be given, even nil
  check_self(self, "update_arg")
  local f, value = self[F], ...
  check_there(f)
  if not compat.is_integer(i) or i < 1 or i > f.args.n then
    errors.argument(2, "update_arg", 1,
      ("%s has no such argument"):format(f.name))
  elseif select("#", ...) == 0 then
    errors.argument(2, "update_arg", 2, "value expected, got no value")
  end
  f.graph:check_input(2, self, i, value, "update_arg", 2)
  node.set(self, i, value)
end

--- Replaces the target of a node, `node.target`.
-- @tparam string|gbi.source|gbi.node target of the same kind as before: an
-- operator can only be replaced by one with as many operands
-- @raise if the node cannot have that target; nothing is changed then
function methods:set_target(target)
  check_self(self, "set_target")
  local f = self[F]
  check_there(f)
  f.graph:check_target(2, self, target)
  if f.op == "placeholder" and target ~= f.target then
    f.graph.inputs[target] = self
    f.graph.inputs[f.target] = nil
  end
  node.set(self, 0, target)
end

--- Makes the users of this node use another node, or a constant, in its place.
-- If `other` is itself a user, it is not changed.
-- @function Node:replace_all_uses_with
-- @tparam ?gbi.node|gbi.constant other must come before all users to change
-- @tparam ?fun(user:gbi.node):boolean filter selects the users to change;
-- default: all
-- @treturn {gbi.node,...} the users that were changed, in the graph's order
-- @raise if a user cannot use `other`; nothing is changed then
-- @seed torch.fx.Node.replace\_all\_uses\_with

function methods:replace_all_uses_with(...) -- `other` must be given
  check_self(self, "replace_all_uses_with")
  local other, filter = ...
  if select("#", ...) == 0 then
    errors.argument(2, "replace_all_uses_with", 1,
      "node or constant expected, got no value")
  elseif filter ~= nil and type(filter) ~= "function" then
    errors.expected(2, "replace_all_uses_with", 2, "function", filter)
  end
  local changed, graph = {}, self[F].graph
  for _, user in ipairs(COMPUTED.users(self[F])) do
    if user ~= other and (filter == nil or filter(user)) then
      changed[#changed + 1] = user
    end
  end
  for _, user in ipairs(changed) do
    for i, used in node.inputs(user) do
      if used == self then
        graph:check_input(2, user, i, other, "replace_all_uses_with", 1)
      end
    end
  end
  node.replace(self, changed, other)
  return changed
end

return node

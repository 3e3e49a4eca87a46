--- Nodes of a graph: what a user reads, and the operators that record.
--
-- A node stands for a value of the run. Lua's operators make nodes of nodes and
-- constants: `a + b`, `-a`, `a .. b`, `#a`. Comparisons, `not`, `and` and `or`
-- are methods, because Lua forces their results to booleans or does not ask. So
-- is `len`, for Lua 5.1. All raise an argument error, at their caller's line,
-- for what a graph cannot record.
--
-- A node's fields are read-only, and there are no others:
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
-- Each has its `operands`, a `format` of its Lua text, and the `metamethod`
-- that makes a node of nodes; those without one are methods of a node. None
-- that this Lua does not have.
local operators = {}
node.operators = operators

-- How many operands the metamethods have, those of all Luas.
node.overloads = {}

for name, symbol in pairs {
  add = "+", sub = "-", mul = "*", div = "/", mod = "%%", pow = "^",
  idiv = "//", band = "&", bor = "|", bxor = "~", shl = "<<", shr = ">>",
  concat = "..",
} do
  node.overloads[name] = 2
  if compat.parses(("return 1 " .. symbol .. " 1"):format()) then
    operators[name] = { operands = 2, format = "%s " .. symbol .. " %s",
                        metamethod = "__" .. name }
  end
end

for name, symbol in pairs {
  eq = "==", ne = "~=", lt = "<", le = "<=", gt = ">", ge = ">=",
  land = "and", lor = "or",
} do
  operators[name] = { operands = 2, format = "%s " .. symbol .. " %s" }
end

for name, symbol in pairs { unm = "-", bnot = "~", len = "#" } do
  node.overloads[name] = 1
  if compat.parses("return " .. symbol .. "1") then
    operators[name] = { operands = 1, format = symbol .. "%s",
                        metamethod = "__" .. name }
  end
end

operators.lnot = { operands = 1, format = "not %s" }
operators.getitem = { operands = 2, format = "%s[%s]" }
operators.setitem = { operands = 3, format = "%s[%s] = %s", effect = true }

-- Further targets of call_function: the object of an external index (an
-- argument: the index), the handle of an external object in this run (the
-- node), one of a call's results (the call, its number); see control.lua for
-- conditions and loops.
node.EXTERNAL = "get_external_object_by_index"
node.HANDLE = "external_object_handle"
node.RESULT = "call_result"

local Node = { __name = "gbi.node" }

-- A node keeps its fields under this key, so that none can be written: graph,
-- op, target, args, name, place, meta; index, source and kind of an external
-- object; uses, a set of the nodes that use it, each with how often; prev,
-- next and order, see chain.lua; erased.
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

-- Counts that `user` uses a value once more or once less.
local function count(value, user, by)
  if getmetatable(value) == Node then
    local uses = value[F].uses
    local n = (uses[user] or 0) + by
    -- nil under a new key needs memory in some Luas
    if n > 0 then uses[user] = n
    elseif uses[user] then uses[user] = nil end
  elseif getmetatable(value) == Graph then
    value.owner = by > 0 and user or false
  end
end

-- Counts all inputs of a node, once more or once less.
function node.count(self, by)
  local f = self[F]
  count(f.target, self, by)
  for i = 1, f.args.n do count(f.args[i], self, by) end
end

-- Sets an argument of a node, or (number 0) its target. Nothing else changes
-- the inputs of a node.
function node.set(self, i, value)
  local f = self[F]
  if i == 0 then
    count(f.target, self, -1)
    f.target = value
  else
    count(f.args[i], self, -1)
    f.args[i] = value
  end
  count(value, self, 1)
end

local function next_input(f, i)
  for k = i + 1, f.args.n do
    local used = f.args[k]
    if k == 0 then used = f.target end
    if getmetatable(used) == Node then return k, used end
  end
end

-- Iterates over the nodes that a node uses: at 0 the one that it calls, then
-- those among its arguments.
function node.inputs(self)
  return next_input, self[F], -1
end

-- Counts the inputs of a new node, and adds what counts them to a list.
local function count_inputs(self, counted)
  for _, used in node.inputs(self) do
    local uses = used[F].uses
    counted[#counted + 1] = uses
    uses[self] = (uses[self] or 0) + 1
  end
end

-- A node of these fields, which its inputs count as a use. Returns it, and the
-- tables that count it.
function node.new(fields)
  local self, counted = setmetatable({ [F] = fields }, Node), {}
  fields.uses = {}
  local ok, err = pcall(count_inputs, self, counted)
  if not ok then -- out of memory: a call might fail, too, and nil as a new key
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

-- The name of what a call_function calls if gbi knows it, else nil.
function node.builtin(self)
  local f = self[F]
  return f.op == "call_function" and type(f.target) == "string" and f.target
    or nil
end
local builtin = node.builtin

-- The index of the external object that the node stands for, itself or by
-- number; or nil.
function node.external(self)
  if builtin(self) == node.HANDLE then self = self[F].args[1] end
  return node.is(self) and self[F].index or nil
end

-- The operator that this node applies, or nil.
function node.operator(self)
  return operators[builtin(self)]
end

-- Does the node stand for all arguments that are left?
function node.is_varargs(self)
  return self[F].op == "placeholder" and self[F].target == "..."
end

-- Has the node a value to be used?
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

-- What a graph calls the node: "cond.then.add" in the graph of a condition.
function node.path(self)
  local parts, graph = { self[F].name }, self[F].graph
  while graph and graph.owner do
    local owner = graph.owner
    for _, part, label in require "gbi.control".graphs(owner) do
      if part == graph then table.insert(parts, 1, label) end
    end
    table.insert(parts, 1, owner[F].name)
    graph = owner[F].graph
  end
  return table.concat(parts, ".")
end


-- Reading -----------------------------------------------------------------

--- The fields of a node, `node.op`. Writing one raises.
-- @table nodefields
-- @tfield string op `placeholder`, `call_function`, `call_method`, `get_attr`
-- or `output`
-- @tfield any target of a placeholder the input's name; of a call_method the
-- method's; of a call_function an operator's name, a source, a node whose value
-- is called, or one of `get_external_object_by_index`,
-- `external_object_handle`, `call_result`, `cond`, `while_loop`; of a get_attr
-- the field's or the attribute's name, or a source
-- @tfield table args a list of nodes, constants and (of `cond` and
-- `while_loop`) graphs, its length is `n`; `node:update_arg` changes it
-- @tfield string name an identifier that no other node of the graph has
-- @tfield gbi.graph graph the graph it is in
-- @tfield {gbi.node,...} users a new list of the nodes that use it, in the
-- order of the graph
-- @tfield {gbi.node,...} inputs a new list of the nodes that it uses, each once
-- @tfield table meta a table of yours
-- @tfield ?gbi.node prev the node before it
-- @tfield ?gbi.node next the node after it
-- @tfield ?string place where it was recorded, after `gbi.debug(true)`
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
    error(("node %s has no field %s; for the value's write %s:getitem(%s)")
      :format(x, text, x, text), 2)
  end
  error(("node %s has no field %s; for the value's write %s:getitem(%s), "
    .. "g:get_attr(%s, %s), or to call it g:call_method(%s, %s, ...)"):format(
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
  error(("node %s has no field %s; to write the value's use g:set_item(%s, "
    .. "%s, value)"):format(x, text, x, text), 2)
end

-- What Lua would answer with something that is not the value's.
local function refuse(message, level)
  return function() error(message, level or 2) end
end

Node.__lt = refuse "a graph cannot see x < y: use x:lt(y) or x:gt(y)"
Node.__le = refuse "a graph cannot see x <= y: use x:le(y) or x:ge(y)"
Node.__pairs = refuse("a graph cannot see pairs(x): call pairs in the graph",
  3)
Node.__ipairs = refuse("a graph cannot see ipairs(x): call ipairs in the graph",
  3)

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

--- Has the node effects, so that it stays though nobody uses it? Calls, writes,
-- inputs, the output, conditions and loops have.
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

--- Hands an external object on as a number: a handle of `gbi.handles`, which
-- finds the object of this run and no other, from any coroutine or C callback,
-- until the run ends. The handles of a run that failed or was dropped are dead
-- after the next full collection. (A coroutine that failed, and that somebody
-- still holds, keeps its stack and with it the handles of its run.)
-- @treturn gbi.node
-- @raise when the node is not an external object
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

--- The first `n` results of a call, each a node of its own; also of a
-- condition or a loop.
-- @tparam integer n from 1 to 200
-- @treturn gbi.node ... `n` nodes
-- @raise when the node is no call, or a condition or loop with fewer results
function methods:results(n)
  check_self(self, "results")
  local most = 200
  if not node.is_call(self) then
    error(("%s is not a call, it has one value"):format(self.name), 2)
  elseif builtin(self) then
    most = require "gbi.control".results(self)
    if most == 0 then
      error(("%s has no result"):format(self.name), 2)
    end
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
      taken[i] = { self.name .. "_" .. i, 0, 0 } -- noting them cannot fail
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

--- The node of `a and b`, of two values that are there already; `graph:cond`
-- is for a value that is not always wanted.
-- @function Node:land
-- @tparam ?gbi.node|gbi.constant b
-- @treturn gbi.node

--- The node of `a or b`, of two values that are there already.
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

--- The node of `#a`, which is none in Lua 5.1.
-- @function Node:len
-- @treturn gbi.node

-- A metamethod. (Lua gives a single operand twice.)
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

-- A method; the operands after the node are its arguments.
local function method(name, operator)
  return function(a, ...)
    check_self(a, name)
    local n = select("#", ...)
    if n < operator.operands - 1 then
      errors.argument(2, name, 1, "node or constant expected, got no value")
    elseif n >= operator.operands then
      errors.argument(2, name, operator.operands,
        "nothing expected here")
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
    -- `#` asks no table's metamethod before Lua 5.2
    methods[name] = method(name, operator)
  end
end

--- A node is called like the function it stands for: `f(a, b)`.
-- @tparam ?gbi.node|gbi.constant ... nodes and constants
-- @treturn gbi.node its first result; `node:results(n)` for more
function Node:__call(...)
  local new = self.graph:call(2, self.name, 1, self, ...)
  return new
end


-- Changing ----------------------------------------------------------------

--- Replaces an argument.
-- @tparam integer i from 1 to `node.args.n`
-- @tparam ?gbi.node|gbi.constant|gbi.graph value a node comes before this one
-- @raise when the node cannot have that argument; nothing is changed then
-- @seed torch.fx.Node.update\_arg
function methods:update_arg(i, value)
  check_self(self, "update_arg")
  local f = self[F]
  if not compat.is_integer(i) or i < 1 or i > f.args.n then
    errors.argument(2, "update_arg", 1,
      ("number of an argument of %s expected"):format(f.name))
  end
  f.graph:check_input(2, self, i, value, "update_arg", 2)
  node.set(self, i, value)
end

--- Replaces what a node calls, reads or is named after: `node.target`.
-- @tparam string|gbi.source|gbi.node target of the same kind: for another
-- operator, one with as many operands
-- @raise when the node cannot have that target; nothing is changed then
function methods:set_target(target)
  check_self(self, "set_target")
  local f = self[F]
  f.graph:check_target(2, self, target)
  if f.op == "placeholder" then
    f.graph.inputs[f.target] = nil
    f.graph.inputs[target] = self
  end
  node.set(self, 0, target)
end

--- Lets the users of this node use another one, or a constant, in its place.
-- `other` itself goes on using the node.
-- @tparam ?gbi.node|gbi.constant other comes before all those users
-- @tparam ?fun(user:gbi.node):boolean filter which users? All otherwise
-- @treturn {gbi.node,...} the users that were changed, in the graph's order
-- @raise when a user cannot use `other`; nothing is changed then
-- @seed torch.fx.Node.replace\_all\_uses\_with
function methods:replace_all_uses_with(other, filter)
  check_self(self, "replace_all_uses_with")
  local changed, graph = {}, self[F].graph
  for _, user in ipairs(COMPUTED.users(self[F])) do
    if user ~= other and (filter == nil or filter(user)) then
      changed[#changed + 1] = user
    end
  end
  for pass = 1, 2 do -- looks at all, then changes all
    for _, user in ipairs(changed) do
      for i, used in node.inputs(user) do
        if used ~= self then i = nil end
        if i and pass == 1 then
          graph:check_input(2, user, i, other, "replace_all_uses_with", 1)
        elseif i then node.set(user, i, other) end
      end
    end
  end
  return changed
end

return node

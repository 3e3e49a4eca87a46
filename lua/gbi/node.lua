--- Nodes of a graph, and what gbi's graphs can call without a source.
--
-- A node stands for a value of the run. Lua's operators make nodes of nodes and
-- constants: `a + b`, `-a`, `a .. b`, `#a`; those that Lua makes booleans of
-- are methods, and so is `len`, for Lua 5.1. All raise an argument error, at
-- their caller's line, for what a graph cannot record.
-- @classmod gbi.node
local compat = require "gbi.compat"
local errors = require "gbi.errors"

local node = {}

-- Lua's operators as targets of `call_function`, by the names of their
-- metamethods where there is one.
--
-- Each has its `operands`, a `format` of its Lua text, and the `metamethod`
-- that makes a node of nodes; those without one are methods of a node, since
-- Lua turns what their metamethods return into a boolean. None that this Lua
-- does not have.
local operators = {}
node.operators = operators

-- How many operands the metamethods have, those of all Luas.
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
local function overload(name, operands, format)
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
  overload(name, 2, "%s " .. symbol .. " %s")
end

for name, symbol in pairs { unm = "-", bnot = "~", len = "#" } do
  overload(name, 1, symbol .. "%s")
end

for name, symbol in pairs {
  eq = "==", ne = "~=", lt = "<", le = "<=", gt = ">", ge = ">=",
} do
  operators[name] = { operands = 2, format = "%s " .. symbol .. " %s" }
end

operators.lnot = { operands = 1, format = "not %s" }
operators.getitem = { operands = 2, format = "%s[%s]" }
operators.setitem = { operands = 3, format = "%s[%s] = %s", effect = true }

-- Further targets of call_function: the object of an external index (an
-- argument: the index), the handle of an external object in this run (the
-- node), and one of a call's results (the call, its number).
node.EXTERNAL = "get_external_object_by_index"
node.HANDLE = "external_object_handle"
node.RESULT = "call_result"

-- A node. Fields: graph, op, target, args (a list with its length `n`), name,
-- and place, where it was recorded, if that was noted.
local Node = { __name = "gbi.node" }
Node.__index = Node

-- A node of these fields.
function node.new(fields)
  return setmetatable(fields, Node)
end

-- Is `value` a node?
function node.is(value)
  return getmetatable(value) == Node
end

-- The name of what a call_function calls if gbi knows it, else nil.
function Node:builtin()
  return self.op == "call_function" and type(self.target) == "string"
    and self.target or nil
end

local function next_input(self, i)
  for k = i + 1, self.args.n do
    local used = self.args[k]
    if k == 0 then used = self.target end
    if node.is(used) then return k, used end
  end
end

-- Iterates over the nodes that a node uses: at 0 the one that it calls, then
-- those among its arguments.
function Node:inputs()
  return next_input, self, -1
end

-- The index of the external object that the node stands for, itself or by
-- number; or nil.
function Node:external()
  local of = self
  if self:builtin() == node.HANDLE then of = self.args[1] end
  return node.is(of) and of:builtin() == node.EXTERNAL and of.args[1] or nil
end

-- The operator that this node applies, or nil.
function Node:operator()
  return operators[self:builtin()]
end

-- Does the node stand for all arguments that are left?
function Node:is_varargs()
  return self.op == "placeholder" and self.target == "..."
end

-- May the node be dropped when nobody uses it?
function Node:is_pure()
  if self.op == "get_attr" then return true end
  local operator = self:operator()
  if operator then return not operator.effect end
  return self:builtin() ~= nil
end

-- Has the node a value to be used?
function Node:has_value()
  local operator = self:operator()
  return self.op ~= "output" and not (operator and operator.effect)
end

-- Does the node call something?
function Node:is_call()
  return self.op == "call_method"
    or self.op == "call_function" and not self:builtin()
end

--- Hands an external object on as a number: a handle of `gbi.handles`, which
-- finds the object of this run and no other, from any coroutine or C callback,
-- until the run ends. The handles of a run that failed or was dropped are dead
-- after the next full collection.
-- @treturn gbi.node
-- @raise when the node is not an external object
function Node:handle()
  if self:builtin() ~= node.EXTERNAL then
    error("only an external object has a handle", 2)
  end
  local new = self.graph:append(2, "call_function", node.HANDLE,
    { n = 1, self }, self.name .. "_handle")
  return new
end

--- The first `n` results of a call, each a node of its own.
-- @tparam integer n from 1 to 200
-- @treturn gbi.node ... `n` nodes
-- @raise when the node is no call
function Node:results(n)
  if not self:is_call() then
    error(("%s is not a call, it has one value"):format(self.name), 2)
  elseif not compat.is_integer(n) or n < 1 or n > 200 then
    errors.argument(2, "results", 1, "number from 1 to 200 expected")
  end
  local graph, nodes, taken = self.graph, {}, {}
  graph:check_open(2)
  local ok, err = pcall(function()
    for i = 1, n do
      taken[i] = { self.name .. "_" .. i, 0 } -- so that noting them cannot fail
      nodes[i] = false
    end
    for i = 1, n do
      nodes[i], taken[i][1], taken[i][2] = graph:append(2, "call_function",
        node.RESULT, { n = 2, self, i }, taken[i][1])
    end
  end)
  if not ok then -- out of memory
    for i = n, 1, -1 do
      if nodes[i] then graph:withdraw(nodes[i], taken[i][1], taken[i][2]) end
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

-- What applies an operator; `first` is the number that an error gives `a`.
local function applying(name, operator, first)
  return function(a, b)
    local graph = (node.is(a) and a or b).graph
    local new
    if operator.operands == 1 then -- Lua gives the operand twice
      new = graph:operate(2, name, name, first, a)
    else
      new = graph:operate(2, name, name, first, a, b)
    end
    return new
  end
end

for name, operator in pairs(operators) do
  if operator.metamethod then
    Node[operator.metamethod] = applying(name, operator, 1)
  end
  if (not operator.metamethod and operator.operands < 3) or name == "len" then
    -- `#` asks no table's metamethod before Lua 5.2
    Node[name] = applying(name, operator, 0)
  end
end

--- A node is called like the function it stands for: `f(a, b)`.
-- @tparam ?gbi.node|gbi.constant ... nodes and constants
-- @treturn gbi.node its first result; `node:results(n)` for more
function Node:__call(...)
  local new = self.graph:call(2, self.name, 1, self, ...)
  return new
end

function Node:__tostring()
  return self.name
end

return node

--- Changes to an existing graph.
-- @submodule gbi.graph
local chain = require "gbi.chain"
local compat = require "gbi.compat"
local control = require "gbi.control"
local errors = require "gbi.errors"
local literal = require "gbi.literal"
local node = require "gbi.node"
local source = require "gbi.source"

compat.interpret()

local bad, expected = errors.argument, errors.expected
local is_node, operators, F = node.is, node.operators, node.F

local Graph = node.Graph
local check_self = Graph.check_self

-- Checks that `each` is a node of this graph.
local function check_node(self, level, each, fname)
  if not is_node(each) then expected(level + 1, fname, 1, "node", each) end
  if each[F].graph ~= self then
    bad(level + 1, fname, 1, "node of another graph")
  elseif each[F].erased then
    bad(level + 1, fname, 1, ("node %s was erased"):format(each[F].name))
  end
end

-- Checks the second argument of `fname`, a function or nil.
local function check_function(f, fname)
  if f ~= nil and type(f) ~= "function" then
    expected(3, fname, 2, "function", f)
  end
end

-- Makes `point` the point of insertion; if there is an f, only while it runs.
local function inserting(self, point, f)
  if f == nil then
    self.point = point
    return
  end
  local before = self.point
  local ok, results = pcall(function()
    self.point = point
    return compat.pack(f())
  end)
  -- f may have erased the previous point
  while before[F].erased do before = before[F].next end
  self.point = before
  if not ok then error(results, 0) end
  return compat.unpack(results, 1, results.n)
end

--- Sets the point of insertion: new nodes go before this node, in the order in
-- which they are made. The output is always at the end.
-- @tparam ?gbi.node before default: the first node
-- @tparam ?function f if given, the point applies only while `f()` runs
-- @treturn any what `f` returns
-- @seed torch.fx.Graph.inserting\_before
function Graph:inserting_before(before, f)
  check_self(self, "inserting_before")
  if before == nil then before = self.root[F].next
  else check_node(self, 2, before, "inserting_before") end
  check_function(f, "inserting_before")
  return inserting(self, before, f)
end

--- Sets the point of insertion: new nodes go after this node, in the order in
-- which they are made.
-- @tparam ?gbi.node after default: the last node, as in a new graph
-- @tparam ?function f if given, the point applies only while `f()` runs
-- @treturn any what `f` returns
-- @seed torch.fx.Graph.inserting\_after
function Graph:inserting_after(after, f)
  check_self(self, "inserting_after")
  local point = self.root
  if after ~= nil then
    check_node(self, 2, after, "inserting_after")
    point = after[F].next
  end
  check_function(f, "inserting_after")
  return inserting(self, point, f)
end

-- Removes a node that has no users.
local function erase(self, each)
  local f = each[F]
  node.count(each, -1)
  if self.point == each then self.point = f.next end
  if f.op == "placeholder" then self.inputs[f.target] = nil end
  self.names[f.name] = nil
  chain.remove(each)
end

--- Removes a node from the graph.
-- @tparam gbi.node each
-- @raise if the node has users; the error names them
-- @seed torch.fx.Graph.erase\_node
function Graph:erase_node(each)
  check_self(self, "erase_node")
  check_node(self, 2, each, "erase_node")
  local users = each.users
  if #users > 0 then
    local names = {}
    for i, user in ipairs(users) do names[i] = user.name end
    error(("node %s is used by %s"):format(each.name, table.concat(names,
      ", ")), 2)
  end
  erase(self, each)
end

--- Erases all nodes that have neither users nor effects, in the graphs of
-- conditions and loops, too. Calls, writes, inputs, conditions, loops and the
-- output have effects.
-- @treturn boolean were any erased?
-- @seed torch.fx.Graph.eliminate\_dead\_code
function Graph:eliminate_dead_code()
  check_self(self, "eliminate_dead_code")
  local changed = false
  for each in self:nodes(true) do
    if next(each[F].uses) == nil and not each:is_impure() then
      erase(self, each)
      changed = true
    else
      for _, part in control.graphs(each) do
        changed = part:eliminate_dead_code() or changed
      end
    end
  end
  return changed
end


-- Checks for node:update_arg, set_target, replace_all_uses_with -----------

-- Checks that `value` can be input `i` of a node of this graph, or of its copy
-- before `at`; errors name it argument `arg` of `fname`.
function Graph:check_input(level, user, i, value, fname, arg, at)
  local f = user[F]
  local builtin = node.builtin(user)
  if builtin == node.EXTERNAL or builtin == node.RESULT and i == 2 then
    bad(level + 1, fname, arg, ("%s of %s cannot be changed"):format(
      builtin == node.EXTERNAL and "the index" or "the number", f.name))
  elseif control.label(builtin, i) then
    self:check_part(level + 1, value, fname, arg)
    local args = compat.move(f.args, 1, f.args.n, 1, { n = f.args.n })
    args[i] = value
    local wrong = control.wrong(builtin, args)
    if wrong then bad(level + 1, fname, arg, wrong) end
    self:adopt(value)
    return
  end
  local rest = is_node(value) and node.is_varargs(value)
  if rest and (i == 0 or i < f.args.n or f.op == "get_attr" or builtin
               or f.op == "call_method" and i == 1) then
    bad(level + 1, fname, arg, "'...' is not a single value")
  end
  self:check_args(level + 1, { n = 1, value }, fname, arg, at or user)
  if i == 0 and not is_node(value) then
    bad(level + 1, fname, arg, ("%s calls it, so it must be a node"):format(
      f.name))
  elseif builtin == node.HANDLE and not (is_node(value) and value.index) then
    bad(level + 1, fname, arg, ("handle %s needs an external object")
      :format(f.name))
  elseif builtin == node.RESULT and control.results(value) < f.args[2] then
    bad(level + 1, fname, arg, ("%s needs a call that has result %d")
      :format(f.name, f.args[2]))
  end
end

-- Does a node have nodes for its results?
local function has_results(each)
  for user in pairs(each[F].uses) do
    if node.builtin(user) == node.RESULT then return true end
  end
  return false
end

-- Checks that `target` can be the target of a node of this graph.
function Graph:check_target(level, each, target)
  local f, t = each[F], type(target)
  local builtin, operator = node.builtin(each), node.operator(each)
  local function wrong(what)
    expected(level + 2, "set_target", 1, what, target)
  end
  if f.op == "output" or builtin and not operator then
    error(("the target of %s cannot be changed"):format(f.name), level + 1)
  elseif f.op == "placeholder" then
    if t ~= "string" then wrong "string" end
    if target == "..." or f.target == "..." then
      bad(level + 1, "set_target", 1, "'...' cannot be renamed")
    elseif target ~= f.target then
      self:check_input_name(level + 1, target, "set_target")
    end
  elseif f.op == "call_method" then
    if t ~= "string" then wrong "string" end
  elseif f.op == "get_attr" then
    local is_source = not is_node(target) and source.is_source(target)
    if f.args.n == 1 and t ~= "string" then wrong "string"
    elseif f.args.n == 0 and t == "string" then
      if self.attributes[target] == nil then
        bad(level + 1, "set_target", 1, ("the graph has no attribute %s")
          :format(literal.of(target)))
      end
    elseif f.args.n == 0 and not is_source then
      wrong "source or attribute"
    end
  elseif t == "string" then
    local other, last = operators[target], f.args[f.args.n]
    if not other then
      bad(level + 1, "set_target", 1, ("there is no operator %s"):format(
        literal.of(target)))
    elseif other.operands ~= f.args.n
           or is_node(last) and node.is_varargs(last) then
      bad(level + 1, "set_target", 1, ("operator '%s' takes %d operands")
        :format(target, other.operands))
    elseif has_results(each)
           or other.effect and next(f.uses) ~= nil then
      bad(level + 1, "set_target", 1, ("%s has users that need a %s"):format(
        f.name, other.effect and "value" or "call"))
    end
  elseif is_node(target) then
    self:check_one(level + 1, target, "set_target", 1, each)
  elseif not source.is_source(target) then
    wrong "operator, source or node"
  end
end


-- Copying -----------------------------------------------------------------

-- Returns a function that finds the input of a copy for the input of a node:
-- map(node), map[node], or the node itself if it is in this graph.
local function mapping(self, map)
  return function(each)
    local value
    if type(map) == "function" then value = map(each)
    elseif map then value = map[each] end
    if value == nil and each[F].graph == self then value = each end
    return value
  end
end

local copy_nodes

-- Copies a graph that is part of a node, for a node of `self`.
local function copy_part(self, part, copies)
  local new = self:subgraph()
  copy_nodes(new, part, {}, copies)
  return new
end

-- Returns the index of a node's external object in this graph's registry.
-- `copies` has those of the same copy: a graph and the graphs of its conditions
-- may have several nodes of one object, and it stays one object.
local function copy_object(self, f, copies)
  local from, index = f.graph.registry, f.index
  if from == self.registry then return index end
  if not copies[index] then
    copies[index] = false -- makes room
    local example = from:find(index) or {}
    copies[index] = f.kind == "user"
      and self.registry:register(example, f.source)
      or self.registry:register_created(example, f.construct)
  end
  return copies[index]
end

-- Copies a node that has been checked; find(node) returns the copy's input for
-- an input of the node.
local function copy(self, each, find, copies)
  local f, args = each[F], { n = each[F].args.n }
  local function value(arg)
    if is_node(arg) then return find(arg) end
    if node.is_graph(arg) then return copy_part(self, arg, copies) end
    return arg
  end
  for i = 1, args.n do args[i] = value(f.args[i]) end
  local function finish(new)
    local to = new[F]
    to.place, to.construct = f.place, f.construct
    for key, datum in pairs(f.meta or {}) do new.meta[key] = datum end
    if f.op == "placeholder" then self.inputs[f.target] = new
    elseif f.index then
      to.index = copy_object(self, f, copies)
      args[1] = to.index
    elseif node.attribute(each) then
      self.attributes[f.target] = f.graph.attributes[f.target]
    end
  end
  local new, base, before, counted = self:append(2, f.op, is_node(f.target)
    and find(f.target) or f.target, args, f.name, f.op == "output"
    and self.root or nil, f.index, f.source, f.kind)
  local ok, err = pcall(finish, new)
  if not ok then -- out of memory
    self:withdraw(new, base, before, counted)
    error(err, 0)
  end
  return new
end

-- Checks that a node can be copied to this graph, except its inputs.
local function check_copy(self, level, each, fname)
  local f = each[F]
  local name = node.attribute(each)
  if f.op == "placeholder" then
    self:check_new_input(level + 1, f.target, fname)
  elseif name and self.attributes[name] ~= nil
         and self.attributes[name] ~= f.graph.attributes[name] then
    bad(level + 1, fname, 1, ("attribute %s already has another value")
      :format(literal.of(name)))
  end
  for _, part in control.graphs(each) do
    for inner in part:nodes() do
      if inner[F].op ~= "placeholder" then
        check_copy(self, level + 1, inner, fname)
      end
    end
  end
end

--- Copies a node of this graph or of another one.
-- @tparam gbi.node each
-- @tparam ?table|function map input of the copied node -> its value here, a
-- node or a constant; an input without a value in `map` is used itself if it is
-- a node of this graph
-- @treturn gbi.node
-- @raise if an input has no value here, or the node's graph was loaded with
-- another `env`; nothing is changed then
-- @seed torch.fx.Graph.node\_copy
function Graph:node_copy(each, map)
  check_self(self, "node_copy")
  if not is_node(each) then expected(2, "node_copy", 1, "node", each) end
  local t = type(map)
  if not (t == "nil" or t == "table" or t == "function") then
    expected(2, "node_copy", 2, "table or function", map)
  end
  self:check_env(2, each[F].graph, "node_copy", 1)
  local find, values = mapping(self, map), {}
  local at = each[F].op == "output" and self.root or self.point
  self:check_open(2, at)
  check_copy(self, 2, each, "node_copy")
  for i, used in node.inputs(each) do
    local value = find(used)
    if value == nil then
      bad(2, "node_copy", 2, ("no value for node %s"):format(used.name))
    end
    values[used] = value
    self:check_input(2, each, i, value, "node_copy", 2, at)
  end
  local new = copy(self, each, function(used) return values[used] end, {})
  return new
end

-- Copies all nodes of a graph to an empty one. `map` gets the copies.
function copy_nodes(self, other, map, copies)
  for each in other:nodes() do
    map[each] = copy(self, each, function(used) return map[used] end, copies)
  end
end

--- Copies the nodes of another graph, except its output, to the point of
-- insertion.
-- @tparam gbi.graph other
-- @tparam ?table map node of the other graph -> its value here, for inputs; an
-- input without a value in `map` is copied. All copies are added to `map`
-- @treturn any the values here of the other graph's outputs
-- @raise if an input or attribute exists already, or `other` was loaded with
-- another `env`; nothing is changed then
-- @seed torch.fx.Graph.graph\_copy
function Graph:graph_copy(other, map)
  check_self(self, "graph_copy")
  if not node.is_graph(other) or other == self then
    expected(2, "graph_copy", 1, "another graph", other)
  elseif map ~= nil and type(map) ~= "table" then
    expected(2, "graph_copy", 2, "table", map)
  end
  self:check_env(2, other, "graph_copy", 1)
  local copies = {}
  map = map or {}
  self:check_open(2, self.point)
  for each in other:nodes() do
    local value = map[each]
    if value == nil then
      if each[F].op ~= "output" then check_copy(self, 2, each, "graph_copy") end
    else
      self:check_args(2, { n = 1, value }, "graph_copy", 2)
      for user in pairs(each[F].uses) do
        for i, used in node.inputs(user) do
          if used == each and map[user] == nil then
            self:check_input(2, user, i, value, "graph_copy", 2, self.point)
          end
        end
      end
    end
  end
  local outputs, values = { n = 0 }, { n = 0 }
  for each in other:nodes() do
    if each[F].op == "output" then outputs = each[F].args
    elseif map[each] == nil then
      map[each] = copy(self, each, function(used) return map[used] end, copies)
    end
  end
  values.n = outputs.n
  for i = 1, outputs.n do
    values[i] = outputs[i]
    if is_node(outputs[i]) then values[i] = map[outputs[i]] end
  end
  return compat.unpack(values, 1, values.n)
end

--- Copies the graph, with the graphs of its conditions and loops. The copy can
-- be changed independently; it shares the registry.
-- @treturn gbi.graph
-- @treturn table node -> its copy
-- @seed copy.deepcopy of a torch.fx.Graph
function Graph:copy()
  check_self(self, "copy")
  local new, map = self:subgraph(), {}
  new.attributes = {}
  for name, value in pairs(self.attributes) do new.attributes[name] = value end
  copy_nodes(new, self, map, {})
  return new, map
end

-- Conditions and loops: nodes with graphs among their arguments, like torch's
-- higher-order operators.
--
--     cond        predicate, then graph, else graph, operands ...
--     while_loop  cond graph, body graph, operands ...
--
-- The graphs take the operands as their inputs.
local compat = require "gbi.compat"
local node = require "gbi.node"

compat.interpret()

local F = node.F

local control = {}

control.COND = "cond"
control.WHILE = "while_loop"
control.MAX_DEPTH = 100 -- of graphs in graphs; Lua nests some 200 blocks

local MAX_RESULTS = 200 -- of a call

-- The labels of the graphs by argument number, and the number of the first
-- operand.
local SHAPES = {
  cond = { [2] = "then", [3] = "else", first = 4 },
  while_loop = { [1] = "cond", [2] = "body", first = 3 },
}

local NONE = {}

local function shape(self)
  return SHAPES[node.builtin(self)] or NONE
end

-- Returns the label of the graph at argument `i`, nil for an operand.
function control.label(target, i)
  return (SHAPES[target] or NONE)[i]
end

-- Is a node a condition or a loop?
function control.is(self)
  return shape(self) ~= NONE
end

local function next_graph(self, i)
  local labels = shape(self)
  for k = (i or 0) + 1, (labels.first or 1) - 1 do
    if labels[k] then return k, self[F].args[k], labels[k] end
  end
end

-- Iterates over the graphs of a node: argument number, graph, label.
function control.graphs(self)
  return next_graph, self, nil
end

-- Returns the name of a node from the outermost graph on: "cond.then.add" for a
-- node in the graph of a condition.
function control.path(self)
  local parts, graph = { self[F].name }, self[F].graph
  while graph.owner do
    local owner = graph.owner
    for _, part, label in control.graphs(owner) do
      if part == graph then table.insert(parts, 1, label) end
    end
    table.insert(parts, 1, owner[F].name)
    graph = owner[F].graph
  end
  return table.concat(parts, ".")
end

-- Returns the operands among the arguments of a condition or loop, a list with
-- its length `n`, and the argument number of the first operand.
local function operands_of(target, args)
  local first = SHAPES[target].first
  local list = { n = args.n - first + 1 }
  for i = 1, list.n do list[i] = args[first + i - 1] end
  return list, first
end

-- Returns the operands of a condition or loop.
function control.operands(self)
  return (operands_of(node.builtin(self), self[F].args))
end

-- Records a condition or loop with a list of arguments, which it may change.
-- Returns the node, or nil if there are too few arguments.
function control.record(graph, target, args)
  local operands, first = operands_of(target, args)
  if operands.n < 0 then return nil end
  args[first] = operands
  return graph[target](graph, compat.unpack(args, 1, first))
end

-- Returns how many results of a value can have nodes of their own: of a
-- condition or loop, the number of outputs of its second argument, which is a
-- graph in both; 0 if the value is not a call.
function control.results(value)
  if not (node.is(value) and node.is_call(value)) then return 0 end
  if not control.is(value) then return MAX_RESULTS end
  local output = value[F].args[2]:output_node()
  return output and output[F].args.n or 0
end

-- Returns the inputs of a graph, in order.
function control.inputs(graph)
  local list = {}
  for each in graph:nodes() do
    if each.op == "placeholder" then list[#list + 1] = each end
  end
  return list
end

-- Returns the first mistake in the graphs of a condition or loop with these
-- arguments, or nil.
function control.wrong(target, args)
  local labels = SHAPES[target]
  local operands, outputs = args.n - labels.first + 1, {}
  for i = 1, labels.first - 1 do
    local graph, label = args[i], labels[i]
    if label then
      local inputs, output = control.inputs(graph), graph:output_node()
      local n = #inputs
      if not output then
        return ("the %s graph has no output"):format(label)
      elseif graph.inputs["..."] then
        return ("the %s graph takes '...'"):format(label)
      elseif n ~= operands then
        return ("the %s graph takes %d inputs, but there are %d operands")
          :format(label, n, operands)
      end
      outputs[label] = output.args.n
    end
  end
  if target == control.COND and outputs["then"] ~= outputs["else"] then
    return ("the then graph has %d outputs, but the else graph has %d")
      :format(outputs["then"], outputs["else"])
  elseif target == control.WHILE and outputs.cond ~= 1 then
    return ("the cond graph has %d outputs, not 1"):format(outputs.cond)
  elseif target == control.WHILE and outputs.body ~= operands then
    return ("the body graph has %d outputs, but there are %d operands")
      :format(outputs.body, operands)
  end
end

-- Adds the live nodes of a graph and its parts to the set `live`: nodes with
-- effects, and the nodes that they use. Returns the set.
function control.live(graph, live)
  for each in graph:nodes(true) do
    if live[each] or each:is_impure() then
      live[each] = true
      for _, used in node.inputs(each) do live[used] = true end
      for _, part in control.graphs(each) do control.live(part, live) end
    end
  end
  return live
end

return control

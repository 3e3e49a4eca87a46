-- Finds the first mistake in a graph.
local chain = require "gbi.chain"
local compat = require "gbi.compat"
local control = require "gbi.control"
local literal = require "gbi.literal"
local node = require "gbi.node"
local source = require "gbi.source"

compat.interpret()

local F = node.F

-- Returns the first mistake in a node itself, apart from its inputs, or nil.
-- `sources` has the sources of the external objects, `inputs` the inputs of the
-- compiled function.
local function wrong_self(each, sources, inputs)
  local f, builtin, attribute = each[F], node.builtin(each),
    node.attribute(each)
  local from = f.target
  if builtin == node.EXTERNAL then
    from = sources[f.args[1]]
    if from == nil then
      return ("external object %s is not registered"):format(
        tostring(f.args[1]))
    end
  elseif builtin == node.HANDLE and not node.external(each) then
    return "only an external object has a handle"
  elseif builtin == node.RESULT
         and control.results(f.args[1]) < f.args[2] then
    return ("its call has no result %d"):format(f.args[2])
  elseif attribute and f.graph.attributes[attribute] == nil then
    return ("the graph has no attribute %s"):format(literal.of(attribute))
  end
  local name = source.missing_input(from, inputs)
  if name then return ("L[%s] is not an input"):format(literal.of(name)) end
end

local lint_nodes

-- Returns the first mistake in the inputs of a node, or nil; `made` is the set
-- of the nodes before it.
local function wrong_inputs(each, made, sources, inputs, depth)
  local f, uses = each[F], {}
  for _, used in node.inputs(each) do
    if not made[used] then
      return ("uses %s before it is made"):format(used.name)
    elseif not node.has_value(used) then
      return ("uses %s, which has no value"):format(used.name)
    end
    uses[used] = (uses[used] or 0) + 1
  end
  for i = 1, f.args.n do
    local arg, label = f.args[i], control.label(node.builtin(each), i)
    if label and not (node.is_graph(arg) and arg.owner == each)
       or not (label or node.is(arg) or literal.is_constant(arg)) then
      return ("argument %d was changed directly; use node:update_arg"):format(i)
    end
  end
  for used, n in pairs(uses) do
    if used[F].uses[each] ~= n then
      return "an argument was changed directly; use node:update_arg"
    end
  end
  if control.is(each) then
    local wrong = control.wrong(f.target, f.args)
    for _, part, label in control.graphs(each) do
      if wrong then break end
      local _, reason = lint_nodes(part, sources, inputs, depth + 1)
      wrong = reason and ("%s graph: %s"):format(label, reason)
    end
    return wrong
  end
end

-- Returns true, or nil and the first mistake in a graph.
function lint_nodes(self, sources, inputs, depth)
  if depth > control.MAX_DEPTH then
    return nil, "graphs are nested too deeply"
  end
  local made, finished = {}, false
  for each in chain.nodes(self.root) do
    local wrong = wrong_self(each, sources, inputs)
    if not wrong and finished then
      return nil, ("node %s comes after the output"):format(each.name)
    end
    wrong = wrong or wrong_inputs(each, made, sources, inputs, depth)
    if wrong then
      return nil, ("node %s%s %s"):format(each.name,
        wrong:find "^uses " and "" or ":", wrong)
    end
    made[each], finished = true, each[F].op == "output"
  end
  if not finished then return nil, "the graph has no output" end
  return true
end

-- Returns true, or nil and the first mistake in a graph. (Inner graphs use the
-- sources and inputs of the function that contains all of them.)
local function lint(self)
  local sources = {}
  for index, _, _, from in self.registry:constructors() do
    sources[index] = from or false
  end
  return lint_nodes(self, sources, self.inputs, 1)
end

return lint

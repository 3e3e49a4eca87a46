-- Views of a graph: text as FX prints it, a table, Graphviz's language.
local compat = require "gbi.compat"
local literal = require "gbi.literal"
local node = require "gbi.node"
local source = require "gbi.source"
local tabular = require "gbi.tabular"

compat.interpret()

local view = {}

-- A node's arguments, written as Python writes a tuple.
local function arguments(args)
  local texts = {}
  for i = 1, args.n do
    local arg = args[i]
    texts[i] = node.is(arg) and "%" .. arg.name or literal.of(arg)
  end
  return ("(%s%s)"):format(table.concat(texts, ", "), args.n == 1 and ","
    or "")
end

-- The target of a node.
-- @treturn string on one line
function view.target(target)
  if node.is(target) then return "%" .. target.name end
  return literal.comment(source.name(target))
end

-- The graph as FX prints it.
-- @treturn string
function view.text(graph)
  local users, out = {}, { "graph():" }
  for _, each in ipairs(graph.nodes) do
    for _, used in each:inputs() do users[used] = (users[used] or 0) + 1 end
  end
  for _, each in ipairs(graph.nodes) do
    if each.op == "output" then
      out[#out + 1] = "    return " .. arguments(each.args)
    else
      out[#out + 1] = ("    %%%s : [num_users=%d] = %s[target=%s]%s"):format(
        each.name, users[each] or 0, each.op, view.target(each.target),
        each.args.n > 0 and ("(args = %s)"):format(arguments(each.args)) or "")
    end
  end
  return table.concat(out, "\n")
end

-- The graph as a table.
-- @treturn string lines, each with its end
function view.tabular(graph)
  local rows = {}
  for i, each in ipairs(graph.nodes) do
    rows[i] = { each.op, each.name, view.target(each.target),
      arguments(each.args) }
  end
  return tabular({ "opcode", "name", "target", "args" }, rows)
end

-- The graph in Graphviz's language.
-- @treturn string
function view.dot(graph)
  local out = { "digraph gbi {", "  node [shape=record];" }
  local function text(s) return (s:gsub('[\\"{}|<>]', "\\%0")) end
  for _, each in ipairs(graph.nodes) do
    local external = each:builtin() == node.EXTERNAL
    local what = external and graph.registry:name(each.args[1])
      or view.target(each.target)
    out[#out + 1] = ('  "%s" [label="{%s|%s|%s}"%s];'):format(each.name,
      text(each.name), each.op, text(literal.comment(what)),
      external and ", style=bold" or "")
  end
  for _, each in ipairs(graph.nodes) do
    for i, used in each:inputs() do
      out[#out + 1] = ('  "%s" -> "%s"%s;'):format(used.name, each.name,
        i == 0 and " [style=dashed]" or "")
    end
  end
  out[#out + 1] = "}\n"
  return table.concat(out, "\n")
end

return view

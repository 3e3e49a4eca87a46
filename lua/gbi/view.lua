-- Views of a graph: text as FX prints it, a table, Graphviz's language.
local compat = require "gbi.compat"
local control = require "gbi.control"
local literal = require "gbi.literal"
local node = require "gbi.node"
local source = require "gbi.source"
local tabular = require "gbi.tabular"

compat.interpret()

local view = {}

-- Formats a node's arguments as Python writes a tuple, a graph by its label.
local function arguments(each)
  local args, texts = each.args, {}
  for i = 1, args.n do
    local arg = args[i]
    texts[i] = node.is(arg) and "%" .. arg.name
      or node.is_graph(arg) and control.label(each.target, i)
      or literal.of(arg)
  end
  return ("(%s%s)"):format(table.concat(texts, ", "), args.n == 1 and ","
    or "")
end

-- Formats the target of a node.
-- @treturn string on one line
function view.target(target)
  if node.is(target) then return "%" .. target.name end
  return literal.comment(source.name(target))
end

local function num_users(each)
  local n = 0
  for _ in pairs(each[node.F].uses) do n = n + 1 end
  return n
end

local function add_text(out, graph, name, indent)
  out[#out + 1] = ("%s%s():"):format(indent, name)
  indent = indent .. "    "
  for each in graph:nodes() do
    if each.op == "output" then
      out[#out + 1] = indent .. "return " .. arguments(each)
    else
      out[#out + 1] = ("%s%%%s : [num_users=%d] = %s[target=%s]%s"):format(
        indent, each.name, num_users(each), each.op, view.target(each.target),
        each.args.n > 0 and ("(args = %s)"):format(arguments(each)) or "")
    end
    for _, part, label in control.graphs(each) do
      add_text(out, part, label, indent .. "    ")
    end
  end
end

-- Formats a graph as FX prints it; the graphs of a condition or loop come under
-- its node.
-- @treturn string
function view.text(graph)
  local out = {}
  add_text(out, graph, "graph", "")
  return table.concat(out, "\n")
end

local function add_rows(rows, graph, prefix)
  for each in graph:nodes() do
    rows[#rows + 1] = { each.op, prefix .. each.name, view.target(each.target),
      arguments(each) }
    for _, part, label in control.graphs(each) do
      add_rows(rows, part, ("%s%s.%s."):format(prefix, each.name, label))
    end
  end
end

-- Formats a graph as a table.
-- @treturn string lines, each ending with a newline
function view.tabular(graph)
  local rows = {}
  add_rows(rows, graph, "")
  return tabular({ "opcode", "name", "target", "args" }, rows)
end

local function escaped(s)
  return (s:gsub('[\\"{}|<>]', "\\%0"))
end

local function add_dot(out, graph, prefix)
  for each in graph:nodes() do
    local external = node.builtin(each) == node.EXTERNAL
    local what = external and graph.registry:name(each.args[1])
      or view.target(each.target)
    out[#out + 1] = ('  "%s%s" [label="{%s|%s|%s}"%s];'):format(prefix,
      each.name, escaped(each.name), each.op, escaped(literal.comment(what)),
      external and ", style=bold" or "")
    for _, part, label in control.graphs(each) do
      local path = ("%s%s.%s"):format(prefix, each.name, label)
      out[#out + 1] = ('  subgraph "cluster_%s" {'):format(path)
      out[#out + 1] = ('  label="%s";'):format(path)
      add_dot(out, part, path .. ".")
      out[#out + 1] = "  }"
    end
  end
  for each in graph:nodes() do
    for i, used in node.inputs(each) do
      out[#out + 1] = ('  "%s%s" -> "%s%s"%s;'):format(prefix, used.name,
        prefix, each.name, i == 0 and " [style=dashed]" or "")
    end
  end
end

-- Formats a graph in Graphviz's language; the graphs of a condition or loop are
-- boxes.
-- @treturn string
function view.dot(graph)
  local out = { "digraph gbi {", "  node [shape=record];" }
  add_dot(out, graph, "")
  out[#out + 1] = "}\n"
  return table.concat(out, "\n")
end

return view

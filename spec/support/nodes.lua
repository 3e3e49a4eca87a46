-- A graph's nodes as a list; and operations that users cannot do with them.

local chain = require "gbi.chain"
local F = require "gbi.node".F

local nodes = {}

-- The list of a graph's nodes.
function nodes.list(g)
  local list = {}
  for node in g:nodes() do list[#list + 1] = node end
  return list
end

-- The names of the nodes in a list, in one text.
function nodes.names(list)
  local out = {}
  for i, node in ipairs(list) do out[i] = node.name end
  return table.concat(out, " ")
end

-- The number of a graph's nodes.
function nodes.count(g)
  return #nodes.list(g)
end

-- Takes a node out, even if it has users.
function nodes.remove(node)
  chain.remove(node)
end

-- Moves a node before another one, or to the end.
function nodes.move(g, node, before)
  chain.remove(node)
  node[F].erased = nil
  chain.insert(g.root, node, before or g.root)
end

return nodes

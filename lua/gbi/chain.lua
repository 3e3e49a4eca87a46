-- The nodes of a graph in their order: a doubly linked list around a root that
-- is not a node of the graph. Every node has a number, `order`, and these
-- numbers increase along the list; so comparing the positions of two nodes
-- takes constant time, and inserting a node anywhere takes logarithmic time on
-- average.
--
-- If there is no number left between two neighbours, the nodes in the smallest
-- range of numbers around them that is not too full are spread evenly. The
-- larger a range, the less full it may be (Bender and others, "Two simplified
-- algorithms for maintaining order in a list", 2002).
local compat = require "gbi.compat"
local node = require "gbi.node"

compat.interpret()

local F = node.F

local GAP = 2 ^ 22 -- between nodes that are appended
local FILL = 1.43 -- a range of 2^i numbers may have FILL^i nodes

local chain = {}

-- Returns the root of a new, empty list.
function chain.new()
  local root = node.new { args = { n = 0 } }
  root[F].prev, root[F].next = root, root
  return root
end

-- Spreads the numbers around node `at`, so that one is free after it.
local function make_room(root, at)
  local order = at[F].order
  local first, last, n, size, most = at, at, 1, 1, 1
  local from
  repeat
    size, most = size * 2, most * FILL
    from = order - order % size
    while first[F].prev ~= root and first[F].prev[F].order >= from do
      first, n = first[F].prev, n + 1
    end
    while last[F].next ~= root and last[F].next[F].order < from + size do
      last, n = last[F].next, n + 1
    end
  until n <= most and 2 * n <= size
  local step, each = math.floor(size / n), first
  for i = 0, n - 1 do
    each[F].order = from + i * step
    each = each[F].next
  end
end

-- Inserts a node before another one; before the root, it is the last.
function chain.insert(root, new, before)
  local f, prev = new[F], before[F].prev
  if before == root then
    f.order = prev == root and 0 or prev[F].order + GAP
  elseif prev == root then
    f.order = before[F].order - GAP
  else
    if before[F].order - prev[F].order < 2 then make_room(root, prev) end
    f.order = math.floor((prev[F].order + before[F].order) / 2)
  end
  f.prev, f.next = prev, before
  prev[F].next, before[F].prev = new, new
end

-- Removes a node. The node keeps its links, so that an iteration that has
-- reached it can continue.
function chain.remove(each)
  local f = each[F]
  f.prev[F].next, f.next[F].prev = f.next, f.prev
  f.erased = true
end

-- Does node `a` come before node `b` of its list, or is `b` the root?
function chain.before(root, a, b)
  return b == root or a[F].order < b[F].order
end

local function forwards(root, each)
  repeat each = (each or root)[F].next until not each[F].erased
  if each ~= root then return each end
end

local function backwards(root, each)
  repeat each = (each or root)[F].prev until not each[F].erased
  if each ~= root then return each end
end

-- Iterates over the nodes. Nodes may be inserted or erased meanwhile.
function chain.nodes(root, back)
  return back and backwards or forwards, root, nil
end

return chain

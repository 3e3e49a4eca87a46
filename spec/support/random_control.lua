-- Random graphs with nested conditions and loops, over numbers and booleans and
-- a function `log` that is an external object.

local compat = require "gbi.compat"
local gbi = require "gbi"
local portable = require "spec.support.portable"

local random_control = {}

local BINARY = { "add", "sub", "mul", "eq", "ne", "land", "lor", "land", "lor" }
local UNSAFE = { "lt", "le", "unm", "gt", "ge", "mod", "div", "pow" }
for name, text in pairs { idiv = "a // b", band = "a & b", shl = "a << b",
                          bnot = "~a" } do
  if portable.expression(text) then UNSAFE[#UNSAFE + 1] = name end
end
table.sort(UNSAFE)

-- Records nodes in a graph with these values, in graphs nested at most `depth`
-- deep. Returns a function that picks a value.
local function fill(g, values, log, random, depth, safe)
  local function pick(list) return list[random(#list)] end
  local function any()
    if #values == 0 or random(5) == 1 then
      return pick { 0, 1, 2, -1, 0.5, true, false, -0.0 }
    end
    return pick(values)
  end
  local function keep(node) values[#values + 1] = node end
  -- A graph of n inputs and some outputs, the first of which is first(inputs).
  local function part(n, outputs, first)
    local sub, inputs = g:subgraph(), {}
    for i = 1, n do inputs[i] = sub:placeholder("i" .. i) end
    local inner = compat.move(inputs, 1, n, 1, {})
    local choose = fill(sub, inner, log, random, depth - 1, safe)
    local out = {}
    if first then out[1] = first(inputs) end
    for i = #out + 1, outputs do out[i] = choose() end
    sub:output(compat.unpack(out, 1, outputs))
    return sub
  end
  local function operands(n, first)
    local list = { first }
    for i = #list + 1, n do list[i] = any() end
    return list
  end
  local function results(node, n)
    keep(node)
    if random(2) == 1 then
      for _, result in ipairs { node:results(random(n)) } do
        if random(2) == 1 then keep(result) end
      end
    end
  end
  local makers = {
    function()
      local name, a, b = pick(BINARY), any(), any()
      -- with a constant 0, 5.4 computes -0.0 - 0 as -0.0 + 0
      if name == "sub" and b == 0 then b = 1 end
      keep(g:call_function(name, a, b))
    end,
    function() keep(g:call_function("lnot", any())) end,
    function()
      if safe then return end
      local name = pick(UNSAFE)
      if name == "unm" or name == "bnot" then
        keep(g:call_function(name, any()))
      else keep(g:call_function(name, any(), any())) end
    end,
    function()
      local object = g:external(log)
      -- the handle itself differs between runs, so it is not the value of a
      -- node
      if random(4) == 1 then keep(object(object:handle(), any()))
      else keep(object(any(), any())) end
    end,
    function()
      if depth == 0 then return end
      local n, outputs = random(0, 3), random(1, 3)
      local list = operands(n)
      for i = 1, n do -- they are constants in the graphs, for `sub` above
        if list[i] == 0 then list[i] = 1 end
      end
      results(g:cond(any(), part(n, outputs), part(n, outputs), list), outputs)
    end,
    function()
      if depth == 0 then return end
      local n = random(1, 4)
      local cond = part(n, 1, function(inputs)
        return inputs[1]:gt(0):land(random(4) > 1 and true or inputs[n])
      end)
      local body = part(n, n, function(inputs) return inputs[1] - 1 end)
      results(g:while_loop(cond, body, operands(n, random(0, 3))), n)
    end,
  }
  for _ = 1, random(0, depth == 0 and 4 or 7) do pick(makers)() end
  return any
end

-- A random graph of two inputs; its source for `log` is G["log"].
function random_control.make(random)
  local g = gbi.graph.new()
  local values = { g:placeholder "x", g:placeholder "y" }
  local log = g:external(print, gbi.source.GlobalSource "log")
  local pick = fill(g, values, log, random, random(0, 3), random(4) > 1)
  local outputs = {}
  for i = 1, random(0, 4) do outputs[i] = pick() end
  g:output(compat.unpack(outputs))
  return g
end

return random_control

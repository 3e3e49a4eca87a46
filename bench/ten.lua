--- A graph of ten operations on three objects, and the same by hand.
local gbi = require "gbi"

local source = gbi.source

local ten = {}

-- An environment with three objects.
function ten.environment()
  local class = {}
  class.__index = class
  function class:scale(x) return self.factor * x end
  function class:push(x)
    self.top = x
    return x
  end
  return {
    a = setmetatable({ factor = 3 }, class),
    b = setmetatable({ bias = 4 }, class),
    c = setmetatable({}, class),
  }
end

-- A graph of ten operations on them.
function ten.graph(env)
  local g = gbi.graph.new()
  local e, x, y = g:placeholder("env"), g:placeholder("x"), g:placeholder("y")
  local function object(name)
    return g:external(env[name],
      source.AttrSource(source.LocalSource("env"), name))
  end
  local a, b, c = object("a"), object("b"), object("c")
  local sum = x * y + x - y
  local scaled = g:call_method("scale", a, sum)
  local biased = scaled + g:get_attr(b, "bias")
  local pushed = g:call_method("push", c, biased)
  local doubled = pushed * 2
  g:output(doubled, doubled:lt(x), e)
  return g
end

function ten.by_hand(env, x, y)
  local a, b, c = env.a, env.b, env.c
  local sum = x * y + x - y
  local doubled = c:push(a:scale(sum) + b.bias) * 2
  return doubled, doubled < x, env
end

function ten.calling(f, env)
  return function(n)
    for i = 1, n do f(env, i, 7) end
  end
end

return ten

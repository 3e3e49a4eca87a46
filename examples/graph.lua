-- A graph in ten lines; with the argument `dot` it prints it for Graphviz.
local gbi = require "gbi"
local source = gbi.source

local g = gbi.graph.new()
local x, y = g:placeholder("x"), g:placeholder("y")
local out = g:external(io.stdout, source.LocalSource("out"))
g:placeholder("out")
local sqrt = source.AttrSource(source.GlobalSource("math"), "sqrt")
local length = g:call_function(sqrt, x * x + y * y)
g:call_method("write", out, "length ", length, "\n")
g:output(length)

if arg and arg[1] == "dot" then
  io.write(g:to_dot())
else
  print(g)
  local f = g:compile()
  f(3, 4, io.stdout)
  f(5, 12, io.stdout)
end

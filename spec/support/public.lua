-- Finds the values of public names.

local gbi = require "gbi"

local public = {}

local graph, run, codegen = gbi.graph.new(), nil, nil
local node = graph:placeholder "x"
graph:output(node, (graph:created({}, function(_, cg)
  codegen = cg
  cg:load_import("table", "pack")
end)))
graph:compile { backend = function()
  return function(given) run = given end
end } ()

-- An object of each class.
public.objects = {
  registry = gbi.default, handles = gbi.handles, run = run,
  source = gbi.source.GlobalSource "x", codegen = codegen, graph = graph,
  node = node, interpreter = gbi.graph.interpreter(graph),
  transformer = gbi.graph.transformer(graph),
}

-- Returns the value of the name of a doc comment, or nil.
function public.find(name)
  local class, method = name:match "^gbi%.(%l+):(.*)$"
  if class then
    local object = public.objects[class]
    return getmetatable(object)[method] or object[method]
  end
  local value = gbi
  for key in name:gmatch "%.([^.]+)" do value = value and value[key] end
  return value
end

return public

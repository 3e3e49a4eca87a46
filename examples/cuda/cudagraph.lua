--- A backend that makes a CUDA graph of a gbi graph.
--
--     local f = cudagraph.compile(g, { stream = "main" })
--
-- The first run captures the kernels and how they wait for each other, on
-- streams of the backend's own; every run is then one launch, on the stream
-- given as the input named `stream`. Runs may have different buffers as inputs;
-- a buffer of another length is captured anew. External objects are only
-- obtained for a capture; a launch needs none.
--
-- A graph that cannot be captured is refused, and the error names the node.
-- With `fallback = true`, it is compiled without the backend instead.
--
-- The outputs are buffers in the graph's own memory. Close them when they are
-- no longer needed: while they are open, the next run needs another capture.
local gbi = require "gbi"
local cuda = require "cuda"

local unpack = table.unpack or unpack -- luacheck: ignore 113

local cudagraph = {}

local CAPTURES = 8 -- runs before garbage is collected to find an unused output

local HANDLE = "external_object_handle" -- the target of node:handle()

-- The operations that are captured.
local FUNCTIONS = {
  [cuda.record_event] = true, [cuda.wait_event] = true,
  [cuda.fork] = true, [cuda.join] = true, [cuda.close] = true,
  [cuda.number] = true,
}
-- Methods, and the number of the first argument that must be a buffer
local METHODS = { map = 3, launch = 3, record = 9, wait = 9, close = 9 }

-- The value that a source finds.
local function value_of(from)
  local g = gbi.graph.new()
  g:output(g:get_attr(from))
  local ok, value = pcall(g:compile())
  return ok and value or nil
end

local function is_node(value)
  return type(value) == "table"
end

-- The function that a node calls, if its target is a source or an attribute;
-- else nil.
local function callee(graph, node)
  local target = node.target
  if node.op ~= "call_function" or type(target) == "string" then return nil end
  if not target.op then return value_of(target) end
  return target.op == "get_attr" and target.args.n == 0
    and (type(target.target) == "string" and graph.attributes[target.target]
      or value_of(target.target)) or nil
end

-- The reason why a graph cannot be captured, or nil; and the inputs that are
-- buffers.
function cudagraph.refusal(graph, stream)
  local buffers, found = {}, false
  for node in graph:nodes() do
    local target, why = node.target, nil
    if node.op == "placeholder" then
      found = found or target == stream
    elseif node.op == "get_attr" then
      if node.args.n > 0 then why = "a field" end
    elseif cuda.type(callee(graph, node)) == "mapper" then
      local arg
      for i = 2, node.args.n do
        arg = node.args[i]
        if is_node(arg) and arg.op == "placeholder" then buffers[arg] = true end
      end
    elseif node.op == "call_function" then
      if type(target) == "string" then
        if not node.index and target ~= HANDLE then why = target end
      elseif not FUNCTIONS[callee(graph, node) or 0] then
        why = target.op and "a call of " .. target.name or tostring(target)
      end
    elseif node.op == "call_method" then
      if METHODS[target] then
        for i = METHODS[target], node.args.n do
          local arg = node.args[i]
          if is_node(arg) and arg.op == "placeholder" then
            buffers[arg] = true
          end
        end
      else
        why = "method " .. target
      end
    end
    if why then
      return ("node %s cannot be captured in a CUDA graph: %s"):format(
        node.name, why)
    end
  end
  if not found then
    return ("the graph has no input %s to be launched on"):format(
      tostring(stream))
  end
  return nil, buffers
end

-- Runs the nodes on its own streams and events. Returns the values of nodes.
local function record(graph, origin, inputs, objects)
  local values, streams = {}, {}
  local function private(object, key)
    local kind = cuda.type(object)
    if kind == "stream" then
      if not streams[key] then
        streams[key] = cuda.stream()
        cuda.fork(origin, streams[key])
      end
      return streams[key]
    elseif kind == "event" then
      return cuda.event()
    end
    return object
  end
  local function arguments(node)
    local args = {}
    for i = 1, node.args.n do
      local arg = node.args[i]
      if is_node(arg) then arg = values[arg] end
      args[i] = arg
    end
    return args
  end
  for node in graph:nodes() do
    local value
    if node.op == "placeholder" then
      value = private(inputs[node], node)
    elseif node.op == "get_attr" then
      if type(node.target) ~= "string" then value = value_of(node.target) end
    elseif node.op == "call_function" and type(node.target) == "string" then
      if node.target == HANDLE then value = values[node.args[1]]
      else value = private(objects[node.index], node.index) end
    elseif node.op == "call_function" then
      local f, args = callee(graph, node), arguments(node)
      if f == cuda.number then value = args[1]
      elseif f ~= cuda.close then value = f(unpack(args, 1, node.args.n)) end
    elseif node.op == "call_method" and node.target ~= "close" then
      local args = arguments(node)
      value = args[1][node.target](unpack(args, 1, node.args.n))
    end
    values[node] = value
  end
  for _, stream in pairs(streams) do cuda.join(stream, origin) end
  return values
end

--- The backend itself: `g:compile { backend = cudagraph.backend(options) }`.
-- @tparam table options `stream`: the name of the input to launch on
function cudagraph.backend(options)
  return function(graph)
    local why, buffers = cudagraph.refusal(graph, options.stream)
    if why then error(why, 0) end
    local names, params, inputs, outputs, results = {}, {}, {}, {}, {}
    local nodes, stream = {}, nil
    for node in graph:nodes() do
      if node.op == "placeholder" then
        nodes[#nodes + 1] = node
        names[node] = "p" .. #nodes
        params[#nodes] = node.target
        names[#nodes] = names[node]
        if node.target == options.stream then stream = names[node] end
        if buffers[node] then inputs[#inputs + 1] = node end
      elseif node.op == "output" then
        for i = 1, node.args.n do
          local arg = node.args[i]
          if not is_node(arg) or cuda.type(callee(graph, arg)) ~= "mapper"
             and (arg.op ~= "call_method" or arg.target ~= "map") then
            error(("output %d cannot be captured in a CUDA graph: it is "
              .. "not a buffer that a kernel makes"):format(i), 0)
          end
          outputs[i], results[i] = arg, "r" .. i
        end
      end
    end
    local graphs = { kernels = {} } -- captured graphs; and their kernels
    local prologue = gbi.compile_prologue(graph.registry, params)

    local function capture(...)
      local given, captured, objects = {}, {}, {}
      prologue(...)
      for index in graph.registry:entries() do
        objects[index] = graph.registry:get(index)
      end
      for i, node in ipairs(nodes) do given[node] = (select(i, ...)) end
      for i, node in ipairs(inputs) do
        if cuda.type(given[node]) ~= "buffer" then
          error(("input %s of a CUDA graph is not a buffer (got %s)"):format(
            node.target, cuda.type(given[node]) or type(given[node])), 0)
        end
        captured[i] = given[node]
      end
      local origin = cuda.stream()
      local made = cuda.capture(origin, unpack(captured))
      local ok, err = pcall(function()
        local values = record(graph, origin, given, objects)
        local buffers_out = {}
        for i, node in ipairs(outputs) do buffers_out[i] = values[node] end
        made:finish(unpack(buffers_out))
        for node, value in pairs(values) do
          local kind = cuda.type(value)
          if kind == "kernel" then
            graphs.kernels[value] = true
          elseif kind == "buffer" and node.op ~= "placeholder" then
            value:close() -- the graph keeps its memory
          end
        end
        for _, object in pairs(objects) do
          if cuda.type(object) == "event" then object:close() end
        end
      end)
      if not ok then made:close() end
      origin:close()
      if not ok then error(err, 0) end
      graphs[#graphs + 1] = made
    end

    local arguments = { stream }
    for _, node in ipairs(inputs) do
      arguments[#arguments + 1] = names[node]
    end
    local text = ([[
      local graphs, capture, launch, CAPTURES = ...
      local function again(PARAMS)
        for attempt = 1, 3 do
          for i = 1, #graphs do
            local ANSWER = launch(graphs[i], ARGUMENTS)
            if FIRST then return ANSWER end
          end
          if attempt == 1 and #graphs >= CAPTURES then collectgarbage()
          elseif attempt < 3 then capture(PARAMS) end
        end
        error("the CUDA graph is busy", 3)
      end
      return function(_, PARAMS)
        local graph = graphs[1]
        if graph then
          local ANSWER = launch(graph, ARGUMENTS)
          if FIRST then return ANSWER end
        end
        return again(PARAMS)
      end]]):gsub("%u%u+", {
        PARAMS = table.concat(names, ", "),
        ARGUMENTS = table.concat(arguments, ", "),
        ANSWER = table.concat(results, ", "),
        FIRST = results[1],
      })
    return assert((loadstring or load)(text))(graphs, capture, cuda.launch,
      CAPTURES)
  end
end

--- Compiles a graph with the backend.
-- @tparam gbi.graph graph
-- @tparam table options `stream`, and `fallback`
-- @treturn function
-- @treturn ?string why it was compiled without the backend
function cudagraph.compile(graph, options)
  -- a graph with the same inputs and no external objects
  local shell = gbi.graph.new()
  local ok, f = pcall(cudagraph.backend(options), graph)
  if ok then
    for node in graph:nodes() do
      if node.op == "placeholder" then shell:node_copy(node) end
    end
    shell:output()
    return (shell:compile { backend = function() return f end })
  end
  if not options.fallback then error(f, 2) end
  return (graph:compile()), f
end

return cudagraph

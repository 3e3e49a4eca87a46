-- The graphs of the examples. Streams and events are external objects; the
-- operations that order streams get their handles.
local gbi = require "gbi"
local cuda = require "cuda"
local kernels = require "kernels"
local source = gbi.source

-- where the sources find them
rawset(_G, "cuda", cuda)

local workload = {}

local function of(module, name)
  return source.AttrSource(source.GlobalSource(module), name)
end

-- A graph, and its functions: name -> node. They are attributes: the module's
-- functions as they are now.
local function new_graph()
  local g, f = gbi.graph.new(), {}
  for name, value in pairs {
    record_event = cuda.record_event, wait_event = cuda.wait_event,
    number = cuda.number, close = cuda.close, add = kernels.maps.add,
    mul = kernels.maps.mul, sum = kernels.maps.sum,
    slow_add = kernels.maps.slow_add,
  } do
    g:attribute(name, value)
  end
  return g, setmetatable(f, { __index = function(_, name)
    f[name] = g:get_attr(name)
    return f[name]
  end })
end

-- A stream of the pool, another one in each run.
local function pool_stream(g)
  return g:external(cuda.pool_stream(),
    source.CallFunctionNoArgsSource(of("cuda", "pool_stream")))
end

-- An event that each run creates.
local function new_event(g)
  return g:created(cuda.event(), function(_, cg)
    cg(of("cuda", "event"))
    cg:call_function(0)
  end)
end

-- y = x + 1 on a side stream, z = y * 2 on the stream `main` after it:
-- f(x, main). The handles of stream and event are the module's; with `of_run`
-- they are handles of the run, which die with it. Other options: `wait = false`
-- forgets to wait; `slow` makes the first kernel take this many nanoseconds;
-- `pause` is a source of a function that is called in between.
function workload.fork_join(options)
  options = options or {}
  local g, f = new_graph()
  local x, main = g:placeholder "x", g:placeholder "main"
  local side, happened = pool_stream(g), new_event(g)
  local function number(object)
    if options.of_run then return object:handle() end
    return g:call_function(f.number, object)
  end
  local event = number(happened)
  local y
  if options.slow then y = g:call_function(f.slow_add, side, x, 1, options.slow)
  else y = g:call_function(f.add, side, x, 1) end
  g:call_function(f.record_event, event, number(side))
  if options.pause then g:call_function(options.pause) end
  if options.wait ~= false then g:call_function(f.wait_event, event, main) end
  local z = g:call_function(f.mul, main, y, 2)
  g:call_function(f.close, y, happened) -- or the collector does it later
  g:output(z)
  return g
end

-- Two side streams and three events: both start after `a = x + 1` on `main`,
-- compute `b = a * 2` and `c = a + 3`, and `main` adds the two.
function workload.diamond()
  local g, f = new_graph()
  local x, main = g:placeholder "x", g:placeholder "main"
  local left, right = pool_stream(g), pool_stream(g)
  local e1, e2, e3 = new_event(g), new_event(g), new_event(g)
  local started, done1, done2 = e1:handle(), e2:handle(), e3:handle()
  local to_left = g:call_function(f.number, left)
  local to_right = g:call_function(f.number, right)
  local a = g:call_function(f.add, main, x, 1)
  g:call_function(f.record_event, started, main)
  g:call_function(f.wait_event, started, to_left)
  g:call_function(f.wait_event, started, to_right)
  local b = g:call_function(f.mul, left, a, 2)
  g:call_function(f.record_event, done1, to_left)
  local c = g:call_function(f.add, right, a, 3)
  g:call_function(f.record_event, done2, to_right)
  g:call_function(f.wait_event, done1, main)
  g:call_function(f.wait_event, done2, main)
  local sum = g:call_function(f.sum, main, b, c)
  g:call_function(f.close, a, b, c, e1, e2, e3)
  g:output(sum)
  return g
end

-- What the graphs compute from one number.
function workload.fork_join_of(x) return (x + 1) * 2 end
function workload.diamond_of(x) return (x + 1) * 2 + (x + 1) + 3 end

-- Are these the numbers that `of_one` computes from the list `xs`? Returns
-- true, or false and the first wrong one.
function workload.check(numbers, xs, of_one)
  if #numbers ~= #xs then return false, #numbers .. " numbers" end
  for i, x in ipairs(xs) do
    if numbers[i] ~= of_one(x) then
      return false, ("element %d is %g, not %g"):format(i, numbers[i],
        of_one(x))
    end
  end
  return true
end

return workload

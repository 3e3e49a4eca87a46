-- The graphs of the examples. Streams and events are external objects; the
-- operations that order streams get numbers, handles of this run's objects.
local gbi = require "gbi"
local cuda = require "cuda"
local kernels = require "kernels"
local source = gbi.source

-- where the sources find them
rawset(_G, "cuda", cuda)
rawset(_G, "maps", kernels.maps)

local workload = {}

local function of(module, name)
  return source.AttrSource(source.GlobalSource(module), name)
end

local RECORD, WAIT = of("cuda", "record_event"), of("cuda", "wait_event")
local CLOSE = of("cuda", "close")

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

local function map(g, kernel, ...)
  return g:call_function(of("maps", kernel), ...)
end

-- The number of a stream, which is there for long: the module keeps it.
local function number(g, stream)
  return g:call_function(of("cuda", "number"), stream)
end

-- y = x + 1 on a side stream, z = y * 2 on the stream `main` after it:
-- f(x, main). Options: `wait = false` forgets to wait; `slow` makes the first
-- kernel take so many nanoseconds; `pause` is a source of a function that is
-- called in between.
function workload.fork_join(options)
  options = options or {}
  local g = gbi.graph.new()
  local x, main = g:placeholder "x", g:placeholder "main"
  local side, happened = pool_stream(g), new_event(g)
  local event = happened:handle()
  local y
  if options.slow then y = map(g, "slow_add", side, x, 1, options.slow)
  else y = map(g, "add", side, x, 1) end
  g:call_function(RECORD, event, number(g, side))
  if options.pause then g:call_function(options.pause) end
  if options.wait ~= false then g:call_function(WAIT, event, main) end
  local z = map(g, "mul", main, y, 2)
  g:call_function(CLOSE, y, happened) -- or the collector does, later
  g:output(z)
  return g
end

-- Two side streams and three events: both start after `a = x + 1` on `main`,
-- compute `b = a * 2` and `c = a + 3`, and `main` adds what they computed.
function workload.diamond()
  local g = gbi.graph.new()
  local x, main = g:placeholder "x", g:placeholder "main"
  local left, right = pool_stream(g), pool_stream(g)
  local e1, e2, e3 = new_event(g), new_event(g), new_event(g)
  local started, done1, done2 = e1:handle(), e2:handle(), e3:handle()
  local left_number, right_number = number(g, left), number(g, right)
  local a = map(g, "add", main, x, 1)
  g:call_function(RECORD, started, main)
  g:call_function(WAIT, started, left_number)
  g:call_function(WAIT, started, right_number)
  local b = map(g, "mul", left, a, 2)
  g:call_function(RECORD, done1, left_number)
  local c = map(g, "add", right, a, 3)
  g:call_function(RECORD, done2, right_number)
  g:call_function(WAIT, done1, main)
  g:call_function(WAIT, done2, main)
  local sum = map(g, "sum", main, b, c)
  g:call_function(CLOSE, a, b, c, e1, e2, e3)
  g:output(sum)
  return g
end

-- What the graphs compute of one number.
function workload.fork_join_of(x) return (x + 1) * 2 end
function workload.diamond_of(x) return (x + 1) * 2 + (x + 1) + 3 end

-- Are these the numbers that `of_one` makes of the list `xs`? Returns true, or
-- false and the first that is not.
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

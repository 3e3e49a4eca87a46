--- How the rows are measured, on any Lua.
local report = require "report"

local measure = {}

function measure.median(list)
  table.sort(list)
  return list[math.floor((#list + 1) / 2)]
end

-- Seconds of processor time that f(n) takes.
function measure.seconds(f, n)
  local start = os.clock()
  f(n)
  return os.clock() - start
end

-- Nanoseconds per operation, by side: the medians of `rounds` runs. If the
-- sides are a function that makes them, each round makes them anew, because the
-- place of a function or table in memory can change the time by some per cent.
function measure.sides(sides, n, rounds)
  local times, values = {}, {}
  for round = 0, rounds do -- the first warms up
    local now = type(sides) == "function" and sides() or sides
    for _, name in ipairs(report.columns) do
      local side = now[name]
      if side then
        times[name] = times[name] or {}
        local run = side
        if type(side) == "table" then
          side.prepare(n)
          run = side.run
        end
        collectgarbage()
        times[name][round] = measure.seconds(run, n)
      end
    end
  end
  for name, list in pairs(times) do
    list[0] = nil
    values[name] = measure.median(list) / n * 1e9
  end
  return values
end

return measure

--- Runs one side of one row once, for callgrind: count.lua ROW SIDE
--
-- The second run is counted: a shorter one before it has made everything that
-- only the first needs.
local floor = require "floor"
local rows = require "rows"

local row, side = rows[tonumber(arg[1])], arg[2]
local n = row.n // (row.slow and 50 or 1)
local it = row.make(n)[side]
collectgarbage()
if type(it) == "table" then
  it.prepare(n)
  floor.measured(it.run, n)
else
  it(n // 5)
  floor.measured(it, n)
end
io.write(("entries %d\n"):format(n))

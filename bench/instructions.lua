--- The rows as instruction counts: instructions.lua [FILE.csv]
local rows = require "rows"
local report = require "report"
local callgrind = require "callgrind"

local add, close = report.csv(arg[1] or "docs/instructions.csv")
local missed = 0
report.head(io.stdout, "instructions an operation")
for i, row in ipairs(rows) do
  local values, sides = {}, row.make(10)
  for _, column in ipairs(report.columns) do
    if sides[column] then values[column] = callgrind(i, column) end
  end
  if not report.row(io.stdout, row.name, values, row.must) then
    missed = missed + 1
  end
  add(row.name, nil, "instructions", values, row.must)
end
close()
print(("%d of the rows missed"):format(missed))

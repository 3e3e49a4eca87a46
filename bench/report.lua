--- The table that is printed, and the CSV file.
local report = {}

local COLUMNS = { "gbi", "floor", "peer", "ref" }
report.columns = COLUMNS

-- The operations whose cost is measured against the number of entries.
report.curves = { "get", "find", "register", "store", "h:get", "h:weak" }

local function number(x, format)
  return x and (format):format(x) or "-"
end

function report.head(out, unit)
  out:write(("%-60s %9s %9s %6s %6s %9s %6s %9s %6s\n"):format(unit, "gbi",
    "floor", "ratio", "must", "peer", "ratio", "luaL_ref", "ratio"))
end

--- Prints a row.
-- @tparam string name
-- @tparam {[string]=number} values by column
-- @tparam ?number must the ratio to the floor that must be reached; nil for a
-- row that is only there to compare
-- @tparam ?number most the most that gbi may have, in place of a ratio
-- @treturn boolean was it?
function report.row(out, name, values, must, most)
  local function ratio(column)
    return number(not most and values[column] and values.gbi / values[column],
      "%.2f")
  end
  local limit = most or must and values.floor * must * 1.0001
  local reached = not limit or values.gbi <= limit
  out:write(("%-60s %9s %9s %6s %6s %9s %6s %9s %6s%s\n"):format(name,
    number(values.gbi, "%.1f"), number(values.floor, "%.1f"), ratio("floor"),
    number(most or must, "%.2f"), number(values.peer, "%.1f"), ratio("peer"),
    number(values.ref, "%.1f"), ratio("ref"),
    limit and (reached and "  ok" or "  MISSED") or ""))
  out:flush()
  return reached
end

--- Starts a CSV file of what is measured.
-- @treturn function that adds a line: name, entries or nil, unit, values
-- @treturn function that closes it
function report.csv(path)
  local file = assert(io.open(path, "w"))
  file:write("row,entries,unit,", table.concat(COLUMNS, ","), ",must\n")
  local function add(name, entries, unit, values, must)
    local cells = { ('"%s"'):format(name:gsub("^ +the same", "- the same")),
      entries and ("%d"):format(entries) or "", unit }
    for _, column in ipairs(COLUMNS) do
      cells[#cells + 1] = values[column] and ("%.2f"):format(values[column])
        or ""
    end
    cells[#cells + 1] = must and ("%.2f"):format(must) or ""
    file:write(table.concat(cells, ","), "\n")
  end
  return add, function() file:close() end
end

return report

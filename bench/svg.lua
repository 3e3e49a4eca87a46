--- Draws the cost against the number of objects: svg.lua FILE.csv FILE.svg
local WIDTH, HEIGHT, LEFT, TOP, GAP = 300, 180, 60, 70, 60
local NAMES = require "report".curves
local SIDES = {
  { column = "gbi", color = "#0b62a4", label = "gbi" },
  { column = "peer", color = "#c0561a", label = "the same in Lua" },
  { column = "ref", color = "#808080", label = "luaL_ref (strong)" },
}

-- The lines of the file that have a number of entries, by operation.
local function read(path)
  local curves, heads = {}, {}
  for line in io.lines(path) do
    local cells = {}
    local text = line:gsub('^"([^"]*)"', function(name)
      cells[1] = name
      return ""
    end)
    for cell in text:gmatch(cells[1] and ",([^,]*)" or "([^,]+)") do
      cells[#cells + 1] = cell
    end
    if #heads == 0 then
      heads = cells
    else
      local fields = {}
      for i, head in ipairs(heads) do fields[head] = cells[i] end
      if fields.entries ~= "" then
        curves[fields.row] = curves[fields.row] or {}
        table.insert(curves[fields.row], fields)
      end
    end
  end
  return curves
end

local out = {}

local function add(format, ...)
  out[#out + 1] = format:format(...)
end

local function text(x, y, anchor, words)
  add('<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>', x, y, anchor, words)
end

-- The smallest of 1, 2, 5, 10, 20 ... that is at least `value`.
local function ceiling(value)
  local unit = 10 ^ math.floor(math.log(value, 10))
  for _, factor in ipairs { 1, 2, 5 } do
    if value <= factor * unit then return factor * unit end
  end
  return 10 * unit
end

local function panel(name, curve, left, top)
  local most = 0
  for _, fields in ipairs(curve) do
    for _, side in ipairs(SIDES) do
      most = math.max(most, tonumber(fields[side.column]) or 0)
    end
  end
  most = ceiling(most)
  local first = math.log(curve[1].entries, 10)
  local span = math.max(1, math.log(curve[#curve].entries, 10) - first)
  local function place(fields, value)
    return left + (math.log(fields.entries, 10) - first) / span * WIDTH,
      top + HEIGHT * (1 - value / most)
  end
  text(left, top - 10, "start", name .. ", ns")
  add('<path d="M%d %dv%dh%d" fill="none" stroke="#444"/>', left, top, HEIGHT,
    WIDTH)
  for _, part in ipairs { 0, 0.5, 1 } do
    text(left - 6, top + HEIGHT * (1 - part) + 4, "end",
      ("%g"):format(most * part))
  end
  for _, fields in ipairs(curve) do
    local x = place(fields, 0)
    add('<text x="%.1f" y="%d" text-anchor="middle">10<tspan dy="-5" '
      .. 'font-size="9">%d</tspan></text>', x, top + HEIGHT + 18,
      math.floor(math.log(fields.entries, 10) + 0.5))
  end
  for _, side in ipairs(SIDES) do
    local points = {}
    for _, fields in ipairs(curve) do
      local value = tonumber(fields[side.column])
      if value then
        local x, y = place(fields, value)
        points[#points + 1] = ("%.1f,%.1f"):format(x, y)
        add('<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>', x, y, side.color)
      end
    end
    add('<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>',
      table.concat(points, " "), side.color)
  end
end

local curves = read(arg[1])
local width = 2 * (LEFT + WIDTH) + 40
local height = TOP + math.ceil(#NAMES / 2) * (HEIGHT + GAP)
add('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" '
  .. 'font-family="sans-serif" font-size="12">', width, height)
add('<rect width="%d" height="%d" fill="#fff"/>', width, height)
for i, side in ipairs(SIDES) do
  add('<rect x="%d" y="12" width="14" height="14" fill="%s"/>',
    LEFT + (i - 1) * 140, side.color)
  text(LEFT + (i - 1) * 140 + 20, 24, "start", side.label)
end
text(width - 20, 24, "end", "number of entries")
for i, name in ipairs(NAMES) do
  panel(name, assert(curves[name], arg[1] .. ": no curve of " .. name),
    LEFT + (i - 1) % 2 * (WIDTH + LEFT), TOP + (i - 1) // 2 * (HEIGHT + GAP))
end
add("</svg>\n")

local file = assert(io.open(arg[2], "w"))
file:write(table.concat(out, "\n"))
file:close()

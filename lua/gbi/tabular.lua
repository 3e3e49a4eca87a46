-- Tables of text, for people to read.

local MOST = 200 -- the widest column; a longer text sticks out

-- Lays out rows of texts under a header, two spaces between columns.
-- @tparam {string,...} header
-- @tparam {{string,...},...} rows each as long as the header
-- @treturn string lines, each ending with a newline
local function tabular(header, rows)
  local widths, out = {}, {}
  for i, title in ipairs(header) do
    widths[i] = #title
    for _, row in ipairs(rows) do widths[i] = math.max(widths[i], #row[i]) end
    widths[i] = math.min(widths[i], MOST)
  end
  local function add(row)
    local cells, last = {}, #row
    while last > 1 and row[last] == "" do last = last - 1 end
    for i = 1, last do
      local text = row[i]
      cells[i] = i == last and text or text .. (" "):rep(widths[i] - #text)
    end
    out[#out + 1] = table.concat(cells, "  ")
  end
  local line = {}
  for i, width in ipairs(widths) do line[i] = ("-"):rep(width) end
  add(header)
  add(line)
  for _, row in ipairs(rows) do add(row) end
  out[#out + 1] = ""
  return table.concat(out, "\n")
end

return tabular

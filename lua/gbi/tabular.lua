-- Tables of text, for people to read.

-- Lays out rows of texts under a header, two spaces between columns.
-- @tparam {string,...} header
-- @tparam {{string,...},...} rows each as long as the header
-- @treturn string lines, each ending with a newline
local function tabular(header, rows)
  local widths, out = {}, {}
  for i, title in ipairs(header) do
    widths[i] = #title
    for _, row in ipairs(rows) do widths[i] = math.max(widths[i], #row[i]) end
  end
  local function add(row)
    local cells = {}
    for i, text in ipairs(row) do
      cells[i] = text .. (" "):rep(widths[i] - #text)
    end
    out[#out + 1] = table.concat(cells, "  "):gsub(" +$", "")
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

--- Writes constants and names as Lua source, on one line. No text can become
-- code, and every value reads back unchanged.
local compat = require "gbi.compat"

local literal = {}

local KEYWORDS = {}
for word in ([[and break do else elseif end false for function global goto
    if in local nil not or repeat return then true until
    while]]):gmatch("%a+") do
  KEYWORDS[word] = true
end

--- Is `s` a plain identifier: a string that Lua reads as a name?
-- @param s any value
-- @treturn boolean
function literal.is_identifier(s)
  return type(s) == "string" and s:find("^[A-Za-z_][A-Za-z0-9_]*$") ~= nil
    and not KEYWORDS[s]
end

--- Can `value` be written as a constant: nil, a boolean, number or string?
function literal.is_constant(value)
  local t = type(value)
  return t == "nil" or t == "boolean" or t == "number" or t == "string"
end

local function quote(s)
  -- %q writes a newline as a backslash and a newline
  return (("%q"):format(s):gsub("\\\n", "\\n"))
end

local function number(x)
  if x ~= x then return "(0/0)" end
  if x == math.huge then return "1e9999" end
  if x == -math.huge then return "-1e9999" end
  if x == 0 and 1 / x < 0 then return compat.minus_zero end
  if compat.is_integer(x) then
    -- the digits of the least integer read back as a float
    return x == math.mininteger and "0x8000000000000000" or compat.digits(x)
  end
  for digits = 14, 17 do -- the shortest that reads back the same
    -- a locale may write its decimal point as a comma
    local text = ("%%.%dg"):format(digits):format(x):gsub(",", ".")
    if tonumber(text) == x then
      return text:find("[.eE]") and text or text .. ".0"
    end
  end
end

--- Returns the Lua expression for a constant.
-- @param value nil, a boolean, number or string
-- @treturn string its text, on one line
function literal.of(value)
  local t = type(value)
  if t == "string" then return quote(value) end
  if t == "number" then return number(value) end
  assert(t == "nil" or t == "boolean", "not a constant")
  return tostring(value)
end

--- Returns the text that indexes a value: `.name` or `["any key"]`.
-- @param key a constant that is not nil
-- @treturn string
function literal.index(key)
  if literal.is_identifier(key) then return "." .. key end
  return "[" .. literal.of(key) .. "]"
end

--- Makes a text fit into a comment: puts it on one line.
function literal.comment(text)
  return (text:gsub("%c", " "))
end

return literal

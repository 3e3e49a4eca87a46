--- Lua 5.4's functions for earlier Luas, and the features of the running Lua.
--
-- All other files use only features that all Luas share; this one finds out, by
-- trying, what the running Lua can do. Globals that not every Lua has are read
-- with rawget: in a game, reading an undeclared global may raise an error.
local errors = require "gbi.errors"

local compat = {}

--- `table.unpack`, `table.pack`, `table.move`.
compat.unpack = table.unpack or rawget(_G, "unpack")

compat.pack = table.pack or function(...)
  return { n = select("#", ...), ... }
end

compat.move = table.move or function(from, first, last, at, to)
  to = to or from
  for i = 0, last - first do to[at + i] = from[first + i] end
  return to
end

--- Loads source text, never bytecode, with a table for its globals.
-- @tparam string text
-- @tparam string name of the chunk
-- @tparam ?table env default: `_G`
-- @treturn function; or nil and the reason
local setfenv, loadstring = rawget(_G, "setfenv"), rawget(_G, "loadstring")
if setfenv then
  function compat.load(text, name, env)
    if text:find("^\27") then return nil, "bytecode" end
    local chunk, err = loadstring(text, name)
    if chunk and env then setfenv(chunk, env) end
    return chunk, err
  end
else
  function compat.load(text, name, env)
    return load(text, name, "t", env or _G)
  end
end

--- The function of `a` and `b` that returns an expression.
-- @tparam string text
-- @treturn ?function nil if there is no such syntax
function compat.expression(text)
  local f, err = compat.load("local a, b = ... return " .. text, "=", {})
  if errors.exhausted(err) then error(err, 0) end
  return f
end

--- Does a function apply one of Lua's operators? It must call the metamethod of
-- its operands, and compute what Lua computes. (LuaJIT parses `1 << 40`, but
-- the result is 256, and it does not call `__shl`.)
-- @tparam ?function f of two operands; for nil, the answer is no
-- @tparam string event the metamethod's name
-- @param a operand
-- @param b operand
-- @param result what Lua's operator makes of a and b
-- @treturn boolean
function compat.is_operator(f, event, a, b, result)
  if not f then return false end
  local operand = setmetatable({}, { [event] = function() return event end })
  local ok, got = errors.attempt(f, operand, operand)
  if not ok or got ~= event then return false end
  ok, got = errors.attempt(f, a, b)
  return ok and got == result
end

--- Does this Lua have integers besides floats? Does `#` call a table's `__len`?
compat.integers = math.type ~= nil
compat.len = #setmetatable({}, { __len = function() return 1 end }) == 1

--- Is `x` an integer? In a Lua without integers: an exact whole number.
-- @param x any value
-- @treturn boolean
if compat.integers then
  function compat.is_integer(x)
    return math.type(x) == "integer"
  end
else
  function compat.is_integer(x)
    return type(x) == "number" and x % 1 == 0 and x > -2 ^ 53 and x < 2 ^ 53
      and (x ~= 0 or 1 / x > 0)
  end
end

--- Returns the integer with these decimal digits, or nil if this Lua has no
-- such integer.
-- @tparam string digits
function compat.to_integer(digits)
  local x = tonumber(digits)
  if x == 0 then x = 0 end -- "-0" must not become the float -0.0
  return compat.is_integer(x) and x or nil
end

--- Returns the decimal digits of an integer. (5.1 formats `%d` with a C `long`,
-- which may have 32 bits.)
-- @tparam integer i
-- @treturn string
function compat.digits(i)
  return (compat.integers and "%d" or "%.0f"):format(i)
end

--- The text of -0.0. Lua 5.1 confuses it with 0 among a function's constants.
compat.minus_zero = "-0.0"

--- Keeps the parser from folding an operator on numbers, where the result may
-- be a -0.0 among the constants.
-- @tparam table texts of the operands
function compat.compute() end

if 1 / select(2, assert(compat.load("return 0, -0.0", "=", {}))()) > 0 then
  compat.minus_zero = '(-#"")'
  function compat.compute(texts)
    for _, text in ipairs(texts) do
      if not text:find "^%(?%-?%d" then return end
    end
    texts[1] = ('(%s + #"")'):format(texts[1])
  end
end

--- Keeps LuaJIT's compiler from compiling the calling chunk. Until May 2022 it
-- may use an outdated length of a table after an append through another name of
-- the table (LuaJIT issue 843). For modules that append to lists.
function compat.interpret()
  local jit, debug = rawget(_G, "jit"), rawget(_G, "debug")
  if jit and debug and debug.getinfo then
    jit.off(debug.getinfo(2, "f").func, true)
  end
end

return compat

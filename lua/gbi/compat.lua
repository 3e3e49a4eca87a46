--- Lua 5.4's functions on the Luas before it, and what the running one can.
--
-- Everything else is written for 5.4 in what all have in common; this is the
-- one file that asks which Lua it is, by trying. Globals that not every Lua has
-- are read with rawget: in a game, reading an undeclared one may raise.
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
-- @tparam ?table env `_G` otherwise
-- @treturn function; or nil and why not
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

--- Does a function apply one of Lua's operators: does it ask the operands'
-- metamethod, and compute what Lua does? (LuaJIT parses `1 << 40`, which is 256
-- there, and does not ask `__shl`.)
-- @tparam ?function f of two operands; nil is no operator
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

--- Are there integers beside floats? Has a table's `#` a metamethod?
compat.integers = math.type ~= nil
compat.len = #setmetatable({}, { __len = function() return 1 end }) == 1

--- Is `x` an integer? Where there are none: a whole number that is exact.
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

--- The integer that decimal digits stand for, nil if there is none.
-- @tparam string digits
function compat.to_integer(digits)
  local x = tonumber(digits)
  if x == 0 then x = 0 end -- "-0" is no integer where there are only floats
  return compat.is_integer(x) and x or nil
end

--- The decimal digits of an integer. (5.1 formats `%d` with a C `long`, which
-- may have 32 bits.)
-- @tparam integer i
-- @treturn string
function compat.digits(i)
  return (compat.integers and "%d" or "%.0f"):format(i)
end

--- How -0.0 is written. Lua 5.1 takes it for 0 among a function's constants.
compat.minus_zero = "-0.0"

--- Has the run compute an operator on numbers, where the parser's result may be
-- a -0.0 among the constants.
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

--- Keeps the calling chunk from LuaJIT's compiler, which until May 2022 may
-- take the length of a table for what it was before something was appended by
-- another of its names (LuaJIT issue 843). For what appends to lists.
function compat.interpret()
  local jit, debug = rawget(_G, "jit"), rawget(_G, "debug")
  if jit and debug and debug.getinfo then
    jit.off(debug.getinfo(2, "f").func, true)
  end
end

return compat

-- The backend of the examples that compiles to C: numbers, guards, what goes
-- back to Lua. Random graphs: control_spec.lua.
local compat = require "gbi.compat"
local fixture = require "spec.support.fixture"
local portable = require "spec.support.portable"
local gbi = require "gbi"
local source = gbi.source

if not math.type then
  it("a Lua without integers is told why there is no backend to C", function()
    local out, ok = portable.run(portable.start() .. " examples/collatz.lua")
    assert.is_true(ok)
    assert.equal("examples/collatz.lua wants the integers of Lua 5.3 or 5.4\n",
      out)
    local g = gbi.graph.new()
    g:output()
    assert.has_error(function()
      g:compile { backend = require "examples.c_backend".backend }
    end, "c_backend knows the numbers of Lua 5.3 and 5.4")
  end)
  return
end

local c_backend = require "examples.c_backend"

local function show(value)
  return type(value) == "number" and portable.digits(value) or tostring(value)
end

-- What a call returns, or the error without position and names of variables.
local function outcome(f, ...)
  local results = compat.pack(pcall(f, ...))
  for i = 2, results.n do results[i] = show(results[i]) end
  if not results[1] then
    results[2] = results[2]:gsub("^.-:%d+: ", ""):gsub(" %b()", "")
  end
  return table.concat(results, ", ", 2, results.n)
end

local BINARY = {
  add = "+", sub = "-", mul = "*", div = "/", mod = "%", pow = "^",
  idiv = "//", band = "&", bor = "|", bxor = "~", shl = "<<", shr = ">>",
  eq = "==", ne = "~=", lt = "<", le = "<=", gt = ">", ge = ">=",
  land = "and", lor = "or", concat = "..",
}
local UNARY = { unm = "-", bnot = "~", lnot = "not ", len = "#" }

local max, min, inf = math.maxinteger, math.mininteger, math.huge
local VALUES = {
  0, 1, -1, 2, -2, 3, 7, 63, 64, -63, -64, 65, 2 ^ 53 | 0, (2 ^ 53 | 0) + 1,
  -(2 ^ 53 | 0) - 1, max, max - 1, min, min + 1,
  0.0, -0.0, 0.5, -0.5, 1.0, 2.0, -1.0, -3.7, 63.0, 2.0 ^ 53, 2.0 ^ 53 + 2,
  2.0 ^ 63, -2.0 ^ 63, 1e308, -1e308, 5e-324, inf, -inf, 0 / 0,
  true, false, "10", "0x10", "-0.0", "text", n = 45,
}
VALUES[VALUES.n] = nil

local TYPES = { integer = "I", float = "F" }
local function type_of(value)
  return TYPES[math.type(value)] or type(value) == "boolean" and "B" or "V"
end

describe("the backend to C", function()
  it("has Lua's operators, for all types", function()
    local texts, names, constants = {}, {}, {}
    local function add(name, operands, types)
      local g = gbi.graph.new()
      local a = g:placeholder "a"
      if operands == 1 then g:output(g:call_function(name, a))
      else g:output(g:call_function(name, a, g:placeholder "b")) end
      names[#names + 1] = name .. types
      texts[#names], constants[names[#names]] = c_backend.generate(g,
        names[#names], types)
    end
    for a in ("IFBV"):gmatch "." do
      for name in pairs(UNARY) do add(name, 1, a) end
      for b in ("IFBV"):gmatch "." do
        for name in pairs(BINARY) do add(name, 2, a .. b) end
      end
    end
    local functions = {}
    for i, f in ipairs(c_backend.build(table.concat(texts), names,
        "-O2 -Wall -Werror -Wno-unused")) do
      functions[names[i]] = f
    end
    local function compare(name, types, f, ...)
      local expected = outcome(f, ...)
      for _, each in ipairs { types, ("V"):rep(#types) } do
        local got = outcome(functions[name .. each], constants[name .. each],
          {}, ...)
        if got ~= expected then
          error(("%s%s of %s, %s: expected %s, got %s"):format(name, each,
            show((...)), show((select(2, ...))), expected, got))
        end
      end
    end
    for name, symbol in pairs(UNARY) do
      local f = portable.expression(symbol .. "a")
      for i = 1, VALUES.n do
        compare(name, type_of(VALUES[i]), f, VALUES[i], nil)
      end
    end
    for name, symbol in pairs(BINARY) do
      local f = portable.expression(("a %s b"):format(symbol))
      for i = 1, VALUES.n do
        for k = 1, VALUES.n do
          local a, b = VALUES[i], VALUES[k]
          compare(name, type_of(a) .. type_of(b), f, a, b)
        end
      end
    end
  end)
end)

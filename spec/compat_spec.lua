-- The questions that gbi asks the running Lua.

local compat = require "gbi.compat"
local portable = require "spec.support.portable"

describe("an operator", function()
  local BIG = 2 ^ 40
  local function is_shl(f)
    return compat.is_operator(f, "__shl", 1, 40, BIG)
  end

  -- `<<` with `bits` bits, which calls the metamethod `event`.
  local function shl(bits, event)
    return function(a, b)
      if type(a) == "table" then return getmetatable(a)[event](a, b) end
      return a * 2 ^ (b % bits)
    end
  end

  it("exists if it calls its metamethod and has integers of 64 bits",
    function()
      assert.is_true(is_shl(shl(64, "__shl")))
    end)

  it("does not exist if it is not parsed", function()
    assert.is_false(is_shl(compat.expression "a << << b"))
  end)

  -- LuaJIT, since 2026, parses `& | ~ << >>`, with results of 32 bits and
  -- without metamethods. gbi only checked that it parses: the node of `1 << 40`
  -- gave 256, even in a graph that 5.4 had saved.
  it("does not exist with results of 32 bits", function()
    assert.equal(256, shl(32, "__shl")(1, 40))
    assert.is_false(is_shl(shl(32, "__shl")))
  end)

  it("does not exist without its metamethod", function()
    assert.is_false(is_shl(shl(64, "__bshl")))
    assert.is_false(is_shl(function(a, b) return a * 2 ^ b end))
    assert.is_false(is_shl(function(a, b)
      return type(a) == "table" or a * 2 ^ b
    end))
  end)

  it("still exists after the check ran out of memory", function()
    for _, message in ipairs { "not enough memory", "stack overflow" } do
      assert.has_error(function()
        is_shl(function() error(message, 0) end)
      end, message)
    end
  end)

  it("exists exactly where this Lua has it", function()
    for text, example in pairs {
      ["a // b"] = { "__idiv", 7, 2, 3 }, ["a & b"] = { "__band", 5, 3, 1 },
      ["a << b"] = { "__shl", 1, 40, BIG }, ["~a"] = { "__bnot", 1, nil, -2 },
      ["a + b"] = { "__add", 1, 2, 3 }, ["-a"] = { "__unm", 1, nil, -1 },
    } do
      assert.equal(portable.expression(text) ~= nil, compat.is_operator(
        compat.expression(text), compat.unpack(example, 1, 4)), text)
    end
  end)
end)

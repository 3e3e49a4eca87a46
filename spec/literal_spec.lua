-- Every constant and name that is written in Lua source reads back unchanged.
local compat = require "gbi.compat"
local portable = require "spec.support.portable"
local literal = require "gbi.literal"

local SEED = require "spec.support.seed" "literal_spec"

local KEYWORDS = [[and break do else elseif end false for function global goto
  if in local nil not or repeat return then true until while]]

local ALL_BYTES = {}
for byte = 0, 255 do ALL_BYTES[#ALL_BYTES + 1] = string.char(byte) end
ALL_BYTES = table.concat(ALL_BYTES)

-- The value of an expression's text; `...` is available to it.
local function read(text, ...)
  return assert(compat.load("return " .. text, "=literal", {}))(...)
end

-- Type, subtype and value of a number.
local bits = portable.digits

local function assert_number(x)
  local text = literal.of(x)
  assert.is_nil(text:find "\n")
  assert.equal(bits(x), bits(read(text)), text)
end

local function assert_string(s)
  local text = literal.of(s)
  assert.is_nil(text:find "[\n\r%z]", ("%q"):format(s))
  assert.is_true(read(text) == s, ("%q is written %s"):format(s, text))
end

-- A string of random bytes, mostly bytes that are hard to quote.
local function random_string()
  local hard = { "\\", "\n", "\r", "\0", '"', "'", "]]", "--", "%", "0", "9" }
  local parts = {}
  for i = 1, math.random(0, 12) do
    parts[i] = math.random(4) == 1 and string.char(math.random(0, 255))
      or hard[math.random(#hard)]
  end
  return table.concat(parts)
end

describe("a constant", function()
  setup(function() math.randomseed(SEED) end)

  it("is nil, a boolean, a number or a string", function()
    assert.is_true(literal.is_constant(nil))
    for _, value in ipairs { true, false, 1, 0.5, "", "x" } do
      assert.is_true(literal.is_constant(value))
    end
    for _, value in ipairs { {}, print, io.stdout,
                             coroutine.create(function() end) } do
      assert.is_false(literal.is_constant(value))
      assert.has_error(function() literal.of(value) end)
    end
  end)

  it("may be nil or a boolean", function()
    assert.is_nil(read(literal.of(nil)))
    assert.is_true(read(literal.of(true)))
    assert.is_false(read(literal.of(false)))
  end)

  it("may be any integer", function()
    for _, x in ipairs { 0, 1, -1, 7, 9007199254740991, portable.max,
                         portable.min, portable.min + 1 } do
      assert_number(x)
    end
  end)

  it("may be any float, which stays a float", function()
    for _, x in ipairs { 0.0, -0.0, 1.0, -1.0, 0.1, 0.1 + 0.2, 1 / 3, 1e15,
                         1e16, 1e100, 1e300, 2.0 ^ 53, 2.0 ^ 53 + 2, 2.0 ^ 63,
                         -2.0 ^ 63, 5e-324, -5e-324, 2.2250738585072009e-308,
                         2.2250738585072014e-308, 1.7976931348623157e308,
                         123456789012345680.0 } do
      assert_number(x)
    end
  end)

  it("may be NaN or an infinity", function()
    for _, x in ipairs { 0 / 0, -(0 / 0), math.huge, -math.huge } do
      assert_number(x)
    end
  end)

  it("may be any pattern of 64 bits", function()
    for _ = 1, 20000 do
      if compat.integers then
        local x = string.pack("i4i4", math.random(-2 ^ 31, 2 ^ 31 - 1),
          math.random(-2 ^ 31, 2 ^ 31 - 1))
        assert_number((string.unpack("j", x)))
        assert_number((string.unpack("d", x)))
      else
        assert_number((math.random() - 0.5) * 2 ^ math.random(-1074, 1024))
        assert_number(math.random(-2 ^ 31, 2 ^ 31 - 1) * 2097152)
      end
    end
  end)

  it("can be used as an operand", function()
    assert.equal(-7, read("0 + " .. literal.of(-7)))
    assert.equal(portable.min, read("0 + " .. literal.of(portable.min)))
    assert.equal(-math.huge, read("0 + " .. literal.of(-math.huge)))
  end)

  it("may be any string, on one line", function()
    for _, s in ipairs { "", "x", '"', "'", "\\", "\\\\", '\\"', "\n", "\\\n",
                         "\n\n", "\r", "\r\n", "\n\r", "\0", "\0001", "\0a",
                         "a\0b\n", "]]", "]==]", "--[[", "--", "\t\v\f\b\a\27",
                         "\127", "%d%s%%", "\\n", "\\z", "\\x41", "\\u{41}",
                         "\255\254\128", "\195", "\226\128\168", "é", ALL_BYTES,
                         ALL_BYTES:reverse() } do
      assert_string(s)
      assert_string(s .. s)
      assert_string("1" .. s .. "2")
    end
  end)

  it("may be a long string", function()
    assert_string(ALL_BYTES:rep(1000))
    assert_string(("\n"):rep(100000))
  end)

  it("may be any string of random bytes", function()
    for _ = 1, 5000 do assert_string(random_string()) end
  end)
end)

describe("a name", function()
  setup(function() math.randomseed(SEED) end)

  it("is an identifier when Lua reads it as one", function()
    for _, s in ipairs { "x", "_", "_ENV", "self", "x1", "End", "nil_", "G",
                         ("long"):rep(100) } do
      assert.is_true(literal.is_identifier(s))
      assert.is_truthy(compat.load(("local %s = 1"):format(s)))
      assert.equal("." .. s, literal.index(s))
    end
  end)

  it("is not an identifier when it is a keyword", function()
    for word in KEYWORDS:gmatch "%a+" do
      if word ~= "goto" and word ~= "global" then -- not a keyword in every Lua
        assert.is_nil(compat.load(("local %s = 1"):format(word)))
      end
      assert.is_false(literal.is_identifier(word), word)
    end
  end)

  it("is not an identifier when it is anything else", function()
    for _, s in ipairs { "", " ", "1", "1a", "a b", "a.b", "a:b", "a-b", "x\n",
                         "\nx", "x\0", "x ", " x", "é", "a]", "...", "a,b", 1,
                         1.5, true, {} } do
      assert.is_false(literal.is_identifier(s), tostring(s))
    end
    assert.is_false(literal.is_identifier(nil))
  end)

  it("indexes a table, whatever the name", function()
    local keys = { "x", "a b", "", "\n", "\\\n", "]]", "é", ALL_BYTES, 1, -1,
                   1.5, -0.5, math.huge, -math.huge, portable.min, true,
                   false }
    for word in KEYWORDS:gmatch "%a+" do keys[#keys + 1] = word end
    for _ = 1, 1000 do keys[#keys + 1] = random_string() end
    for _, key in ipairs(keys) do
      local found = {}
      local text = literal.index(key)
      assert.is_nil(text:find "\n")
      assert.equal(found, read("(...)" .. text, { [key] = found }), text)
    end
  end)

  it("indexes with NaN as Lua does", function()
    assert.is_nil(read("(...)" .. literal.index(0 / 0), {}))
  end)
end)

describe("a decimal comma", function()
  local FLOATS = { 0.5, 0.1 + 0.2, 1e15, 1.5e300, 5e-324, -0.0, 3.0, 1e100 }
  local LOCALES = { "de_DE", "de_AT", "fr_FR", "es_ES", "it_IT", "pt_BR",
                    "nl_NL", "ru_RU", "pl_PL", "sv_SE", "da_DK", "cs_CZ" }

  -- The texts of FLOATS, all with a point and without a comma.
  local function texts()
    local list = {}
    for i, x in ipairs(FLOATS) do
      list[i] = literal.of(x)
      assert.is_nil(list[i]:find(",", 1, true))
    end
    return list
  end

  it("of any installed locale is written as a point", function()
    local before, old = texts(), os.setlocale()
    finally(function() os.setlocale(old) end)
    for _, name in ipairs(LOCALES) do
      for _, coding in ipairs { "", ".utf8", ".UTF-8", ".iso88591" } do
        os.setlocale(old)
        if os.setlocale(name .. coding) then
          assert.same(before, texts())
          for _, x in ipairs(FLOATS) do assert_number(x) end
        end
      end
    end
  end)

  it("that string.format writes is written as a point", function()
    local before, format = texts(), string.format
    finally(function() string.format = format end) -- luacheck: ignore 122
    string.format = function(fmt, ...) -- luacheck: ignore 122
      local text = format(fmt, ...)
      return fmt:find "^%%%.%d+g$" and text:gsub("%.", ",") or text
    end
    assert.equal("0,5", ("%.14g"):format(0.5))
    assert.same(before, texts())
  end)
end)

-- The rockspec installs every file there is.

local compat = require "gbi.compat"
local portable = require "spec.portable"

local function rockspec()
  local spec = {}
  assert(compat.load(portable.read("rockspec/gbi-scm-1.rockspec"), "@rockspec",
    spec))()
  return spec
end

local function files(pattern)
  local found = {}
  local p = io.popen("ls " .. pattern)
  for path in p:lines() do found[#found + 1] = path end
  p:close()
  return found
end

describe("the rockspec", function()
  it("is of format 3.0, builtin, needs Lua only and is tested by busted",
    function()
      local spec = rockspec()
      assert.equal("3.0", spec.rockspec_format)
      assert.equal("builtin", spec.build.type)
      assert.same({ "lua >= 5.1" }, spec.dependencies)
      assert.same({ type = "command", script = "rockspec/test.lua" },
        spec.test)
    end)

  it("lists every Lua module and C file", function()
    local modules = rockspec().build.modules
    local listed = {}
    for name, where in pairs(modules) do
      if type(where) == "string" then
        listed[where] = true
        local path = name == "gbi" and "gbi/init" or name:gsub("%.", "/")
        assert.equal(("lua/%s.lua"):format(path), where)
      else
        for _, path in ipairs(where.sources) do listed[path] = true end
      end
    end
    for _, path in ipairs(files("csrc/*.c lua/gbi/*.lua")) do
      assert.is_true(listed[path], path)
      listed[path] = nil
    end
    assert.same({}, listed)
  end)
end)

-- What the README prints runs as printed.

local fixture = require "spec.support.fixture"
local portable = require "spec.support.portable"

local readme = portable.read("README.md")

-- Runs a script in a new Lua, as a user would; returns what it wrote to its
-- two streams and whether it succeeded.
local function run(script)
  local path = fixture.path()
  local out, ok = portable.script(script, "2>" .. path)
  return out, portable.read(path), ok
end

describe("README.md", function()
  it("begins with the two commands", function()
    assert.truthy(readme:find("^# gbi\n\n    make demo.-\n    make test"))
  end)

  it("has an example that runs as printed", function()
    local example = readme:match("```lua\n(local gbi.-)```")
    local out, err, ok = run(example)
    assert.equal("hello from object number 1\n", out)
    assert.equal("hello on the other stream\n", err)
    assert.is_true(ok)
    local _, lines = example:gsub("\n", "")
    assert.is_true(lines <= 16)
  end)

  it("has a graph that runs as printed", function()
    local graph = readme:match("```lua\n(local gbi[^`]-graph.new.-)```")
    local out, err, ok = run(graph)
    assert.same({ "length 5\n", "", true }, { out, err, ok })
    local _, lines = graph:gsub("\n", "")
    assert.is_true(lines <= 10)
  end)

  it("names every function of the module and method of a registry", function()
    local gbi = require "gbi"
    local text = readme
    for name, value in pairs(gbi) do
      if type(value) == "function" then
        assert.truthy(text:find("gbi." .. name, 1, true), name)
      end
    end
    for name in pairs(getmetatable(gbi.default).__index) do
      assert.truthy(text:find("r:" .. name, 1, true), name)
    end
    for name in pairs(gbi.source) do
      assert.truthy(not name:find("Source$") or text:find(name, 1, true), name)
    end
    local graph = gbi.graph.new()
    for name in pairs(getmetatable(graph)) do
      local internal = name:find("^__") or name == "append" or name == "call"
        or name == "operate" or name == "rename"
      assert.truthy(internal or text:find("g:" .. name, 1, true), name)
    end
  end)
end)

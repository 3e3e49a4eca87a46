-- What the README prints runs as printed.

local fixture = require "spec.support.fixture"
local portable = require "spec.support.portable"
local printed = require "spec.support.printed"

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
    local five = portable.script "io.write(2.5 * 2)" -- 5.0 in 5.5
    assert.same({ ("length %s\n"):format(five), "", true }, { out, err, ok })
    local _, lines = graph:gsub("\n", "")
    assert.is_true(lines <= 10)
  end)

  it("has handles that run as printed", function()
    local example = readme:match("## Handles\n.-```lua\n(.-)```")
    local out, err, ok = run(example)
    assert.same({ "", true }, { err, ok })
    printed.matches(printed.promised(example), out)
  end)

  it("has a failing graph that is explained as printed", function()
    local example, expected = readme:match(
      "## When a graph fails\n.-```lua\n(.-)```\n\n(.-)\n\n")
    local folder = portable.folder()
    portable.write(folder .. "/main.lua", example)
    local out, ok = portable.run(("cd %s && %s main.lua"):format(folder,
      portable.start()))
    portable.run("rm -r " .. folder)
    assert.is_true(ok)
    local lines = out:gmatch("([^\n]*)\n")
    for wanted in (expected:gsub("\n    \t…$", "") .. "\n"):gmatch(
        "    ([^\n]*)\n") do
      local line = wanted
      if _VERSION ~= "Lua 5.4" then -- Lua's own words are 5.4's
        line = line:gsub("a nil value %(method 'wite'%)", "…")
          :gsub("upvalue 'f'", "…")
      end
      printed.matches(line .. "\n", lines() .. "\n")
    end
  end)

  it("names every function of the module and method of its objects", function()
    local gbi = require "gbi"
    local text = readme
    for name, value in pairs(gbi) do
      if type(value) == "function" then
        assert.truthy(text:find("gbi." .. name, 1, true), name)
      end
    end
    for var, object in pairs { r = gbi.default, h = gbi.handles } do
      for name in pairs(getmetatable(object).__index) do
        assert.truthy(text:find(var .. ":" .. name .. "(", 1, true), name)
      end
    end
    for name in pairs(gbi.source) do
      assert.truthy(not name:find("Source$") or text:find(name, 1, true), name)
    end
    local internal = dofile("tools/annotate.lua").read().internal
    for name in pairs(getmetatable(gbi.graph.new())) do
      assert.truthy(name:find("^__") or internal["gbi.graph:" .. name]
        or text:find("g:" .. name, 1, true), name)
    end
    for _, name in ipairs { "results", "handle" } do
      assert.truthy(text:find("node:" .. name, 1, true), name)
    end
  end)
end)

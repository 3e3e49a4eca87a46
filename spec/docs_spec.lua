-- Every public name has one comment, beside its function; and everything that
-- is generated from these comments is up to date.

local gbi = require "gbi"
local core = require "gbi.core"
local portable = require "spec.support.portable"
local printed = require "spec.support.printed"
local public = require "spec.support.public"
local annotate = dofile("tools/annotate.lua")

local model, read = annotate.read(), portable.read
local objects = public.objects

-- Asserts that `name` has a comment; an internal one only if allowed.
local function documented(name, may_be_internal)
  assert.truthy(model.items[name] or may_be_internal
    and (model.internal[name] or model.internal[name:gsub(":", ".")]),
    name .. " has no doc comment")
end

-- The names in a table, except metamethods other than `__call`.
local function names(t)
  local list = {}
  for name in pairs(t) do
    if type(name) == "string" and (name == "__call"
       or not name:find("^__")) then
      list[#list + 1] = name
    end
  end
  assert.truthy(#list > 0)
  return ipairs(list)
end

describe("a doc comment", function()
  it("has every name of the module", function()
    for _, name in names(gbi) do documented("gbi." .. name) end
  end)

  it("has every method of a registry, a handle table and a run", function()
    for _, class in ipairs { "registry", "handles", "run" } do
      for _, name in names(getmetatable(objects[class]).__index) do
        documented(("gbi.%s:%s"):format(class, name))
      end
    end
  end)

  it("has every source, and what they can do", function()
    for _, name in names(gbi.source) do
      documented("gbi.source." .. name, not name:find("Source$"))
    end
    documented("gbi.source:reconstruct")
  end)

  it("covers codegens, graphs and nodes; other comments have two dashes",
    function()
      for _, name in names(getmetatable(objects.codegen)) do
        documented("gbi.codegen:" .. name, name ~= "__call")
      end
      for _, name in names(getmetatable(objects.graph)) do
        documented("gbi.graph:" .. name, true)
      end
      documented("gbi.graph.new")
      for _, name in names(getmetatable(objects.node)) do
        local operator = require "gbi.node".operators[name]
        documented("gbi.node:" .. name, not operator and name ~= "__call")
      end
    end)

  it("has no name that does not exist", function()
    for name, item in pairs(model.items) do
      assert(item.kind ~= "function" or public.find(name), name)
    end
  end)

  it("has every name in docs/api.md, and three dashes", function()
    local text = read("docs/api.md")
    for name in pairs(model.internal) do
      local class, method = name:match("^gbi%.(%l+)[:.](.*)$")
      local var = ({ codegen = "cg", graph = "g", node = "node" })[class]
      assert.is_nil(var and text:find(var .. ":" .. method .. "(", 1, true),
        name)
    end
    local codegens = text:match("Call a codegen `cg`.-\n\n"):gsub("`cg:", "`")
    for method in codegens:gmatch("`([%w_]+)%(") do
      assert.truthy(model.items["gbi.codegen:" .. method], method)
    end
  end)

  it("says what PyTorch calls a function of the seed", function()
    for name in pairs(core.functions) do
      local seed = model.items["gbi." .. name].seed
      assert.truthy(seed and seed[1]:find("^" .. name .. "%("), name)
    end
  end)

  it("says the type, and names the parameters as in the code", function()
    for name, item in pairs(model.items) do
      assert.truthy(#item.text > 0, name)
      for _, param in ipairs(item.param or {}) do
        assert.truthy(#param.text > 0, name)
      end
    end
  end)

  it("has every function of gbi.h, with its stack effect", function()
    local struct = read("csrc/gbi.h"):match("typedef struct gbi_API {(.-)} gbi")
      :gsub("/%* [{}].-%*/", "") -- its sections
    local n = 0
    for comment, name in struct:gmatch("/%* (.-)%*/%s+[%w_ ]+%*?%(%*([%w_]+)%)")
    do
      n = n + 1
      assert.truthy(comment:find("^%[%-[n%d], %+%d, [%-me]%] %u"), name)
    end
    local _, functions = struct:gsub("%(%*", "")
    assert.equal(functions, n)
  end)
end)

describe("docs/api.md", function()
  local text = read("docs/api.md")

  local function has(name)
    assert.truthy(text:find(name, 1, true), name)
  end

  it("has every function of the module and method of its objects", function()
    for name, value in pairs(gbi) do
      if type(value) == "function" then has("gbi." .. name) end
    end
    for var, object in pairs { r = gbi.default, h = gbi.handles } do
      for name in pairs(getmetatable(object).__index) do
        has(var .. ":" .. name .. "(")
      end
    end
    for name in pairs(gbi.source) do
      if name:find("Source$") then has(name) end
    end
    for name in pairs(getmetatable(gbi.graph.new())) do
      if not name:find("^__") and not model.internal["gbi.graph:" .. name] then
        has("g:" .. name)
      end
    end
    for _, name in ipairs { "results", "handle" } do has("node:" .. name) end
  end)

  it("has tasks with names that exist", function()
    local tasks = text:match("## By task\n\n(.-)\n\n")
    local struct, n = read("csrc/gbi.h"), 0
    for _, calls in tasks:gmatch("\n| [^|]+| ([^|]+)|([^|]*)|") do
      for name in calls:gmatch("`([%w_]+)`") do
        n = n + 1
        assert.truthy(struct:find("(*" .. name .. ")", 1, true), name)
      end
    end
    assert.is_true(n > 5)
  end)

  it("has a failing graph that is explained as printed", function()
    local example, expected = text:match(
      "```lua\n([^`]-wite.-)```\n\n(.-)\n\n")
    local lines = printed.run(example):gmatch("([^\n]*)\n")
    for promised in (expected:gsub("\n    \t…$", "") .. "\n"):gmatch(
        "    ([^\n]*)\n") do
      local line = promised
      if _VERSION ~= "Lua 5.4" then -- Lua's own words are 5.4's
        line = line:gsub("a nil value %(method 'wite'%)", "…")
          :gsub("upvalue 'f'", "…")
      end
      printed.matches(line .. "\n", lines() .. "\n")
    end
  end)
end)

describe("docs/performance.md", function()
  it("has the figures that `make bench-instructions` wrote", function()
    local rows = {}
    for line in read("docs/instructions.csv"):gmatch("[^\n]+") do
      local n = {}
      for number in line:gmatch(",(%d+%.?%d*)") do
        n[#n + 1] = ("%.0f"):format(number)
      end
      rows[#rows + 1] = table.concat(n, " ")
    end
    local text, n = read("docs/performance.md"), 0
    for value, floor in text:gmatch("\n| [^|]+ | (%d+) | (%d+) | [%d.]+ |") do
      n = n + 1
      local found = false
      for _, row in ipairs(rows) do
        found = found or row:find(value .. " " .. floor, 1, true) == 1
      end
      assert.is_true(found, value .. " " .. floor)
    end
    assert.is_true(n > 10)
  end)

  it("has the figures that `make bench LUA=luajit` wrote", function()
    local text, n = read("docs/performance.md"), 0
    for line in read("docs/luajit.csv"):gmatch(",ns,[^\n]+") do
      local value, floor = line:match("^,ns,([%d.]+),([%d.]+),")
      local row = ("| %s | %s | %.2f |"):format(value, floor, value / floor)
      assert.truthy(text:find(row, 1, true), row)
      n = n + 1
    end
    assert.equal(7, n)
  end)
end)

describe("docs/gpu.md", function()
  it("has the tables that `make gpu` wrote", function()
    local results, written = read("bench/gpu/results.md"), {}
    for line in results:gmatch "[^\n]+" do written[line] = true end
    local text, n = read("docs/gpu.md"):match "\n## How fast\n(.*)", 0
    for row in text:gmatch "\n(|[^\n]*)" do
      n = n + 1
      assert.is_true(written[row], row)
    end
    assert.is_true(n > 15)
    assert.truthy(text:find("\n100,000 more calls left", 1, true))
    for line in results:gmatch "After [^\n]*" do
      assert.truthy(line:find "100000 more .*: 0 bytes .* 0.0 kilobytes .* 0 h")
    end
  end)
end)

describe("docs/reliability.md", function()
  it("has the figures that the targets of `make stress` printed", function()
    local seen = {}
    for number in read("docs/stress.txt"):gmatch("%d[%d.]*") do
      seen[number] = true
    end
    local text = read("docs/reliability.md"):match("\n## What was seen\n(.*)")
    local n = 0
    for row in text:gmatch("\n(| `make [^\n]*)") do
      for number in row:gsub("(%d),(%d)", "%1%2"):gmatch("%d[%d.]*") do
        n = n + 1
        assert.is_true(seen[number] or tonumber(number) < 10, row)
      end
    end
    assert.is_true(n > 10)
  end)
end)

describe("the annotations for LuaLS", function()
  it("match the comments; if not, run `make meta`", function()
    assert.truthy(annotate.luals(model) == read("library/gbi.lua"))
  end)

  it("are Lua, and name every function", function()
    local text = read("library/gbi.lua")
    assert(loadfile("library/gbi.lua"))
    for name, item in pairs(model.items) do
      if item.kind == "function" and not name:find("__", 1, true) then
        local called = name:find(":", 1, true) and name:gsub("^.*%.", "")
          or name
        assert.truthy(text:find("function " .. called .. "(", 1, true), name)
      end
    end
  end)
end)

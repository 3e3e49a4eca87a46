-- The README is true, and its examples run as printed.

local portable = require "spec.support.portable"
local printed = require "spec.support.printed"

local readme = portable.read("README.md")

describe("README.md", function()
  it("is short", function()
    local _, lines = readme:gsub("\n", "")
    assert.is_true(lines <= 150)
  end)

  it("has the two commands", function()
    assert.truthy(readme:find("\n    make demo .-\n    make test "))
  end)

  it("has examples of at most twelve lines that run as printed", function()
    local n = 0
    for _, example in ipairs(printed.blocks("README.md", "lua")) do
      n = n + 1
      printed.matches(printed.promised(example), printed.run(example))
      local _, lines = example:gsub("\n", "")
      assert.is_true(lines <= 12)
    end
    assert.equal(2, n)
  end)

  it("shows the picture of examples/graph.lua", function()
    assert.truthy(readme:find("(docs/graph.svg)", 1, true))
    local picture = portable.read("docs/graph.svg")
    local dot = portable.run(("%s examples/graph.lua dot"):format(
      portable.start()))
    local n = 0
    for name in dot:gmatch('\n  ("[^"]+") %[label') do
      n = n + 1
      assert.truthy(picture:find("<title>" .. name:sub(2, -2) .. "</title>", 1,
        true), name)
    end
    local _, nodes = picture:gsub('class="node"', "")
    assert.equal(n, nodes)
  end)

  it("has a row for each file of examples/why", function()
    local n = 0
    for _, path in ipairs(portable.files "examples/why/*.lua") do
      n = n + 1
      assert.truthy(readme:find(("\n|[^\n]+%%(%s%%)"):format(
        path:gsub("%p", "%%%0"))), path)
    end
    local _, rows = readme:gsub("%(examples/why/", "")
    assert.equal(n, rows)
  end)
end)

describe("examples/why/", function()
  for _, path in ipairs(portable.files "examples/why/*.lua") do
    it(path:match("[^/]+$") .. " shows what its comments say", function()
      local out, ok = portable.run(("%s %s"):format(portable.start(), path))
      assert.is_true(ok, out)
      if path:find("ffi", 1, true) and not rawget(_G, "jit") then
        assert.equal("ffi is LuaJIT's: make demo LUA=luajit\n", out)
        return
      end
      printed.matches(printed.promised(portable.read(path)), out)
    end)
  end
end)

describe("the pages", function()
  local pages = { "README.md", "CONTRIBUTING.md", "CHANGELOG.md" }
  for _, path in ipairs(portable.files "docs/*.md") do
    pages[#pages + 1] = path
  end

  -- The anchors of a page's headings.
  local function anchors(path)
    local set = {}
    for heading in ("\n" .. portable.read(path)):gmatch("\n#+ ([^\n]+)") do
      set[heading:lower():gsub("[^%w%s_-]", ""):gsub("%s", "-")] = true
    end
    return set
  end

  it("have links that lead to something", function()
    local n = 0
    for _, page in ipairs(pages) do
      local folder = page:match("^(.*/)") or ""
      -- code may look like a link
      local text = portable.read(page):gsub("\n```.-\n```", "")
        :gsub("`[^`\n]*`", "")
      for to in text:gmatch("%]%(([^)%s]+)%)") do
        local path, anchor = to:match("^([^#]*)#?(.*)$")
        if not to:find("^%a+:") and not to:find("^%.%./%.%./") then
          n = n + 1
          local where = path == "" and page or folder .. path
          local f = io.open(where)
          assert.truthy(f, page .. ": " .. to)
          f:close()
          assert.truthy(anchor == "" or anchors(where)[anchor],
            page .. ": " .. to)
        end
      end
    end
    assert.is_true(n > 20)
  end)

  it("in docs/ begin with whom they are for, and what they can do at the end",
    function()
      for _, page in ipairs(pages) do
        if page:find("^docs/") then
          local first = portable.read(page):match("^# [^\n]+\n\n(.-)\n\n")
          assert.truthy(first and first:find("^For ")
            and first:find("At%s+the%s+end%s+of%s+this%s+page"), page)
        end
      end
    end)
end)

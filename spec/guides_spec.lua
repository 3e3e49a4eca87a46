-- The code in the guides runs, in the order it is printed, and prints what the
-- guides say.

local portable = require "spec.support.portable"
local printed = require "spec.support.printed"
local read, write = portable.read, portable.write
local promised, matches = printed.promised, printed.matches

-- Returns the output of a command, which must succeed.
local function output(command)
  local text, ok = portable.run(command)
  assert.is_true(ok, text)
  return text
end

-- The code of a guide's blocks in a language, concatenated.
local function blocks(path, language)
  return table.concat(printed.blocks(path, language), "\n")
end

describe("the guide", function()
  for _, name in ipairs { "compilers", "pytorch" } do
    it(name .. " runs as printed", function()
      local code = blocks(("docs/%s.md"):format(name), "lua")
      matches(promised(code), printed.run(code))
    end)
  end

  it("embedding compiles, and runs its script as printed", function()
    local folder = portable.folder()
    write(folder .. "/host.c", blocks("docs/embedding.md", "c"))
    local script = blocks("docs/embedding.md", "lua")
    write(folder .. "/script.lua", script)
    output(("${CC:-cc} -std=c99 -pedantic -Wall -Wextra -Werror -Icsrc %s "
      .. "-o %s/host %s/host.c csrc/*.c %s"):format(os.getenv("LUA_CFLAGS"),
        folder, folder, os.getenv("LUA_LIBS")))
    matches(promised(script),
      output(("%s/host %s/script.lua"):format(folder, folder)))
    output("rm -r " .. folder)
  end)

  it("pytorch has every PyTorch name in the comments", function()
    local text = read("docs/pytorch.md")
    local model = dofile("tools/annotate.lua").read()
    for name, item in pairs(model.items) do
      for _, seed in ipairs(item.seed or {}) do
        local theirs = seed:gsub("\\_", "_"):match("[%w_.]+")
          :gsub("^torch.fx.", "")
        assert.truthy(text:find(theirs, 1, true), name .. ": " .. theirs)
      end
    end
  end)

  it("for contributors names targets and folders that exist", function()
    local makefile = read("Makefile") .. read("spec/stress.mk")
      .. read("examples/cuda/cuda.mk")
    local text = read("CONTRIBUTING.md")
    local n = 0
    for _, guide in ipairs { text, read("docs/releasing.md") } do
      for target in guide:gmatch("[`(]make (%l+)") do
        n = n + 1
        assert.truthy(makefile:find("\n" .. target .. ":", 1, true), target)
      end
    end
    for path in text:match("## The map\n(.-)\nIn `csrc/`"):gmatch(
        "\n| ([^|]*) |") do
      for each in path:gmatch("`([^`]+)`") do
        n = n + 1
        output("ls " .. each)
      end
    end
    assert.truthy(n > 15)
  end)

  it("for contributors maps every file of csrc/ and lua/gbi/", function()
    local text = read("CONTRIBUTING.md")
    for folder, ending in pairs { ["csrc"] = "", ["lua/gbi"] = "%.lua" } do
      local list = text:match("\nIn `" .. folder .. "/`.-\n\n(|.-)\n\n")
      local named, there = {}, {}
      for path in ("\n" .. list):gmatch("\n| ([^|]*) |") do
        for name in path:gmatch("`([^`]+)`") do named[name] = true end
      end
      for name in output("ls " .. folder):gmatch("[^\n]+") do
        -- gbi.h is in the first table; LuaRocks leaves *.o files
        if name ~= "gbi.h" and not name:find("%.o$") then
          there[name:gsub(ending .. "$", "")] = true
        end
      end
      assert.same(there, named)
    end
  end)

  it("hosts shows the scripts that make test-hosts runs", function()
    local shown = require "spec.support.hosts".shown()
    for _, path in ipairs(portable.files "spec/hosts/*/*") do
      assert.equal(read(path), shown[path], path)
      shown[path] = nil
    end
    assert.same({}, shown)
  end)

  it("is linked in the README", function()
    for _, path in ipairs(portable.files "docs/*.md") do
      assert.truthy(read("README.md"):find("(" .. path .. ")", 1, true), path)
    end
  end)
end)

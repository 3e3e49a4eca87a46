-- The example runs, and agrees with a plain loop over the same files.

local portable = require "spec.support.portable"

describe("examples/wordcount.lua", function()
  local function run(files)
    return portable.run(("%s examples/wordcount.lua %s"):format(
      portable.start(), files))
  end

  it("counts its default files", function()
    local out, ok = run("")
    assert.is_true(ok)
    assert.truthy(out:find("4 files, 0 wrong", 1, true))
    assert.truthy(out:find("registry:store_list({v1, v2, v3, v4}, 4, {v3})", 1,
      true))
    assert.truthy(out:find("prologue: %d+ bytes of bytecode"))
  end)

  it("counts the files it is given", function()
    local out, ok = run("CHANGELOG.md Makefile")
    assert.is_true(ok)
    assert.truthy(out:find("CHANGELOG.md", 1, true))
    assert.truthy(out:find("2 files, 0 wrong", 1, true))
  end)

  it("shows the three errors, a line each", function()
    local out = run("LICENSE")
    assert.truthy(out:find(
      'external object 1 (L["input"]) is no longer alive\n', 1, true))
    assert.truthy(out:find("external object 7 is not registered "
      .. "(the registry holds 4)\n", 1, true))
    assert.truthy(out:find("Failed to make weakref to User Object\n", 1,
      true))
  end)
end)

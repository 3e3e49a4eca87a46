-- Every allocation fails once: the short run of spec/faults.lua.

describe("a call that runs out of memory", function()
  it("leaves the registry as it was, and then succeeds", function()
    local p = io.popen(("LUA_PATH='%s' LUA_CPATH='%s' "
      .. "%s spec/faults.lua short 2>&1"):format(package.path, package.cpath,
      os.getenv "GBI_FAULTS" or "build/faults"))
    local out = p:read("a")
    local ok = p:close()
    io.write(out)
    assert.is_true(ok, out)
    local n = tonumber(out:match("(%d+) allocations failed"))
    assert.is_true(n > 10000)
  end)
end)

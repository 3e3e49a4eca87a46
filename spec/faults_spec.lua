-- Every allocation fails once: the short run of spec/support/faults.lua.

local portable = require "spec.support.portable"

describe("a call that runs out of memory", function()
  it("leaves everything as it was, and then succeeds", function()
    local out, ok = portable.run(portable.start(portable.build .. "/faults")
      .. " spec/support/faults.lua short")
    io.write(out)
    assert.is_true(ok, out)
    local n = tonumber(out:match("(%d+) allocations failed"))
    assert.is_true(n > 10000)
  end)
end)

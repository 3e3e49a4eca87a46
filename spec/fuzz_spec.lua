-- The corpora of the two fuzz targets, replayed without a fuzzer. `make fuzz`
-- looks for more.

local portable = require "spec.support.portable"

local function replay(target)
  local out = portable.run(("%s spec/corpus/%s/*"):format(
    portable.start(portable.build .. "/" .. target), target))
  io.write(out:match("[^\r\n]*\n?$"))
  return out
end

describe("the fuzzers' corpus", function()
  it("of programs on the C core does what the model says", function()
    local out = replay("fuzz_registry")
    local programs, operations = out:match(
      "fuzz_registry: (%d+) programs, (%d+) operations checked\n$")
    assert.is_true((tonumber(programs) or 0) >= 50, out)
    assert.is_true(tonumber(operations) > 1000, out)
  end)

  it("of files is refused, or loads and is saved again", function()
    local out = replay("fuzz_load_graph")
    local files, graphs = out:match(
      "fuzz_load_graph: (%d+) files, (%d+) graphs saved and read again\n$")
    assert.is_true((tonumber(files) or 0) >= 50, out)
    assert.is_true(tonumber(graphs) > 10, out)
  end)
end)

-- Random programs do what the model says (spec/support/model.lua), from Lua and
-- from C. Set GBI_SEED to the printed seed to repeat a run.

local portable = require "spec.support.portable"
local program = require "spec.support.program"

local SEED = require "spec.support.seed" "model_spec"
local PROGRAMS, STEPS = 9, tonumber(os.getenv "GBI_STEPS") or 3000

local KINDS = {
  { "lua", "from Lua" },
  { "c", "from C" },
  { "mixed", "on the default registry, through every interface" },
}

local function run(kind)
  local p = program.new(kind)
  for step = 1, STEPS do
    local ok, err = xpcall(function()
      p:step(pcall)
      p:settle()
      p:compare()
    end, debug.traceback)
    if not ok then
      error(("GBI_SEED=%d, step %d, %s: %s"):format(SEED, step, p.doing, err),
        0)
    end
  end
  p:finish()
end

describe("random programs", function()
  before_each(function()
    portable.jit(false) -- compiled code may hold an object longer
    portable.collect()
    collectgarbage("stop")
  end)

  after_each(function()
    program.clear()
    collectgarbage("restart")
    portable.jit(true)
  end)

  for n = 1, PROGRAMS do
    local kind = KINDS[n % #KINDS + 1]
    it(("%d do what the model says %s"):format(n, kind[2]), function()
      math.randomseed((SEED * 1009 + n) % 2 ^ 31)
      run(kind[1])
    end)
  end
end)

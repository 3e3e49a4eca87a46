-- The memory in use, in KB, after all garbage was collected.

local portable = require "spec.support.portable"

return function()
  portable.collect()
  return collectgarbage "count"
end

local kilobytes = require "spec.support.memory"

-- How many more KB are in use after `many` calls than after `few`. The first
-- calls, as few, are not counted: tables grow once.
return function(call, few, many)
  local function memory(n)
    for _ = 1, n do call() end
    return kilobytes()
  end
  memory(few)
  local before = memory(few)
  return memory(many) - before
end

-- Counts the live handles of gbi.handles that are given out from now on; other
-- specs in this process may have left some. Returns the function that counts
-- them.

local gbi = require "gbi"

return function()
  local last = gbi.handles:strong("the last one before")
  gbi.handles:release(last)
  return function()
    local n = 0
    for handle in gbi.handles:entries() do
      if handle > last then n = n + 1 end
    end
    return n
  end
end

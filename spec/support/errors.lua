-- Assertions about errors.

local assert = require "luassert"

local errors = {}

-- Asserts that f, a function of one line, raises exactly `message` there.
function errors.raises(message, f)
  local info = debug.getinfo(f, "S")
  local ok, err = pcall(f)
  assert.is_false(ok)
  assert.equal(("%s:%d: %s"):format(info.short_src, info.linedefined, message),
    err)
end

return errors

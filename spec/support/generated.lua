-- Errors of generated code.

local assert = require "luassert"

local generated = {}

-- Line `n` of a text, without its indentation.
function generated.line(text, n)
  for line in text:gmatch "%s*([^\n]*)\n" do
    n = n - 1
    if n == 0 then return line end
  end
end

-- Asserts that an error is Lua's own, in a chunk called `title` whose source is
-- `text`. Returns the code of the line that it names, and its message.
function generated.blamed(err, title, text)
  assert.equal("string", type(err))
  local prefix = title .. ":"
  assert.equal(prefix, err:sub(1, #prefix))
  local n, message = err:match("^(%d+): (.*)$", #prefix + 1)
  return generated.line(text, tonumber(n)), message
end

return generated

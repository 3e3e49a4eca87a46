-- Documents whose code runs as printed: comments `-->` give its output, where
-- `…` stands for any text within a line.

local assert = require "luassert"
local portable = require "spec.support.portable"

local printed = {}

-- The code of a document's blocks in a language, in a list.
function printed.blocks(path, language)
  local list = {}
  for block in portable.read(path):gmatch("\n```" .. language
      .. "\n(.-)```") do
    list[#list + 1] = block
  end
  assert.is_true(#list > 0)
  return list
end

-- The output that the comments in the code promise.
function printed.promised(code)
  local list = {}
  for line in code:gmatch("%-%->([^\n]*)\n") do
    list[#list + 1] = line:gsub("^ ", "")
  end
  return table.concat(list, "\n") .. "\n"
end

-- The output of Lua code run as main.lua, in a folder of its own; it must
-- succeed.
function printed.run(code)
  local folder = portable.folder()
  portable.write(folder .. "/main.lua", code)
  local out, ok = portable.run(("cd %s && %s main.lua"):format(folder,
    portable.start()))
  portable.run("rm -r " .. folder)
  assert.is_true(ok, out)
  return out
end

-- Asserts that an output is the promised one.
function printed.matches(expected, text)
  local rest = text:gmatch("([^\n]*)\n")
  for line in expected:gmatch("([^\n]*)\n") do
    local pattern = "^" .. line:gsub("%p", "%%%0"):gsub("…", "[^\n]*") .. "$"
    local got = rest()
    if not got or not got:find(pattern) then assert.equal(expected, text) end
  end
  assert.is_nil(rest())
end

return printed

-- A helper of busted: `make coverage`. Counts the lines of lua/gbi that the
-- suite executes, and lists those that it does not.

local lines = require "lines"

local covered = lines.watch()

-- Lines that say nothing: `end`, `else`, brackets.
local function counts(text)
  text = text:gsub("%-%-.*", "")
  for _, word in ipairs { "end", "else", "do", "then" } do
    text = text:gsub("%f[%w]" .. word .. "%f[%W]", "")
  end
  return text:find "%w" ~= nil
end

-- The lines of a file that have code, after its compiler.
local function code(path)
  local found = {}
  local p = assert(io.popen(("luac5.4 -p -l -l '%s'"):format(path)))
  for line in p:lines() do
    local n, op = line:match "^\t%d+\t%[(%d+)%]\t(%u%w*)"
    if n and op ~= "VARARGPREP" then found[tonumber(n)] = true end
  end
  assert(p:close())
  return found
end

local function report()
  local p = assert(io.popen "ls lua/gbi/*.lua")
  local hit, all, missing = 0, 0, {}
  for path in p:lines() do
    local seen = {}
    for source, at in pairs(covered) do
      if source:sub(-#path) == path then
        for n in pairs(at) do seen[n] = true end
      end
    end
    local has, n = code(path), 0
    for text in io.lines(path) do
      n = n + 1
      if has[n] and counts(text) then
        all = all + 1
        if seen[n] then hit = hit + 1
        else missing[#missing + 1] = ("%s:%d:%s"):format(path, n, text) end
      end
    end
  end
  p:close()
  io.write("\n")
  for _, m in ipairs(missing) do print("not covered: " .. m) end
  print(("coverage of lua/gbi: %d of %d lines, %.1f %%"):format(hit, all,
    100 * hit / all))
end

require "busted".subscribe({ "exit" }, function()
  debug.sethook()
  report()
  return nil, true
end)

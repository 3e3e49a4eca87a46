-- `make coverage`. As a helper of busted: writes the lines of lua/gbi that the
-- suite executes to BUILD/lines. As a script whose arguments are such folders:
-- lists the lines of lua/gbi and csrc that none of the runs reached.

local covered = {} -- [path][line]

-- The suite of one Lua.
local function cover()
  if rawget(_G, "jit") then _G.jit.off() end -- compiled code has no hooks
  local watch, busted = require "lines".watch, require "busted"
  local seen = watch()
  busted.subscribe({ "test", "start" }, function()
    watch() -- a spec may have set another hook
    return nil, true
  end)
  busted.subscribe({ "exit" }, function()
    debug.sethook()
    local f = assert(io.open(os.getenv "BUILD" .. "/lines", "w"))
    for source, lines in pairs(seen) do
      for n in pairs(lines) do
        f:write(source:match "lua/gbi/.*", ":", n, "\n")
      end
    end
    f:close()
    return nil, true
  end)
end

if not arg or not arg[0]:find "coverage%.lua$" then return cover() end

-- Lines without code of their own: `end`, `else`, brackets.
local function says(text)
  text = text:gsub("%-%-.*", "")
  for _, word in ipairs { "end", "else", "do", "then" } do
    text = text:gsub("%f[%w]" .. word .. "%f[%W]", "")
  end
  return text:find "%w" ~= nil
end

-- Calls see(path, line, text) for the lines of a Lua file that have code,
-- according to its compiler.
local function code(path, see)
  local has, n = {}, 0
  local p = assert(io.popen(("luac5.4 -p -l -l '%s'"):format(path)))
  for line in p:lines() do
    local at, op = line:match "^\t%d+\t%[(%d+)%]\t(%u%w*)"
    if at and op ~= "VARARGPREP" then has[tonumber(at)] = true end
  end
  assert(p:close())
  for text in io.lines(path) do
    n = n + 1
    if has[n] and says(text) then see(path, n, text) end
  end
end

local order, texts, files = {}, {}, {}
local function see(path, n, text)
  local key = path .. ":" .. n
  if texts[key] then return end
  order[#order + 1], texts[key] = key, text
  files[key] = path:match "^%a+"
end

local p = assert(io.popen "ls lua/gbi/*.lua")
for path in p:lines() do code(path, see) end
p:close()

for _, folder in ipairs(arg) do
  for key in io.lines(folder .. "/lines") do covered[key] = true end
  local path
  for line in io.lines(folder .. "/gcov") do
    local count, n, text = line:match "^ *(%S+): *(%d+):(.*)$"
    if n == "0" then path = text:match "^Source:(.*)$" or path
    elseif count and count ~= "-" and path:find "^csrc/" then
      see(path, tonumber(n), text)
      if count:find "^%d" then covered[path .. ":" .. n] = true end
    end
  end
end

local all, hit = {}, {}
for _, key in ipairs(order) do
  local file = files[key]
  all[file] = (all[file] or 0) + 1
  if covered[key] then hit[file] = (hit[file] or 0) + 1
  else print("not covered: " .. key .. ":" .. texts[key]) end
end
for _, file in ipairs { "lua", "csrc" } do
  print(("coverage of %s: %d of %d lines, %.1f %%"):format(file, hit[file],
    all[file], 100 * hit[file] / all[file]))
end

-- Writes gbi.c: the C files and the internal headers that they include, in one.
--
--     lua tools/amalgamate.lua csrc/*.c > gbi.c
--
-- Runs in the root of the checkout. Functions shared by several files become
-- static; macros that a file defines are undefined after it, and the static
-- names of a file must not be used by another.

local PUBLIC = "gbi.h"

local function write(...)
  io.stdout:write(...)
end

local included = {}

-- Writes a file, and the headers of csrc/ at their first inclusion. Returns the
-- macros that the file itself defines.
local function emit(path)
  local macros = {}
  for line in io.lines(path) do
    local header = line:match '^#include "(.-)"'
    local macro = line:match "^#define ([%w_]+)"
    if macro then macros[#macros + 1] = macro end
    if not header or header == PUBLIC then
      write(line, "\n")
    elseif not included[header] then
      included[header] = true
      emit("csrc/" .. header)
    end
  end
  return macros
end

local function read(path)
  local f = assert(io.open(path, "rb"))
  local text = f:read("*a")
  f:close()
  return text
end

write("/*\n** gbi ", read("csrc/" .. PUBLIC):match 'GBI_VERSION "(.-)"',
  [[ in one file, for a host's own tree
**
** Written by `make amalgamation`; to change it, change gbi's csrc/. Goes with
** gbi.h, which tells what a host does.
**
]], (read("LICENSE"):gsub("[^\n]*\n", function(line)
  return line == "\n" and "**\n" or "** " .. line
end)), "*/\n#define GBI_INTERN static\n")

for _, path in ipairs(arg) do
  write("\n\n")
  for _, macro in ipairs(emit(path)) do write("#undef ", macro, "\n") end
end

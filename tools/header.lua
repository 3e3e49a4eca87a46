-- Writes the page of the reference for gbi.h to the standard output.
--
--     lua tools/header.lua csrc/gbi.h

local text = assert(io.open(arg[1])):read("*a")

-- A comment's text: without the stars that begin its lines, and its last line.
local function plain(comment)
  return (comment:gsub("\n%s*%*%*? ?", "\n"):gsub("%s+$", ""))
end

local function printf(...) print((...):format(select(2, ...))) end

print("# gbi.h\n\nFor authors of C modules and hosts. " ..
  "At the end of this page you know every function of\n" ..
  "the header: its stack effect, what it returns and what it raises.")
print(plain(text:match("^/%*\n%*%* gbi%.h[^\n]*\n(.-)%*/")))

print("\n## Constants\n")
for comment, name in text:gmatch("\n/%* ([^\n]-[^/]-)%*/\n#define ([%w_]+)") do
  printf("- `%s`: %s", name, plain(comment):gsub("\n", " "))
end

local struct, rest = text:match("typedef struct gbi_API {(.-)\n} gbi_API;(.*)$")
for section, functions in struct:gmatch("/%* {([^*]-) %*/(.-)/%* } %*/") do
  printf("\n## %s", section)
  for comment, result, name, args in functions:gmatch(
      "/%* (%[[^/]-)%*/%s+([%w_ ]-%*?)%(%*([%w_]+)%)%s*(%b());") do
    printf("\n### %s\n\n    %s (*%s) %s;\n\n%s", name, result:gsub(" $", ""),
      name, args:gsub("%s+", " "), (plain(comment):gsub("^(%b[])", "`%1`")))
  end
end

print("\n## Functions of their own")
for comment, head in rest:gmatch("/%* (%[.-)%*/\n([^{;]*)") do
  printf("\n### %s\n\n    %s\n\n%s", head:match("([%w_]+) %("),
    (head:gsub("static inline ", ""):gsub("LUALIB_API ", "")
      :gsub("%s+", " "):gsub(" $", ";")),
    (plain(comment):gsub("^(%b[])", "`%1`")))
end

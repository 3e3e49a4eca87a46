-- A program compiled once, and run on fresh objects again and again.
--
--   lua examples/wordcount.lua [FILE ...]
--
-- The program numbers the lines of a text and counts its words. It knows four
-- live objects only by number: an open input file, an open output file, a
-- coroutine that counts words, and a function that formats a line. Before
-- each run the generated prologue obtains them anew.
local gbi = require "gbi"
local source = gbi.source

local LINE = "%5d %4d  %s\n"

-- The coroutine: takes a line, yields the number of words in it.
local function counter(line)
  while true do
    local words = 0
    for _ in line:gmatch("%S+") do words = words + 1 end
    line = coroutine.yield(words)
  end
end

-- While the program is being compiled: register the objects that it needs. The
-- objects given here are examples; the runs will bring their own.
local input = gbi.register_user_object(io.stdin, source.LocalSource("input"))
local output = gbi.register_user_object(io.stdout,
  source.LocalSource("output"))
local words = gbi.register_graph_created_object(coroutine.create(counter),
  function(_, cg)
    cg:load_import("coroutine", "create")
    cg:load_local("counter")
    cg:call_function(1)
  end)
local format = gbi.register_user_object(string.format,
  source.AttrSource(source.GlobalSource("string"), "format"))

local prologue, text = gbi.compile_prologue(gbi.default,
  { "input", "output", "counter" })

-- The compiled program: it contains numbers, not objects.
local load = loadstring or load -- its name in Lua 5.1
local program = assert(load(([[
  local get, resume, line_format = ...
  return function()
    local lines, words = 0, 0
    for line in get(%d, "FILE*"):lines() do
      local _, n = resume(get(%d, "thread"), line)
      lines, words = lines + 1, words + n
      get(%d, "FILE*"):write(get(%d)(line_format, lines, n, line))
    end
    return lines, words
  end
]]):format(input, words, output, format), "=program"))(
  gbi.get_external_object_by_index, coroutine.resume, LINE)

local function run(path, outpath)
  local from, to = assert(io.open(path)), assert(io.open(outpath, "w"))
  prologue(from, to, counter)
  local lines, n = program()
  from:close()
  to:close()
  return lines, n
end

-- The same counts without gbi.
local function plain(path)
  local lines, n = 0, 0
  for line in io.lines(path) do
    lines = lines + 1
    for _ in line:gmatch("%S+") do n = n + 1 end
  end
  return lines, n
end

print(text)
print(("prologue: %d bytes of bytecode; program: %d\n"):format(
  #string.dump(prologue), #string.dump(program)))

local files = #arg > 0 and arg
  or { "README.md", "csrc/registry.c", "lua/gbi/codegen.lua", "LICENSE" }
local outpath, failed = os.tmpname(), 0
for _, path in ipairs(files) do
  local lines, n = run(path, outpath)
  local want_lines, want_words = plain(path)
  local written = plain(outpath)
  local ok = lines == want_lines and n == want_words and written == lines
  if not ok then failed = failed + 1 end
  print(("%-24s %5d lines %6d words  %s"):format(path, lines, n,
    ok and "as a plain loop counts" or
    ("WRONG: a plain loop counts %d and %d"):format(want_lines, want_words)))
end
os.remove(outpath)

-- The errors that a user sees. The prologue kept the coroutine of the last run
-- alive; a reset releases everything.
local function shown(what, f, ...)
  local _, err = pcall(f, ...)
  print(("%-16s %s"):format(what, (tostring(err):gsub("\n.*", ""))))
end

print()
collectgarbage() -- collects the files, which nothing holds any more
shown("dead object", gbi.get_external_object_by_index, input)
shown("unknown index", gbi.get_external_object_by_index, 7)
shown("held weakly? no", gbi.register_user_object, 42,
  source.LocalSource("answer"))
gbi.reset_user_object_tracking()

print(("\n%d files, %d wrong"):format(#files, failed))
os.exit(failed == 0 and 0 or 1)

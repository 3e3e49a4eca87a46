-- A graph compiled once, and run for several files at the same time.
--
--   lua examples/files.lua [FILE ...]
--
-- Each run reads a file, sends it through a pipe of its own in pieces, and
-- waits on a timer of its own between the pieces, all with libuv and all at
-- once: every run is a coroutine that is suspended whenever it waits. The
-- functions that wait get *handles* of pipe and timer and look them up
-- themselves, before and after they were suspended.
local there, uv = pcall(require, "luv")
if not there then
  print "examples/files.lua needs luv (Debian: lua-luv)"
  return
end
local gbi = require "gbi"
local source = gbi.source

local PIECE = 4096 -- bytes
local PAUSE = 1 -- milliseconds

local g = gbi.graph.new()

-- Suspends the running coroutine; what this returns resumes it.
local function resumer()
  local co = coroutine.running()
  return function(...)
    local ok, err = coroutine.resume(co, ...)
    if not ok then error(gbi.traceback(co, err), 0) end
  end
end

local function read(fd, size)
  local resume = resumer()
  uv.fs_read(fd, size, 0, function(err, data) resume(err, data) end)
  local err, data = coroutine.yield()
  uv.fs_close(fd)
  return assert(data, err)
end

local function send(pipe, timer, text)
  local pieces = 0
  for at = 1, #text, PIECE do
    local resume = resumer()
    gbi.handles:get(pipe, "uv_pipe"):write(text:sub(at, at + PIECE - 1),
      function(err) resume(err) end)
    assert(not coroutine.yield())
    gbi.handles:get(timer, "uv_timer"):start(PAUSE, 0, function() resume() end)
    coroutine.yield()
    pieces = pieces + 1
  end
  gbi.handles:get(pipe, "uv_pipe"):close()
  gbi.handles:get(timer, "uv_timer"):close()
  return pieces
end

-- The graph: from a file and a pipe to the numbers of pieces and bytes.
local fd, size = g:placeholder("fd"), g:placeholder("size")
g:placeholder("pipe")
local reader, sender = g:placeholder("read"), g:placeholder("send")
local example = uv.new_pipe(false)
local pipe = g:external(example, source.LocalSource("pipe"))
local timer = g:created(uv.new_timer(), function(_, cg)
  cg:load_import("luv", "new_timer")
  cg:call_function(0)
end)
local text = reader(fd, size)
g:output(sender(pipe:handle(), timer:handle(), text), text:len())
example:close()

local run, code = g:compile()
print(g)
print()
print(code)

-- A pipe whose other end collects everything that arrives.
local function collector()
  local ends = uv.pipe({ nonblock = true }, { nonblock = true })
  local from, to, pieces = uv.new_pipe(false), uv.new_pipe(false), {}
  from:open(ends.read)
  to:open(ends.write)
  from:read_start(function(err, data)
    assert(not err, err)
    if data then pieces[#pieces + 1] = data else from:close() end
  end)
  return to, pieces
end

local files = #arg > 0 and arg
  or { "README.md", "LICENSE", "csrc/registry.c", "lua/gbi/codegen.lua" }
local runs, suspended = {}, 0
for i, path in ipairs(files) do
  local to, pieces = collector()
  local input = assert(uv.fs_open(path, "r", 438))
  local length = assert(uv.fs_fstat(input)).size
  local r = { path = path, pieces = pieces }
  runs[i] = r
  coroutine.wrap(function()
    r.sent, r.bytes = run(input, length, to, read, send)
  end)()
  if not r.sent then suspended = suspended + 1 end
end
print(("%d runs suspended in the middle at the same time"):format(suspended))
uv.run()

local failed = 0
for _, r in ipairs(runs) do
  local f = assert(io.open(r.path, "rb"))
  local ok = table.concat(r.pieces) == f:read("*a")
  f:close()
  if not ok then failed = failed + 1 end
  print(("%-24s %6d bytes in %2d pieces  %s"):format(r.path, r.bytes, r.sent,
    ok and "arrived, each in its own pipe" or "WRONG"))
end
print(("\n%d files, %d wrong"):format(#files, failed))
os.exit(failed == 0 and 0 or 1)

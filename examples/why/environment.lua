-- Two coroutines that run the same chunk, and overwrite each other's objects.
local gbi = require "gbi"
local source = gbi.source

-- Stands for a client's connection.
local function connection(name)
  local got = ""
  return {
    send = function(_, text) got = got .. text end,
    tell = function() return ("%s got '%s'"):format(name, got) end,
  }
end

-- Serves two clients at once: both begin, then both end.
local function serve(f, set)
  local a, b = connection "a", connection "b"
  local first, second = coroutine.wrap(f), coroutine.wrap(f)
  set(a)
  first()
  set(b)
  second()
  first()
  second()
  return ("%s, %s"):format(a.tell(), b.tell())
end

-- The usual way: a chunk is loaded with an environment.
local env = { coroutine = coroutine }
local text = [[client:send "begin " coroutine.yield() client:send "end"]]
local chunk = setfenv and setfenv(loadstring(text), env) -- in Lua 5.1
  or load(text, "chunk", "t", env)
print("usual", serve(chunk, function(client) env.client = client end))
--> usual	a got 'begin ', b got 'begin endend'

-- With gbi: each call has its own objects, from its beginning to its end.
local g = gbi.graph.new()
local client = g:external(connection "", source.GlobalSource "client")
g:call_method("send", client, "begin ")
g:call_function(source.ImportSource("coroutine", "yield"))
g:call_method("send", client, "end")
g:output()
print("gbi", serve(g:compile(), function(c) _G.client = c end))
--> gbi	a got 'begin end', b got 'begin end'

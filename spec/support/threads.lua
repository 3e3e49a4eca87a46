-- What each state of spec/c/threads.c does: all functions, again and again.
-- Returns a sum of what it saw, the same in every thread.

local gbi = require "gbi"
local capi = require "capi"

local Global = gbi.source.GlobalSource
local ROUNDS = 60
local sum = 0

local function see(n) sum = (sum * 31 + n) % 1000003 end

local function construct(_, cg)
  cg:load_import("gbi.compat", "pack")
  cg:call_function(0)
end

local function hammer(r)
  local object, guarded = {}, setmetatable({}, { __gc = function() end })
  see(r:register(object, Global "object"))
  see(capi.register(r, guarded))
  see(r:register_created({}, construct))
  see(capi.register_c_created(r, {}))
  r:on_collect(2, print)
  r:store(object, guarded, r, object, guarded)
  local snapshot = r:snapshot()
  capi.store(r, guarded)
  capi.restore(r, snapshot)
  r:set(2, object)
  r:stash({})
  for i, entry in r:entries() do see(i + #entry.kind) end
  for i, _, kind in r:constructors() do see(i + #kind) end
  see(#r + r:count())
  see(r:get(1) == object and capi.find(r, 2) == object and 1 or 0)
  see(select("#", capi.get_udata(r, 3, "gbi.registry")))
  see(#tostring(select(2, pcall(r.register, r, 5))))
  see(#select(2, pcall(r.get, r, 77)))
  see(#select(2, pcall(capi.get, r, 77)))
  r:release(1)
  see(r:sweep() + capi.sweep(r))
  see(#tostring(r):match "^[^:]*")
  r:reset()
end

function _G.look(i) -- the registry of the graph that calls it
  return _G.registry:get(i)
end

local function graph()
  local g = gbi.graph.new()
  _G.registry = g.registry
  local x = g:placeholder "x"
  local created = g:created({}, construct)
  g:output(x + 1, g:call_function(Global "look", created:index()))
  local f, text = g:compile()
  for i = 1, 10 do
    local y, object = f(i)
    see(y + object.n)
  end
  see(#text + #tostring(g))
  gbi.compile_prologue(g.registry)()
end

for round = 1, ROUNDS do
  hammer(gbi.new())
  hammer(gbi.default)
  graph()
  if round % 20 == 0 then collectgarbage() end
end

return "sum " .. sum

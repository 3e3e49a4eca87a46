-- The program of each state of spec/c/threads.c: all functions, again and
-- again. Returns a sum of what it saw, the same in every thread.

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
  see(capi.register(r, guarded, Global "guarded"))
  see(r:register_created({}, construct))
  see(capi.register_c_created(r, {}))
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
  see(#tostring(select(2, pcall(r.register, r, 5, Global "five"))))
  see(#select(2, pcall(r.get, r, 77)))
  see(#select(2, pcall(capi.get, r, 77)))
  see(#tostring(r):match "^[^:]*")
  r:reset()
end

-- A handle table, the state's own if `own` is nil; in Lua code it is `h`.
local function hammer_handles(h, own)
  local guarded = setmetatable({}, { __gc = function() end })
  local weak, strong = h:weak(guarded), capi.strong(own, "kept")
  local dead = capi.weak(own, {})
  see(#capi.on_collect(own, weak, see) + #tostring(h:on_collect(dead, see)))
  see(capi.find_handle(own, weak) == guarded and 1 or 0)
  see(#h:get(strong) + #select(2, capi.find_handle_in(own, strong)))
  see(select("#", capi.get_handle_udata(own, h:strong(h), "gbi.handles")))
  for handle, _, kind in h:entries() do see(handle + #kind) end
  see(h:count() + capi.count_handles(own))
  see(#tostring(select(2, pcall(h.weak, h, 5))))
  see(#select(2, pcall(h.get, h, 77)))
  see(#select(2, pcall(capi.get_handle, own, 77)))
  collectgarbage()
  see(h:sweep() + capi.sweep(own))
  see(#capi.release(own, strong) + #select(2, h:release(dead)))
  see(#tostring(h):match "^[^:]*")
end

local found -- by a handle of a run, in another coroutine

function _G.look(handle)
  coroutine.wrap(function() found = gbi.handles:get(handle) end)()
  return found
end

local function graph()
  local g = gbi.graph.new()
  local x = g:placeholder "x"
  local created = g:created({}, construct)
  g:output(x + 1, g:call_function(Global "look", created:handle()))
  local f, text = g:compile()
  for i = 1, 10 do
    local y, object = f(i)
    see(y + object.n)
  end
  pcall(f, "no number")
  see(#text + #tostring(g))
  gbi.compile_prologue(g.registry)()
end

for round = 1, ROUNDS do
  hammer(gbi.new())
  hammer(gbi.default)
  local h = gbi.new_handles()
  hammer_handles(h, h)
  hammer_handles(gbi.handles)
  graph()
  if round % 20 == 0 then collectgarbage() end
end

return "sum " .. sum

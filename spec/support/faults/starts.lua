-- Starting states. Each is a function that brings a new world into one.
-- Registry cases start with those `of` "registries", handle cases with those of
-- "handles"; `states` is for the state's own handle table; `dying` means that
-- dropped objects still exist.

local core = require "gbi.core"
local gbi = require "gbi"
local portable = require "spec.support.portable"

local Source = gbi.source.GlobalSource

local starts = {}

local function add(of, name, make, options)
  options = options or {}
  starts[#starts + 1] = { of = of, name = name, make = make,
                          states = options.states, dying = options.dying }
end

function starts.construct(_, cg)
  cg:load_import("gbi.compat", "pack")
  cg:call_function(0)
end

local construct = starts.construct

--------------------------------------------------------------------------------
-- Registries
--------------------------------------------------------------------------------

local function register(w, n)
  for i = 1, n do w.r:register(w:object("t" .. i), Source("t" .. i)) end
end

local function of_registry(...) add("registries", ...) end

of_registry("empty", function() end)

of_registry("registered", function(w)
  register(w, 2)
  w.r:register_created(w:object "created", construct)
  w:drop "created"
  w.r:register(w:object "c4", Source "c4")
  w.r:register(w:object "f5", Source "f5")
end)

of_registry("stored fewer", function(w)
  register(w, 6)
  w.r:store(w.pool.t1, w.pool.t2, w:object "f3")
end)

of_registry("left out", function(w)
  register(w, 6)
  w.r:store(w.pool.t1)
  w.r:set(5, w:object "t7")
  w:drop "t7"
end)

of_registry("stored more", function(w)
  register(w, 1)
  w.r:store(w:object "t1", w:object "t2", w:object "t3", w:object "t4")
end)

of_registry("dead", function(w)
  register(w, 5)
  w.r:register(w:object "t6", setmetatable({
    reconstruct = function(_, cg) cg(Source "t6") end,
  }, { __tostring = function() return "t" .. ("6"):rep(60) end }))
  for _, name in ipairs { "t1", "t2", "t4", "t6" } do w:drop(name) end
  portable.collect()
end)

of_registry("stashed", function(w)
  register(w, 2)
  w.r:stash(w:object "stashed before")
  w.r:store(w.pool.t1, w.pool.t2)
  w.r:stash(w:object "stashed now")
  w.r:set(2, w:object "set")
  for _, name in ipairs { "stashed before", "stashed now", "set" } do
    w:drop(name)
  end
end)

of_registry("guarded", function(w)
  w.r:register(w:object "g1", Source "g1")
  w.r:register(w:object "g2", Source "g2")
  w.r:store(w.pool.g1, w:object "u2", w:object "g3")
  w.snapshot = w.r:snapshot()
  w.r:register(w:object "g4", Source "g4")
end)

-- A store in place counted on room that a shorter snapshot had taken away: when
-- memory ran out, old and new objects were mixed.
of_registry("restored", function(w)
  register(w, 2)
  w.snapshot = w.r:snapshot()
  w.r:store(w.pool.t1, w.pool.t2, w:object "t3", w:object "t4")
  w.r:restore(w.snapshot)
end)

of_registry("in a run", function(w)
  register(w, 3)
  w.r:stash(w:object "stashed")
  w:drop "stashed"
  local list = { w:object "f1", false, w:object "g3" }
  local run = core.enter(w.r, list, 3)
  run:handle(1)
  run:handle(3)
  w.leave = function() core.leave(run, nil) end
end)

of_registry("in a coroutine's run", function(w)
  register(w, 2)
  local run = core.enter(w.r, { w:object "f1", w:object "t4" }, 2)
  w.pool.co = coroutine.create(function()
    local inner = core.enter(w.r, { w:object "f2" }, 1)
    inner:handle(1)
    coroutine.yield()
    core.leave(inner, nil)
  end)
  assert(coroutine.resume(w.pool.co))
  local co = w.pool.co
  w.leave = function()
    assert(coroutine.resume(co))
    core.leave(run, nil)
    co, run = nil, nil
  end
end)

of_registry("the default registry", function(w)
  w.r = gbi.default
  register(w, 3)
  w.r:register_created(w:object "created", construct)
  w:drop "created"
  w.r:store(w.pool.t1, w.pool.t2, w:object "g3", w.pool.t3)
end)

of_registry("recorded", function(w)
  gbi.debug(true)
  register(w, 4)
  w.r:register(w:object "g5", Source "g5")
  w.r:store(w.pool.t1, w.pool.t2)
end)

of_registry("the default registry, recorded", function(w)
  w.r = gbi.default
  gbi.debug(true)
  register(w, 2)
end)

of_registry("dying", function(w)
  register(w, 2)
  w.r:register(w:object "g3", Source "g3")
  w.r:register(w:object "t4", Source "t4")
  w:drop "g3"
  w:drop "t4"
end, { dying = true })

--------------------------------------------------------------------------------
-- Handle tables: a world's own, and the state's. The first handles are those of
-- live objects, if there are any.
--------------------------------------------------------------------------------

local function of_handles(name, make, options)
  options = options or {}
  if not options.states then add("handles", name, make, options) end
  add("handles", name .. ", the state's", make,
    { states = true, dying = options.dying })
end

of_handles("none", function() end)

of_handles("live", function(w)
  for _, name in ipairs { "t1", "f2", "c3", "u4", "h5" } do
    w.h:weak(w:object(name))
  end
  w.h:on_collect(w:handle(1), w:callback "gone")
end)

-- As many as there is room for: the next one needs more memory.
of_handles("full", function(w)
  for i = 1, 4 do w.h:weak(w:object("t" .. i)) end
  for i = 5, 8 do w.h:strong(w:object("t" .. i)) end
  for i = 1, 4 do w.h:on_collect(w:handle(i), w:callback "gone") end
end)

of_handles("dead", function(w)
  w.h:weak(w:object "t1")
  for i = 2, 6 do
    w.h:weak(w:object("t" .. i))
    w.h:on_collect(w:handle(i), w:callback "gone")
    w:drop("t" .. i)
  end
  portable.collect()
  w.h:strong(w:object "t7")
  w:drop "t7"
  w.h:release(w:handle(7))
end)

of_handles("strong", function(w)
  for _, name in ipairs { "t1", "g2", "f3" } do
    w.h:strong(w:object(name))
    w:drop(name)
  end
  for _, value in ipairs { false, 1.5, "text" } do w.h:strong(value) end
  w.h:on_collect(w:handle(2), w:callback "gone")
end)

of_handles("with finalizers", function(w)
  w.h:weak(w:object "g1")
  w.h:strong(w:object "g2")
  w:drop "g2"
  w.h:weak(w:object "g3")
  w:drop "g3"
  portable.collect()
end)

of_handles("of runs", function(w)
  local run = core.enter(w.r, { w:object "t1", w:object "g2" }, 2)
  run:handle(1)
  run:handle(2)
  w.h:on_collect(w:handle(1), w:callback "gone")
  local over = core.enter(w.r, { w:object "t3" }, 1)
  over:handle(1)
  w.h:on_collect(w:handle(3), w:callback "gone")
  core.leave(over, nil)
  w.run = run
  w.leave = function()
    core.leave(run, nil)
    run, w.run = nil, nil
  end
end, { states = true })

of_handles("of a dropped run", function(w)
  local co = coroutine.create(function(...)
    local run = core.enter(w.r, { ... }, 2)
    coroutine.yield(run:handle(1), run:handle(2))
    core.leave(run, nil)
  end)
  assert(coroutine.resume(co, w:object "t1", w:object "t2"))
  w.h:on_collect(w:handle(2), w:callback "gone")
end, { states = true, dying = true })

of_handles("dying", function(w)
  w.h:weak(w:object "t1")
  for _, name in ipairs { "g2", "t3", "t4" } do
    w.h:weak(w:object(name))
    w:drop(name)
  end
  w.h:strong(w:object "t5")
  w:drop "t5"
  w.h:on_collect(w:handle(3), w:callback "gone")
  w.h:on_collect(w:handle(4), w:callback "gone")
end, { dying = true })

-- Makes the values that the cases use after a starting state: objects to
-- register, and so on.
function starts.arguments(w)
  w.source = Source "source"
  w.f = w:callback "late"
  w.a = {}
  for _, kind in ipairs { "t", "g", "f", "c", "u", "h" } do
    w.a[kind] = w:object(kind .. " new")
  end
  w.many = {}
  for i = 1, 70 do w.many[i] = i % 7 == 0 and w.a.g or w.a.t end
end

return starts

-- Every allocation fails once: run by build/faults (spec/c/faults.c), which
-- provides `memory`.
--
--     build/faults spec/support/faults.lua [short | long | collect] [CASE]
--
-- Each case is run in each starting state, with its 1st, 2nd, 3rd ...
-- allocation failing, until it succeeds. After a failure the registry must be
-- as before the call and keep nothing more alive; the same call must then
-- succeed, with the same result. `long` also fails all allocations after the
-- n-th. `collect` lets nothing fail: a count hook of one instruction makes a
-- full collection at each of them.

local compat = require "gbi.compat"

-- LuaJIT's compiler does not survive every failure in compiled code.
if jit then jit.off() end -- luacheck: ignore 113

local MODE, ONLY = arg[1] or "short", arg[2]

local memory = memory -- luacheck: globals memory
local injected, calls = 0, 0

-- What went wrong; the first of each case is enough.
local failures = {}

local function failed(message)
  failures[#failures + 1] = message
  error(failures, 0)
end

-- Does this message tell of no memory? luaL_checkstack calls it an overflow.
local function no_memory(err)
  return err:find("not enough memory", 1, true)
    or not compat.close and err:find("stack overflow", 1, true)
end

-- Calls f, which ends at its first failure.
local function case_of(f, ...)
  local args = compat.pack(...)
  local ok, err = xpcall(function() f(compat.unpack(args, 1, args.n)) end,
    function(e) return e == failures and e or debug.traceback(e) end)
  if not ok and err ~= failures then error(err, 0) end
end

--------------------------------------------------------------------------------
-- States of their own: loading gbi, and closing
--------------------------------------------------------------------------------

local PATHS = ("package.path, package.cpath = %q, %q\n"):format(package.path,
  package.cpath)

-- Returns "ok" where gbi works.
local WORKS = [[
  for name, value in pairs(package.loaded) do -- 5.1 notes that it failed
    if type(value) ~= "table" and value ~= true then
      package.loaded[name] = nil
    end
  end
  local gbi = require "gbi"
  local capi = require "capi"
  local setmetatable = require "spec.support.portable".setmetatable
  local collect = require "spec.support.portable".collect
  for _, r in ipairs { gbi.new(), gbi.default, capi.new() } do
    assert(#r == 0 and tostring(r):find "^gbi.registry %(0 live, 0 dead%)")
    local kept = setmetatable({}, { __gc = function() end })
    r:register(kept)
    local other = {}
    capi.register(r, other)
    local snapshot = r:snapshot()
    other = nil
    collect()
    assert(r:get(1) == kept and r:find(2), "a snapshot holds")
    snapshot = nil
    collect()
    assert(not r:find(2), "weak")
    assert(r ~= gbi.default or gbi.get_external_object_by_index(1) == kept)
    local ok, e = pcall(r.register, r, 5)
    assert(not ok and tostring(e):find "^Failed to make weakref to User Obj")
    r:reset()
    r:store(kept)
    assert(r ~= gbi.default or gbi.get_external_object_by_index(1) == kept)
    r:reset()
  end
  local g = gbi.graph.new()
  g:output(g:call_function(gbi.source.GlobalSource "tostring",
    g:created({}, function(_, cg)
      cg:load_import("gbi.compat", "pack")
      cg:call_function(0)
    end):index()))
  assert(g:compile()() == "4294967297") -- a number of its own
  assert(not g.registry:find(2))
  assert(gbi.compile_prologue(gbi.new()))
  assert(gbi.debug(true) == false) -- in this state; it is on in another
  return "ok"
]]

-- Both faces are used by a finalizer while the state closes; it prints what
-- is handed out after it was finalized.
local CLOSING = PATHS .. [[
  local gbi = require "gbi"
  local setmetatable = require "spec.support.portable".setmetatable
  local r = gbi.new()
  kept = {}
  local function object()
    local o = setmetatable({}, { __gc = function(self)
      self.finalized = true
      for i = 1, 6 do
        local o = r:find(i)
        assert(not (o and o.finalized), "finalized")
        o = gbi.default:find(i)
        assert(not (o and o.finalized), "finalized")
      end
    end })
    kept[#kept + 1] = o
    return o
  end
  for _, registry in ipairs { r, gbi.default } do
    registry:register(object())
    registry:store(object(), object(), {})
    registry:set(1, object())
    registry:stash(object())
    kept[#kept + 1] = registry:snapshot()
  end
  kept.frame = require "gbi.core".enter(r, { object() }, 1)
]]

local function in_states(what, prepare, call, sign, after, wanted)
  for _, all in ipairs { false, true } do
    local n = 0
    repeat
      n = n + 1
      local hits, ok, err, result, left = memory.state(prepare, call,
        sign * n, all, after)
      local function check(condition, message)
        if not condition then
          failed(("%s, allocation %d (%s): %s"):format(what, n,
            all and "and all after it" or "alone", tostring(message)))
        end
      end
      check(ok or (hits > 0 and no_memory(err)), err)
      check(result == wanted, result)
      check(left == 0, left .. " blocks were not freed")
      injected = injected + hits
    until hits == 0
    calls = calls + n
    if MODE == "short" then break end
  end
end

--------------------------------------------------------------------------------
-- A world: a registry, and all objects by their names. Its witness knows which
-- of them live.
--------------------------------------------------------------------------------

local gbi = require "gbi"
local portable = require "spec.support.portable"
local capi = require "capi"
local core = require "gbi.core"
local Source = gbi.source.GlobalSource

local World = {}
World.__index = World

local collect = portable.collect

-- The sources of a world's objects are globals that only the world holds.
local current

setmetatable(_G, { __index = function(_, name)
  return current and current.pool and current.pool[name]
end })

local finalized = 0

-- Finalizers are code too: this one calls what it likes.
local GUARDED = { __gc = function()
  finalized = finalized + 1
  local r = gbi.new()
  r:register(r)
  pcall(gbi.default.find, gbi.default, 1)
  if finalized % 3 == 0 then r:snapshot() end
end }

-- Makes an object, of a kind that its name's first letter tells.
function World:object(name)
  local kind = name:sub(1, 1)
  local o
  if kind == "g" then o = portable.setmetatable({}, GUARDED)
  elseif kind == "f" then o = function() return self, name end
  elseif kind == "c" then o = coroutine.create(function() end)
  elseif kind == "u" then o = gbi.new()
  else o = {} end
  self.pool[name], self.witness[name], self.names[o] = o, o, name
  return o
end

function World:drop(name)
  self.pool[name] = nil
end

function World:show(value)
  -- a place is a line of this file; which, depends on who makes the call
  return type(value) == "string" and value:gsub("0x%x+", "0x"):gsub(
      "(faults%.lua):%d+", "%1")
    or self.names[value] or type(value)
end

-- What a caller can see of the registry.
function World:state()
  local r, out = self.r, {}
  local function add(...)
    local t = compat.pack(...)
    for i = 1, t.n do
      local v = t[i]
      t[i] = (v == nil or type(v) == "number" or type(v) == "boolean")
        and tostring(v) or self:show(v)
    end
    out[#out + 1] = table.concat(t, " ")
  end
  add("count", r:count())
  add(#r, r:has_objects(), tostring(r))
  for i = -1, self.limit do
    add(i, r:name(i), r:place(i), r:find(i))
    add(pcall(r.get, r, i))
  end
  for i, e in r:entries() do
    add(i, e.kind, e.status, e.object, e.source and tostring(e.source))
  end
  for i, f, kind, source in r:constructors() do
    add(i, type(f), kind, source and tostring(source))
  end
  return table.concat(out, "\n")
end

-- The constructors, which must stay the same functions.
function World:functions()
  local list = {}
  for i, f in self.r:constructors() do list[i] = f end
  return list
end

function World:living()
  local names = {}
  collect()
  for name in pairs(self.witness) do names[#names + 1] = name end
  table.sort(names)
  return table.concat(names, " ")
end

-- The end of a world: what its registry keeps alive when nobody else does, and
-- for how long; and what hears of the death of the others.
function World:finish()
  local out, r, log = {}, self.r, {}
  if self.leave then
    self.leave()
    out[1] = self:state()
  end
  self.log = log
  for _, field in ipairs { "pool", "a", "list", "source", "f", "compiled" } do
    self[field] = nil
  end
  if r ~= gbi.default then self.graph = nil end
  local function add(what) out[#out + 1] = what .. ": " .. self:living() end
  add "held"
  self.snapshot = nil
  add "without the snapshot"
  out[#out + 1] = "swept " .. r:sweep()
  out[#out + 1] = table.concat(log, " ")
  local free = {}
  for i = 1, 6 do free[i] = r end -- for those that are not released
  r:store(compat.unpack(free))
  add "stored"
  r:store()
  add "stored again"
  r:reset()
  add "reset"
  return table.concat(out, "\n")
end

--------------------------------------------------------------------------------
-- Starting states
--------------------------------------------------------------------------------

local function close(frame)
  getmetatable(frame).__close(frame)
end

-- Calls f(frame) in a frame, which ends however the call does.
local within
if compat.close then
  within = compat.load([[
    local enter = require "gbi.core".enter
    return function(w, list, n, f)
      local frame <close> = enter(w.r, list, n)
      return f(frame)
    end]])()
else
  function within(w, list, n, f)
    local frame
    local ok, a, b, c = pcall(function()
      local mine = core.enter(w.r, list, n)
      frame = mine
      local x, y, z = f(mine)
      return x, y, z
    end)
    if frame then close(frame) end
    if not ok then error(a, 0) end
    return a, b, c
  end
end

local function construct(_, cg)
  cg:load_import("gbi.compat", "pack")
  cg:call_function(0)
end

-- Registers n objects, the second as a handle if `handle`.
local function register(w, n, handle)
  for i = 1, n do
    w.r:register(w:object("t" .. i),
      not (handle and i == 2) and Source("t" .. i) or nil)
  end
end

local STARTS = {
  { "empty", function() end },
  { "registered", function(w)
    register(w, 2)
    w.r:register_created(w:object "created", construct)
    w:drop "created"
    w.r:register(w:object "c4", Source "c4")
    w.r:register(w:object "f5", Source "f5")
  end },
  { "holes", function(w)
    register(w, 6, true)
    w.r:store(w.pool.t1, w.pool.t2, w:object "f3")
    w.r:on_collect(2, function(i) table.insert(w.log, "gone " .. i) end)
  end },
  { "released", function(w)
    register(w, 6)
    for _, i in ipairs { 1, 4, 6 } do w.r:release(i) end
    w.r:set(7, w:object "t7")
    w:drop "t7"
  end },
  { "released past the last", function(w)
    w.r:store(w:object "t1", w:object "t2", w:object "t3", w:object "t4")
    w.r:release(3)
  end },
  { "dead", function(w)
    register(w, 5, true)
    w.r:register(w:object "t6", setmetatable({
      reconstruct = function(_, cg) cg(Source "t6") end,
    }, { __tostring = function() return "t" .. ("6"):rep(60) end }))
    w.r:on_collect(2, function(i) table.insert(w.log, "gone " .. i) end)
    for _, name in ipairs { "t1", "t2", "t4", "t6" } do w:drop(name) end
    collect()
  end },
  { "stashed", function(w)
    register(w, 2)
    w.r:stash(w:object "stashed before")
    w.r:store(w.pool.t1, w.pool.t2)
    w.r:stash(w:object "stashed now")
    w.r:set(2, w:object "set")
    for _, name in ipairs { "stashed before", "stashed now", "set" } do
      w:drop(name)
    end
  end },
  { "guarded", function(w)
    w.r:register(w:object "g1", Source "g1")
    w.r:register(w:object "g2")
    w.r:store(w.pool.g1, w:object "u2", w:object "g3")
    w.snapshot = w.r:snapshot()
    w.r:register(w:object "g4")
  end },
  { "in a frame", function(w)
    register(w, 3)
    w.r:stash(w:object "stashed")
    w:drop "stashed"
    local frame = core.enter(w.r, { w:object "f1", false, w:object "g3" }, 3)
    w.leave = function() close(frame) end
  end, framed = true },
  { "in two coroutines", function(w)
    register(w, 2)
    local frame = core.enter(w.r, { w:object "f1", w:object "t4" }, 2)
    w.pool.co = coroutine.create(function()
      local other = core.enter(w.r, { w:object "f2" }, 1)
      coroutine.yield(other)
      close(other)
    end)
    assert(coroutine.resume(w.pool.co))
    w.leave = function()
      assert(coroutine.resume(w.pool.co))
      close(frame)
    end
  end, framed = true },
  { "the default registry", function(w)
    w.r = gbi.default
    register(w, 3)
    w.r:register_created(w:object "created", construct)
    w:drop "created"
    w.r:store(w.pool.t1, w.pool.t2, w:object "g3", w.pool.t3)
    w.functions_too = true
  end },
  { "recorded", function(w)
    gbi.debug(true)
    register(w, 4)
    w.r:register(w:object "g5", Source "g5")
    w.r:release(3)
    w.r:store(w.pool.t1, w.pool.t2)
  end },
  { "the default registry, recorded", function(w)
    w.r = gbi.default
    gbi.debug(true)
    register(w, 2)
  end },
  { "dying", function(w)
    register(w, 2)
    w.r:register(w:object "g3")
    w.r:register(w:object "t4")
    w.r:on_collect(4, function(i) table.insert(w.log, "gone " .. i) end)
    w:drop "g3"
    w:drop "t4"
  end, dying = true },
}

--------------------------------------------------------------------------------
-- Cases: what is called with a world, which has an object of each kind. One
-- that `runs` something in a frame leaves the frame's table in place unless
-- there is another frame around it; of one that goes by `halves`, what is done
-- stays done.
--------------------------------------------------------------------------------

local function iterate(iterator)
  local n = 0
  for i in iterator do n = n + i end
  return n
end

local CASES = {
  { "register", function(w) return w.r:register(w.a.t, w.source) end },
  { "register a handle", function(w) return w.r:register(w.a.f) end },
  { "register with a finalizer", function(w)
    return w.r:register(w.a.g, w.source)
  end },
  { "register what it has", function(w) return w.r:register(w.r) end },
  { "register a value", function(w)
    local ok, e = pcall(w.r.register, w.r, 5)
    if ok or type(e) ~= "table" then error(e, 0) end
    return e.context, e.hints[1], tostring(e)
  end },
  { "register_created", function(w)
    return w.r:register_created(w.a.g, construct)
  end },
  { "store nothing", function(w) w.r:store() end },
  { "store", function(w) w.r:store(w.a.t, w.a.f, w.a.c) end },
  { "store with finalizers", function(w)
    w.r:store(w.a.g, w.a.t, w.a.u, w.a.g, w.a.f, w.a.c)
  end },
  { "store a number", function(w) w.r:store(w.a.t, w.a.f, 5, w.a.g) end },
  { "store_list", function(w) w.r:store_list(w.list) end },
  { "set", function(w) w.r:set(1, w.a.g) end },
  { "set a value", function(w) w.r:set(1, 5) end },
  { "set one more", function(w)
    local live, dead = w.r:count()
    w.r:set(live + dead + 1, w.a.t)
  end },
  { "stash", function(w) return w.r:stash(w.a.g) end },
  { "release", function(w) return w.r:release(2) end },
  { "release the last", function(w)
    local live, dead = w.r:count()
    return w.r:release(live + dead)
  end },
  { "on_collect", function(w)
    return w.r:on_collect(1, w.f)
  end },
  { "on_collect nothing", function(w) return w.r:on_collect(2, nil) end },
  { "sweep", function(w) return w.r:sweep(), table.concat(w.log) end,
    halves = true }, -- the callbacks that were called are done with
  { "reset", function(w) w.r:reset() end },
  { "snapshot", function(w) w.snapshot = w.r:snapshot() end },
  { "restore", function(w) if w.back then w.r:restore(w.back) end end,
    prepare = function(w)
      w.back = w.r:snapshot()
      w.r:store(w.a.g)
    end },
  { "restore from another", function(w)
    w.r:restore(w.a.u:snapshot())
  end },
  { "find", function(w) return w.r:find(1), w.r:find(5), w.r:find(60) end },
  { "get", function(w) return w.r:get(3) end },
  { "get by name", function(w) return w.r:get(2, "table") end },
  { "name", function(w) return w.r:name(1) end },
  { "name of the last", function(w) return w.r:name(#w.r) end },
  { "count", function(w) return w.r:count() end },
  { "length", function(w) return #w.r, w.r:has_objects() end },
  { "tostring", function(w) return tostring(w.r) end },
  { "entries", function(w) return iterate(w.r:entries()) end },
  { "constructors", function(w) return iterate(w.r:constructors()) end },
  { "inspect", function(w) return (gbi.inspect(w.r):gsub("%s+", " ")) end },
  { "debug", function(w)
    local before = gbi.debug(true)
    w.r:register(w.a.t, w.source)
    gbi.debug(before)
  end },
  { "new", function() return #gbi.new() end },
  { "methods", function(w) return w.r.register ~= nil end },
  { "enter", function(w)
    return within(w, { w.a.t, false, w.a.g }, 3, function()
      return w.r:find(1), w.r:find(2), w.r:find(3)
    end)
  end, runs = true },
  { "enter deeper", function(w)
    return within(w, { w.a.t }, 1, function()
      return within(w, { w.a.f, w.a.g }, 2, function(inner)
        return w.r:find(1), w.r:find(2), inner
      end)
    end)
  end, runs = true },
  { "enter in a coroutine", function(w)
    return coroutine.wrap(function()
      return within(w, { w.a.g }, 1, function() return w.r:find(1) end)
    end)()
  end, runs = true },
  { "C register", function(w) return capi.register(w.r, w.a.g, w.source) end },
  { "C register a handle", function(w) return capi.register(w.r, w.a.t) end },
  { "C register_created", function(w)
    return capi.register_created(w.r, w.a.g, construct)
  end },
  { "C register_created in C", function(w)
    return capi.register_c_created(w.r, w.a.t)
  end },
  { "C get", function(w) return capi.get(w.r, 1) end },
  { "C get_udata", function(w)
    return capi.get_udata(w.r, 2, "gbi.registry")
  end },
  { "C find", function(w) return capi.find(w.r, 3) end },
  { "C find_in", function(w) return capi.find_in(w.r, 3) end },
  { "C store", function(w)
    capi.store(w.r, w.a.t, w.a.f, w.a.g, w.a.c, w.a.u, w.a.g)
  end },
  { "C set", function(w) capi.set(w.r, 1, w.a.g) end },
  { "C stash", function(w) capi.stash(w.r, w.a.t) end },
  { "C release", function(w) return capi.release(w.r, 2) end },
  { "C reset", function(w) capi.reset(w.r) end },
  { "C snapshot and restore", function(w)
    local back = capi.snapshot(w.r)
    capi.restore(w.r, back)
  end },
  { "C count", function(w) return capi.count(w.r) end },
  { "C on_collect", function(w) return capi.on_collect(w.r, 1, w.f) end },
  { "C sweep", function(w) return capi.sweep(w.r) end, halves = true },
  { "C new", function() return #capi.new(), capi.default() end },
  { "C open and check", function(w) return capi.check(w.r), capi.open() end },
  { "the seed's functions", function(w)
    if w.r ~= gbi.default then return end
    return gbi.has_user_objects(), gbi.get_external_object_by_index(1)
  end },
  { "the seed's register", function(w)
    if w.r ~= gbi.default then return end
    return gbi.register_user_object(w.a.g, w.source)
  end },
  { "the seed's store", function(w)
    if w.r ~= gbi.default then return end
    gbi.store_user_object_weakrefs(w.a.g, w.a.f)
  end },
  { "the seed's reset", function(w)
    if w.r ~= gbi.default then return end
    gbi.reset_user_object_tracking()
  end },
  { "compile_prologue", function(w)
    local f, text = gbi.compile_prologue(w.r, { "a", "b" })
    return f, text
  end },
  { "a prologue", function(w)
    if w.compiled then w.compiled() end
  end, prepare = function(w)
    local ok, f = pcall(gbi.compile_prologue, w.r)
    w.compiled = ok and f
  end },
  { "compile a graph", function(w)
    local f, text = w.graph:compile()
    return f, text, tostring(w.graph), w.graph:to_dot()
  end },
  { "record a graph", function()
    local g = gbi.graph.new()
    local x = g:placeholder "x"
    g:output(g:call_method("write", g:external(io.stdout, Source "out"),
      x * 2 .. "\n"))
    return tostring(g)
  end },
  { "a prologue that creates", function(w) w.compiled() end,
    prepare = function(w)
      w.r:reset()
      w.r:register(w:object "t1", Source "t1")
      w.r:register_created(w:object "created 2", construct)
      w.r:register_created(w:object "created 3", construct)
      w.compiled = gbi.compile_prologue(w.r)
      w.compiled()
    end },
  { "call a graph", function(w) return w.compiled(w.a.t) end,
    prepare = function(w) w.compiled = w.graph:compile() end },
  { "call a graph that fails", function(w) return w.compiled(nil) end,
    prepare = function(w) w.compiled = w.graph:compile() end },
  { "save a graph", function(w)
    w.saved.registry:find(1)
    local ok, err = w.saved:save(w.path)
    return ok, err
  end, file = true },
  { "load a graph", function(w)
    local g, err = gbi.load_graph(w.path)
    return g and tostring(g), g and g.registry:name(1) or err
  end, prepare = function(w) w.saved:save(w.path) end, file = true },
}

local PATH = os.tmpname()

-- A graph on the world's registry: it creates an object, calls a function that
-- looks it up, and returns its input.
local function make_graph()
  local g = gbi.graph.new()
  local x = g:placeholder "x"
  local created = g:created({}, construct)
  local global = g:external(print, Source "print")
  g:call_function(gbi.source.AttrSource(Source "string", "rep"),
    "x", created:index(), global:index())
  g:output(x, g:get_attr(x, "field"), created)
  return g
end

local function new_world(start, case)
  gbi.default:reset()
  gbi.debug(false)
  local w = setmetatable({ pool = {}, names = setmetatable({},
    { __mode = "k" }), witness = setmetatable({}, { __mode = "v" }),
    limit = 9, log = {}, r = gbi.new() }, World)
  current = w
  start[2](w)
  w.source = Source "source"
  w.f = function(i) table.insert(w.log, "late " .. i) end
  w.a = {}
  for _, kind in ipairs { "t", "g", "f", "c", "u" } do
    w.a[kind] = w:object(kind .. " new")
  end
  w.list = {}
  for i = 1, 70 do w.list[i] = i % 7 == 0 and w.a.g or w.a.t end
  w.graph = case.graph or make_graph()
  if case.file then
    w.path = PATH
    w.saved = gbi.graph.new()
    w.saved:output((w.saved:external(print, gbi.source.AttrSource(
      Source "io", "stdout"))))
    w.saved:save(w.path)
  end
  if case.prepare then case.prepare(w) end
  return w
end

-- The lines of two texts that differ.
local function difference(expected, value)
  local out, other = {}, tostring(expected):gmatch "[^\n]*"
  for line in tostring(value):gmatch "[^\n]*" do
    local wanted = other()
    if line ~= wanted and #out < 3 then
      out[#out + 1] = ("\n  %s\n  -- instead of %s"):format(line, wanted)
    end
  end
  return table.concat(out)
end

-- The results of a call as one string.
local function results(w, ok, ...)
  local t = compat.pack(...)
  for i = 1, t.n do
    local v = t[i]
    t[i] = (v == nil or type(v) == "number" or type(v) == "boolean")
      and tostring(v) or w:show(v)
  end
  return tostring(ok) .. " " .. table.concat(t, ", ")
end

local function inject(n, all, case, w)
  local t = compat.pack(memory.inject(n, all, case[2], w))
  local hits, ok, err = t[1], t[2], t[3]
  injected = injected + hits
  calls = calls + 1
  local nomemory = not ok and type(err) == "string"
    and no_memory(err)
  return hits, nomemory, results(w, compat.unpack(t, 2, t.n))
end

local function try(start, case, all)
  local function state(w)
    if start.dying then collect() end
    return w:state()
  end
  local w = new_world(start, case)
  local before = state(w)
  local wanted = results(w, pcall(case[2], w))
  local after = state(w)
  local finish_after = w:finish()
  local idle = new_world(start, case)
  state(idle) -- a look-up may put another frame in place
  local finish_before = idle:finish()
  local n = 0
  local hits, nomemory, got
  local function same(what, expected, value)
    if expected ~= value and not (case.halves or case.runs
       and not start.framed) then
      failed(("%s: %s, allocation %d (%s): %s:%s"):format(start[1], case[1],
        n, all and "and all after it" or "alone", what,
        difference(expected, value)))
    end
  end
  repeat
    n = n + 1
    for again = 1, MODE == "long" and 2 or 1 do
      w = new_world(start, case)
      local functions = w:functions()
      local file = w.path and portable.read(w.path)
      if w.path then collect() end -- so that no text is still there
      hits, nomemory, got = inject(n, all, case, w)
      if nomemory then
        same("state", before, state(w))
        for i, f in pairs(w:functions()) do
          same("constructor", true, rawequal(f, functions[i]))
        end
        if w.path then
          same("file", file, portable.read(w.path))
          same("temporary file", nil, portable.read(w.path .. ".tmp"))
        end
        if (n + again) % 2 == 0 then same("held", finish_before, w:finish())
        else
          same("result", wanted, results(w, pcall(case[2], w)))
          same("state after it", after, state(w))
          same("held after it", finish_after, w:finish())
        end
      elseif not start.dying then -- a collection changes what it sees
        same("result of a call that went on", wanted, got)
        same("state of a call that went on", after, state(w))
        same("held by a call that went on", finish_after, w:finish())
      end
    end
  until hits == 0
end

-- In the mode `collect` nothing fails: the results are those without a hook.
local function collecting(start, case)
  local w = new_world(start, case)
  local wanted = results(w, pcall(case[2], w))
  local after = w:finish()
  w = new_world(start, case)
  debug.sethook(function() collectgarbage() end, "", 1)
  local got = results(w, pcall(case[2], w))
  debug.sethook()
  calls = calls + 1
  if start.dying then return end -- it sees its objects die
  if wanted ~= got or after ~= w:finish() then
    failed(("%s: %s: %s instead of %s"):format(start[1], case[1], got,
      wanted))
  end
end

local found = not ONLY

-- Is this one to be tried?
local function wanted(name)
  local is = not ONLY or name:find(ONLY, 1, true) ~= nil
  found = found or is
  return is
end

for i, start in ipairs(STARTS) do
  for k, case in ipairs(CASES) do
    -- Without variables that are closed, ending a frame is a call, for which
    -- there may be no memory left; one failure it survives.
    local endable = compat.close or not case.runs
    if wanted(start[1] .. ": " .. case[1]) then
      if MODE == "collect" then case_of(collecting, start, case)
      elseif MODE == "long" then
        case_of(try, start, case, false)
        if endable then case_of(try, start, case, true) end
      else
        case_of(try, start, case, endable and (i + k) % 2 == 0)
      end
    end
  end
end

gbi.debug(true)
for _, case in ipairs(MODE ~= "collect" and {
  -- regression: a metatable was known to the state before it had its
  -- metamethods, and a second `require` took it as it was
  { "require", PATHS, 'require "gbi"', 1, WORKS, "ok" },
  { "require capi", PATHS, 'require "capi"', 1, WORKS, "ok" },
  { "close", CLOSING, "", -1, "return 'closing'", "closing" },
} or {}) do
  if wanted(case[1]) then case_of(in_states, compat.unpack(case)) end
end
if not found then error("no case has this in its name: " .. ONLY) end

os.remove(PATH)
print(("faults.lua %s: %d calls in %d states, %d allocations failed"):format(
  MODE, calls, #STARTS, injected))
if #failures > 0 then
  io.stderr:write(table.concat(failures, "\n"), "\n",
    #failures, " cases failed\n")
  os.exit(1, true)
end

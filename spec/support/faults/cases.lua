-- Cases: what is called with a world, which has an object of each kind. Fields:
--
--   of       which starting states it is tried in: those "of" the same
--   prepare  what is done before, with nothing failing
--   halves   what is done stays done
--   runs     handles that a run gave out before it failed are dead, instead of
--            never given out
--   degrades a call that goes on without memory may return less
--   file     has a file at w.path

local compat = require "gbi.compat"
local core = require "gbi.core"
local gbi = require "gbi"
local capi = require "capi"
local portable = require "spec.support.portable"
local construct = require "spec.support.faults.starts".construct

local Source, Import = gbi.source.GlobalSource, gbi.source.ImportSource

local cases = {}

local function adding(of)
  return function(name, call, options)
    local case = { of = of, name = name, call = call }
    for field, value in pairs(options or {}) do case[field] = value end
    cases[#cases + 1] = case
  end
end

local function raise_no_memory(ok, ...)
  if not ok and portable.no_memory(...) then error((...), 0) end
  return ok, ...
end

-- Like pcall, but raises memory errors. After the call under test, a case must
-- not allocate: the allocation could fail although the call succeeded.
local function attempt(f, ...)
  return raise_no_memory(pcall(f, ...))
end

local function iterate(...)
  local n = 0
  for i in ... do n = n + i end
  return n
end

--------------------------------------------------------------------------------
-- Registries
--------------------------------------------------------------------------------

local case = adding "registries"

-- The fields of gbi's `unimplemented` error that a call raises.
local function unimplemented(...)
  local ok, e = attempt(...)
  if ok or type(e) ~= "table" then error(tostring(e), 0) end
  return e.gb_type, e.context, e.hints[1], tostring(e)
end

case("register", function(w) return w.r:register(w.a.t, w.source) end)
case("register with a finalizer", function(w)
  return w.r:register(w.a.g, w.source)
end)
case("register what it has", function(w)
  return w.r:register(w.r, w.source)
end)
case("register a value", function(w)
  return unimplemented(w.r.register, w.r, 5, w.source)
end)
case("register without a source", function(w)
  return attempt(w.r.register, w.r, w.a.t)
end)
case("register_created", function(w)
  return w.r:register_created(w.a.g, construct)
end)
case("register_created of a value", function(w)
  return unimplemented(w.r.register_created, w.r, "text", construct)
end)
case("store nothing", function(w) w.r:store() end)
case("store", function(w) w.r:store(w.a.t, w.a.f, w.a.c) end)
case("store as many", function(w)
  local live, dead = w.r:count()
  w.r:store(compat.unpack(w.many, 1, live + dead))
end)
case("store with finalizers", function(w)
  w.r:store(w.a.g, w.a.t, w.a.u, w.a.g, w.a.f, w.a.c)
end)
case("store a number", function(w)
  return attempt(w.r.store, w.r, w.a.t, w.a.f, 5, w.a.g)
end)
case("store_list", function(w) w.r:store_list(w.many) end)
case("store_list of two, which were created", function(w)
  w.r:store_list(w.many, 2, { w.a.g, w.a.t })
end)
case("store_list of as many, which were created", function(w)
  local live, dead = w.r:count()
  w.r:store_list(w.many, live + dead, { w.a.g, w.a.t, w.a.f })
end)
case("set", function(w) w.r:set(1, w.a.g) end)
case("set a value", function(w) return attempt(w.r.set, w.r, 1, 5) end)
case("set one more", function(w)
  local n = 0
  for i in w.r:entries() do n = i end
  w.r:set(math.max(n, #w.r) + 1, w.a.t)
end)
case("set past the end", function(w)
  return attempt(w.r.set, w.r, 100, w.a.t)
end)
case("stash", function(w) return w.r:stash(w.a.g) end)
case("reset", function(w) w.r:reset() end)
case("snapshot", function(w) w.snapshot = w.r:snapshot() end)
case("restore", function(w) w.r:restore(w.back) end, { prepare = function(w)
  w.back = w.r:snapshot()
  w.r:store(w.a.g)
end })
case("restore from another", function(w)
  return attempt(w.r.restore, w.r, w.a.u:snapshot())
end)
case("find", function(w) return w.r:find(1), w.r:find(5), w.r:find(60) end)
case("find a handle", function(w)
  return attempt(w.r.find, w.r, w:handle(1))
end)
case("get", function(w) return attempt(w.r.get, w.r, 3) end)
case("get by name", function(w) return attempt(w.r.get, w.r, 2, "table") end)
case("name", function(w) return w.r:name(1) end)
case("name of the last", function(w) return w.r:name(#w.r) end)
case("place", function(w) return w.r:place(1), w.r:place(7) end)
case("count", function(w) return w.r:count() end)
case("length", function(w) return #w.r, w.r:has_objects() end)
case("tostring", function(w) return tostring(w.r) end)
case("entries", function(w) return iterate(w.r:entries()) end)
case("constructors", function(w) return iterate(w.r:constructors()) end)
case("inspect", function(w) return (gbi.inspect(w.r):gsub("%s+", " ")) end)
case("debug", function(w)
  local before = gbi.debug(true)
  w.r:register(w.a.t, w.source)
  gbi.debug(before)
end)
case("new", function() return #gbi.new() end)
case("methods", function(w) return w.r.register ~= nil, w.r.release end)
case("call a method with a dot", function(w)
  return attempt(w.r.register, 5, w.source)
end)

case("compile_prologue", function(w)
  local f, text = gbi.compile_prologue(w.r, { "a", "b" })
  return f, text
end)
case("a prologue", function(w)
  if w.compiled then return attempt(w.compiled) end
end, { prepare = function(w)
  local ok, f = pcall(gbi.compile_prologue, w.r)
  w.compiled = ok and f
end })
case("a prologue that creates", function(w) w.compiled() end,
  { prepare = function(w)
    w.r:reset()
    w.r:register(w:object "t1", Source "t1")
    w.r:register_created(w:object "created 2", construct)
    w.r:register_created(w:object "created 3", construct)
    w.compiled = gbi.compile_prologue(w.r)
    w.compiled()
  end })

case("C register", function(w) return capi.register(w.r, w.a.g, w.source) end)
case("C register a value", function(w)
  return unimplemented(capi.register, w.r, 5, w.source)
end)
case("C register_created", function(w)
  return capi.register_created(w.r, w.a.g, construct)
end)
case("C register_created in C", function(w)
  return capi.register_c_created(w.r, w.a.t)
end)
case("C get", function(w) return attempt(capi.get, w.r, 1) end)
case("C get_udata", function(w)
  return attempt(capi.get_udata, w.r, 2, "gbi.registry")
end)
case("C find", function(w) return capi.find(w.r, 3) end)
case("C find_in", function(w) return capi.find_in(w.r, 3) end)
case("C store", function(w)
  capi.store(w.r, w.a.t, w.a.f, w.a.g, w.a.c, w.a.u, w.a.g)
end)
case("C store a number", function(w)
  return attempt(capi.store, w.r, w.a.t, 5)
end)
case("C set", function(w) return attempt(capi.set, w.r, 1, w.a.g) end)
case("C set past the end", function(w)
  return attempt(capi.set, w.r, 100, w.a.g)
end)
case("C stash", function(w) capi.stash(w.r, w.a.t) end)
case("C reset", function(w) capi.reset(w.r) end)
case("C snapshot and restore", function(w)
  local back = capi.snapshot(w.r)
  capi.restore(w.r, back)
end)
case("C restore from another", function(w)
  return attempt(capi.restore, w.r, w.a.u:snapshot())
end)
case("C count", function(w) return capi.count(w.r) end)
case("C new", function() return #capi.new(), capi.default() end)
case("C open and check", function(w) return capi.check(w.r), capi.open() end)

-- The seed's functions, if the registry is the default one.
local function seed(name, call)
  case("the seed's " .. name, function(w)
    if w.r == gbi.default then return call(w) end
  end)
end

seed("get", function()
  return gbi.has_user_objects(), gbi.get_external_object_by_index(1)
end)
seed("register", function(w)
  return gbi.register_user_object(w.a.g, w.source)
end)
seed("register_created", function(w)
  return gbi.register_graph_created_object(w.a.g, construct)
end)
seed("store", function(w) gbi.store_user_object_weakrefs(w.a.g, w.a.f) end)
seed("set", function(w) gbi.set_external_object_by_index(1, w.a.g) end)
seed("stash", function(w) return gbi.stash_graph_created_object(w.a.g) end)
seed("reset", function() gbi.reset_user_object_tracking() end)

--------------------------------------------------------------------------------
-- Handle tables
--------------------------------------------------------------------------------

case = adding "handles"

case("weak", function(w) return w.h:weak(w.a.t) end)
case("weak of a function", function(w) return w.h:weak(w.a.f) end)
case("weak with a finalizer", function(w) return w.h:weak(w.a.g) end)
case("weak of itself", function(w) return w.h:weak(w.h) end)
case("weak of a value", function(w)
  return unimplemented(w.h.weak, w.h, 5)
end)
case("strong", function(w) return w.h:strong(w.a.t) end)
case("strong with a finalizer", function(w) return w.h:strong(w.a.g) end)
case("strong of a value", function(w) return w.h:strong "text" end)
case("strong of false", function(w) return w.h:strong(false) end)
case("strong of nil", function(w) return attempt(w.h.strong, w.h, nil) end)
case("get", function(w) return attempt(w.h.get, w.h, w:handle(1)) end)
case("get the dead", function(w) return attempt(w.h.get, w.h, w:handle(3)) end)
case("get by name", function(w)
  return attempt(w.h.get, w.h, w:handle(1), "table")
end)
case("get another kind", function(w)
  return attempt(w.h.get, w.h, w:handle(1), "FILE*")
end)
case("get an index", function(w) return attempt(w.h.get, w.h, 7) end)
case("find", function(w)
  return w.h:find(w:handle(1)), w.h:find(w:handle(2)), w.h:find(w:handle(99)),
    w.h:find(-1)
end)
case("release", function(w) return w.h:release(w:handle(1)) end)
case("release another", function(w) return w.h:release(w:handle(2)) end)
case("release the last", function(w)
  local last = 0
  for handle in w.h:entries() do last = handle end
  return w.h:release(last)
end)
case("release what never was", function(w)
  return w.h:release(w:handle(99)), w.h:release(1)
end)
case("on_collect", function(w) return w.h:on_collect(w:handle(1), w.f) end)
case("on_collect of another", function(w)
  return w.h:on_collect(w:handle(2), w.f)
end)
case("on_collect of the last", function(w)
  local last = 0
  for handle in w.h:entries() do last = handle end
  return w.h:on_collect(last, w.f)
end)
case("on_collect of nothing", function(w)
  return w.h:on_collect(w:handle(1), nil)
end)
case("on_collect with a number", function(w)
  return attempt(w.h.on_collect, w.h, w:handle(1), 5)
end)
-- the callbacks that were called are not called again
case("sweep", function(w) return w.h:sweep(), table.concat(w.log, " ") end,
  { halves = true })
case("sweep with a callback that fails", function(w)
  local ok, err = attempt(w.h.sweep, w.h)
  return ok, err, w.h:sweep(), table.concat(w.log, " ")
end, { halves = true, prepare = function(w)
  w.h:on_collect(w.h:weak(w:object "t gone"), function() error("callback", 0)
  end)
  w:drop "t gone"
  portable.collect()
end })
case("entries", function(w)
  local list = {}
  for handle, value, kind in w.h:entries() do
    list[#list + 1] = w:list(handle, value, kind)
  end
  return table.concat(list, " ")
end)
case("count", function(w) return w.h:count() end)
case("tostring", function(w) return tostring(w.h) end)
case("new_handles", function() return gbi.new_handles():count() end)
case("methods", function(w) return w.h.weak ~= nil, w.h.reset end)
case("call a method with a dot", function(w) return attempt(w.h.weak, w.a.t)
end)

case("C weak", function(w) return capi.weak(w.c, w.a.t) end)
case("C weak with a finalizer", function(w) return capi.weak(w.c, w.a.g) end)
case("C weak of a value", function(w)
  return unimplemented(capi.weak, w.c, "text")
end)
case("C strong", function(w) return capi.strong(w.c, w.a.g) end)
case("C strong of a value", function(w) return capi.strong(w.c, 1.5) end)
case("C strong of nil", function(w) return attempt(capi.strong, w.c, nil) end)
case("C find_handle", function(w)
  return capi.find_handle(w.c, w:handle(1)), capi.find_handle(w.c, 5)
end)
case("C find_handle_in", function(w)
  return capi.find_handle_in(w.c, w:handle(2)), capi.find_handle_in(w.c, 5)
end)
case("C get_handle", function(w)
  return attempt(capi.get_handle, w.c, w:handle(1))
end)
case("C get_handle_udata", function(w)
  return attempt(capi.get_handle_udata, w.c, w:handle(4), "gbi.registry")
end)
case("C release", function(w) return capi.release(w.c, w:handle(2)) end)
case("C on_collect", function(w)
  return capi.on_collect(w.c, w:handle(1), w.f)
end)
case("C on_collect with a number", function(w)
  return attempt(capi.on_collect, w.c, w:handle(1), 5)
end)
case("C sweep", function(w) return capi.sweep(w.c) end, { halves = true })
case("C count_handles", function(w) return capi.count_handles(w.c) end)
case("C new_handles", function()
  return capi.count_handles(capi.new_handles()),
    capi.state_handles() == gbi.handles
end)
case("C check_handles", function(w)
  return capi.check_handles(w.h), attempt(capi.check_handles, w.r)
end)

-- Runs, as generated code uses them.
case("enter and leave", function(w)
  local run = core.enter(w.r, { w.a.t, false, w.a.g }, 3)
  return run[1], run[2], run[3], core.leave(run, nil, w.a.f, 5)
end, { runs = true })
case("enter, and hand on", function(w)
  local run = core.enter(w.r, { w.a.t, false, w.a.g }, 3)
  local h = run:handle(3)
  local found, again = gbi.handles:get(h), run:handle(3) == h
  core.leave(run, nil)
  return found, again, gbi.handles:find(h)
end, { runs = true })
case("enter with a number", function(w)
  return attempt(core.enter, w.r, { w.a.t, 5 }, 2)
end)
case("hand on", function(w) return w.run and w.run:handle(2) end)
case("hand on more", function(w) return w.more:handle(1) end,
  { prepare = function(w)
    local run = core.enter(w.r, { w.a.g }, 1)
    w.more = run
    local leave = w.leave
    w.leave = function()
      core.leave(run, nil)
      run, w.more = nil, nil
      if leave then leave() end
    end
  end })
case("hand on what is not there", function(w)
  return attempt(function()
    return core.enter(w.r, { w.a.t }, 1):handle(2)
  end)
end, { runs = true })
case("leave twice", function(w)
  local run = core.enter(w.r, { w.a.t }, 1)
  return core.leave(run, nil), attempt(core.leave, run, nil),
    attempt(function() return run:handle(1) end)
end, { runs = true })

--------------------------------------------------------------------------------
-- Compiled graphs, and their parts
--------------------------------------------------------------------------------

case = adding "graphs"

-- The function that a graph calls with the handles of its objects.
function cases.look(g, h)
  return gbi.handles:get(g), gbi.handles:get(h)
end

local function backend_of(body)
  return { backend = function() return body end }
end

-- A graph with three external objects; `hand_on` says whether it hands them on.
local function make_graph(w, hand_on)
  local g = gbi.graph.new()
  local x = g:placeholder "x"
  local t = g:external(w.a.t, Source "t new")
  local o = g:external(w.a.g, Source "g new")
  local created = g:created({}, construct)
  if hand_on then
    local seen = g:call_function(Import("spec.support.faults.cases", "look"),
      t:handle(), o:handle())
    g:output(x, seen, g:get_attr(created, "n"), created:handle():gt(0))
  else
    g:output(x, t, o, g:get_attr(x, "field"), created)
  end
  return g
end

-- Compiles a graph with a backend.
local function with_body(body)
  return { runs = true, prepare = function(w)
    w.compiled = make_graph(w):compile(backend_of(body))
  end }
end

case("call a graph", function(w) return w.compiled(w.a.t) end,
  { prepare = function(w) w.compiled = make_graph(w):compile() end })
case("call a graph that fails", function(w)
  return attempt(w.compiled, nil)
end, { prepare = function(w) w.compiled = make_graph(w):compile() end })
case("call a graph that hands on", function(w) return w.compiled(w.a.t) end,
  { runs = true, prepare = function(w)
    w.compiled = make_graph(w, true):compile()
  end })
case("call a graph without its object", function(w)
  return attempt(w.compiled, w.a.t)
end, { runs = true, prepare = function(w)
  w.compiled = make_graph(w, true):compile()
  w:drop "g new"
  w.a.g = nil
end })
case("call a backend", function(w) return w.compiled(w.a.t) end,
  with_body(function(run, x)
    return x, run[1], run[2], run[3].n, run[4],
      gbi.handles:get(run:handle(1)), (cases.look(run:handle(2),
        run:handle(2)))
  end))
case("call a backend that fails", function(w)
  return attempt(w.compiled, w.a.t)
end, with_body(function(run) error(run:handle(2) and "body", 0) end))
case("call a backend in a coroutine, and drop it", function(w)
  local co = coroutine.create(w.compiled)
  local ok, err = coroutine.resume(co, w.a.t)
  if not ok then error(err, 0) end
  return coroutine.status(co)
end, with_body(function(run)
  run:handle(2)
  coroutine.yield()
end))
case("call a backend in a run", function(w) return w.compiled(w) end,
  with_body(function(run, w)
    local h = run:handle(1)
    local inner = w ~= 5 and w.compiled(5)
    return gbi.handles:get(h), inner
  end))
case("compile for a backend", function(w)
  local f, text = w.graph:compile(backend_of(print))
  return f, text
end, { prepare = function(w) w.graph = make_graph(w, true) end })
case("compile for a backend that fails", function(w)
  return attempt(w.graph.compile, w.graph, { backend = function()
    error("backend", 0)
  end })
end, { prepare = function(w) w.graph = make_graph(w, true) end })
case("compile", function(w)
  local f, text = w.graph:compile()
  return f, text
end, { prepare = function(w) w.graph = make_graph(w, true) end })
case("look at a graph", function(w)
  local text
  w.graph:print_tabular { write = function(_, s) text = s end }
  return text, w.graph:code(), tostring(w.graph), w.graph:to_dot(),
    w.graph:lint()
end, { prepare = function(w) w.graph = make_graph(w, true) end })
case("eliminate_dead_code", function(w)
  return w.graph:eliminate_dead_code()
end, { prepare = function(w)
  w.graph = gbi.graph.new()
  local x = w.graph:placeholder "x"
  local y = x + 1
  w.graph:get_attr(y, "unused")
  w.graph:output(y)
end })

-- Tracebacks, as messages of errors.
local function fails(w, ...)
  local ok, err = xpcall(function(...) return w.compiled(...) end,
    gbi.traceback, ...)
  if portable.no_memory(err) then error(err, 0) end
  return ok, err
end

case("traceback", function(w) return fails(w, nil) end,
  { degrades = true, prepare = function(w)
    w.compiled = make_graph(w):compile()
  end })
case("traceback of a coroutine", function(w) return gbi.traceback(w.co, "co")
end, { degrades = true, prepare = function(w)
  w.co = coroutine.create(make_graph(w):compile())
  coroutine.resume(w.co, nil)
end })
case("traceback with a wrong level", function()
  return attempt(gbi.traceback, "message", "level")
end)
case("traceback of no string", function(w) return gbi.traceback(w.a.t) end)

-- Recording: each case works on a graph that has nodes a, b and out.
local function record(name, call, options)
  options = options or {}
  local prepare = options.prepare
  function options.prepare(w)
    local g = gbi.graph.new()
    w.graph = g
    w.node = g:placeholder "a"
    w.called = g:call_function(Source "tostring", w.node)
    w.out = g:external(io.stdout, Source "out")
    if prepare then prepare(w) end
  end
  case(name, call, options)
end

record("new graph", function() return tostring(gbi.graph.new()) end)
record("placeholder", function(w) return w.graph:placeholder "b" end)
record("placeholder of a name that is taken", function(w)
  return w.graph:placeholder "tostring"
end)
record("call_function", function(w)
  return w.graph:call_function("add", w.node, 1)
end)
record("call_function of a source", function(w)
  return w.graph:call_function(Source "print", w.node, w.out)
end)
record("call_function of nothing", function(w)
  return attempt(w.graph.call_function, w.graph, {}, w.node)
end)
record("call_method", function(w)
  return w.graph:call_method("write", w.out, w.node, "text")
end)
record("get_attr", function(w)
  return w.graph:get_attr(w.node, "field")
end)
record("get_attr of a source", function(w)
  return w.graph:get_attr(Source "x")
end)
record("set_item", function(w)
  return w.graph:set_item(w.node, 1, 2)
end)
record("external", function(w)
  return w.graph:external(w.a.g, w.source)
end)
record("external of a value", function(w)
  return attempt(w.graph.external, w.graph, 5, w.source)
end)
record("created", function(w)
  return w.graph:created(w.a.t, construct)
end)
record("output", function(w)
  return w.graph:output(w.node, w.out)
end)
record("handle", function(w) return w.out:handle() end)
record("results", function(w)
  return w.called:results(3)
end)
record("operators", function(w) return w.node + 1 end)
record("methods of a node", function(w) return w.node:eq(1) end)
record("call of a node", function(w) return w.node(1) end)

-- Conditions and loops, attributes, and recording from a function.
local function same(x) return x end
local function above(x) return x:gt(1) end
record("subgraph", function(w)
  return tostring(w.graph:subgraph(above, { "x" }))
end)
record("trace", function()
  return tostring(gbi.graph.trace(above, { "x" }))
end)
record("cond", function(w)
  return w.graph:cond(w.node, w.parts[1], w.parts[2], { w.node })
end, { prepare = function(w)
  w.parts = { w.graph:subgraph(same, { "x" }),
              w.graph:subgraph(above, { "x" }) }
end })
record("while_loop", function(w)
  return w.graph:while_loop(w.parts[1], w.parts[2], { w.node })
end, { prepare = function(w)
  w.parts = { gbi.graph.trace(above, { "x" }), gbi.graph.trace(same, { "x" }) }
end })
record("attribute", function(w)
  return w.graph:attribute("key", 5)
end)
record("find_nodes and fields", function(w)
  return #w.graph:find_nodes { op = "placeholder" }, #w.node.users,
    #w.called.inputs
end)

-- Changing.
local function change(name, call)
  record(name, call, { prepare = function(w)
    w.sum = w.node + w.called
    w.last = w.sum(w.node, w.sum, 1)
    w.unused = w.node - 1
    w.graph:output(w.last:results(2))
    w.graph:inserting_before(w.last)
    w.other = gbi.graph.new()
    w.key = w.other:attribute("key", 7)
    w.object = w.other:external(w.a.t, w.source)
    w.input = w.other:placeholder "other"
  end })
end

change("inserting_before", function(w)
  return w.graph:inserting_before(w.sum, function() return 1, 2 end)
end)
change("update_arg", function(w) w.last:update_arg(3, w.called) end)
change("update_arg of the argument itself", function(w)
  w.last:update_arg(1, w.node)
end)
change("set_target", function(w) w.last:set_target(w.called) end)
change("set_target of an input", function(w)
  w.node:set_target "other"
  return w.graph.inputs.other
end)
change("replace_all_uses_with", function(w)
  return #w.sum:replace_all_uses_with(w.called)
end)
change("erase_node", function(w) w.graph:erase_node(w.unused) end)
change("node_copy", function(w)
  w.sum.meta.key = "value"
  return w.graph:node_copy(w.sum)
end)
change("node_copy of an input", function(w)
  return w.graph:node_copy(w.input)
end)
change("node_copy of an attribute", function(w)
  return w.graph:node_copy(w.key)
end)
change("node_copy of an object", function(w)
  return w.graph:node_copy(w.object)
end)
change("copy", function(w) return tostring((w.graph:copy())) end)
change("transform", function(w)
  return tostring(gbi.graph.transformer(w.graph):transform())
end)

-- Sources, and the codegen.
case("sources", function()
  local S = gbi.source
  local base = S.CallFunctionNoArgsSource(S.AttrSource(Import("io"), "open"))
  local item = S.GetItemSource(S.GetItemSource(base, 3), "key")
  return tostring(item), item == S.GetItemSource(S.GetItemSource(base, 3),
    "key"), tostring(S.ConstantSource(1.5)), tostring(S.LocalSource "x")
end)
case("a source that is none", function(w)
  return attempt(gbi.source.AttrSource, w.a.t, "x")
end)
case("codegen", function(w)
  local f, text = gbi.compile_prologue(w.more, { "p" })
  return f, text
end, { prepare = function(w)
  w.more = gbi.new()
  w.more:register_created(w.a.t, function(index, cg)
    local var = cg:new_var()
    cg:load_import("gbi.compat", "pack")
    cg:load_local "p"
    cg:dup_top()
    cg:load_const(index)
    cg:call_function(3)
    cg:store(var)
    cg:load(var)
    cg:load_attr "n"
    cg:pop_top()
    cg:load(var)
    cg:load_const "k"
    cg:load_item()
    cg:load_global "t new"
    cg:load_const "x"
    cg:call_method("find", 1)
    cg:pop_top()
    cg:pop_top()
    cg(Source "t new")
  end)
  w.leave = function() w.more = nil end
end })
case("a constructor that fails", function(w)
  return attempt(gbi.compile_prologue, w.more)
end, { prepare = function(w)
  w.more = gbi.new()
  w.more:register_created(w.a.t, function(_, cg) cg:pop_top() end)
  w.leave = function() w.more = nil end
end })

-- Files.
case("save a graph", function(w)
  w.saved.registry:find(1)
  local ok, err = w.saved:save(w.path)
  return ok, err
end, { file = true })
case("load a graph", function(w)
  local g, err = gbi.load_graph(w.path)
  return g and tostring(g), g and g.registry:name(1) or err
end, { prepare = function(w) w.saved:save(w.path) end, file = true })
case("load what is no graph", function(w) return gbi.load_graph(w.path) end,
  { prepare = function(w) portable.write(w.path, "gbi graph 99\n") end,
    file = true })

return cases

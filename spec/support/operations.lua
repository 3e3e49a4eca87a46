-- The operations that random programs (spec/support/program.lua) choose from.
-- An operation is chosen, with everything it needs, before it is done, so that
-- its call can be made to fail: it has the fields
--
--   name
--   over         is there nothing left to be done?
--   call()       does it, and returns what there is to see
--   check(...)   is given that; does the same to the model and compares
--   failed()     nil where a call that runs out of memory changes nothing and
--                can be made again; else tells the model what it has changed,
--                and returns true if it can be made again
--
-- Everything random comes from math.random.

local compat = require "gbi.compat"
local gbi = require "gbi"
local portable = require "spec.support.portable"

local operations = {}

local function noop() end

-- Like pcall, but raises memory errors.
local function attempt(f, ...)
  local ok, result = pcall(f, ...)
  if not ok and portable.no_memory(result) then error(result, 0) end
  return ok, result
end

local function make_source(n)
  local source = { reconstruct = noop }
  if n % 3 == 0 then return gbi.source.GlobalSource("source " .. n) end
  if n % 3 == 1 then return source end
  return setmetatable(source, {
    __tostring = function() return "source " .. n end,
  })
end

local function construct(index, cg) cg(index) end

-- A handle that may exist, in the model's order and as a number; usually a
-- recent one. Those below 1 were never given out.
local function some_handle(t)
  local n = math.random(math.max(-1, t.model.last - 12), t.model.last + 2)
  return n, n < 1 and n or t.base + n
end

--------------------------------------------------------------------------------
-- Runs: two graphs whose body yields. The coroutine of a run under way gets
-- "fail" for a body that fails, or else returns.
--------------------------------------------------------------------------------

function operations.yield(...)
  if coroutine.yield(...) == "fail" then error("the body fails", 0) end
end

-- The function that a backend returns: it passes the run on.
local function body(run)
  operations.yield(run)
  return run
end

local with_backend, with_handles

do
  local Local = gbi.source.LocalSource
  local g = gbi.graph.new()
  local nodes = {}
  for i, name in ipairs { "a", "b", "c" } do
    g:placeholder(name)
    nodes[i] = g:external({}, Local(name))
  end
  g:output(compat.unpack(nodes))
  with_backend = g:compile { backend = function() return body end }
  g = gbi.graph.new()
  g:placeholder "a"
  g:placeholder "b"
  local a, b = g:external({}, Local "a"), g:external({}, Local "b")
  local h, i = a:handle(), b:handle()
  g:call_function(gbi.source.ImportSource("spec.support.operations", "yield"),
    h, i)
  g:output(h, i)
  with_handles = g:compile()
end

-- Starts a run of `f`; returns its coroutine and what it yields.
local function start(f, objects)
  local co = coroutine.create(f)
  local ok, a, b = coroutine.resume(co, compat.unpack(objects, 1, 3))
  if not ok then error(a, 0) end
  return co, a, b
end

--------------------------------------------------------------------------------
-- The operations
--------------------------------------------------------------------------------

-- Adds an operation, which is chosen `weight` times as often as others.
local function operation(name, weight, choose)
  for _ = 1, weight do
    operations[#operations + 1] = { name = name, choose = choose }
  end
end

operation("register", 2, function(p)
  local r, id, object = p:face(), p:object()
  local source = make_source(id)
  return {
    call = function() return r:register(object, source) end,
    check = function(index)
      assert(index == p.model:register(id, "user", source))
    end,
  }
end)

operation("register_created", 1, function(p)
  local r, id, object = p:face(), p:object()
  return {
    call = function() return r:register_created(object, construct) end,
    check = function(index)
      assert(index == p.model:register(id, "graph_created"))
    end,
  }
end)

operation("store", 1, function(p)
  local r, n = p:face(), math.random(0, p.model:top() + 2)
  local ids, objects = p:objects(n)
  return {
    call = function() r:store(compat.unpack(objects, 1, n)) end,
    check = function() p.model:store(ids, n) end,
  }
end)

operation("store_list", 5, function(p)
  local r, n = p:face(), p.model.size -- in place
  local other = math.random(4)
  if other == 1 then n = math.random(0, p.model:top() + 2)
  elseif other < 4 then n = n + math.random(0, 3) end -- a little longer
  local ids, objects = p:objects(n)
  local created_ids, created = p:objects(math.random(0, 3))
  return {
    call = function() r:store_list(objects, n, created) end,
    check = function() p.model:store(ids, n, created_ids) end,
  }
end)

-- As a prologue does repeatedly.
operation("store in place", 2, function(p)
  local r, n = p:face(), p.model.size
  local ids, objects = p:objects(n)
  return {
    call = function() r:store(compat.unpack(objects, 1, n)) end,
    check = function() p.model:store(ids, n) end,
  }
end)

operation("set", 2, function(p)
  local r, index, id, object = p:face(), p:index(), p:object()
  return {
    call = function() return attempt(r.set, r, index, object) end,
    check = function(ok) assert(ok == p.model:set(index, id)) end,
  }
end)

operation("stash", 1, function(p)
  local r, id, object = p:face(), p:object()
  return {
    call = function() return r:stash(object) end,
    check = function(result)
      assert(result == object)
      p.model:stash(id)
    end,
  }
end)

operation("snapshot", 2, function(p)
  local r = p:face()
  return {
    call = function() return r:snapshot() end,
    check = function(snapshot)
      table.insert(p.snapshots, { real = snapshot,
                                  model = p.model:snapshot() })
    end,
  }
end)

operation("restore", 5, function(p)
  if #p.snapshots == 0 then return nil end
  local r, snapshot = p:face(), p.snapshots[math.random(#p.snapshots)]
  return {
    call = function() r:restore(snapshot.real) end,
    check = function() p.model:restore(snapshot.model) end,
  }
end)

operation("let a snapshot go", 1, function(p)
  if #p.snapshots > 0 then
    table.remove(p.snapshots, math.random(#p.snapshots))
  end
end)

operation("reset", 1, function(p)
  if math.random(4) > 1 then return nil end
  local r = p:face()
  return {
    call = function() r:reset() end,
    check = function() p.model:reset() end,
  }
end)

operation("weak", 3, function(p)
  local t, h = p:table()
  local id, object = p:object()
  return {
    call = function() return h:weak(object) end,
    check = function(handle)
      assert(handle == t.base + t.model:give("weak", id))
    end,
  }
end)

operation("strong", 2, function(p)
  local t, h = p:table()
  local id, value = p:value()
  return {
    call = function() return h:strong(value) end,
    check = function(handle)
      assert(handle == t.base + t.model:give("strong", id))
    end,
  }
end)

operation("release", 2, function(p)
  local t, h = p:table()
  local handle, number = some_handle(t)
  return {
    call = function() return h:release(number) end,
    check = function(ok, why)
      p:compare_answer(t.model:release(handle), ok, why)
    end,
  }
end)

operation("on_collect", 3, function(p)
  local t, h = p:table()
  local handle, number = some_handle(t)
  local f, n
  if math.random(4) > 1 then f, n = p:callback() end
  return {
    call = function() return h:on_collect(number, f) end,
    check = function(ok, why)
      p:compare_answer(t.model:on_collect(handle, n), ok, why)
    end,
  }
end)

operation("sweep", 2, function(p)
  local t, h = p:table()
  local waiting, before = t.model:waiting(), p.ncalled
  return {
    call = function() return h:sweep() end,
    check = function(n)
      assert(n == #waiting)
      p:compare_called(t, waiting, n, before)
    end,
    failed = function() -- the callbacks that were called are not called again
      p:compare_called(t, waiting, p.ncalled - before, before)
    end,
  }
end)

operation("start a run with a backend", 2, function(p)
  if #p.runs > 6 then return nil end
  local ids, objects = p:objects(3)
  local new = { ids = ids, handles = {} }
  return {
    call = function() return start(with_backend, objects) end,
    check = function(co, run)
      for i = 1, 4 do assert(p.id_of[run[i] or false] == ids[i]) end
      new.co, new.run = co, run
      table.insert(p.runs, new)
    end,
  }
end)

operation("start a run that hands objects on", 2, function(p)
  if #p.runs > 6 then return nil end
  local t = p:states_table()
  local ids, objects = p:objects(2)
  local new = { ids = ids, handles = {} }
  return {
    call = function() return start(with_handles, objects) end,
    check = function(co, ...)
      for i = 1, 2 do
        new.handles[i] = t.model:give("run", ids[i], new)
        assert(t.base + new.handles[i] == select(i, ...))
      end
      new.co = co
      table.insert(p.runs, new)
    end,
    failed = function()
      p:lose(2)
      return true
    end,
  }
end)

-- The second object is nil. One graph has already handed on the first.
operation("start a run that cannot begin", 1, function(p)
  local f = math.random(2) == 1 and with_backend or with_handles
  local _, object = p:object()
  local function lose()
    p:lose(f == with_handles and 1 or 0)
    return true
  end
  return {
    call = function() return attempt(start, f, { object, nil, object }) end,
    check = function(ok, err)
      assert(not ok and err:find("cannot be held weakly: got nil", 1, true))
      lose()
    end,
    failed = lose,
  }
end)

operation("handle of a run", 3, function(p)
  local t = p:states_table()
  local at, i = math.random(math.max(#p.runs, 1)), math.random(3)
  local entry = p.runs[at]
  if not (entry and entry.run) then return nil end
  return {
    call = function() return entry.run:handle(i) end,
    check = function(handle)
      entry.handles[i] = entry.handles[i]
        or t.model:give("run", entry.ids[i], entry)
      assert(handle == t.base + entry.handles[i])
    end,
  }
end)

operation("end a run", 1, function(p)
  if #p.runs == 0 then return nil end
  local t, at = p:states_table(), math.random(#p.runs)
  local entry = p.runs[at]
  return {
    call = function()
      local ok, result = coroutine.resume(entry.co)
      if not ok then error(result, 0) end
      return result
    end,
    check = function(result)
      assert(result == (entry.run or t.base + entry.handles[1]))
      p:over(at)
    end,
    failed = function() -- it was the run that failed
      p:over(at, true)
    end,
  }
end)

operation("fail in a run", 1, function(p)
  if #p.runs == 0 then return nil end
  local at = math.random(#p.runs)
  local entry = p.runs[at]
  return {
    call = function() return coroutine.resume(entry.co, "fail") end,
    check = function(ok, err)
      assert(not ok and (err == "the body fails" or portable.no_memory(err)))
      p:over(at, true)
    end,
  }
end)

operation("drop a run", 1, function(p)
  if #p.runs > 0 then p:over(math.random(#p.runs), true) end
end)

operation("drop some objects", 3, function(p)
  local ids = {}
  for _, id in ipairs(p.ids) do
    if math.random(3) == 1 then p.pool[id] = nil else ids[#ids + 1] = id end
  end
  p.ids, p.dying = ids, true
end)

-- Misuse that every interface refuses: functions of a registry, a handle table,
-- an object, an index out of range, and a handle.
local REFUSED = {
  function(r) return r:register(1.5) end,
  function(r, _, object) return r:register(object) end,
  function(r, _, object) return r:register(object, 5) end,
  function(r, _, object) return r:register_created(object, "text") end,
  function(r) return r:register_created("text", construct) end,
  function(r) return r:set(1, nil) end,
  function(r, _, object, index) return r:set(index, object) end,
  function(r, _, object, _, handle) return r:set(handle, object) end,
  function(r, _, _, _, handle) return r:get(handle) end,
  function(r) return r:stash(1) end,
  function(r, _, object) return r:store(object, object, 0) end,
  function(r, _, object) return r:store_list({ object, object, 0 }) end,
  function(r) return r:restore(gbi.new():snapshot()) end,
  function(_, h) return h:weak("text") end,
  function(_, h) return h:strong(nil) end,
  function(_, h) return h:get(7) end,
  function(_, h, _, _, handle) return h:get(handle) end,
  function(_, h) return h:on_collect(1000000001, 5) end,
}

operation("misuse", 2, function(p)
  local t, h = p:table()
  local r, f, object = p:face(), REFUSED[math.random(#REFUSED)],
    select(2, p:object())
  local index, handle = p.model:top() + 2, t.base + t.model.last + 1
  return {
    call = function() return attempt(f, r, h, object, index, handle) end,
    check = function(ok) assert(not ok) end,
  }
end)

-- Chooses the next operation of a program. Some are already done then, and some
-- are impossible.
function operations.choose(p)
  local one = operations[math.random(#operations)]
  local op = one.choose(p) or { call = noop, check = noop, over = true }
  op.name = one.name
  return op
end

return operations

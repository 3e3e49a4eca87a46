-- Random programs that work on a registry, two handle tables and runs, each
-- with a model beside it.
--
-- Only a program's pool holds objects permanently, and the collector must be
-- stopped: objects die only when `collect` is called.

local gbi = require "gbi"
local kinds = require "spec.support.faces"
local model = require "spec.support.model"
local operations = require "spec.support.operations"
local portable = require "spec.support.portable"

local program = {}

local Program = {}
Program.__index = Program

local function noop() end

-- A handle table that has already given out handles, and its model.
local function new_table(faces, counter)
  local real = faces[1]
  return { faces = faces, real = real, model = model.handles(counter),
           base = real:strong(true) }
end

-- Two handle tables, their models and their faces; handle `base` + n is number
-- n in the models.
local function new_tables(own, states)
  local counter = { last = 0 }
  local tables = { new_table(own, counter), new_table(states, counter) }
  for _, t in ipairs(tables) do
    assert(t.real:release(t.base))
    t.base = tables[2].base
  end
  return tables
end

-- Removes what a failed program has left in the tables of the Lua state.
function program.clear()
  gbi.default:reset()
  for handle in gbi.handles:entries() do gbi.handles:release(handle) end
  portable.collect_all()
  pcall(gbi.handles.sweep, gbi.handles)
end

-- A new program of a kind: "lua", "c" or "mixed".
function program.new(kind)
  local registries, own, states = kinds[kind]()
  registries[1]:reset()
  return setmetatable({
    faces = registries, -- of the registry
    r = registries[1],
    model = model.registry(),
    tables = new_tables(own, states),
    pool = {}, -- id -> object
    ids = {}, -- list of the ids in the pool
    id_of = setmetatable({}, { __mode = "k" }), -- object -> id
    last_id = 0,
    snapshots = {}, -- list of { real =, model = }
    runs = {}, -- runs under way
    dying = false, -- may objects exist that nothing holds?
    called = {}, -- number of a callback -> the handle it was called with
    order = {}, -- callback -> the time of its call
    ncalled = 0, -- number of calls
  }, Program)
end

-- The handle table of `node:handle()` and `run:handle()`.
function Program:states_table()
  return self.tables[2]
end

local MAKE = {
  function() return {} end,
  function() return portable.setmetatable({}, { __gc = noop }) end,
  function(n) return function() return n end end,
  function() return coroutine.create(noop) end,
  function() return gbi.new() end,
  function() return gbi.new_handles() end,
}

-- The id and the object of a new object or an old one.
function Program:object()
  local id
  if #self.ids == 0 or math.random(2) == 1 then
    id = self.last_id + 1
    self.last_id = id
    self.pool[id] = MAKE[id % #MAKE + 1](id)
    self.id_of[self.pool[id]] = id
    self.ids[#self.ids + 1] = id
  else
    id = self.ids[math.random(#self.ids)]
  end
  return id, self.pool[id]
end

-- `n` ids, and a list of their objects.
function Program:objects(n)
  local ids, objects = {}, {}
  for i = 1, n do ids[i], objects[i] = self:object() end
  return ids, objects
end

-- One of the interfaces to the registry; a handle table.
function Program:face()
  return self.faces[math.random(#self.faces)]
end

function Program:table()
  local t = self.tables[math.random(#self.tables)]
  return t, t.faces[math.random(#t.faces)]
end

function Program:index()
  return math.random(-1, self.model:top() + 3)
end

-- A value that is not an object, and its name in the model.
local VALUES = { true, false, 0, 1.5, "", "text" }

function Program:value()
  if math.random(4) > 1 then return self:object() end
  local n = math.random(#VALUES)
  return "value " .. n, VALUES[n]
end

-- A function that records its call, and its number. It allocates nothing.
function Program:callback()
  local n = #self.called + 1
  self.called[n], self.order[n] = false, false
  return function(handle)
    self.ncalled = self.ncalled + 1
    self.called[n], self.order[n] = handle, self.ncalled
  end, n
end

-- The run at `at` is over. If it `failed` or was dropped, its handles are dead
-- after the next collection, which happens here.
function Program:over(at, failed)
  self:states_table().model:leave(table.remove(self.runs, at))
  self.dying = self.dying or failed
end

--------------------------------------------------------------------------------
-- Comparing
--------------------------------------------------------------------------------

-- The ids of all held objects.
function Program:held()
  local held = {}
  for id in pairs(self.pool) do held[id] = true end
  self.model:hold(held)
  for _, snapshot in ipairs(self.snapshots) do
    for _, id in pairs(snapshot.model.slots) do held[id] = true end
  end
  for _, t in ipairs(self.tables) do t.model:hold(held) end
  for _, run in ipairs(self.runs) do
    for _, id in ipairs(run.ids) do held[id] = true end
  end
  held.dead = nil
  return held
end

-- A run has failed, which may have given out up to `n` handles: they are dead
-- after a collection.
function Program:lose(n)
  local t = self:states_table()
  local m, counter = t.model, t.model.counter
  self:collect()
  while n > 0 and select(2, t.real:find(t.base + counter.last + 1)) == "dead" do
    counter.last, n = counter.last + 1, n - 1
    m.last = counter.last
  end
end

-- Collects unreferenced objects, on both sides, and compares which objects
-- live.
function Program:collect()
  portable.collect()
  local held = self:held()
  self.model:bury(held)
  for _, t in ipairs(self.tables) do t.model:bury(held) end
  for _, id in pairs(self.id_of) do
    assert(held[id], "an object is kept alive")
    held[id] = nil
  end
  for id in pairs(held) do
    assert(type(id) == "string", "an object is not kept alive")
  end
end

-- Calls get; returns whether it succeeds, and its result or message.
local function get(holder, number)
  local ok, got = pcall(holder.get, holder, number)
  if not ok then got = got:gsub("^%S+:%d+: ", "") end
  return ok, got
end

function Program:compare_slot(index)
  local r, slots = self.r, self.model
  local id = slots.slots[index]
  local object, why = r:find(index)
  local ok, got = get(r, index)
  if id == nil then
    local live, dead = slots:count()
    assert(object == nil and why == "unregistered")
    assert(not ok and got == ("external object %d is not registered "
      .. "(the registry holds %d)"):format(index, live + dead))
  elseif id == "dead" then
    local source = slots.constructors[index]
      and slots.constructors[index].source
    local name = source and getmetatable(source)
      and (" (%s)"):format(tostring(source)) or ""
    assert(object == nil and why == "dead")
    assert(not ok and got == ("external object %d%s is no longer alive")
      :format(index, name))
  else
    assert(self.id_of[object] == id and why == nil)
    assert(ok and got == object)
  end
end

function Program:compare_entries()
  local m, n = self.model, 0
  for index, entry in self.r:entries() do
    local id, constructor = m.slots[index], m.constructors[index]
    assert(index > n)
    for left_out = n + 1, index - 1 do assert(not m.slots[left_out]) end
    n = index
    assert(entry.status == (id == "dead" and "dead" or "live"))
    assert(entry.kind == (constructor and constructor.kind or "stored"))
    assert(entry.source == (constructor and constructor.source))
    assert(self.id_of[entry.object or false] == (id ~= "dead" and id or nil))
  end
  for left_out = n + 1, m.size do assert(not m.slots[left_out]) end
end

function Program:compare_constructors()
  local m, n = self.model, 0
  for index, f, kind, source in self.r:constructors() do
    local constructor, given = m.constructors[index], nil
    n = n + 1
    assert(index == n and constructor.kind == kind)
    assert(source == constructor.source)
    local ok = pcall(f, function(x) given = x end)
    if kind == "graph_created" then assert(ok and given == index)
    else assert(ok and given == constructor.source) end
  end
  assert(n == m.last and n == #self.r)
  assert(self.r:has_objects() == (n > 0))
end

-- The model's name for a value.
function Program:known(value)
  local id = self.id_of[value]
  for n, other in ipairs(VALUES) do
    if value == other then id = "value " .. n end
  end
  return id
end

function Program:compare_handle(t, handle)
  local number, status = t.base + handle, t.model:status(handle)
  local value, why = t.real:find(number)
  local ok, got = get(t.real, number)
  if status == "live" then
    assert(why == nil and ok and rawequal(got, value))
    assert(self:known(value) == t.model.entries[handle].id)
  else
    assert(value == nil and why == status and not ok)
    assert(got == (status == "dead" and "handle %d is no longer alive"
      or "handle %d was never given out"):format(number))
  end
end

-- Compares all live handles, the most recent handles, and a few old ones.
function Program:compare_table(t)
  local last, n, before, others = t.model.last, 0, 0, 0
  for handle = math.max(last - 12, 1), last + 2 do
    self:compare_handle(t, handle)
  end
  for handle = 1, last, 97 do self:compare_handle(t, handle) end
  for number, value, kind in t.real:entries() do
    if number <= t.base then others = others + 1 -- of another file's specs
    else
      local entry = t.model.entries[number - t.base]
      assert(entry and entry.kind == kind and number > before)
      assert(self:known(value) == entry.id)
      before, n = number, n + 1
    end
  end
  assert(n == t.model:count() and n + others == t.real:count())
  assert(tostring(t.real):find(("gbi.handles (%d live)"):format(n + others), 1,
    true))
end

-- Compares the answer of a handle's function with the previous status.
function Program.compare_answer(_, status, ok, why)
  if status == "live" then assert(ok == true and why == nil)
  else assert(ok == nil and why == status) end
end

-- Asserts that the callbacks of the first `n` handles waiting were called after
-- the first `before` ones.
function Program:compare_called(t, waiting, n, before)
  for i = 1, n do
    local callback = t.model.callbacks[waiting[i]]
    assert(self.called[callback] == t.base + waiting[i])
    assert(self.order[callback] == before + i)
    t.model.callbacks[waiting[i]] = nil
  end
  assert(self.ncalled == before + n)
end

-- Asserts that everything is as the model says.
function Program:compare()
  for index = 0, self.model:top() + 2 do self:compare_slot(index) end
  self:compare_entries()
  self:compare_constructors()
  local live, dead = self.r:count()
  local model_live, model_dead = self.model:count()
  assert(live == model_live and dead == model_dead)
  assert(tostring(self.r):find(("(%d live, %d dead)"):format(live, dead), 1,
    true))
  for _, t in ipairs(self.tables) do self:compare_table(t) end
  for _, run in ipairs(self.runs) do
    for i, id in ipairs(run.run and run.ids or {}) do
      assert(self.id_of[run.run[i]] == id)
    end
  end
end

--------------------------------------------------------------------------------
-- Running a program
--------------------------------------------------------------------------------

-- Tells the model the outcome of an operation's call: the results of pcall.
-- Returns whether the call succeeded; if not, whether it can be repeated.
function Program:done(op, ok, ...) -- luacheck: no self
  if ok then
    op.check(...)
    return true
  end
  if not portable.no_memory(...) then error((...), 0) end
  if op.failed then return false, op.failed() end
  return false, true
end

-- Makes the next operation. `call`, a pcall that may run out of memory, makes
-- its call.
function Program:step(call)
  local op = operations.choose(self)
  self.doing = op.name
  return self:done(op, call(op.call))
end

-- Collects the objects that the last operations may have released.
function Program:settle()
  if self.dying then self:collect() end
  self.dying = false
end

-- Releases everything, one kind of holder after the other, and compares the
-- live objects after each.
function Program:finish()
  self.pool, self.ids = {}, {}
  self:collect()
  self.runs = {}
  portable.collect()
  for _, t in ipairs(self.tables) do
    for handle, entry in pairs(t.model.entries) do
      if entry.kind == "run" then t.model.entries[handle] = nil end
    end
  end
  self:collect()
  self:compare()
  self.snapshots = {}
  self:collect()
  for _, t in ipairs(self.tables) do
    local waiting, before = t.model:waiting(), self.ncalled
    assert(t.real:sweep() == #waiting)
    self:compare_called(t, waiting, #waiting, before)
    for handle = 1, t.model.last do
      self:compare_answer(t.model:release(handle),
        t.real:release(t.base + handle))
    end
    self:collect()
    assert(t.real:sweep() == 0)
  end
  for _ = 1, 2 do
    self.r:store()
    self.model:store({}, 0)
    self:collect()
    self:compare()
  end
  self.r:reset()
  self.model:reset()
  self:collect()
  self:compare()
end

return program

-- The semantics once more, in plain Lua, and random programs that run on both.
-- Set GBI_SEED to the printed seed to run the same programs again.

local compat = require "gbi.compat"
local gbi = require "gbi"
local portable = require "spec.support.portable"
local capi = require "capi"

local SEED = require "spec.support.seed" "model_spec"
local PROGRAMS, STEPS = 9, 4000

local function noop() end

--------------------------------------------------------------------------------
-- The model of a registry. It knows objects by their ids; a slot is an id,
-- "dead", or nil for what is unregistered.
--------------------------------------------------------------------------------

local Model = {}
Model.__index = Model

function Model.new()
  return setmetatable({}, Model):reset()
end

function Model:reset()
  self.slots, self.size = {}, 0 -- the side table
  self.constructors, self.last = {}, 0 -- index -> { kind, source }
  self.released = {} -- index -> true
  self.examples, self.updates = {}, {} -- index -> id
  self.stashed, self.stashed_before = {}, {} -- lists of ids
  return self
end

function Model:register(id, kind, source)
  local index = self.last + 1
  self.last = index
  self.constructors[index] = { kind = kind, source = source }
  self.slots[index] = id
  self.size = math.max(self.size, index)
  if kind == "graph_created" then self.examples[index] = id end
  return index
end

-- The first `n` of `slots` are the side table, but for what was released.
function Model:fill(slots, n)
  self.slots, self.size = {}, n
  for index = 1, n do
    if not self.released[index] then self.slots[index] = slots[index] end
  end
end

function Model:store(ids, n)
  self:fill(ids, n)
  self.stashed, self.stashed_before = {}, self.stashed
end

function Model:top()
  return math.max(self.last, self.size)
end

function Model:set(index, id)
  if index < 1 or index > self:top() + 1 or self.released[index] then
    return false
  end
  self.slots[index], self.updates[index] = id, id
  self.size = math.max(self.size, index)
  return true
end

function Model:release(index)
  if not (self.constructors[index] or self.slots[index]) then return false end
  self.released[index] = true
  self.last = math.max(self.last, index)
  for _, t in ipairs { self.constructors, self.slots, self.examples,
                       self.updates } do
    t[index] = nil
  end
  return true
end

function Model:snapshot()
  return { slots = compat.move(self.slots, 1, self.size, 1, {}),
           size = self.size }
end

function Model:restore(snapshot)
  self:fill(snapshot.slots, snapshot.size)
end

-- Adds to `held` the ids of the objects that the registry keeps alive.
function Model:hold(held)
  for _, t in ipairs { self.examples, self.updates, self.stashed,
                       self.stashed_before } do
    for _, id in pairs(t) do held[id] = true end
  end
end

-- The objects whose ids are not in `held` die.
function Model:bury(held)
  for index, id in pairs(self.slots) do
    if not held[id] then self.slots[index] = "dead" end
  end
end

function Model:count()
  local live, dead = 0, 0
  for _, id in pairs(self.slots) do
    if id == "dead" then dead = dead + 1 else live = live + 1 end
  end
  return live, dead
end

function Model:length()
  local n = 0
  for _ in pairs(self.constructors) do n = n + 1 end
  return n
end

--------------------------------------------------------------------------------
-- A random program: a registry, its model, and the objects. Only the pool
-- holds objects for good, and nothing is collected but by `drop`.
--------------------------------------------------------------------------------

local Program = {}
Program.__index = Program

function Program.new(registry)
  registry:reset()
  return setmetatable({
    r = registry,
    model = Model.new(),
    pool = {}, -- id -> object
    ids = {}, -- list of the ids in the pool
    id_of = setmetatable({}, { __mode = "k" }), -- object -> id
    last_id = 0,
    snapshots = {}, -- list of { real =, model = }
  }, Program)
end

local MAKE = {
  function() return {} end,
  function() return portable.setmetatable({}, { __gc = noop }) end,
  function(n) return function() return n end end,
  function() return coroutine.create(noop) end,
  gbi.new,
}

-- The id and the object of a new or an old one.
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

function Program:index()
  return math.random(-1, self.model:top() + 3)
end

-- Ids, objects and number of a side table to store.
function Program:objects()
  local ids, objects, n = {}, {}, math.random(0, self.model:top() + 2)
  for index = 1, n do
    if not self.model.released[index] or math.random(2) == 1 then
      ids[index], objects[index] = self:object()
    end
  end
  return ids, objects, n
end

-- A source, nil, or one without a name.
local function make_source(n)
  local source = { reconstruct = noop }
  if n % 3 == 0 then return nil end
  if n % 3 == 1 then return source end
  return setmetatable(source, {
    __tostring = function() return "source " .. n end,
  })
end

local function construct(index, cg) cg(index) end

-- Each does one thing to both, and compares the results.
local OPERATIONS = {
  function(p) -- register
    local id, object = p:object()
    local source = make_source(id)
    assert(p.r:register(object, source)
      == p.model:register(id, "user", source))
  end,
  function(p) -- register_created
    local id, object = p:object()
    assert(p.r:register_created(object, construct)
      == p.model:register(id, "graph_created"))
  end,
  function(p) -- store
    local ids, objects, n = p:objects()
    p.r:store(compat.unpack(objects, 1, n))
    p.model:store(ids, n)
  end,
  function(p) -- store_list
    local ids, objects, n = p:objects()
    p.r:store_list(objects, n)
    p.model:store(ids, n)
  end,
  function(p) -- store in place, as a prologue does again and again
    local ids, objects, n = {}, {}, p.model.size
    for index = 1, n do ids[index], objects[index] = p:object() end
    p.r:store_list(objects, n)
    p.model:store(ids, n)
  end,
  function(p) -- set
    local index = p:index()
    local id, object = p:object()
    assert(pcall(p.r.set, p.r, index, object) == p.model:set(index, id))
  end,
  function(p) -- stash
    local id, object = p:object()
    assert(p.r:stash(object) == object)
    table.insert(p.model.stashed, id)
  end,
  function(p) -- release
    local index = p:index()
    local ok, why = p.r:release(index)
    assert((ok or false) == p.model:release(index))
    assert(ok == true or ok == nil and why == "unregistered")
  end,
  function(p) -- snapshot
    table.insert(p.snapshots, { real = p.r:snapshot(),
                                model = p.model:snapshot() })
  end,
  function(p) -- restore
    if #p.snapshots == 0 then return end
    local snapshot = p.snapshots[math.random(#p.snapshots)]
    p.r:restore(snapshot.real)
    p.model:restore(snapshot.model)
  end,
  function(p) -- let a snapshot go
    if #p.snapshots > 0 then
      table.remove(p.snapshots, math.random(#p.snapshots))
    end
  end,
  function(p) -- reset
    if math.random(4) > 1 then return end
    p.r:reset()
    p.model:reset()
  end,
  function(p) -- drop some objects, and collect
    local ids = {}
    for _, id in ipairs(p.ids) do
      if math.random(3) == 1 then p.pool[id] = nil else ids[#ids + 1] = id end
    end
    p.ids = ids
    p:collect()
  end,
  function(p) -- fail
    local _, object = p:object()
    local r = p.r
    assert(not pcall(r.register, r, math.random()))
    assert(not pcall(r.register, r, object, 5))
    assert(not pcall(r.register_created, r, object, "text"))
    assert(not pcall(r.register_created, r, "text", construct))
    assert(not pcall(r.set, r, 1, nil))
    assert(not pcall(r.set, r, p.model:top() + 2, object))
    assert(not pcall(r.stash, r, 1))
    local ids = {}
    for index = 1, p.model:top() + 1 do ids[index] = object end
    ids[#ids + 1] = 0
    assert(not pcall(r.store, r, compat.unpack(ids)))
    assert(not pcall(r.store_list, r, ids))
    assert(not pcall(r.restore, r, gbi.new():snapshot()))
  end,
}

function Program:collect()
  collectgarbage()
  collectgarbage()
  local held = {}
  for id in pairs(self.pool) do held[id] = true end
  self.model:hold(held)
  for _, snapshot in ipairs(self.snapshots) do
    for _, id in pairs(snapshot.model.slots) do held[id] = true end
  end
  held.dead = true
  self.model:bury(held)
end

function Program:compare_slot(index)
  local r, model = self.r, self.model
  local id = model.slots[index]
  local object, why = r:find(index)
  local ok, got = pcall(r.get, r, index)
  if not ok then got = got:gsub("^%S+:%d+: ", "") end
  if id == nil then
    local live, dead = model:count()
    assert(object == nil and why == "unregistered")
    assert(not ok and got == ("external object %d is not registered "
      .. "(the registry holds %d)"):format(index, live + dead))
  elseif id == "dead" then
    local source = model.constructors[index]
      and model.constructors[index].source
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
  local model, n = self.model, 0
  for index, entry in self.r:entries() do
    local id, constructor = model.slots[index], model.constructors[index]
    assert(index > n)
    for left_out = n + 1, index - 1 do assert(not model.slots[left_out]) end
    n = index
    assert(entry.status == (id == "dead" and "dead" or "live"))
    assert(entry.kind == (constructor and constructor.kind or "stored"))
    assert(entry.source == (constructor and constructor.source))
    assert(self.id_of[entry.object or false] == (id ~= "dead" and id or nil))
  end
  for left_out = n + 1, model.size do assert(not model.slots[left_out]) end
end

function Program:compare_constructors()
  local model, n, count = self.model, 0, 0
  for index, f, kind in self.r:constructors() do
    local constructor, given = model.constructors[index], nil
    assert(index > n and constructor.kind == kind)
    n, count = index, count + 1
    local ok = pcall(f, function(x) given = x end)
    if kind == "graph_created" then assert(ok and given == index)
    else assert(ok == (given ~= nil) and given == constructor.source) end
  end
  assert(count == model:length() and count == #self.r)
  assert(self.r:has_objects() == (count > 0))
end

-- Asserts that the registry is as the model says.
function Program:compare()
  for index = 0, self.model:top() + 2 do self:compare_slot(index) end
  self:compare_entries()
  self:compare_constructors()
  local live, dead = self.r:count()
  local model_live, model_dead = self.model:count()
  assert(live == model_live and dead == model_dead)
  assert(tostring(self.r):find(("(%d live, %d dead)"):format(live, dead), 1,
    true))
end

function Program:run()
  for step = 1, STEPS do
    local operation = math.random(#OPERATIONS)
    local ok, err = xpcall(function()
      OPERATIONS[operation](self)
      self:compare()
    end, debug.traceback)
    if not ok then
      error(("GBI_SEED=%d, step %d, operation %d: %s"):format(SEED, step,
        operation, err), 0)
    end
  end
end

-- A registry as C sees it: all that gbi.h has goes through it.
local function through_c(registry)
  local proxy = {}
  function proxy.register(_, object, source)
    if type(source) == "number" then error("C does not check a source") end
    return capi.register(registry, object, source)
  end
  function proxy.find(_, index)
    local object, status = capi.find(registry, index)
    local again, same_status = capi.find_in(registry, index)
    assert(rawequal(object, again) and status == same_status)
    if status == "live" then return object end
    return nil, status
  end
  function proxy.stash(_, object)
    capi.stash(registry, object)
    return object
  end
  function proxy.release(_, index)
    if capi.release(registry, index) then return true end
    return nil, "unregistered"
  end
  for _, name in ipairs { "register_created", "get", "store", "set", "reset",
                          "snapshot", "restore", "count" } do
    proxy[name] = function(_, ...) return capi[name](registry, ...) end
  end
  return portable.setmetatable(proxy, {
    __index = function(_, name)
      return function(_, ...) return registry[name](registry, ...) end
    end,
    __len = function() return #registry end,
    __tostring = function() return tostring(registry) end,
  })
end

local REGISTRIES = {
  { "a registry", gbi.new },
  { "the default registry", function() return gbi.default end },
  { "a registry from C", function() return through_c(capi.new()) end },
}

describe("random programs", function()
  before_each(function()
    collectgarbage()
    collectgarbage("stop")
  end)

  after_each(function()
    gbi.default:reset()
    collectgarbage("restart")
  end)

  for n = 1, PROGRAMS do
    local what, make = compat.unpack(REGISTRIES[n % #REGISTRIES + 1])
    it(("%d: %s is as the model says"):format(n, what), function()
      math.randomseed((SEED * 1009 + n) % 2 ^ 31)
      Program.new(make()):run()
    end)
  end
end)

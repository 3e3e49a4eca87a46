-- The behaviour of registries and handle tables, implemented again in plain
-- Lua. It uses nothing of gbi.
--
-- Objects are known by ids. The model is told what the collector does: an
-- object that is not in a set of ids `held` is collected.

local compat = require "gbi.compat"

local model = {}

--------------------------------------------------------------------------------
-- A registry. A slot of its side table is an id, "dead", or nil for an index
-- that is unregistered.
--------------------------------------------------------------------------------

local Registry = {}
Registry.__index = Registry

function model.registry()
  return setmetatable({}, Registry):reset()
end

function Registry:reset()
  self.slots, self.size = {}, 0 -- the side table
  self.constructors, self.last = {}, 0 -- index -> { kind, source }
  self.examples, self.updates = {}, {} -- index -> id
  self.stashed, self.stashed_before = {}, {} -- lists of ids
  return self
end

function Registry:register(id, kind, source)
  local index = self.last + 1
  self.last = index
  self.constructors[index] = { kind = kind, source = source }
  self.slots[index] = id
  self.size = math.max(self.size, index)
  if kind == "graph_created" then self.examples[index] = id end
  return index
end

-- The first `n` of `slots` become the side table.
function Registry:fill(slots, n)
  self.slots, self.size = compat.move(slots, 1, n, 1, {}), n
end

function Registry:store(ids, n, created)
  self:fill(ids, n)
  self.stashed, self.stashed_before = created or {}, self.stashed
end

-- The highest index that has a constructor or is in the side table.
function Registry:top()
  return math.max(self.last, self.size)
end

function Registry:set(index, id)
  if index < 1 or index > self:top() + 1 then return false end
  self.slots[index], self.updates[index] = id, id
  self.size = math.max(self.size, index)
  return true
end

function Registry:stash(id)
  table.insert(self.stashed, id)
end

function Registry:snapshot()
  return { slots = compat.move(self.slots, 1, self.size, 1, {}),
           size = self.size }
end

function Registry:restore(snapshot)
  self:fill(snapshot.slots, snapshot.size)
end

-- Adds the ids of the objects that the registry keeps alive to `held`.
function Registry:hold(held)
  for _, t in ipairs { self.examples, self.updates, self.stashed,
                       self.stashed_before } do
    for _, id in pairs(t) do held[id] = true end
  end
end

function Registry:bury(held)
  for index, id in pairs(self.slots) do
    if not held[id] then self.slots[index] = "dead" end
  end
end

-- Returns how many entries are live, and dead.
function Registry:count()
  local live, dead = 0, 0
  for _, id in pairs(self.slots) do
    if id == "dead" then dead = dead + 1 else live = live + 1 end
  end
  return live, dead
end

--------------------------------------------------------------------------------
-- A handle table. Handles are known by their order: the first one given out by
-- the tables that share a `counter` is 1.
--------------------------------------------------------------------------------

local Handles = {}
Handles.__index = Handles

function model.handles(counter)
  return setmetatable({
    counter = counter, -- last: the handle given out last
    last = 0, -- by this table
    entries = {}, -- handle -> { kind, id, run }, of the live ones
    callbacks = {}, -- handle -> what identifies its callback
  }, Handles)
end

-- Gives out a handle of an id. A handle of a run also has the `run`.
function Handles:give(kind, id, run)
  self.counter.last = self.counter.last + 1
  self.last = self.counter.last
  self.entries[self.last] = { kind = kind, id = id, run = run }
  return self.last
end

function Handles:status(handle)
  if handle < 1 or handle > self.last then return "unregistered" end
  return self.entries[handle] and "live" or "dead"
end

-- Returns the previous status.
function Handles:release(handle)
  local status = self:status(handle)
  self.entries[handle], self.callbacks[handle] = nil, nil
  return status
end

function Handles:on_collect(handle, callback)
  local status = self:status(handle)
  if status == "live" then self.callbacks[handle] = callback end
  return status
end

-- Returns the handles whose callbacks a sweep calls, in order.
function Handles:waiting()
  local list = {}
  for handle in pairs(self.callbacks) do
    if not self.entries[handle] then list[#list + 1] = handle end
  end
  table.sort(list)
  return list
end

-- The run ends: its handles are dead.
function Handles:leave(run)
  for handle, entry in pairs(self.entries) do
    if entry.run == run then self.entries[handle] = nil end
  end
end

function Handles:hold(held)
  for _, entry in pairs(self.entries) do
    if entry.kind == "strong" then held[entry.id] = true end
  end
end

function Handles:bury(held)
  for handle, entry in pairs(self.entries) do
    if not held[entry.id] then self.entries[handle] = nil end
  end
end

function Handles:count()
  local n = 0
  for _ in pairs(self.entries) do n = n + 1 end
  return n
end

return model

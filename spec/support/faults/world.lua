-- A world: a registry, a handle table, and all objects by name. Its witness
-- knows which of them are alive.

local compat = require "gbi.compat"
local gbi = require "gbi"
local portable = require "spec.support.portable"

local World = {}
World.__index = World

local HANDLE0 = 1000000000

local Node = getmetatable(gbi.graph.new():placeholder "x")

-- The sources of a world's objects are globals that only the world holds.
local current

setmetatable(_G, { __index = function(_, name)
  return current and current.pool and current.pool[name]
end })

local finalized = 0

-- Finalizers are code too: this one calls many functions, but gives out no
-- handles, so that a world's handles have the same numbers each time.
local GUARDED = { __gc = function()
  finalized = finalized + 1
  local r, h = gbi.new(), gbi.new_handles()
  r:register(r, gbi.source.GlobalSource "r")
  pcall(h.weak, h, "text")
  h:release(HANDLE0 + 1)
  pcall(gbi.default.find, gbi.default, 1)
  pcall(gbi.handles.find, gbi.handles, HANDLE0 + 1)
  if finalized % 3 == 0 then r:snapshot() end
end }

-- Removes what a failed world has left in the tables of the Lua state.
local function clear()
  gbi.default:reset()
  gbi.debug(false)
  for handle in gbi.handles:entries() do gbi.handles:release(handle) end
end

-- Makes a world with a new handle table, or the state's own.
function World.new(states)
  clear()
  local w = setmetatable({
    pool = {}, -- name -> object
    names = setmetatable({}, { __mode = "k" }), -- object -> name
    witness = setmetatable({}, { __mode = "v" }), -- name -> object
    r = gbi.new(),
    h = states and gbi.handles or gbi.new_handles(),
    c = nil, -- the handle table for C: nil for the state's own
    limit = 9, -- how many indices and handles are examined
    log = {}, -- what callbacks reported
  }, World)
  if not states then w.c = w.h end
  w.base = gbi.handles:weak(w) -- less than all handles given to this world
  gbi.handles:release(w.base)
  current = w
  return w
end

-- Makes an object, whose kind is the first letter of its name.
function World:object(name)
  local kind = name:sub(1, 1)
  local o
  if kind == "g" then o = portable.setmetatable({}, GUARDED)
  elseif kind == "f" then o = function() return self, name end
  elseif kind == "c" then o = coroutine.create(function() end)
  elseif kind == "u" then o = gbi.new()
  elseif kind == "h" then o = gbi.new_handles()
  else o = {} end
  self.pool[name], self.witness[name], self.names[o] = o, o, name
  return o
end

function World:drop(name)
  self.pool[name] = nil
end

-- The `n`-th handle that is given out in this world.
function World:handle(n)
  return self.base + n
end

-- A function for on_collect, which records that it was called.
function World:callback(name)
  local log = self.log
  return function(handle)
    table.insert(log, name .. " " .. self:show(handle))
  end
end

-- A handle's number relative to the world, the same in each such world.
local function number(w, n)
  return n <= w.base and tostring(n) or "handle " .. n - w.base
end

-- A value as text, the same in each such world.
function World:show(value)
  local t = type(value)
  if t == "number" then return number(self, value) end
  if t == "nil" or t == "boolean" then return tostring(value) end
  -- a place is a line, which depends on the caller
  if t == "string" then
    return (value:gsub("0x%x+", "0x"):gsub("(faults[%w/]*%.lua):%d+", "%1")
      :gsub("handle (1%d%d%d%d%d%d%d%d%d)", function(digits)
        return number(self, tonumber(digits))
      end))
  end
  if getmetatable(value) == Node then return "node " .. value.name end
  return self.names[value] or t
end

-- Several values as one text.
function World:list(...)
  local t = compat.pack(...)
  for i = 1, t.n do t[i] = self:show(t[i]) end
  return table.concat(t, ", ")
end

-- Adds the visible state of a handle table to the lines `out`. With `mark`,
-- later handles that are dead look like handles that were never given out.
local function handles_state(w, out, h, mark)
  local function add(...) out[#out + 1] = w:list(...) end
  add(h:count(), tostring(h))
  for i = -1, w.limit do
    local n = i < 1 and i or w.base + i
    local value, status = h:find(n)
    if status and i > (mark or w.limit) then add(n, "never given out, or dead")
    else
      add(n, value, status)
      add(pcall(h.get, h, n))
    end
  end
  for n, value, kind in h:entries() do add(n, value, kind) end
end

-- The visible state, as lines; `mark` as above.
function World:state(mark)
  if self.dying then portable.collect() end
  local r, out = self.r, {}
  local function add(...) out[#out + 1] = self:list(...) end
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
  if self.h ~= gbi.handles then handles_state(self, out, self.h) end
  handles_state(self, out, gbi.handles, mark)
  if self.graph then
    add(tostring(self.graph))
    add(self.graph:lint())
    add(self.graph.point ~= self.graph.root and self.graph.point)
    add(#self.graph.registry, self.graph.attributes.key,
      self.graph.inputs.other)
  end
  return table.concat(out, "\n")
end

-- How many handles of the state's own table this world has.
function World:given()
  local n = 0
  while select(2, gbi.handles:find(self.base + n + 1)) ~= "unregistered" do
    n = n + 1
  end
  return n
end

-- The constructors, which must stay the same functions.
function World:functions()
  local list = {}
  for i, f in self.r:constructors() do list[i] = f end
  return list
end

function World:living()
  local names = {}
  portable.collect()
  for name in pairs(self.witness) do names[#names + 1] = name end
  table.sort(names)
  return table.concat(names, " ")
end

-- The end of a world: which objects stay alive without other references, and
-- because of what; and who is told that the others died.
function World:finish()
  local out, r, log = {}, self.r, self.log
  local function add(what) out[#out + 1] = what .. ": " .. self:living() end
  for _, field in ipairs { "pool", "a", "many", "source", "f", "compiled",
                           "graph", "saved", "node", "called", "out", "sum",
                           "last", "unused", "other", "key", "object",
                           "input", "parts" } do
    self[field] = nil
  end
  add "held"
  if self.leave then
    self.leave()
    self.leave = nil
    add "after the run"
  end
  if self.snapshot then
    self.snapshot = nil
    add "without the snapshot"
  end
  for _, h in ipairs { self.h, self.h ~= gbi.handles and gbi.handles or nil } do
    out[#out + 1] = "swept " .. self:list(pcall(h.sweep, h))
    for handle in h:entries() do h:release(handle) end
    out[#out + 1] = "left " .. h:count() .. " " .. h:sweep()
  end
  add "released"
  out[#out + 1] = table.concat(log, " ")
  r:store(r, r, r, r, r, r) -- not in place
  add "stored"
  r:store()
  add "stored again"
  r:reset()
  add "reset"
  return table.concat(out, "\n")
end

return World

--- A user's alternative to gbi, in Lua alone: the same design, with the same
-- checks.
local peer = {}

local WEAK = { __mode = "v" }

-- The types that a weak table holds weakly.
local held = {
  table = true, ["function"] = true, userdata = true, thread = true,
}
peer.held = held

local Registry = {}
Registry.__index = Registry

--- A new registry.
function peer.new()
  return setmetatable({}, Registry):reset()
end

function Registry:reset()
  self.side, self.constructors = setmetatable({}, WEAK), {}
  self.last, self.size = 0, 0
  return self
end

local function missing(self, i)
  if math.type(i) ~= "integer" then
    error("bad argument #1 to 'get' (integer expected)", 3)
  elseif i < 1 or i > self.size or self.side[i] == false then
    error(("external object %s is not registered"):format(i), 3)
  end
  error(("external object %d is no longer alive"):format(i), 3)
end

function Registry:get(i)
  local object = self.side[i]
  if object then return object end
  return missing(self, i)
end

function Registry:find(i)
  local object = self.side[i]
  if object then return object end
  if i < 1 or i > self.size or object == false then
    return nil, "unregistered"
  end
  return nil, "dead"
end

function Registry:register(value, source)
  if not held[type(value)] then
    error(("a %s cannot be held weakly"):format(type(value)), 2)
  elseif not (source and source.reconstruct) then
    error("bad argument #2 to 'register' (source expected)", 2)
  end
  local i = self.last + 1
  self.constructors[i] = function(cg) return cg(source) end
  self.side[i] = value
  self.last = i
  if i > self.size then self.size = i end
  return i
end

local function replace(self, list, n)
  for i = 1, n do
    if not held[type(list[i])] then
      error(("external object %d cannot be held weakly"):format(i), 3)
    end
  end
  local side = self.side
  if n ~= self.size then
    side = setmetatable({}, WEAK)
    for i = n + 1, self.last do side[i] = false end
  end
  for i = 1, n do side[i] = list[i] end
  self.side, self.size = side, n
end

function Registry:store(...)
  local n = select("#", ...)
  if n == 3 and self.size == 3 then -- no table in the usual case
    local a, b, c = ...
    if held[type(a)] and held[type(b)] and held[type(c)] then
      local side = self.side
      side[1], side[2], side[3] = a, b, c
      return
    end
  end
  replace(self, { ... }, n)
end

function Registry:store_list(list, n)
  replace(self, list, n or #list)
end

--- The module function: get on one registry, its side table in an upvalue.
function peer.getter(registry)
  local side = registry.side
  return function(i)
    local object = side[i]
    if object then return object end
    return missing(registry, i)
  end
end

local Handles = {}
Handles.__index = Handles

--- A new handle table.
function peer.new_handles()
  return setmetatable({
    objects = setmetatable({}, WEAK), holds = {}, callbacks = {}, last = 0,
  }, Handles)
end

function Handles:weak(object)
  if not held[type(object)] then
    error(("a %s cannot be held weakly"):format(type(object)), 2)
  end
  local h = self.last + 1
  self.objects[h] = object
  self.last = h
  return h
end

function Handles:strong(value)
  if value == nil then
    error("bad argument #1 to 'strong' (value expected, got nil)", 2)
  end
  local h = self.last + 1
  self.objects[h], self.holds[h] = value, value
  self.last = h
  return h
end

local function gone(self, h)
  if math.type(h) ~= "integer" then
    error("bad argument #1 to 'get' (integer expected)", 3)
  end
  return h > 0 and h <= self.last and "dead" or "unregistered"
end

function Handles:find(h)
  local object = self.objects[h]
  if object ~= nil then return object end
  return nil, gone(self, h)
end

function Handles:get(h)
  local object = self.objects[h]
  if object ~= nil then return object end
  error(("handle %d %s"):format(h, gone(self, h) == "dead"
    and "is no longer alive" or "was never given out"), 2)
end

function Handles:release(h)
  if self.objects[h] == nil then return nil, gone(self, h) end
  self.objects[h], self.holds[h], self.callbacks[h] = nil, nil, nil
  return true
end

return peer

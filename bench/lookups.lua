--- The rows of look-ups, on any Lua: lookups.lua [FILE.csv] prints them. The
-- floor of a row does the same in Lua alone,
--   bare     in a weak table, without a check;
--   checked  with gbi's checks: a registry is distinguished from any other
--            value, an index that finds nothing is an error that says why, a
--            type can be required, and the module function follows a table
--            that is replaced.
local gbi = require "gbi"

local SIZE = 1000
local jit = rawget(_G, "jit")
local load = loadstring or load -- luacheck: ignore 113

-- The requirements: look-ups stay in LuaJIT's trace; elsewhere they are as fast
-- as in Lua alone.
local MUST = { bare = jit and 2 or nil, checked = not jit and 1.05 or nil }

-- A weak table of the objects, from this number on.
local function weak(objects, first)
  local side = setmetatable({}, { __mode = "v" })
  for i = 1, #objects do side[first + i - 1] = objects[i] end
  return side
end

local function check(object, what, i, tname)
  if object == nil then error(("%s %s is not alive"):format(what, i), 3) end
  if tname and type(object) ~= tname then
    error(("%s %s is not a %s"):format(what, i, tname), 3)
  end
  return object
end

-- Lua alone: makes a module function and an object with the methods of a
-- registry and a handle table.
local alone = {}

function alone.bare(side)
  local class = {}
  class.__index = class
  function class:get(i) return self.side[i] end
  class.find = class.get
  return function(i) return side[i] end, setmetatable({ side = side }, class)
end

function alone.checked(first)
  local class, sides, side = {}, setmetatable({}, { __mode = "k" }), nil
  class.__index = class
  local function of(self)
    return sides[self] or error("bad argument #1 (registry expected)", 3)
  end
  function class.get(self, i, tname)
    local mine = sides[self]
    if mine and tname == nil then
      local object = mine[i]
      if object then return object end
    end
    return check(of(self)[i], "object", i, tname)
  end
  function class.find(self, h)
    local mine = sides[self]
    if mine and type(h) == "number" then
      local object = mine[h]
      if object ~= nil then return object end
    end
    return nil, of(self) and "dead"
  end
  local function get(i, tname)
    local object = side[i]
    if object and tname == nil then return object end
    return check(object, "object", i, tname)
  end
  local self = setmetatable({}, class)
  local function store(new) side, sides[self] = new, new end
  store(first)
  return get, self, store
end

-- A function (n) that looks up n objects; `call` is Lua, of f, self and i.
local function looking(call, f, self, first)
  return load(([[
    local f, self, first, SIZE = ...
    return function(n)
      for _ = 1, n / SIZE do
        for i = first, first + SIZE - 1 do %s end
      end
    end
  ]]):format(call))(f, self, first, SIZE)
end

local rows = {}

-- `make` returns gbi's object for a list, and the number of its first element.
local function row(name, call, make)
  for _, kind in ipairs { "bare", "checked" } do
    rows[#rows + 1] = {
      name = ("%s, floor Lua alone, %s"):format(name, kind),
      must = not (name == "h:find" and not jit) and MUST[kind] or nil,
      n = jit and 10000000 or 200000,
      make = function()
        local objects = {}
        for i = 1, SIZE do objects[i] = {} end
        local own, first = make(objects)
        local f, self = alone[kind](weak(objects, first))
        local look = looking(call, gbi.get_external_object_by_index, own,
          first)
        local floor = looking(call, f, self, first)
        local function keeping(run)
          return function(n)
            run(n)
            return objects
          end
        end
        return { gbi = keeping(look), floor = keeping(floor) }
      end,
    }
  end
end

row("the function get", "f(i)", function(objects)
  gbi.default:store_list(objects)
  return nil, 1
end)

row("registry:get", "self:get(i)", function(objects)
  local registry = gbi.new()
  registry:store_list(objects)
  return registry, 1
end)

row("h:find", "self:find(i)", function(objects)
  local handles = gbi.new_handles()
  local first = handles:weak(objects[1])
  for i = 2, SIZE do handles:weak(objects[i]) end
  return handles, first
end)

if jit then -- on 5.4 it is another row's
  rows[#rows + 1] = {
    name = "compiled graph of 10 operations and 3 objects", must = 1.5,
    n = 1000000,
    make = function()
      local ten = require "ten"
      local env = ten.environment()
      return {
        gbi = ten.calling(ten.graph(env):compile(), env),
        floor = ten.calling(ten.by_hand, env),
      }
    end,
  }
end

if arg and arg[0] and arg[0]:find "lookups%.lua$" then
  local measure = require "measure"
  local report = require "report"
  local missed, add, close = 0, function() end, function() end
  if arg[1] then add, close = report.csv(arg[1]) end
  report.head(io.stdout, "nanoseconds an operation")
  for _, each in ipairs(rows) do
    local values = measure.sides(each.make, each.n, 21)
    if not report.row(io.stdout, each.name, values, each.must) then
      missed = missed + 1
    end
    add(each.name, nil, "ns", values, each.must)
  end
  close()
  print(("\nrows that miss what they must reach: %d"):format(missed))
end

return rows

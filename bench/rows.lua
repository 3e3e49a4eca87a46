--- The rows of the table. Each is made when it is measured:
--   name    what gbi does
--   must    the ratio gbi / floor that it must not exceed, or nil
--   n       operations of one run
--   slow    whether to make fewer runs
--   counted whether it is measured in instructions only
--   make([n]) -> the sides by name: `gbi`, `floor`, `peer` (the same design in
--           Lua alone) and `ref` (luaL_ref). A side is a function (n), or a
--           table of `prepare` (n), not measured, and `run` (n).
-- Loops are the same on all sides, and part of what is measured.
local gbi = require "gbi"
local floor = require "floor"
local find = require "find"
local peer = require "peer"
local ten = require "ten"

local source = gbi.source
local environment, graph_of_ten, calling =
  ten.environment, ten.graph, ten.calling
local held = peer.held

local function tables(n)
  local list = {}
  for i = 1, n do list[i] = {} end
  return list
end

-- A registry of gbi or of its peer with these objects.
local function filled(registry, objects)
  local from = source.LocalSource("x")
  for i = 1, #objects do registry:register(objects[i], from) end
  return registry
end

local function ref_filled(objects)
  local refs = floor.refs()
  for i = 1, #objects do refs.register(objects[i]) end
  return refs
end

-- Sides that call a function, or a method, with a number, objects to find.
local function numbered(f)
  return function(n)
    for _ = 1, n do f(2) end
  end
end

local function numbered_method(object, name)
  return load(([[
    local object = ...
    return function(n)
      for _ = 1, n do object:%s(2) end
    end
  ]]):format(name))(object)
end

-- A side that stores three objects by a function, or a method.
local function storing(f, a, b, c)
  return function(n)
    for _ = 1, n do f(a, b, c) end
  end
end

local function storing_method(object, a, b, c)
  return function(n)
    for _ = 1, n do object:store(a, b, c) end
  end
end

local rows = {}

local alive -- the three objects of the row that is measured

local function row(fields)
  local make = fields.make
  function fields.make(n)
    alive = tables(3)
    return make(alive, n or fields.n)
  end
  rows[#rows + 1] = fields
end

row {
  name = "gbi.get_external_object_by_index(i)", must = 1.3, n = 200000,
  make = function(objects)
    gbi.reset_user_object_tracking()
    return {
      gbi = numbered(gbi.get_external_object_by_index,
        filled(gbi.default, objects)),
      floor = numbered(floor.integer),
      peer = numbered(peer.getter(filled(peer.new(), objects))),
      ref = numbered(ref_filled(objects).get),
    }
  end,
}

row {
  name = "registry:get(i)", must = 1.3, n = 200000,
  make = function(objects)
    return {
      gbi = numbered_method(filled(gbi.new(), objects), "get"),
      floor = numbered_method(floor.object(), "integer"),
      peer = numbered_method(filled(peer.new(), objects), "get"),
    }
  end,
}

row {
  name = "registry:store(a, b, c)", must = 1.3, n = 100000,
  make = function(objects)
    local a, b, c = objects[1], objects[2], objects[3]
    return {
      gbi = storing_method(filled(gbi.new(), objects), a, b, c),
      floor = storing(floor.store, a, b, c),
      peer = storing_method(filled(peer.new(), objects), a, b, c),
    }
  end,
}

row {
  name = "  the same, floor a method", must = 1.3, n = 100000,
  make = function(objects)
    local a, b, c = objects[1], objects[2], objects[3]
    return {
      gbi = storing_method(filled(gbi.new(), objects), a, b, c),
      floor = storing_method(floor.object(), a, b, c),
    }
  end,
}

row {
  name = "  the same, of three files", n = 100000,
  make = function()
    local files = { io.stdin, io.stdout, io.stderr }
    local a, b, c = files[1], files[2], files[3]
    return {
      gbi = storing_method(filled(gbi.new(), files), a, b, c),
      floor = storing(floor.store, a, b, c),
      peer = storing_method(filled(peer.new(), files), a, b, c),
    }
  end,
}

row {
  name = "gbi.store_user_object_weakrefs(a, b, c)", must = 1.3, n = 100000,
  make = function(objects)
    gbi.reset_user_object_tracking()
    filled(gbi.default, objects)
    local a, b, c = objects[1], objects[2], objects[3]
    return {
      gbi = storing(gbi.store_user_object_weakrefs, a, b, c),
      floor = storing(floor.store, a, b, c),
    }
  end,
}

local function prologue_of_three(objects)
  gbi.reset_user_object_tracking()
  local params = { "a", "b", "c" }
  for i, name in ipairs(params) do
    gbi.register_user_object(objects[i], source.LocalSource(name))
  end
  return gbi.compile_prologue(gbi.default, params)
end

-- By hand, with gbi's promises to its user: an object that cannot be held is an
-- error before anything is stored; a dead one is an error when it is used.
local function by_hand()
  local side = setmetatable({}, { __mode = "v" })
  local function prologue(a, b, c)
    if not (held[type(a)] and held[type(b)] and held[type(c)]) then
      error("not an object", 2)
    end
    side[1], side[2], side[3] = a, b, c
  end
  local function get(i)
    local object = side[i]
    if object then return object end
    error(("object %d is not alive"):format(i), 2)
  end
  return prologue, get, side
end

local function running(prologue, get, objects)
  return function(n)
    local a, b, c = objects[1], objects[2], objects[3]
    for _ = 1, n do
      prologue(a, b, c)
      get(1)
      get(2)
      get(3)
    end
  end
end

row {
  name = "prologue of 3 objects and their use by number", must = 1.2,
  n = 50000,
  make = function(objects)
    local prologue, get = by_hand()
    return {
      gbi = running(prologue_of_three(objects),
        gbi.get_external_object_by_index, objects),
      floor = running(prologue, get, objects),
    }
  end,
}

row {
  name = "  the same, by hand inline and without checks", n = 50000,
  make = function(objects)
    local _, _, side = by_hand()
    return {
      gbi = running(prologue_of_three(objects),
        gbi.get_external_object_by_index, objects),
      floor = function(n)
        local a, b, c = objects[1], objects[2], objects[3]
        local function fail() error("an object is gone") end
        for _ = 1, n do
          side[1], side[2], side[3] = a, b, c
          local _ = side[1] or fail()
          _ = side[2] or fail()
          _ = side[3] or fail()
        end
      end,
    }
  end,
}

row {
  name = "compiled graph of 10 operations and 3 objects", must = 1.05,
  n = 50000,
  make = function()
    local env = environment()
    return {
      gbi = calling(graph_of_ten(env):compile(), env),
      floor = calling(ten.by_hand, env),
    }
  end,
}

-- What a backend's function does with a run, or with a list of the objects.
local function ten_on_list(objects, env, x, y)
  local a, b, c = objects[1], objects[2], objects[3]
  local sum = x * y + x - y
  local doubled = c:push(a:scale(sum) + b.bias) * 2
  return doubled, doubled < x, env
end

row {
  name = "  the same by a backend, floor a list of the objects", n = 50000,
  make = function()
    local env = environment()
    local f = graph_of_ten(env):compile {
      backend = function() return ten_on_list end,
    }
    return {
      gbi = calling(f, env),
      floor = calling(function(e, x, y)
        return ten_on_list({ e.a, e.b, e.c }, e, x, y)
      end, env),
    }
  end,
}

-- A graph that hands an object on by a handle to the function `use`, and the
-- minimum that does the same: a number that is not given out again.
local function handing_on(env)
  local g, handles = gbi.graph.new(), gbi.handles
  g:placeholder("env")
  local call = g:placeholder("use")
  local a = g:external(env.a,
    source.AttrSource(source.LocalSource("env"), "a"))
  g:output(call(a:handle()))
  local compiled = g:compile()
  local function use(handle) return handles:get(handle) end
  return function(n)
    for _ = 1, n do compiled(env, use) end
  end
end

local function handing_on_by_hand(env)
  local side, last = setmetatable({}, { __mode = "v" }), 0
  local function handing(e, call)
    local a, number = e.a, last + 1
    last = number
    side[number] = a
    local result = call(number)
    side[number] = nil
    return result
  end
  local function use(number) return side[number] or error("it is gone") end
  return function(n)
    for _ = 1, n do handing(env, use) end
  end
end

row {
  name = "call that hands one object on by a handle", n = 50000,
  make = function()
    local env = environment()
    return { gbi = handing_on(env), floor = handing_on_by_hand(env) }
  end,
}

-- A side that gives out a number for an object by one method, and takes it back
-- by another.
local function giving(object, give, take, value)
  return load(([[
    local object, value = ...
    return function(n)
      for _ = 1, n do object:%s(object:%s(value)) end
    end
  ]]):format(take, give))(object, value)
end

row {
  name = "h:weak and h:release, floor luaL_ref and luaL_unref", must = 1.5,
  n = 100000,
  make = function(objects)
    return {
      gbi = giving(gbi.new_handles(), "weak", "release", objects[1]),
      floor = giving(floor.object(), "ref", "unref", objects[1]),
      peer = giving(peer.new_handles(), "weak", "release", objects[1]),
    }
  end,
}

-- A closure, as every source has a constructor of its own, and two inserts.
-- Returns the function that makes them, and the list of closures.
local function inserter()
  local side, constructors = setmetatable({}, { __mode = "v" }), {}
  local last = 0
  return function(value, from)
    last = last + 1
    constructors[last] = function(cg) return cg(from) end
    side[last] = value
    return last
  end, constructors
end

-- A function of n that makes a registry, or the side's equivalent, and then
-- registers batches of random size until there have been n objects. With
-- batches of one size, the collector would meet each side at the same point of
-- every batch, and that would dominate the measurement.
local function batches(objects, from, make)
  return function(n)
    local random = 1
    while n > 0 do
      random = (random * 1103515245 + 12345) & 0x7fffffff
      local batch = math.min(n, 512 + (random >> 8) % 1024)
      n = n - batch
      local register, self = make()
      if self then
        for i = 1, batch do self:register(objects[i], from) end
      else
        for i = 1, batch do register(objects[i], from) end
      end
    end
  end
end

row {
  name = "register", must = 1.0, n = 50000,
  make = function()
    local objects = tables(1536)
    local from = source.LocalSource("x")
    local other = peer.new()
    return {
      gbi = batches(objects, from, function()
        gbi.reset_user_object_tracking()
        return gbi.register_user_object
      end),
      floor = batches(objects, from, function() return (inserter()) end),
      peer = batches(objects, from, function() return nil, other:reset() end),
      ref = batches(objects, from, function()
        return floor.refs().register
      end),
    }
  end,
}

-- A list of objects with weak values.
local function weak_list(objects)
  local list = setmetatable({}, { __mode = "v" })
  for i = 1, #objects do list[i] = objects[i] end
  return list
end

row {
  name = "find of an index from C", must = 1.3, n = 500000, counted = true,
  make = function(objects)
    local registry, list = filled(gbi.new(), objects), weak_list(objects)
    return {
      gbi = function(n) find.gbi(registry, n) end,
      floor = function(n) find.rawgeti(list, n) end,
    }
  end,
}

-- Gives out handles of the objects; returns the first.
local function handled(handles, objects)
  local first = handles:weak(objects[1])
  for i = 2, #objects do handles:weak(objects[i]) end
  return first
end

row {
  name = "find of a handle from C", must = 1.3, n = 500000, counted = true,
  make = function(objects)
    local handles, list = gbi.new_handles(), weak_list(objects)
    local first = handled(handles, objects)
    return {
      gbi = function(n) find.handle(handles, n, first) end,
      floor = function(n) find.rawgeti(list, n) end,
    }
  end,
}

row {
  name = "  the same in one call, in the state's own table", n = 500000,
  counted = true,
  make = function(objects)
    local list, first = weak_list(objects), handled(gbi.handles, objects)
    return {
      gbi = function(n) find.own_handle(n, first) end,
      floor = function(n) find.rawgeti(list, n) end,
    }
  end,
}

-- Containers of `n` objects by index, on each side: functions that fill and
-- drop them.
local function holders(objects)
  local from = source.LocalSource("x")
  local registry, other = gbi.new(), peer.new()
  local insert, refs
  return {
    gbi = {
      fill = function(n)
        for i = 1, n do registry:register(objects[i], from) end
      end,
      drop = function() registry:reset() end,
    },
    floor = {
      fill = function(n)
        insert = inserter()
        for i = 1, n do insert(objects[i], from) end
      end,
      drop = function() insert = nil end,
    },
    peer = {
      fill = function(n)
        for i = 1, n do other:register(objects[i], from) end
      end,
      drop = function() other:reset() end,
    },
    ref = {
      fill = function(n)
        refs = floor.refs()
        for i = 1, n do refs.register(objects[i]) end
      end,
      drop = function() refs = nil end,
    },
  }
end

-- The same by handle; the floor is the peer.
local function handle_holders(objects)
  local sides = {}
  for side, new in pairs { gbi = gbi.new_handles, floor = peer.new_handles } do
    local handles
    sides[side] = {
      fill = function(n)
        handles = new()
        for i = 1, n do handles:weak(objects[i]) end
      end,
      drop = function() handles = nil end,
    }
  end
  return sides
end

-- Sides that measure a collection while a container is full, or after it has
-- been dropped.
local function collecting(objects, dropped)
  local sides, all = {}, holders(objects)
  for name, holder in pairs(all) do
    sides[name] = {
      prepare = function(n)
        for _, other in pairs(all) do other.drop() end
        holder.fill(n)
        collectgarbage()
      end,
      run = function()
        if dropped then holder.drop() end
        collectgarbage()
      end,
    }
  end
  return sides
end

row {
  name = "full collection with live entries", must = 1.0, n = 1000000,
  slow = true,
  make = function(_, n)
    local objects = tables(n)
    return collecting(objects, false)
  end,
}

row {
  name = "reset and collection of entries", must = 1.2, n = 1000000,
  slow = true,
  make = function(_, n)
    local objects = tables(n)
    return collecting(objects, true)
  end,
}

for _, lookup in ipairs(require "lookups") do rows[#rows + 1] = lookup end

rows.holders, rows.handle_holders, rows.tables =
  holders, handle_holders, tables

return rows

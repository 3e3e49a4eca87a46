-- At the edge: invalid indices, counts near a limit, stacks that overflow,
-- nested registries.

local gbi = require "gbi"
local capi = require "capi"
local compat = require "gbi.compat"
local kilobytes = require "spec.support.memory"
local portable = require "spec.support.portable"

local Source = gbi.source.GlobalSource
local collect, unpack = portable.collect, compat.unpack
local SMALLEST, GREATEST = portable.min, portable.max

-- A registry of three has none of these.
local UNKNOWN = {
  0, -1, 4, 255, 256, -2 ^ 31, -2 ^ 53, SMALLEST, SMALLEST + 1, -0.0, 1e9, "0",
  "-1", "4.0", "1e9",
}

-- Greater than any index: these could be handles.
local HANDLES = {
  1e9 + 1, 2 ^ 31 - 1, 2 ^ 31, 2 ^ 31 + 1, 2 ^ 32, 2 ^ 32 + 1, 2 ^ 32 + 2,
  2 ^ 52, 2 ^ 53, GREATEST, GREATEST - 1, "4294967297", "1000000001",
}

-- All of these equal 2.
local TWO = { 2, 2.0, "2", "2.0", " 2 ", "0x2", "2e0" }

-- None of these is an integer.
local NONE = {
  1.5, -0.5, 2 ^ 51 + 0.5, 1 / 0, -1 / 0, 0 / 0, 2 ^ 64, -2 ^ 64, 1e300, "",
  "two", "2 2", "1.5", "0x", true, false, {}, print,
}

-- Where C's integers have 32 bits, numbers that do not fit are none.
local function fits(x)
  return capi.integer_bits > 32 or x >= -2 ^ 31 and x < 2 ^ 31
end

for _, list in ipairs { UNKNOWN, HANDLES } do
  for i = #list, 1, -1 do
    if not fits(tonumber(list[i])) then
      NONE[#NONE + 1] = table.remove(list, i)
    end
  end
end

-- A registry of three, and its objects.
local function three()
  local r, objects = gbi.new(), { {}, {}, {} }
  for i, o in ipairs(objects) do r:register(o, Source("o" .. i)) end
  return r, objects
end

-- The visible state of a registry.
local function state(r)
  local out = { #r, tostring(r) }
  local function see(...)
    for i = 1, select("#", ...) do out[#out + 1] = (select(i, ...)) end
  end
  for i, e in r:entries() do see(i, e.kind, e.status, e.object) end
  for i, f, kind in r:constructors() do see(i, f, kind) end
  return out
end

-- Every function that takes an index: did it answer?
local CALLS = {
  find = function(r, i) -- a tail call would hide the name
    local object = r:find(i)
    return object
  end,
  get = function(r, i) return (pcall(r.get, r, i)) end,
  set = function(r, i)
    return #r ~= 3 or i == 4 or i == "4.0" -- it may append
      or (pcall(r.set, r, i, r)) or nil
  end,
  ["C find"] = function(r, i) return (capi.find(r, i)) end,
  ["C find_in"] = function(r, i) return (capi.find_in(r, i)) end,
  ["C get"] = function(r, i) return (pcall(capi.get, r, i)) end,
}

describe("an index at the edge", function()
  for name, call in pairs(CALLS) do
    it("is not registered: " .. name, function()
      local r, objects = three()
      local before, memory = state(r), kilobytes()
      for _, i in ipairs(UNKNOWN) do
        if not (name == "set" and tonumber(i) == 4) then
          assert.is_falsy(call(r, i), tostring(i))
        end
      end
      assert.is_true(kilobytes() - memory < 256)
      assert.same(before, state(r))
      assert.equal(objects[3], r:get(3))
    end)

    it("is not a handle: " .. name, function()
      local r, objects = three()
      local before = state(r)
      for _, i in ipairs(HANDLES) do
        local ok, found = pcall(call, r, i)
        if name:find "^C" or name == "get" or name == "set" then
          assert.is_falsy(ok and found, tostring(i)) -- or it raised an error
        else
          assert.is_false(ok, tostring(i))
          assert.matches("bad argument #1 to 'find' %(index expected, got a "
            .. "handle%)", found)
        end
      end
      assert.same(before, state(r))
      assert.equal(objects[3], r:get(3))
    end)

    it("may be a float or a string that is an integer: " .. name, function()
      for _, two in ipairs(TWO) do
        local r, objects = three()
        assert.is_truthy(call(r, two), tostring(two))
        assert.equal(objects[1], r:get(1))
        assert.equal(objects[3], r:get(3))
      end
    end)

    if not name:find "get" and name ~= "set" then
      it("is not an integer: " .. name, function()
        local r, objects = three()
        local before = state(r)
        for _, i in ipairs(NONE) do
          local ok, err = pcall(call, r, i)
          assert.is_false(ok, tostring(i))
          assert.is_truthy(tostring(err):find("bad argument #", 1, true), err)
        end
        assert.same(before, state(r))
        assert.equal(objects[2], r:get(2))
      end)
    end
  end

  it("has a name like any other", function()
    local r = three()
    for i, name in pairs { [0] = "0", [-1] = "-1", [1e9] = "1000000000",
                           ["0x10"] = "16",
                           [-2 ^ 53] = "-9007199254740992" } do
      if fits(tonumber(i)) then
        assert.equal("external object " .. name, r:name(i))
      end
    end
  end)
end)

describe("a million objects", function()
  local N = 1000000

  it("go through store_list, die, come back from a snapshot", function()
    local r, list = gbi.new(), {}
    for i = 1, N do list[i] = {} end
    r:store_list(list)
    assert.same({ N, 0 }, { r:count() })
    for i = 1, N do assert(r:find(i) == list[i]) end
    assert.equal("unregistered", select(2, r:find(N + 1)))
    local snapshot = r:snapshot()
    r:store(r, r, r)
    assert.same({ 3, 0 }, { r:count() })
    assert.equal("unregistered", select(2, r:find(4)))
    r:restore(snapshot)
    for i = 1, N do assert(r:find(i) == list[i]) end
    snapshot, list = nil, { list[N] } -- luacheck: ignore snapshot
    collect()
    assert.same({ 1, N - 1 }, { r:count() })
    assert.equal(list[1], r:get(N))
    assert.equal("dead", select(2, r:find(N - 1)))
  end)

  it("are registered, found and forgotten, and leave no memory", function()
    local before = kilobytes()
    local r, list, from = gbi.new(), {}, Source "x"
    for i = 1, N do
      list[i] = {}
      assert(r:register(list[i], from) == i)
    end
    for i = 1, N do assert(r:get(i) == list[i]) end
    list = nil -- luacheck: ignore list
    collect()
    assert.same({ 0, N }, { r:count() })
    assert.equal(N + 1, r:register(r, from))
    r:reset()
    assert.equal(1, r:register(r, from))
    assert.is_true(kilobytes() - before < 64)
  end)

  it("have handles, are found by them and die, and leave no memory", function()
    local before = kilobytes()
    local h, list, handles = gbi.new_handles(), {}, {}
    for i = 1, N do
      list[i] = {}
      handles[i] = h:weak(list[i])
    end
    for i = 1, N do assert(h:get(handles[i]) == list[i]) end
    assert.equal(N, h:count())
    list = nil -- luacheck: ignore list
    collect()
    assert.equal(0, h:count())
    for i = 1, N do assert(not h:find(handles[i])) end
    assert.equal(handles[N] + 1, h:weak(h))
    h, handles = nil, nil -- luacheck: ignore
    assert.is_true(kilobytes() - before < 64)
  end)
end)

describe("a call with many arguments", function()
  for _, n in ipairs { 200, 255, 256, 1000, 7000 } do
    it(("stores %d objects"):format(n), function()
      local r, list = gbi.new(), {}
      for i = 1, n do list[i] = {} end
      for _, store in ipairs { r.store, capi.store } do
        r:reset()
        store(r, unpack(list))
        assert.same({ n, 0 }, { r:count() })
        for i = 1, n do assert(r:get(i) == list[i]) end
      end
      local before, last = state(r), list[n]
      list[n] = 5
      assert.is_false(pcall(r.store, r, unpack(list)))
      assert.equal(last, r:get(n))
      assert.same(before, state(r))
      gbi.store_user_object_weakrefs(unpack(list, 1, n - 1))
      assert.equal(list[n - 1], gbi.get_external_object_by_index(n - 1))
      gbi.reset_user_object_tracking()
    end)
  end

  it("gives all of them to a graph's function", function()
    local g, given = gbi.graph.new(), {}
    for i = 1, 240 do
      given[i] = g:placeholder("x" .. i % 120)
      if i == 120 then break end
    end
    for i = 121, 240 do given[i] = given[i - 120] end
    g:output(g:call_function(Source "select", "#", unpack(given)))
    assert.equal(240, (g:compile()(unpack({}, 1, 120))))
  end)

  it("keeps nils even if Lua has no table.pack", function()
    local pack = table.pack
    finally(function() table.pack = pack end) -- luacheck: ignore 122
    table.pack = nil -- luacheck: ignore 122
    local bridge = dofile("lua/gbi/compat.lua")
    assert.same({ n = 4, nil, 2, nil, nil }, bridge.pack(nil, 2, nil, nil))
  end)
end)

describe("where the stack overflows", function()
  -- Finding a global of a spec takes levels of its own.
  local pcall = pcall

  -- Each operation undoes what it did, if it did anything.
  local OPERATIONS = {
    store = function(r) r:store(r:get(1), r:get(2), r:get(3)) end,
    ["C store"] = function(r) capi.store(r, r:get(1), r:get(2), r:get(3)) end,
    snapshot = function(r) r:restore(r:snapshot()) end,
    entries = function(r) for i in r:entries() do r:name(i) end end,
    count = function(r) return tostring(r), r:count() end,
    register = function()
      local r = gbi.new()
      assert(r:register(r, Source "x") == 1 and r:get(1) == r)
      r:reset()
    end,
    error = function(r) r:get(77) end,
    unimplemented = function(r) r:register(5, Source "x") end,
    handles = function(r)
      local h = gbi.new_handles()
      local handle = h:weak(r)
      assert(h:get(handle) == r and h:release(handle) and not h:find(handle))
    end,
    sweep = function()
      local h, heard = gbi.new_handles(), 0
      h:on_collect(h:weak({}), function() heard = heard + 1 end)
      collectgarbage()
      h:sweep()
      assert(heard == 1 and h:sweep() == 0)
    end,
    prologue = function(r)
      local f = gbi.compile_prologue(r)
      assert(not pcall(f)) -- the sources are not globals
    end,
    graph = function()
      local g = gbi.graph.new()
      g:output(g:call_function(Source "type", g:external(g, Source "print")))
      assert(g:compile()() == "function")
    end,
  }

  -- Is this the result of an operation when there is room?
  local function expected(err)
    return tostring(err):find "not registered"
      or tostring(err):find "Failed to make weakref"
  end

  local function is_overflow(err)
    return tostring(err):find "stack overflow"
      or tostring(err):find "error in error handling"
      or tostring(err):find "too many C levels" -- the parser's, 5.2 and 5.3
      or tostring(err):find "too many syntax levels" -- and 5.1
  end

  -- Ways to call `step` ever deeper, until the stack overflows.
  local WAYS = {
    Lua = function(step)
      local function down() step() return 1 + down() end
      down()
    end,
    -- Not in gsub, whose buffer is on the C stack: LuaJIT does not count levels
    -- of C, and crashes after a thousand of them.
    C = function(step)
      local function down() step() table.sort({ 1, 2 }, down) end
      down()
    end,
  }

  -- Most of the stack: almost as many arguments as a call can have.
  local function most()
    local low, high = 1, 2 ^ 24
    while high - low > 500 do
      local n = math.floor((low + high) / 2)
      local ok = coroutine.resume(coroutine.create(function()
        return select("#", unpack({}, 1, n))
      end))
      if ok then low = n else high = n end
    end
    return math.max(low - 2000, 0)
  end

  local filled = most()

  local function run(deeper, step)
    local ok, err = coroutine.resume(coroutine.create(function(...)
      local _ = ... -- these stay below
      deeper(step)
    end), unpack({}, 1, filled))
    assert.is_false(ok)
    assert.is_truthy(is_overflow(err), err)
  end

  -- Calls f at the last levels; returns how often it failed. Errors are
  -- examined later, when there is room for that.
  local function overflow(deeper, f)
    local depth, level, overflows, errors = 0, 0, 0, {}
    run(deeper, function() depth = depth + 1 end)
    run(deeper, function()
      level = level + 1
      if depth - level > 100 then return end
      local ok, err = pcall(f)
      errors[level] = not ok and err
    end)
    for _, err in pairs(errors) do
      if err and not expected(err) then
        assert(is_overflow(err), err)
        overflows = overflows + 1
      end
    end
    return overflows
  end

  for way, deeper in pairs(WAYS) do
    for name, f in pairs(OPERATIONS) do
      it(("in %s, %s is done or not"):format(way, name), function()
        -- the code that LuaJIT compiled before decides where its stack ends
        if rawget(_G, "jit") then _G.jit.flush() end
        local r, objects = three()
        local before = state(r)
        local overflows = overflow(deeper, function() f(r) end)
        assert.is_true(overflows > 0 or way == "C"
          or debug.gethook() ~= nil, -- that one had no room before
          "it always had room")
        assert.same(before, state(r))
        assert.equal(objects[1], r:get(1))
      end)
    end
  end
end)

describe("a hundred nested registries", function()
  -- The first of n registries; each holds the next. A table holds all of them.
  local function chain(n)
    local all = {}
    for i = 1, n do all[i] = gbi.new() end
    for i = 1, n - 1 do
      all[i]:register(all[i + 1], Source("registry" .. i + 1))
    end
    return all
  end

  local function last(r)
    local n = 0
    while r do r, n = r:find(1), n + 1 end
    return n
  end

  it("hold each other weakly", function()
    local all = chain(100)
    local first = all[1]
    assert.equal(100, last(first))
    all = nil -- luacheck: ignore all
    collect()
    assert.equal(1, last(first))
    assert.equal("dead", select(2, first:find(1)))
  end)

  it("are held by their snapshots", function()
    local all, kept = chain(100), {} -- luacheck: ignore
    for i, r in ipairs(all) do kept[i] = r:snapshot() end
    local first = all[1]
    all = nil -- luacheck: ignore all
    collect()
    assert.equal(100, last(first))
    for i = 50, 100 do kept[i] = nil end
    collect()
    assert.equal(50, last(first))
  end)

  it("run prologues in each other's", function()
    -- fewer if a C function called by the prologue takes levels of C
    local all = chain(math.min(100, portable.depth / 2))
    local depth = 0
    local function enter(i)
      if i > #all then return 0 end
      depth = depth + 1
      _G["registry" .. i] = setmetatable({}, { __index = function(_, key)
        return key == "next" and enter(i + 1) and all[i]
      end })
      local r = gbi.new()
      r:register({}, gbi.source.AttrSource(Source("registry" .. i), "next"))
      local f = gbi.compile_prologue(r)
      f()
      assert.equal(all[i], r:get(1))
      _G["registry" .. i] = nil
      return i
    end
    enter(1)
    assert.equal(#all, depth)
  end)
end)

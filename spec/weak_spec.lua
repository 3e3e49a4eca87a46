-- Facts that only collections show: who holds an object and for how long, the
-- messages about dead objects, and finalizers that interfere.

local gbi = require "gbi"
local kilobytes = require "spec.support.memory"
local portable = require "spec.support.portable"
local source = require "spec.support.named_source"

local collect, setmetatable = portable.collect, portable.setmetatable

-- LuaJIT cannot load them in a finalizer if its compiler cannot be turned off.
assert(gbi.graph and gbi.compile_prologue)

local from = { reconstruct = function() end } -- a source without a name

local function noop() end

-- A witness of an object: says whether it is still in memory.
local function witness(object)
  local seen = setmetatable({ object }, { __mode = "v" })
  return function()
    collect()
    return seen[1] ~= nil
  end
end

local r

before_each(function() r = gbi.new() end)

describe("a registry does not keep alive", function()
  local function upvalue() return r end
  local KINDS = {
    table = function() return {} end,
    ["function"] = function() return function() return upvalue end end,
    thread = function() return coroutine.create(noop) end,
    userdata = gbi.new,
    ["file"] = io.tmpfile,
  }

  for kind, new in pairs(KINDS) do
    it(("a %s that was registered or stored"):format(kind), function()
      for _, put in ipairs {
        function(object) r:register(object, from) end,
        function(object) r:register(object, source "x") end,
        function(object) r:store(object) end,
        function(object) r:store_list({ object }) end,
        function(object)
          r:store(object)
          r:restore(r:snapshot())
        end,
      } do
        r:reset()
        local function held() -- in a call of its own: no trace on the stack
          local object = new()
          local alive = witness(object)
          put(object)
          assert.is_true(alive())
          assert.equal(object, r:find(1))
          return alive
        end
        assert.is_false(held()())
        assert.same({ nil, "dead" }, { r:find(1) })
        assert.same({ 0, 1 }, { r:count() })
      end
    end)
  end

  it("an object of the default registry", function()
    gbi.reset_user_object_tracking()
    gbi.register_user_object({}, from)
    collect()
    assert.same({ nil, "dead" }, { gbi.default:find(1) })
    gbi.store_user_object_weakrefs({}, {})
    collect()
    assert.same({ nil, "dead" }, { gbi.default:find(2) })
    gbi.reset_user_object_tracking()
  end)
end)

describe("a graph-created example", function()
  it("is kept alive until reset", function()
    local alive = witness(r:get(r:register_created({}, noop)))
    assert.is_true(alive())
    r:store({}, {})
    r:store()
    assert.is_true(alive())
    r:reset()
    assert.is_false(alive())
  end)

  it("stays alive with others, whatever takes its index", function()
    local alive = {}
    for i = 1, 5 do
      alive[i] = witness(r:get(r:register_created({}, noop)))
    end
    local snapshot = r:snapshot()
    r:set(2, {})
    r:store({}, {})
    r:register_created({}, noop)
    r:restore(snapshot)
    snapshot = nil -- luacheck: ignore 311
    for i = 1, 5 do assert.is_true(alive[i]()) end
    r:reset()
    for i = 1, 5 do assert.is_false(alive[i]()) end
  end)

  it("is not kept by a registration that fails", function()
    local example = {}
    local alive = witness(example)
    assert.has_error(function() r:register_created(example) end)
    example = nil -- luacheck: ignore 311
    assert.is_false(alive())
  end)
end)

describe("an object given to set", function()
  it("is kept alive, one per index", function()
    local alive = {}
    for i = 1, 3 do
      r:set(i, {})
      alive[i] = witness(r:get(i))
    end
    for _ = 1, 3 do
      r:set(2, {})
      local last = alive[2]
      alive[2] = witness(r:get(2))
      assert.is_false(last())
    end
    for i = 1, 3 do assert.is_true(alive[i]()) end
    r:store()
    r:register({}, from)
    r:restore(r:snapshot())
    for i = 1, 3 do assert.is_true(alive[i]()) end
    r:reset()
    for i = 1, 3 do assert.is_false(alive[i]()) end
  end)

  it("is not kept by a call that fails", function()
    local object = {}
    local alive = witness(object)
    assert.has_error(function() r:set(2, object) end)
    object = nil -- luacheck: ignore 311
    assert.is_false(alive())
  end)
end)

describe("a stashed object", function()
  it("survives the next store and is let go by the one after", function()
    local first, same = witness(r:stash({})), witness(r:stash({}))
    assert.is_true(first())
    r:store({})
    assert.is_true(first())
    assert.is_true(same())
    local second = witness(r:stash({}))
    r:store_list({})
    assert.is_false(first())
    assert.is_false(same())
    assert.is_true(second())
    r:store()
    assert.is_false(second())
  end)

  it("is let go by the store after the next with nothing stashed", function()
    local alive = witness(r:stash({}))
    r:store()
    r:store()
    assert.is_false(alive())
  end)

  it("is let go by reset, from any run", function()
    local first = witness(r:stash({}))
    r:store()
    local second = witness(r:stash({}))
    r:reset()
    assert.is_false(first())
    assert.is_false(second())
  end)

  it("is not let go by a store that fails", function()
    local alive = witness(r:stash({}))
    r:store()
    assert.has_error(function() r:store(1) end)
    assert.has_error(function() r:store_list({}, 1) end)
    assert.is_true(alive())
  end)

  it("survives set, restore and register", function()
    local alive = witness(r:stash({}))
    r:restore(r:snapshot())
    r:restore(r:snapshot())
    r:register({}, from)
    r:set(1, {})
    r:set(1, {})
    assert.is_true(alive())
  end)
end)

describe("a snapshot", function()
  it("holds its objects strongly, for as long as it is held", function()
    local object = {}
    r:store(object, object)
    local snapshot = r:snapshot()
    object = nil -- luacheck: ignore 311
    local alive = witness(r:get(2))
    r:store()
    r:reset()
    assert.is_true(alive())
    r:restore(snapshot)
    assert.is_table(r:get(2))
    snapshot = nil -- luacheck: ignore 311
    assert.is_false(alive())
    assert.same({ nil, "dead" }, { r:find(2) })
  end)
end)

describe("a source", function()
  it("is held by the constructor, until reset", function()
    local sources = {}
    for i = 1, 2 do
      local where = source "x"
      sources[i] = witness(where)
      r:register({}, where)
    end
    r:store()
    r:set(1, {})
    r:restore(r:snapshot())
    for i = 1, 2 do assert.is_true(sources[i]()) end
    r:reset()
    for i = 1, 2 do assert.is_false(sources[i]()) end
  end)

  it("as is a construct_fn", function()
    local function register()
      local own = {} -- or all of them are one closure, in 5.2 and 5.3
      local construct_fn = function() return own end
      r:register_created({}, construct_fn)
      return witness(construct_fn)
    end
    local first, second = register(), register()
    r:store()
    assert.is_true(first())
    assert.is_true(second())
    r:reset()
    assert.is_false(first())
    assert.is_false(second())
  end)
end)

describe("a registry does not grow", function()
  local ROUNDS = 1000000

  local function check(round, limit)
    collectgarbage("restart")
    for _ = 1, 100 do round() end
    local before = kilobytes()
    for _ = 1, ROUNDS do round() end
    local growth = kilobytes() - before
    -- spec/support/collector.lua lets garbage grow without limit
    if os.getenv "GBI_COLLECTOR" then limit = 2 ^ 16 end
    assert.is_true(growth < (limit or 16), ("%.1f KB"):format(growth))
  end

  it("by a million stores", function()
    local object = {}
    check(function() r:store(object, {}) end)
  end)

  it("by a million stores of different lengths", function()
    local object = {}
    check(function()
      r:store(object, object, object)
      r:store(object)
    end)
  end)

  it("by a million stashed objects", function()
    check(function()
      r:store(r:stash({}), r:stash({}))
    end)
  end)

  it("by a million updates", function()
    check(function() r:set(1, {}) end)
  end)

  it("by a million objects set past the last stored index", function()
    for _ = 1, 8 do r:register(r, from) end
    check(function()
      r:store()
      r:set(8, {})
    end)
  end)

  it("by a million snapshots restored", function()
    r:store({}, {}, {})
    check(function() r:restore(r:snapshot()) end)
  end)

  it("by a million resets", function()
    check(function()
      r:register_created({}, noop)
      r:register({}, from)
      r:reset()
    end)
  end)

  for _, mode in ipairs { "generational", "incremental" } do
    it(("by a million objects with a finalizer, %s"):format(mode), function()
      local metatable = { __gc = noop }
      local ok, previous = pcall(collectgarbage, mode) -- not in every Lua
      finally(function()
        if previous == 0 then previous = "incremental" end -- in 5.2
        if ok then collectgarbage(previous) end
      end)
      check(function() r:store(setmetatable({}, metatable)) end,
        -- 5.1 watches every guard until it is collected
        not portable.table_gc and 8192)
    end)
  end
end)

describe("a dead object", function()
  local function fails(expected)
    local ok, err = pcall(function() r:get(1) end)
    assert.is_false(ok)
    assert.equal(expected, err:match("^[^:]+:%d+: (.*)$"))
  end

  it("is named in errors, with its source if that has a name", function()
    r:register({}, from)
    collect()
    fails "external object 1 is no longer alive"
    r:reset()
    r:register_created({}, noop)
    r:store({})
    collect()
    fails "external object 1 is no longer alive"
    r:reset()
    r:register({}, gbi.source.AttrSource(gbi.source.GlobalSource "io",
      "stdout"))
    collect()
    fails 'external object 1 (G["io"].stdout) is no longer alive'
    assert.has_error(function() r:get(1, "FILE*") end)
    r:store({})
    collect()
    fails 'external object 1 (G["io"].stdout) is no longer alive'
    r:reset()
    r:store({})
    collect()
    fails "external object 1 is no longer alive"
  end)

  it("is named in errors, whatever the source's __tostring does", function()
    for _, hostile in ipairs {
      function() error "no" end,
      function() error {} end,
      function() error() end,
      function() coroutine.yield() end,
      function() return {} end,
      function() end,
      function() return (nil)() end,
    } do
      r:reset()
      r:register({}, source(hostile))
      collect()
      coroutine.wrap(fails)("external object 1 is no longer alive")
      assert.equal("external object 1", r:name(1))
    end
  end)

  it("is named in errors even if __tostring resets the registry", function()
    r:register({}, source(function()
      r:reset()
      collect()
      return "gone"
    end))
    collect()
    fails "external object 1 (gone) is no longer alive"
    fails "external object 1 is not registered (the registry holds 0)"
  end)

  it("stays dead when its finalizer resurrects it", function()
    local back, seen
    r:register(setmetatable({}, {
      __gc = function(object)
        back, seen = object, { r:find(1) }
      end,
    }), from)
    collect()
    assert.equal(portable.finalizable, type(back))
    assert.same({ nil, "dead" }, seen)
    assert.same({ nil, "dead" }, { r:find(1) })
    fails "external object 1 is no longer alive"
    r:restore(r:snapshot())
    assert.same({ nil, "dead" }, { r:find(1) })
    collect()
    assert.same({ nil, "dead" }, { r:find(1) })
    assert.equal(2, r:register(back, from))
    assert.equal(back, r:get(2))
    assert.same({ nil, "dead" }, { r:find(1) })
  end)
end)

describe("a hostile object", function()
  local function boom() error("boom", 0) end
  local EVENTS = { "__tostring", "__index", "__newindex", "__eq", "__len",
                   "__call", "__pairs", "__name", "__close", "__concat" }

  local function hostile(action)
    local metatable = { __gc = action }
    for _, event in ipairs(EVENTS) do metatable[event] = action end
    return setmetatable({}, metatable)
  end

  -- Does everything possible with an object.
  local function use(object)
    local h = gbi.new_handles()
    r:reset()
    local i = r:register(object, source "x")
    local k = r:register_created(object, noop)
    assert(rawequal(r:get(i), object))
    assert(rawequal(r:get(k, type(object)), object))
    r:store(object, object)
    r:store_list({ object, object, object })
    r:set(3, object)
    r:set(3, {})
    assert(rawequal(r:stash(object), object))
    assert(rawequal(r:find(i), object))
    for _, entry in r:entries() do assert(entry.status == "live") end
    local snapshot = r:snapshot()
    r:store()
    r:restore(snapshot)
    assert(rawequal(r:get(i), object))
    assert(tostring(r):find("3 live, 0 dead", 1, true))
    r:reset()
    local weak, strong = h:weak(object), h:strong(object)
    assert(rawequal(h:get(weak), object))
    assert(rawequal(h:get(strong, type(object)), object))
    assert(rawequal(h:find(weak), object))
    h:on_collect(weak, noop)
    for _, value in h:entries() do assert(rawequal(value, object)) end
    assert(h:count() == 2 and h:sweep() == 0)
    assert(tostring(h):find("2 live", 1, true))
    assert(h:release(strong) and h:release(weak))
  end

  before_each(function() collectgarbage("stop") end)
  after_each(function()
    portable.collect_all()
    collectgarbage("restart")
  end)

  it("that raises from every metamethod", function()
    use(hostile(boom))
    portable.collect_all()
  end)

  it("that calls back into the registry", function()
    local calls = 0
    use(hostile(function()
      calls = calls + 1
      use({})
    end))
    assert.equal(0, calls)
    collect()
    assert.equal(1, calls) -- its finalizer
  end)

  it("still gets a type error", function()
    for _, action in ipairs { boom, coroutine.yield, noop } do
      r:reset()
      local object = hostile(action)
      r:register(object, from)
      local ok, err = pcall(function() r:get(1, "FILE*") end)
      assert.is_false(ok)
      assert.truthy(tostring(err):find("external object 1 is not a FILE*", 1,
        true), err)
      local handle = gbi.handles:weak(object)
      ok, err = pcall(function() gbi.handles:get(handle, "FILE*") end)
      assert.is_false(ok)
      assert.truthy(tostring(err):find(("handle %d is not a FILE*"):format(
        handle), 1, true), err)
      gbi.handles:release(handle)
    end
  end)
end)

describe("finalizers", function()
  local assert, collectgarbage = assert, collectgarbage -- found in no time
  local ran = 0 -- how many

  -- Calls `f` again and again while finalizers run `action`, until enough of
  -- them ran in the middle of functions of the registry.
  local function during(action, f)
    local inside, enough, failure = 0, portable.closes and 300 or 30, nil
    local co -- an interrupted function, where finalizers do not see it
    local metatable = {
      __gc = function()
        ran = ran + 1
        local below = co and debug.getinfo(co, 0, "S")
          or debug.getinfo(2, "S")
        if below and below.what == "C" then inside = inside + 1 end
        local ok, err = pcall(action)
        if not ok then failure = err end
      end,
    }
    math.randomseed(1)
    -- Before 5.4, a step is a whole collection if there is little to collect.
    local ballast = {}
    for i = 1, portable.closes and 0 or 20000 do ballast[i] = {} end
    -- a step every few bytes
    local restore = portable.collect_often()
    local function loop()
      local i = 0
      while i < 3000 or inside < enough and i < 30000 do
        for _ = 1, math.random(4) do setmetatable({}, metatable) end
        i = i + 1
        f(i)
      end
    end
    local ok, err
    if portable.apart then
      co = coroutine.create(loop)
      ok, err = coroutine.resume(co)
    else
      ok, err = pcall(loop)
    end
    restore()
    collect() -- the rest of them
    assert(ok, err)
    assert(not failure, failure)
    assert(inside >= enough, "few finalizers ran inside: " .. inside)
    assert(#ballast >= 0)
  end

  -- Asserts what is true unless a finalizer has run since `ran` was `n`. Before
  -- 5.4 one may run on the way into a function; and in LuaJIT when the
  -- collector is stopped, where compiled code ends.
  local function holds(n, ok)
    assert(ok or ran ~= n)
  end

  -- Asserts that all counts agree, at one moment.
  local function consistent()
    collectgarbage("stop")
    local n, ok = ran, true
    local constructors, entries = 0, { live = 0, dead = 0 }
    for _ in r:constructors() do constructors = constructors + 1 end
    for index, entry in r:entries() do
      local object, why = r:find(index)
      ok = ok and object == entry.object and (why or "live") == entry.status
      entries[entry.status] = entries[entry.status] + 1
    end
    local live, dead = r:count()
    holds(n, ok and live == entries.live and dead == entries.dead)
    holds(n, #r == constructors and r:has_objects() == (constructors > 0))
    collectgarbage("restart")
  end

  local finalizable = { __gc = noop }
  local held = {}
  for i = 1, 4 do held[i] = setmetatable({}, finalizable) end

  local ACTIONS = {
    register = function() r:register(held[4], from) end,
    ["register behind the last stored index"] = function()
      r:register(held[3], from)
      r:store()
      r:register(held[4], gbi.source.LocalSource "x")
    end,
    register_created = function()
      r:register_created(setmetatable({}, finalizable), noop)
    end,
    store = function() r:store(held[4], held[3], held[2], held[1], {}) end,
    ["store nothing"] = function() r:store() end,
    set = function() r:set(1, held[4]) end,
    stash = function() r:stash({}) end,
    reset = function() r:reset() end,
    snapshot = function() r:restore(r:snapshot()) end,
    restore = function()
      local snapshot = r:snapshot()
      r:reset()
      r:restore(snapshot)
    end,
    ["set behind it"] = function()
      r:store()
      r:set(#r + 1, held[4])
    end,
    ["look up"] = function()
      for i = 0, 5 do
        r:find(i)
        pcall(r.get, r, i)
        r:name(i)
      end
      for _ in r:entries() do r:count() end
      for _ in r:constructors() do assert(tostring(r) and #r) end
    end,
    ["compile and run"] = function()
      local other = gbi.new()
      other:register(print, gbi.source.GlobalSource "print")
      gbi.compile_prologue(other)()
      assert(other:get(1) == print)
      local g = gbi.graph.new()
      g:output(g:external(r, gbi.source.GlobalSource "type"):handle())
      assert(g:compile()() > 0)
    end,
  }

  -- The program's work meanwhile, with two objects; each call has its full
  -- effect, whatever a finalizer did before the call ended.
  local STEPS = {
    function(a, b)
      r:store(a, b)
      local n = ran
      holds(n, r:find(1) == a and r:find(2) == b)
      holds(n, select(2, r:find(3)) == "unregistered")
    end,
    function(a)
      local i = r:register(a, from)
      local n = ran
      holds(n, r:find(i) == a)
    end,
    function(a)
      local i = r:register_created(a, noop)
      local n = ran
      holds(n, r:find(i) == a)
    end,
    function(a)
      r:reset()
      r:set(1, a)
      local n = ran
      holds(n, r:find(1) == a)
    end,
    function(a, b) -- index 3 may be out of range by now
      r:store(a, b)
      local n = ran
      local ok = pcall(r.set, r, 3, a)
      if portable.closes then n = ran end -- 5.1 collects in pcall
      holds(n, not ok or r:find(3) == a)
      holds(n, select(2, r:find(2)) ~= "dead")
    end,
    function(a, b)
      r:store_list({ a, b, a })
      local snapshot = r:snapshot()
      local n = ran
      collectgarbage("stop")
      if ran ~= n then
        collectgarbage("restart")
        return
      end
      local now, count = {}, { r:count() }
      for i = 1, 4 do now[i] = r:find(i) end
      r:store()
      r:restore(snapshot)
      for i = 1, 4 do holds(n, r:find(i) == now[i]) end
      local live, dead = r:count()
      holds(n, live == count[1] and dead == count[2])
      collectgarbage("restart")
    end,
  }

  for name, action in pairs(ACTIONS) do
    it(("may %s while a collection runs"):format(name), function()
      during(action, function(i)
        local a = setmetatable({}, finalizable)
        local b = i % 2 == 0 and {} or held[2]
        STEPS[math.random(#STEPS)](a, b)
        consistent()
      end)
    end)
  end

  -- The same with a handle table. A handle finds its object or nothing,
  -- whatever a finalizer did.
  local h, last, called, awaited
  local given, k

  local HANDLE_ACTIONS = {
    ["give out a weak handle"] = function() -- twenty live ones at most
      k = k % 20 + 1
      if given[k] then h:release(given[k]) end
      given[k] = h:weak(held[4])
    end,
    ["give out a handle of what is garbage"] = function()
      h:weak(setmetatable({}, finalizable))
    end,
    ["give out a strong handle and release it"] = function()
      local object = setmetatable({}, finalizable)
      local handle = h:strong(object)
      assert(h:get(handle) == object)
      assert(h:release(handle) and h:find(handle) == nil)
    end,
    ["release all handles"] = function()
      for handle in h:entries() do h:release(handle) end
    end,
    ["wait for a death, and sweep"] = function()
      h:on_collect(h:weak({}), noop)
      h:sweep()
    end,
    ["look up handles"] = function()
      for handle, value in h:entries() do
        assert(h:find(handle) == value and h:get(handle) == value)
      end
      assert(h:count() >= 0 and tostring(h))
    end,
    ["hand one on from a run"] = function()
      local g = gbi.graph.new()
      g:output(g:external(print, gbi.source.GlobalSource "print"):handle())
      assert(gbi.handles:find(g:compile()()) == nil)
    end,
  }

  -- Checks a handle that was just given out.
  local function check_handle(handle, value)
    assert(handle > last)
    last = handle
    local n = ran
    local found, why = h:find(handle)
    assert(found == value or found == nil and why == "dead")
    return n, found == value
  end

  local HANDLE_STEPS = {
    function(a) check_handle(h:weak(a), a) end,
    function(a, _, releases)
      local start = ran
      local handle = h:strong(a)
      local n, ok = check_handle(handle, a)
      if not portable.closes then n = start end -- on the way into a function
      holds(n, ok)
      local done, why = h:release(handle)
      assert(done or releases and why == "dead")
      assert(select(2, h:find(handle)) == "dead")
      assert(select(2, h:release(handle)) == "dead")
    end,
    function()
      local handle = h:weak({})
      last = handle
      local set = h:on_collect(handle, function(dead)
        assert(dead == handle and h:find(dead) == nil)
        called[handle] = (called[handle] or 0) + 1
      end)
      if set then awaited = awaited + 1 end -- it may have died before
      if math.random(9) == 1 then h:sweep() end
    end,
    function(a, b)
      local start = ran
      local x, y = h:weak(a), h:strong(b)
      last = x
      check_handle(y, b)
      local before, n = 0, ran
      for handle, value, kind in h:entries() do
        assert(handle > before)
        before = handle
        if handle == x then assert(value == a and kind == "weak") end
        if handle == y then assert(value == b and kind == "strong") end
      end
      if not portable.closes then n = start end -- on the way into a function
      holds(n, before == y)
      h:release(y)
    end,
  }

  for name, action in pairs(HANDLE_ACTIONS) do
    it(("may %s while a collection runs"):format(name), function()
      h, last, called, awaited = gbi.new_handles(), 0, {}, 0
      given, k = {}, 0
      during(action, function(i)
        local a = setmetatable({}, finalizable)
        local b = i % 2 == 0 and {} or held[2]
        HANDLE_STEPS[math.random(#HANDLE_STEPS)](a, b,
          name == "release all handles")
        collectgarbage("stop")
        local n, count = ran, 0
        for _ in h:entries() do count = count + 1 end
        holds(n, h:count() == count)
        collectgarbage("restart")
      end)
      h:sweep()
      local waited = 0
      for _, times in pairs(called) do
        waited = waited + 1
        assert.equal(1, times)
      end
      if name ~= "release all handles" then assert.equal(awaited, waited) end
      assert(awaited > (portable.closes and 300 or 30), awaited)
      assert.equal(0, h:sweep())
    end)
  end
end)

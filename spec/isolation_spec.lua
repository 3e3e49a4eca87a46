-- The promises that hold everywhere, for compiled functions: runs never see
-- each other's objects, nothing grows, nothing is left half done, finalizers
-- may do anything, and only what is used costs.
local compat = require "gbi.compat"
local gbi = require "gbi"
local kilobytes = require "spec.support.memory"
local portable = require "spec.support.portable"
local source = gbi.source

local L, G = source.LocalSource, source.GlobalSource

local SEED = require "spec.support.seed" "isolation_spec"

-- A compiled function f(o, act), for which `o` is an external object. It calls
-- act(handle) three times; see(handle) is the object as this run sees it.
local function compiled(kind)
  local g = gbi.graph.new()
  g:placeholder("o")
  local act, o = g:placeholder("act"), g:external({}, L "o")
  local handle = kind == "used directly" and o or o:index()
  g:output(act(handle), act(handle), act(handle))
  local function see(index) return g.registry:get(index) end
  if kind == "used directly" then see = function(object) return object end end
  return g:compile {
    backend = kind == "looked up by a backend" and function()
      return function(_, f) return f(1), f(1), f(1) end
    end or nil,
  }, see, g
end

local KINDS = { "used directly", "looked up by number",
                "looked up by a backend" }

-- A spec for every kind of compiled function: test(f, see, graph).
local function each_kind(what, test)
  for _, kind in ipairs(KINDS) do
    it(("%s: objects %s"):format(what, kind), function()
      local f, see, g = compiled(kind)
      test(f, see, g)
    end)
  end
end

local function object(name) return { name = name } end

local function nothing() end

-- The memory in use, in bytes.
local function memory()
  return kilobytes() * 1024
end

describe("isolation: recursion", function()
  each_kind("with other objects", function(f, see)
    local depth = 0
    local function run(o)
      local calls = 0
      f(o, function(handle)
        assert.equal(o, see(handle))
        calls = calls + 1
        if depth < 6 then
          depth = depth + 1
          run(object(depth))
          depth = depth - 1
        end
        assert.equal(o, see(handle))
      end)
      assert.equal(3, calls)
    end
    run(object(0))
  end)

  each_kind("with the same object", function(f, see)
    local o, deep = object(1), false
    f(o, function(handle)
      if not deep then
        deep = true
        f(o, function(inner) assert.equal(o, see(inner)) end)
      end
      assert.equal(o, see(handle))
    end)
  end)

  each_kind("as deep as can be", function(f, see)
    local n, seen = 0, 0
    local objects = {}
    local function act(handle)
      local o = objects[n]
      if see(handle) ~= o then error("wrong object on the way down") end
      if n < portable.depth and not o.done then
        o.done = true
        n = n + 1
        objects[n] = object(n)
        f(objects[n], act)
        n = n - 1
        if see(handle) ~= o then error("wrong object on the way up") end
        seen = seen + 1
      end
    end
    objects[0] = object(0)
    f(objects[0], act)
    assert.equal(portable.depth, seen)
  end)

  it("comes as deep as that of a plain function, or of pcall", function()
    local depth
    local function deepest(f)
      depth = 0
      assert.is_false(pcall(f))
      return depth
    end
    local plain
    plain = function(o, act)
      local x = act(o)
      return x
    end
    local function limit(f)
      local function act()
        depth = depth + 1
        if depth == 30000 then error({}) end -- far enough, and quick
        local x = f({}, act)
        return x
      end
      return deepest(act)
    end
    for i = 1, 2 do
      local reached = limit((compiled(KINDS[i])))
      if compat.close then assert.equal(limit(plain), reached)
      else assert.is_true(reached > portable.depth, tostring(reached)) end
    end
  end)

  it("that fails deep down does so quickly and readably", function()
    local f = compiled "used directly"
    local function act(n)
      if n == 0 then error("bottom", 0) end
    end
    local n = math.min(5000, portable.depth)
    local function down()
      n = n - 1
      if n < 0 then act(0) end
      f({}, down)
    end
    local ok, err = pcall(f, {}, down)
    assert.is_false(ok)
    assert.equal("bottom", err:sub(-6))
    assert(#err < 5000, ("a message of %d bytes"):format(#err))
  end)
end)

describe("isolation: coroutines", function()
  -- All orders of resuming three coroutines four times each.
  local function orders(left, done, f)
    if #done == 12 then return f(done) end
    for i = 1, 3 do
      if left[i] > 0 then
        left[i] = left[i] - 1
        done[#done + 1] = i
        orders(left, done, f)
        done[#done] = nil
        left[i] = left[i] + 1
      end
    end
  end

  each_kind("three suspended in the middle, in any order", function(f, see)
    local objects = { object(1), object(2), object(3) }
    local function body(o)
      return f(o, function(handle)
        if see(handle) ~= o then error("wrong object before") end
        coroutine.yield()
        if see(handle) ~= o then error("wrong object after") end
        return true
      end)
    end
    local n = 0
    orders({ 4, 4, 4 }, {}, function(order)
      local threads = {}
      for i = 1, 3 do threads[i] = coroutine.create(body) end
      for _, i in ipairs(order) do
        local ok, a, b, c = coroutine.resume(threads[i], objects[i])
        if not ok then error(a, 0) end
        if coroutine.status(threads[i]) == "dead" then
          assert(a and b and c)
          n = n + 1
        end
      end
    end)
    assert.equal(3 * 34650, n) -- 12! / 4!^3 orders
  end)

  each_kind("one inside another", function(f, see)
    local outer, inner = object("outer"), object("inner")
    local co = coroutine.wrap(function()
      f(inner, function(handle)
        assert.equal(inner, see(handle))
        coroutine.yield()
        assert.equal(inner, see(handle))
      end)
      return "over"
    end)
    f(outer, function(handle)
      assert.equal(outer, see(handle))
      co()
      assert.equal(outer, see(handle))
    end)
    assert.equal("over", co())
  end)

  -- Runs f(o, act) with a helper: a coroutine that looks handles up for it.
  -- What belongs to no run finds an index only while there is one run.
  local function with_helper(f, see, o, act)
    local helper = coroutine.wrap(function(handle)
      while true do
        local ok, seen = pcall(see, handle)
        handle = coroutine.yield(ok and seen)
      end
    end)
    return f(o, function(handle)
      local seen = helper(handle)
      assert(seen == o or handle == 1 and not seen, "the helper sees another")
      if act then act() end
    end)
  end

  each_kind("a helper coroutine sees the run that it works for",
    function(f, see)
      local b = object("b")
      with_helper(f, see, object("a"), function()
        with_helper(f, see, b)
        coroutine.wrap(with_helper)(f, see, b)
      end)
    end)

  each_kind("so it does while another run is suspended", function(f, see)
    local co = coroutine.wrap(with_helper)
    co(f, see, object("b"), coroutine.yield)
    with_helper(f, see, object("a"), co)
  end)

  each_kind("so it does when its own run was suspended", function(f, see)
    local co = coroutine.wrap(with_helper)
    co(f, see, object("b"), coroutine.yield)
    f(object("a"), nothing)
    co()
  end)

  each_kind("a generator runs the function for its caller", function(f, see)
    local function generator(o)
      return coroutine.wrap(function()
        f(o, function(handle) coroutine.yield(see(handle)) end)
      end)
    end
    local a, b = object("a"), object("b")
    local next_a, next_b = generator(a), generator(b)
    for _ = 1, 3 do
      assert.equal(a, next_a())
      assert.equal(b, next_b())
    end
  end)

  each_kind("closed in the middle", function(f, see)
    local outer = object("outer")
    f(outer, function(handle)
      for _ = 1, 3 do
        local inner = object("inner")
        local co = coroutine.create(function()
          f(inner, function(h)
            f(object("innermost"), coroutine.yield)
            assert.equal(inner, see(h))
          end)
        end)
        assert.is_true(coroutine.resume(co))
        assert.is_true(portable.close(co))
        assert.equal(outer, see(handle))
      end
    end)
  end)

  each_kind("closed while another one is suspended", function(f, see)
    local threads, objects = {}, {}
    for i = 1, 3 do
      objects[i] = object(i)
      threads[i] = coroutine.create(function()
        f(objects[i], function(handle)
          coroutine.yield()
          assert.equal(objects[i], see(handle))
        end)
      end)
      assert(coroutine.resume(threads[i]))
    end
    assert(portable.close(threads[2]))
    for _ = 1, 3 do
      assert(coroutine.resume(threads[1]))
      assert(coroutine.resume(threads[3]))
    end
    assert.equal("dead", coroutine.status(threads[3]))
  end)

  each_kind("abandoned in the middle and collected", function(f, see)
    local outer = object("outer")
    f(outer, function(handle)
      for _ = 1, 100 do
        coroutine.wrap(function() f(object("inner"), coroutine.yield) end)()
        assert.equal(outer, see(handle))
      end
      collectgarbage()
      assert.equal(outer, see(handle))
    end)
  end)

  -- Activations that recurse, yield, fail and end at random; each looks its
  -- own object up before and after.
  it("mixed with recursion, failures and several functions at random",
    function()
      math.randomseed(SEED)
      local random = math.random
      local fs, threads, checks = {}, {}, 0
      local caught = {} -- coroutine -> in how many pcalls it is

      local function yieldable()
        return not portable.is_main()
          and (compat.yields or (caught[coroutine.running()] or 0) == 0)
      end

      local function catch(f, ...)
        local co = coroutine.running() or "main"
        caught[co] = (caught[co] or 0) + 1
        local ok, err = pcall(f, ...)
        caught[co] = caught[co] - 1
        return ok, err
      end

      for _, kind in ipairs { KINDS[1], KINDS[2], KINDS[3], KINDS[2] } do
        local f, see = compiled(kind)
        table.insert(fs, { f, see })
      end
      local shared = object("shared")
      local run

      local function resume(i)
        local co = threads[i]
        if coroutine.status(co) == "suspended" then
          local ok, err = coroutine.resume(co)
          if not ok and err ~= shared then error(err, 0) end
        end
        if coroutine.status(co) == "dead" and threads[i] == co then
          table.remove(threads, i)
        end
      end

      local function anything(depth)
        local what = random(depth > 8 and 5 or 9)
        if what == 1 and yieldable() then coroutine.yield()
        elseif what == 2 and #threads > 0 then resume(random(#threads))
        elseif what == 3 and depth > 1 and random(3) == 1 then error(shared)
        elseif what == 4 and #threads > 20 then
          local i = random(#threads)
          if coroutine.status(threads[i]) == "suspended" then
            local co = table.remove(threads, i)
            if random(2) == 1 then portable.close(co) end
          end
        elseif what == 5 and random(20) == 1 then collectgarbage("step")
        elseif what == 6 or what == 7 then run(depth + 1)
        elseif what == 8 then
          local ok, err = catch(run, depth + 1)
          if not ok and err ~= shared then error(err, 0) end
        elseif what == 9 and #threads < 30 then
          table.insert(threads, coroutine.create(function() run(depth + 1) end))
        end
      end

      function run(depth)
        local pair = fs[random(#fs)]
        local f, see = pair[1], pair[2]
        local o = random(10) == 1 and shared or object(depth)
        f(o, function(handle)
          if see(handle) ~= o then error("wrong object before") end
          anything(depth)
          if see(handle) ~= o then error("wrong object after") end
          checks = checks + 1
        end)
      end

      local ok, err = pcall(function()
        while checks < 30000 do
          local fine, why = pcall(run, 1)
          if not fine and why ~= shared then error(why, 0) end
        end
      end)
      assert(ok, ("GBI_SEED=%d: %s"):format(SEED, tostring(err)))
    end)
end)

describe("isolation: graphs", function()
  it("that share an object do not share its numbers", function()
    local f, see_f, first = compiled "looked up by number"
    local h, see_h, second
    local o, other = object("o"), object("other")
    f(o, function(i)
      h, see_h, second = compiled "looked up by number"
      h(o, function(k)
        assert.equal(o, see_h(k))
        assert.equal(o, see_f(i))
      end)
      h(other, function(k)
        assert.equal(other, see_h(k))
        assert.equal(o, see_f(i))
      end)
      assert.equal(o, see_f(i))
      second.registry:reset()
      assert.equal(o, see_f(i))
    end)
    assert.equal(1, #first.registry)
    assert.equal(0, #second.registry)
  end)

  it("do not see gbi.default, nor it them", function()
    finally(gbi.reset_user_object_tracking)
    local mine, o = object("mine"), object("o")
    gbi.register_user_object(mine)
    local f, see = compiled "looked up by a backend"
    f(o, function(index)
      assert.equal(1, index)
      assert.equal(o, see(index))
      assert.equal(mine, gbi.get_external_object_by_index(1))
      gbi.store_user_object_weakrefs(mine, mine)
      assert.equal(o, see(index))
    end)
    assert.equal(mine, gbi.get_external_object_by_index(2))
  end)

  it("of which one is compiled and run while another is compiled", function()
    local function backend(depth)
      return function(_, registry)
        local seen
        if depth > 0 then
          local g = gbi.graph.new()
          g:placeholder("o")
          g:output(g:external({}, L "o"))
          local inner = g:compile { backend = backend(depth - 1) }
          local o = object(depth)
          seen = inner(o)
          assert.equal(o, seen)
        end
        return function() return registry:get(1) end
      end
    end
    local g = gbi.graph.new()
    g:placeholder("o")
    g:output(g:external({}, L "o"))
    local f = g:compile { backend = backend(3) }
    local a, b = object("a"), object("b")
    assert.equal(a, f(a))
    assert.equal(b, f(b))
  end)

  it("that are compiled and run by their own backend", function()
    local g = gbi.graph.new()
    g:placeholder("o")
    local f, o = g:placeholder("f"), g:external({}, L "o")
    g:output(f(o:index()))
    local function get(index) return g.registry:get(index) end
    local a, b = object("a"), object("b")
    local h = g:compile { backend = function(graph)
      local plain = graph:compile()
      assert.equal(a, plain(a, get))
      return function(_, look)
        assert.equal(a, plain(a, look))
        return look(1)
      end
    end }
    assert.equal(b, h(b, get))
  end)

  it("that are compiled and run in the middle of a run", function()
    local f, see, g = compiled "looked up by number"
    local a, b = object("a"), object("b")
    f(a, function(index)
      g:compile()(b, function(i) assert.equal(b, see(i)) end)
      assert.equal(a, see(index))
    end)
  end)
end)

describe("nothing half done:", function()
  each_kind("an error half-way, and the next call", function(f, see)
    local a, b, n = object("a"), object("b"), 0
    local ok, err = pcall(f, a, function(handle)
      assert.equal(a, see(handle))
      n = n + 1
      if n == 2 then error("half-way", 0) end
    end)
    assert.is_false(ok)
    assert.equal("half-way", err:sub(-8))
    n = 0
    f(b, function(handle)
      assert.equal(b, see(handle))
      n = n + 1
    end)
    assert.equal(3, n)
  end)

  each_kind("an error in a nested call that the outer one catches",
    function(f, see)
      local outer = object("outer")
      f(outer, function(handle)
        for depth = 1, 5 do
          local function fail(left)
            return function()
              if left == 0 then error("inside", 0) end
              f(object(left), fail(left - 1))
            end
          end
          local ok, err = pcall(f, object("inner"), fail(depth))
          assert.is_false(ok)
          assert.equal("inside", err:sub(-6))
          assert.equal(outer, see(handle))
        end
      end)
    end)

  each_kind("an error object through several runs", function(f, see)
    local outer, thrown = object("outer"), {}
    f(outer, function(handle)
      local ok, err = pcall(f, object("inner"), function()
        f(object("innermost"), function() error(thrown) end)
      end)
      assert.is_false(ok)
      assert.equal(thrown, err)
      assert.equal(outer, see(handle))
    end)
  end)

  each_kind("an error in a coroutine", function(f, see)
    local outer = object("outer")
    f(outer, function(handle)
      local co = coroutine.create(f)
      local inner = object("inner")
      local ok, err = coroutine.resume(co, inner, function(h)
        assert.equal(inner, see(h))
        error("inside", 0)
      end)
      assert.is_false(ok)
      assert.equal("inside", err:sub(-6))
      assert.equal(outer, see(handle))
      if compat.close then assert.is_false(coroutine.close(co)) end
      assert.equal(outer, see(handle))
    end)
  end)

  each_kind("a prologue that fails in a nested call", function(f, see)
    local outer = object("outer")
    f(outer, function(handle)
      local ok = pcall(f, nil, error)
      assert.is_false(ok)
      assert.equal(outer, see(handle))
    end)
  end)

  it("a run whose second object cannot be obtained stores nothing", function()
    local g = gbi.graph.new()
    g:placeholder("t")
    local act = g:placeholder("act")
    local a = g:external({}, L "t")
    local b = g:external({}, source.AttrSource(source.AttrSource(L "t", "b"),
      "b"))
    g:output(act, a, b)
    local t = { b = { b = {} } }
    local f
    f = g:compile { backend = function()
      return function(_, run) run() end
    end }
    f(t, function()
      local ok, err = pcall(f, {}, error)
      assert.is_false(ok)
      assert.truthy(err:find('node b, external object 2 (L["t"].b.b): ', 1,
        true))
      assert.equal(t, g.registry:get(1))
      assert.equal(t.b.b, g.registry:get(2))
    end)
  end)

  it("a compilation that fails leaves the graph as it was", function()
    local g = gbi.graph.new()
    g:placeholder("o")
    local o = g:external({}, L "o")
    local before = tostring(g)
    assert.is_false(pcall(g.compile, g))
    assert.equal(before, tostring(g))
    g:output(o)
    assert.is_false(pcall(g.compile, g, { backend = error }))
    local x = {}
    assert.equal(x, g:compile()(x))
    assert.equal(1, #g.registry)
  end)
end)

describe("a reset of the graph's registry in the middle of a run", function()
  it("leaves objects that are used directly alone", function()
    local f, see, g = compiled "used directly"
    local o = object("o")
    f(o, function(handle)
      g.registry:reset()
      assert.equal(o, see(handle))
    end)
  end)

  it("makes indices stale, for this run", function()
    local f, see, g = compiled "looked up by a backend"
    local a, b = object("a"), object("b")
    f(a, function(index)
      g.registry:reset()
      local ok, err = pcall(see, index)
      assert.is_false(ok)
      assert.truthy(err:find("external object 1 is not registered", 1, true))
    end)
    f(b, function(index) assert.equal(b, see(index)) end)
  end)

  it("leaves numbers of this run alone", function()
    local f, see, g = compiled "looked up by number"
    local a, b = object("a"), object("b")
    f(a, function(number)
      g.registry:reset()
      f(b, function(k) assert.equal(b, see(k)) end)
      assert.equal(a, see(number))
    end)
  end)

  for i = 2, 3 do
    it("in one of several coroutines: objects " .. KINDS[i], function()
      local f, see, g = compiled(KINDS[i])
      local threads = {}
      for k = 1, 3 do
        local o = object(k)
        threads[k] = coroutine.create(function()
          f(o, function(index)
            coroutine.yield()
            local ok, got = pcall(see, index)
            assert(not ok or got == o, "sees another's object")
          end)
        end)
        assert(coroutine.resume(threads[k]))
      end
      g.registry:reset()
      for _ = 1, 3 do
        for k = 1, 3 do assert(coroutine.resume(threads[k])) end
      end
      local o = object("o")
      f(o, function(index) assert.equal(o, see(index)) end)
    end)
  end
end)

describe("no growth:", function()
  -- Asserts that `n` calls of f leave memory where the first ones left it.
  local function constant(n, f)
    collectgarbage("restart") -- for spec/support/collector.lua
    if portable.modes then
      local mode = collectgarbage("generational", 20, 100)
      finally(function() collectgarbage(mode) end)
    end
    for _ = 1, 2000 do f() end
    -- what runs leave behind stays until a collection, and how much that is
    -- depends on the collector (spec/support/collector.lua)
    local limit = os.getenv "GBI_COLLECTOR" and 2 ^ 26 or 500000
    local grown
    for _ = 1, 2 do -- Lua's table of strings may double, but not twice
      local before = memory()
      for _ = 1, n do f() end
      grown = memory() - before
      if grown < limit then return end
    end
    assert(grown < limit, ("%d bytes in %d calls"):format(grown, n))
  end

  -- A graph that creates two objects in every run.
  local function creating(use)
    local g = gbi.graph.new()
    local f = g:placeholder("f")
    local function create(_, cg)
      cg:load_import("gbi.compat", "pack")
      cg:call_function(0)
    end
    f(use(g:created({}, create)), use(g:created({}, create)))
    g:output()
    return g:compile()
  end

  it("a million calls that create objects, used directly", function()
    local f = creating(function(o) return o end)
    constant(1000000, function() f(nothing) end)
  end)

  it("a million calls that create objects, used by number", function()
    local f = creating(function(o) return o:index() end)
    constant(1000000, function() f(nothing) end)
  end)

  each_kind("100,000 calls that fail", function(f)
    local n = 0
    constant(100000, function()
      pcall(f, {}, error)
      n = n + 1
      if n % 5000 == 0 then collectgarbage() end
    end)
  end)

  each_kind("100,000 calls in calls", function(f)
    constant(100000, function() f({}, function() f({}, nothing) end) end)
  end)

  each_kind("100,000 coroutines that were abandoned", function(f)
    constant(100000, function()
      coroutine.wrap(f)({}, coroutine.yield)
    end)
  end)

  each_kind("100,000 coroutines that were closed", function(f)
    constant(100000, function()
      local co = coroutine.create(f)
      coroutine.resume(co, {}, coroutine.yield)
      portable.close(co)
    end)
  end)

  each_kind("1,000 calls 100 deep", function(f)
    local depth = 0
    local function act()
      if depth == 100 then return end
      depth = depth + 1
      f({}, act)
    end
    constant(1000, function()
      depth = 0
      f({}, act)
    end)
  end)

  each_kind("an object lives no longer than its run", function(f)
    local weak = setmetatable({}, { __mode = "v" })
    f((function()
      weak[1] = object("o")
      return weak[1]
    end)(), nothing)
    f({}, nothing)
    collectgarbage()
    assert.is_nil(weak[1])
  end)

  it("a compiled function lets its graph go when nobody needs it", function()
    local weak = setmetatable({}, { __mode = "k" })
    local f, _, g = compiled "used directly"
    weak[g] = true
    g = nil -- luacheck: ignore
    collectgarbage()
    assert.is_nil(next(weak))
    f({}, nothing)
  end)
end)

describe("finalizers are code too:", function()
  each_kind("one runs the function in the middle of its run", function(f, see)
    local outer, ran = object("outer"), 0
    f(outer, function(handle)
      portable.setmetatable({}, { __gc = function()
        local inner = object("inner")
        f(inner, function(h)
          if see(h) == inner then ran = ran + 1 end
        end)
      end })
      collectgarbage()
      assert.equal(outer, see(handle))
    end)
    assert.equal(9, ran)
  end)

  each_kind("they run it at any allocation", function(f, see)
    local wrong, ran, going = 0, 0, true
    local function again()
      portable.setmetatable({}, { __gc = function()
        if not going then return end
        local inner = object("inner")
        f(inner, function(h)
          if see(h) ~= inner then wrong = wrong + 1 end
        end)
        ran = ran + 1
        again()
      end })
    end
    again()
    local pause, step = collectgarbage("setpause", 0),
      collectgarbage("setstepmul", 1000)
    for i = 1, 20000 do
      if i > 300 and ran > 30 then break end -- soon, where the heap is small
      local o = object(i)
      if i % 100 == 0 then collectgarbage("step", 1000) end
      f(o, function(handle)
        if see(handle) ~= o then wrong = wrong + 1 end
      end)
    end
    collectgarbage("setpause", pause)
    collectgarbage("setstepmul", step)
    going = false
    assert.equal(0, wrong)
    assert.is_true(ran > 10)
  end)

  each_kind("one fails in the middle of a run", function(f, see)
    local outer = object("outer")
    f(outer, function(handle)
      portable.setmetatable({}, { __gc = function() f({}, error) end })
      pcall(collectgarbage) -- before 5.4 it raises what a finalizer does
      assert.equal(outer, see(handle))
    end)
  end)

  each_kind("one resets the registry in the middle of a run",
    function(f, _, g)
      f({}, function()
        portable.setmetatable({}, { __gc = function() g.registry:reset() end })
        collectgarbage()
      end)
      assert.equal(0, #g.registry)
    end)
end)

describe("pay for what you use:", function()
  -- What the compiled function refers to, by name.
  local upvalues
  function upvalues(f)
    local names, i = {}, 1
    while debug.getupvalue(f, i) do
      local name, value = debug.getupvalue(f, i)
      names[name] = true
      if name == "part" then -- what it calls, and what that refers to
        for more in pairs(upvalues(value)) do names[more] = true end
      end
      i = i + 1
    end
    return names
  end

  it("a graph without external objects does not touch its registry",
    function()
      local g = gbi.graph.new()
      local x, f = g:placeholder("x"), g:placeholder("f")
      g:output(f(x + 1), g:get_attr(x, "field"))
      local names = upvalues(g:compile())
      assert.is_nil(names.registry)
      assert.is_nil(names.enter)
    end)

  it("nor does one that uses its objects directly", function()
    local names = upvalues((compiled "used directly"))
    assert.is_nil(names.registry)
    assert.is_nil(names.enter)
    names = upvalues((compiled "looked up by number"))
    assert.is_true(names.registry and names.number)
    names = upvalues((compiled "looked up by a backend"))
    assert.is_true(names.registry and names.enter)
  end)

  it("what cannot fail is not watched", function()
    local g = gbi.graph.new()
    g:output(g:placeholder("x"), 1)
    assert.same({}, upvalues(g:compile()))
  end)

  it("an object that nobody uses is not obtained", function()
    _G.obtain = function() error("obtained") end
    finally(function() _G.obtain = nil end)
    local boom = source.CallFunctionNoArgsSource(G "obtain")
    local g = gbi.graph.new()
    g:placeholder("o")
    g:external({}, boom)
    g:created({}, function(_, cg) cg(boom) end)
    g:output(g:external({}, L "o"))
    local o = {}
    assert.equal(o, g:compile()(o))
    assert.equal(o, g:compile { backend = function(_, registry)
      return function() return registry:get(3) end
    end }(o))
  end)
end)

describe("a state that closes", function()
  -- Runs a program in a process of its own, which must end well and silently.
  local function run(program)
    return portable.script(program, portable.warn)
  end

  local SETUP = [[
    local gbi = require "gbi"
    local portable = require "spec.support.portable"
    local setmetatable = portable.setmetatable
    local g = gbi.graph.new()
    g:placeholder("o")
    local act, o = g:placeholder("act"), g:external({}, gbi.source.LocalSource
      "o")
    act(o:index(), o)
    g:output(o)
    local f = g:compile(%s)
    local objects = {}
    local function suspended(o)
      local co = coroutine.create(f)
      assert(coroutine.resume(co, o, coroutine.yield))
      return co
    end
  ]]
  local BACKEND = [[{ backend = function(_, registry)
    return function(_, act) act(1) return registry:get(1) end
  end }]]

  for kind, options in pairs { plain = "", backend = BACKEND } do
    it("with suspended runs: " .. kind, function()
      local said, ok = run(SETUP:format(options) .. [[
        for i = 1, 100 do
          objects[i] = setmetatable({}, { __gc = function() end })
          kept = { suspended(objects[i]), kept }
        end
        print "closing"
      ]])
      assert.equal("closing\n", said)
      assert.is_true(ok)
    end)

    it("with finalizers that look up, run and resume: " .. kind, function()
      local said, ok = run(SETUP:format(options) .. [[
        for i = 1, 50 do
          local o = {}
          objects[i] = o
          local co = suspended(o)
          setmetatable({}, { __gc = function()
            local found = g.registry:find(1)
            pcall(f, o, function(i) pcall(g.registry.get, g.registry, i) end)
            pcall(f, {}, error)
            if i % 3 == 0 then portable.close(co)
            elseif i % 3 == 1 then coroutine.resume(co) end
            g.registry:find(1)
            if i % 10 == 0 then g.registry:reset() end
          end })
        end
        print "closing"
      ]])
      assert.equal("closing\n", said)
      assert.is_true(ok)
    end)

    it("from inside a run: " .. kind, function()
      local said, ok = run(SETUP:format(options) .. [[
        suspended({})
        f({}, function()
          print "closing"
          os.exit(0, true)
        end)
      ]])
      assert.equal("closing\n", said)
      assert.is_true(ok)
    end)
  end

  it("never gives out an object that has been finalized", function()
    local said, ok = run(SETUP:format("") .. [[
      local function watched(n)
        return setmetatable({ n = n }, { __gc = function(self)
          self.finalized = true
        end })
      end
      -- younger than the objects, so it runs first; older, so it runs last
      local function look()
        local found = g.registry:find(1)
        if found and found.finalized then print "a finalized object" end
      end
      kept = {}
      for i = 1, 20 do
        kept[#kept + 1] = setmetatable({}, { __gc = look })
        kept[#kept + 1] = suspended(watched(i))
        kept[#kept + 1] = setmetatable({}, { __gc = look })
        f(watched(-i), function() end)
      end
    ]])
    assert.equal("", said)
    assert.is_true(ok)
  end)
end)

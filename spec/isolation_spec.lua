-- The promises that hold everywhere, for compiled functions: runs never see
-- each other's objects, memory does not grow, nothing is left half done,
-- finalizers may do anything, and unused features cost nothing.
local gbi = require "gbi"
local handles_since = require "spec.support.handles_since"
local blamed = require "spec.support.generated".blamed
local kilobytes = require "spec.support.memory"
local kinds = require "spec.support.kinds"
local portable = require "spec.support.portable"
local source = gbi.source

local L, G = source.LocalSource, source.GlobalSource

local DIRECTLY, HANDED_ON, IN_RUN, BY_RUN = kinds.DIRECTLY, kinds.HANDED_ON,
  kinds.IN_RUN, kinds.BY_RUN
local compiled, each_kind = kinds.compiled, kinds.each

local SEED = require "spec.support.seed" "isolation_spec"

local live -- counts the handles left by the running spec

before_each(function() live = handles_since() end)

local function object(name) return { name = name } end

local function nothing() end

local function collect_all()
  portable.collect()
  portable.collect() -- a coroutine that held a run may have held another's
end

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

  -- The hand-written equivalent of each kind.
  local BY_HAND = {}

  BY_HAND[DIRECTLY] = function(o, act)
    local a, b, c = act(o), act(o), act(o)
    return a, b, c
  end

  BY_HAND[HANDED_ON] = function(o, act)
    local run = setmetatable({ o }, {})
    local handle = #run
    local a, b, c = act(handle), act(handle), act(handle)
    return a, b, c
  end

  local function leave(_, ...) return ... end

  for _, kind in ipairs { IN_RUN, BY_RUN } do
    local body, runs = kinds.backends[kind](), { __index = { handle = rawget } }
    BY_HAND[kind] = function(o, act)
      local run = setmetatable({ o }, runs)
      return leave(run, body(run, o, act))
    end
  end

  -- Calls f in itself, `most` deep. Returns how deep it got, how often it saw a
  -- wrong object on the way there and back, and its error.
  local function dive(f, see, most)
    local depth, reached, wrong, objects = 0, 0, 0, { [0] = object(0) }
    local function act(handle)
      local n, o = depth, objects[depth]
      if see(handle) ~= o then wrong = wrong + 1 end
      if n < most and not o.done then
        o.done = true
        depth = n + 1
        reached = depth
        objects[depth] = object(depth)
        f(objects[depth], act)
        depth = n
        if see(handle) ~= o then wrong = wrong + 1 end
      end
    end
    local ok, err = pcall(f, objects[0], act)
    return reached, wrong, not ok and err or nil
  end

  for _, kind in ipairs(kinds.all) do
    it("as deep as a plain function's: objects " .. kind, function()
      local f, see = compiled(kind)
      local plain, _, full = dive(BY_HAND[kind], nothing, math.huge)
      assert.matches("stack overflow", full)
      local reached, wrong, err = dive(f, see, math.huge)
      assert.matches("stack overflow", err)
      assert.equal(0, wrong)
      assert.is_true(reached > 0.75 * plain, ("%d and %d"):format(reached,
        plain))
      local most = math.floor(0.9 * reached)
      assert.same({ most, 0 }, { dive(f, see, most) })
    end)
  end

  it("that fails deep down does so quickly and readably", function()
    for _, kind in ipairs(kinds.all) do
      local f = compiled(kind)
      local n = 3000
      local function down()
        n = n - 1
        if n < 0 then error("bottom", 0) end
        f({}, down)
      end
      local ok, err = pcall(f, {}, down)
      assert.is_false(ok)
      assert.equal("bottom", err)
    end
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

  -- Runs f(o, act) with a helper: a coroutine that looks up handles for it.
  local function with_helper(f, see, o, act)
    local helper = coroutine.wrap(function(handle)
      while true do handle = coroutine.yield(see(handle)) end
    end)
    return f(o, function(handle)
      assert(helper(handle) == o, "the helper sees another")
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

  -- Activations that recurse, yield, fail and end at random; each looks up its
  -- own object before and after.
  it("mixed with recursion, failures and several functions at random",
    function()
      math.randomseed(SEED)
      local random = math.random
      local fs, threads, checks = {}, {}, 0
      local caught = {} -- coroutine -> how many pcalls it is in

      local function yieldable()
        return not portable.is_main()
          and (portable.yields or (caught[coroutine.running()] or 0) == 0)
      end

      local function catch(f, ...)
        local co = coroutine.running() or "main"
        caught[co] = (caught[co] or 0) + 1
        local ok, err = pcall(f, ...)
        caught[co] = caught[co] - 1
        return ok, err
      end

      for _, kind in ipairs { DIRECTLY, HANDED_ON, IN_RUN, BY_RUN, HANDED_ON,
                              BY_RUN } do
        local f, see = compiled(kind)
        table.insert(fs, { f, see, kind == HANDED_ON or kind == BY_RUN })
      end

      -- A handle of a run that may be over finds its object or nothing.
      local kept = {}
      local function keep(handle, o)
        kept[random(50)] = setmetatable({ o = o, handle = handle },
          { __mode = "v" })
      end
      local function look_again()
        local one = kept[random(50)]
        local found, why
        if one then found, why = gbi.handles:find(one.handle) end
        if found and found ~= one.o then
          error("a handle finds another run's object")
        elseif one and not found and why ~= "dead" then
          error("a handle is " .. why)
        end
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
        local what = random(depth > 8 and 6 or 10)
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
        elseif what == 6 then look_again()
        elseif what == 7 or what == 8 then run(depth + 1)
        elseif what == 9 then
          local ok, err = catch(run, depth + 1)
          if not ok and err ~= shared then error(err, 0) end
        elseif what == 10 and #threads < 30 then
          table.insert(threads, coroutine.create(function() run(depth + 1) end))
        end
      end

      function run(depth)
        local pair = fs[random(#fs)]
        local f, see, handles = pair[1], pair[2], pair[3]
        local o, last = random(10) == 1 and shared or object(depth), nil
        f(o, function(handle)
          if see(handle) ~= o then error("wrong object before") end
          if handles then
            keep(handle, o)
            last = handle
          end
          anything(depth)
          if see(handle) ~= o then error("wrong object after") end
          checks = checks + 1
        end)
        if last and gbi.handles:find(last) then
          error("a handle outlives its run")
        end
      end

      local ok, err = pcall(function()
        while checks < 30000 do
          local fine, why = pcall(run, 1)
          if not fine and why ~= shared then error(why, 0) end
        end
      end)
      assert(ok, ("GBI_SEED=%d: %s"):format(SEED, tostring(err)))
      threads, kept, caught = nil, nil, nil
      collect_all()
      assert.equal(0, live())
    end)
end)

describe("isolation: graphs", function()
  it("that share an object do not share its handles", function()
    local f, see, first = compiled(HANDED_ON)
    local h, _, second
    local o, other = object("o"), object("other")
    f(o, function(i)
      h, _, second = compiled(HANDED_ON)
      local inner
      h(o, function(k)
        inner = k
        assert.not_equal(i, k)
        assert.equal(o, see(k))
        assert.equal(o, see(i))
      end)
      assert.same({ nil, "dead" }, { gbi.handles:find(inner) })
      h(other, function(k)
        assert.equal(other, see(k))
        assert.equal(o, see(i))
      end)
      assert.equal(o, see(i))
      second.registry:reset()
      assert.equal(o, see(i))
    end)
    assert.equal(1, #first.registry)
    assert.equal(0, #second.registry)
  end)

  it("share nothing with gbi.default", function()
    finally(gbi.reset_user_object_tracking)
    local mine, o = object("mine"), object("o")
    gbi.register_user_object(mine, G "mine")
    for _, kind in ipairs(kinds.all) do
      local f, see = compiled(kind)
      gbi.store_user_object_weakrefs(mine)
      f(o, function(handle)
        assert.equal(o, see(handle))
        assert.equal(mine, gbi.get_external_object_by_index(1))
        gbi.store_user_object_weakrefs(mine, mine)
        assert.equal(o, see(handle))
      end)
      assert.equal(mine, gbi.get_external_object_by_index(2))
    end
  end)

  it("neither see nor change the side table of their registry",
    function()
      for _, kind in ipairs(kinds.all) do
        local f, see, g = compiled(kind)
        local o, stored, set = object("o"), object("stored"), object("set")
        g.registry:store(stored)
        f(o, function(handle)
          g.registry:store(stored)
          assert.equal(o, see(handle))
          assert.equal(stored, g.registry:get(1))
          g.registry:set(1, set)
          assert.equal(o, see(handle))
        end)
        assert.equal(set, g.registry:get(1))
      end
    end)

  it("compiled and run while another one is being compiled", function()
    local function backend(depth)
      return function()
        if depth > 0 then
          local g = gbi.graph.new()
          g:placeholder("o")
          g:output(g:external({}, L "o"))
          local inner = g:compile { backend = backend(depth - 1) }
          local o = object(depth)
          assert.equal(o, inner(o))
        end
        return function(run) return run[1] end
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

  it("compiled and run by their own backend", function()
    local g = gbi.graph.new()
    g:placeholder("o")
    local f, o = g:placeholder("f"), g:external({}, L "o")
    g:output(f(o:handle()))
    local function get(handle) return gbi.handles:get(handle) end
    local a, b = object("a"), object("b")
    local h = g:compile { backend = function(graph)
      local plain = graph:compile()
      assert.equal(a, plain(a, get))
      return function(run, _, look)
        assert.equal(a, plain(a, look))
        assert.equal(b, run[1])
        return look(run:handle(1))
      end
    end }
    assert.equal(b, h(b, get))
  end)

  it("compiled and run in the middle of a run", function()
    local f, see, g = compiled(HANDED_ON)
    local a, b = object("a"), object("b")
    f(a, function(handle)
      g:compile()(b, function(i) assert.equal(b, see(i)) end)
      assert.equal(a, see(handle))
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
    assert.equal("half-way", err)
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
          assert.equal("inside", err)
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
      assert.equal("inside", err)
      assert.equal(outer, see(handle))
      if coroutine.close then
        assert.same({ false, "inside" }, { coroutine.close(co) })
      end
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

  it("a run whose second object cannot be obtained leaves nothing", function()
    local g = gbi.graph.new()
    g:placeholder("t")
    local act = g:placeholder("act")
    local a = g:external({}, L "t")
    local b = g:external({}, source.AttrSource(source.AttrSource(L "t", "b"),
      "b"))
    act(a:handle(), b:handle())
    g:output(act, a, b)
    local t = { b = { b = {} } }
    for _, backend in ipairs { false, function()
      return function(run, _, f) f(run:handle(1), run:handle(2)) end
    end } do
      local each, text = g:compile { backend = backend or nil }
      each(t, function(first, second)
        local ok, err = pcall(each, {}, error)
        assert.is_false(ok)
        local code, message = blamed(err, "gbi graph(t, act)", text)
        assert.equal("local b = t.b.b", code)
        assert.matches("^attempt to index .*'b'", message)
        ok, err = pcall(each, { b = { b = 5 } }, error)
        assert.is_false(ok)
        assert.equal('external object 2 (L["t"].b.b) cannot be held weakly: '
          .. "got number", err)
        collect_all()
        assert.equal(2, live())
        assert.equal(t, gbi.handles:get(first))
        assert.equal(t.b.b, gbi.handles:get(second))
      end)
    end
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
  each_kind("leaves this run and the next alone", function(f, see, g)
    local a, b = object("a"), object("b")
    f(a, function(handle)
      g.registry:reset()
      f(b, function(h) assert.equal(b, see(h)) end)
      assert.equal(a, see(handle))
      collectgarbage()
      assert.equal(a, see(handle))
    end)
    f(b, function(handle) assert.equal(b, see(handle)) end)
  end)

  each_kind("so it does in one of several coroutines", function(f, see, g)
    local threads = {}
    for k = 1, 3 do
      local o = object(k)
      threads[k] = coroutine.create(function()
        f(o, function(handle)
          coroutine.yield()
          assert(see(handle) == o, "sees another's object")
        end)
      end)
      assert(coroutine.resume(threads[k]))
    end
    g.registry:reset()
    for _ = 1, 3 do
      for k = 1, 3 do assert(coroutine.resume(threads[k])) end
    end
    for k = 1, 3 do assert.equal("dead", coroutine.status(threads[k])) end
    local o = object("o")
    f(o, function(handle) assert.equal(o, see(handle)) end)
  end)
end)

describe("no growth:", function()
  -- Asserts that `n` calls of f leave as much memory in use as the first calls.
  local function constant(n, f)
    collectgarbage("restart") -- for spec/support/collector.lua
    -- `pause` is for Luas without the generational mode: by default, a cycle's
    -- garbage is as large as the memory that busted keeps
    finally(portable.collector {
      mode = "generational", minormul = 20, minormajor = 100, pause = 100,
    })
    for _ = 1, 2000 do f() end
    -- garbage of runs stays until a collection, and how much stays depends on
    -- the collector (spec/support/collector.lua)
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
  local function creating(use, backend)
    local g = gbi.graph.new()
    local f = g:placeholder("f")
    local function create(_, cg)
      cg:load_import("gbi.compat", "pack")
      cg:call_function(0)
    end
    f(use(g:created({}, create)), use(g:created({}, create)))
    g:output()
    return (g:compile { backend = backend })
  end

  it("a million calls that create objects, used directly", function()
    local f = creating(function(o) return o end)
    constant(1000000, function() f(nothing) end)
  end)

  it("a million calls that create objects, handed on", function()
    local f = creating(function(o) return o:handle() end)
    constant(1000000, function() f(nothing) end)
    assert.equal(0, live())
  end)

  it("a million calls that create objects, of a backend", function()
    local f = creating(function(o) return o end, function()
      return function(run, act)
        act(run[1], run:handle(1))
        act(run[2], run:handle(2))
      end
    end)
    constant(1000000, function() f(nothing) end)
    assert.equal(0, live())
  end)

  each_kind("100,000 calls that fail", function(f)
    local n = 0
    constant(100000, function()
      pcall(f, {}, error)
      n = n + 1
      if n % 5000 == 0 then collectgarbage() end
    end)
    assert.equal(0, live())
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

  for _, kind in ipairs(kinds.all) do
    it("a function that nobody needs lets its graph go: objects " .. kind,
      function()
        local weak = setmetatable({}, { __mode = "k" })
        local f, _, g = compiled(kind)
        weak[g] = true
        g = nil -- luacheck: ignore 311
        collect_all()
        assert.is_nil(next(weak))
        f({}, nothing)
      end)
  end
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
    local restore = portable.collector { pause = 0, stepmul = 1000 }
    for i = 1, 20000 do
      if i > 300 and ran > 30 then break end -- soon, where the heap is small
      local o = object(i)
      if i % 100 == 0 then portable.step(1000) end
      if i % 1000 == 0 then collectgarbage() end -- should the steps be slow
      f(o, function(handle)
        if see(handle) ~= o then wrong = wrong + 1 end
      end)
    end
    restore()
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

  each_kind("one of an object finds that its handle is dead", function(f)
    local log, handle = {}, nil
    local function look()
      local found, why = gbi.handles:find(handle)
      log[#log + 1] = found or why
    end
    pcall(f, portable.setmetatable({}, { __gc = look }), function(h)
      handle = h
      error("oops")
    end)
    collect_all()
    assert.same({ "dead" }, log)
  end, kinds.handles)
end)

describe("pay for what you use:", function()
  -- Asserts that a compiled function refers only to these upvalues, by name.
  local function refers_to(f, ...)
    local expected, names, i = {}, {}, 1
    for _, name in ipairs { ... } do expected[name] = true end
    while debug.getupvalue(f, i) do
      names[debug.getupvalue(f, i)] = true
      i = i + 1
    end
    assert.same(expected, names)
  end

  it("a graph without external objects refers to nothing", function()
    local g = gbi.graph.new()
    local x, f = g:placeholder("x"), g:placeholder("f")
    g:output(f(x + 1), g:get_attr(x, "field"), g:call_method("m", x, f))
    refers_to((g:compile()))
  end)

  it("a graph that uses its objects directly refers only to their check",
    function()
      local function refers_to_checks_and(f, ...)
        if rawget(_G, "jit") then
          refers_to(f, "registry", "held", "type", "check", ...)
        else
          refers_to(f, "registry", "check", ...)
        end
      end
      refers_to_checks_and((compiled(DIRECTLY)))
      refers_to_checks_and((compiled(HANDED_ON)), "hand_on", "hand_back")
      refers_to_checks_and((compiled(IN_RUN)), "enter", "leave", "body")
    end)

  it("a backend without external objects has a single, empty run",
    function()
      local g, runs = gbi.graph.new(), {}
      g:external({}, G "unused")
      g:output((g:placeholder "x"))
      local f = g:compile { backend = function()
        return function(run, x)
          runs[#runs + 1] = run
          assert.is_nil(run[1])
          return x
        end
      end }
      for i = 1, 3 do assert.equal(i, f(i)) end
      assert.equal(runs[1], runs[3])
      refers_to(f, "run", "body")
    end)

  it("an unused object is not obtained", function()
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
    assert.equal(o, g:compile { backend = function()
      return function(run)
        assert.is_nil(run[1])
        assert.is_nil(run[2])
        return run[3]
      end
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
    local handle = o:handle()
    act(handle)
    g:output(o, handle)
    local f = g:compile(%s)
    local h, objects = gbi.handles, {}
    local function suspended(o)
      local co = coroutine.create(f)
      assert(coroutine.resume(co, o, coroutine.yield))
      return co
    end
  ]]
  local BACKEND = [[{ backend = function()
    return function(run, _, act)
      act(run:handle(1))
      return run[1], run:handle(1)
    end
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
            pcall(f, o, function(handle)
              if h:find(handle) ~= o then print "another object" end
            end)
            pcall(f, {}, error)
            if i % 3 == 0 then portable.close(co)
            elseif i % 3 == 1 then coroutine.resume(co) end
            for handle, object in h:entries() do h:find(handle) end
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

  for kind, options in pairs { plain = "", backend = BACKEND } do
    it("never gives out an object that has been finalized: " .. kind,
      function()
        local said, ok = run(SETUP:format(options) .. [[
          local function watched(n)
            return setmetatable({ n = n }, { __gc = function(self)
              self.finalized = true
            end })
          end
          -- younger than the objects, so it runs first; older, so it runs last
          local function look()
            for handle, object in h:entries() do
              if object.finalized then print "a finalized object" end
            end
            for handle = 1000000001, 1000000100 do
              local found = h:find(handle)
              if found and found.finalized then print "a finalized object" end
            end
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
  end
end)

-- Defects that were found later, by name. The first line of each spec gives the
-- cause.

local gbi = require "gbi"
local handles_since = require "spec.support.handles_since"
local fixture = require "spec.support.fixture"
local grown = require "spec.support.grown"
local kinds = require "spec.support.kinds"
local portable = require "spec.support.portable"

local G = gbi.source.GlobalSource

local live -- counts the handles left by the running spec

before_each(function() live = handles_since() end)

local function nothing() end

-- Calls `call`, and `f` in a finalizer, in the middle of it: at its `n`-th
-- allocation that may start the collector, which then does a whole cycle.
local function interrupt(n, f, call)
  local box, over = {}, false -- luacheck: ignore 241
  local function arm(k)
    box[1] = portable.setmetatable({}, { __gc = function()
      if over then return end
      if k == 1 then return f() end
      arm(k - 1)
      box[1] = nil
    end })
  end
  arm(n)
  -- LuaJIT does not finish without a pause, nor if its compiler works on code
  -- that a finalizer interrupts
  portable.jit(false)
  local restore = portable.collector {
    mode = "incremental", pause = portable.modes and 0 or 50, stepmul = 400,
  }
  collectgarbage("restart")
  collectgarbage()
  box[1] = nil
  call()
  over = true
  restore()
  portable.jit(true)
end

-- A coroutine in a run of `f` with an object; resumed with a function, it
-- returns the function's results for the object as the run sees it.
local function runner(f, see, object)
  return coroutine.wrap(function()
    f(object, function(it)
      local ask = coroutine.yield()
      while ask do ask = coroutine.yield(ask(see(it))) end
    end)
  end)
end

local function itself(object) return object end

describe("regression:", function()
  it("a userdata that comes first is stored again as itself", function()
    -- storeplain left the metatable of argument 1, which it had compared with a
    -- registry's, on the stack, and stored it in place of the last argument.
    local first, second = io.tmpfile(), io.tmpfile()
    for _ = 1, 3 do
      gbi.store_user_object_weakrefs(first, second)
      assert.equal(first, gbi.get_external_object_by_index(1))
      assert.equal(second, gbi.get_external_object_by_index(2))
    end
    gbi.default:reset()
    first:close()
    second:close()
  end)

  it("a zero is not the -0.0 of another operator", function()
    -- Lua 5.1 uses one constant for both in a function; its parser made -0.0
    -- from an operator on constants, and so from every later 0.
    local g = gbi.graph.new()
    g:output(g:call_function("unm", 0.0), 0.0, g:call_function("mul", 0.0, -1),
      g:call_function("add", 0.0, 0.0), g:call_function("div", 0.0, -2))
    local signs = {}
    for i, x in ipairs { g:compile()() } do signs[i] = 1 / x end
    local most = math.huge
    assert.same({ -most, most, -most, most, -most }, signs)
  end)

  it("a finalizer's handle is not lost", function()
    -- The allocation of the table of numbers could run a finalizer, whose own
    -- new table was then overwritten.
    for _, give in ipairs { "weak", "strong" } do
      for n = 1, 4 do
        local h, object, other = gbi.new_handles(), {}, {}
        local mine, theirs
        interrupt(n, function() theirs = h[give](h, other) end,
          function() mine = h[give](h, object) end)
        theirs = theirs or h[give](h, other)
        assert.not_equal(mine, theirs)
        assert.equal(object, h:find(mine))
        assert.equal(other, h:find(theirs))
      end
    end
  end)

  kinds.each("a run that a finalizer begins is not lost", function(f, see)
    -- The allocation of the table of frames could run a finalizer, whose own
    -- new table was then overwritten.
    for n = 1, 6 do
      local object, other = {}, {}
      local theirs, mine = runner(f, see, other), runner(f, see, object)
      local begun = false
      interrupt(n, function()
        begun = true
        theirs()
      end, mine)
      if not begun then theirs() end
      assert.equal(object, mine(itself))
      assert.equal(other, theirs(itself))
    end
  end)

  kinds.each("a reset in a finalizer does not take away a run that begins",
    function(f, see, g)
      -- The frame was put into a table of frames that a reset had replaced in
      -- the meantime; the next look-up found nil where a table had to be.
      for n = 1, 6 do
        local object = {}
        runner(f, see, {})()
        local mine = runner(f, see, object)
        interrupt(n, function() g.registry:reset() end, mine)
        assert.equal(object, mine(itself))
        mine = runner(f, see, object)
        mine()
        assert.equal(object, mine(itself))
      end
    end)

  it("a finalizer in a run does not divert a call", function()
    -- A call put its coroutine's side table in place and then allocated, which
    -- may run finalizers that put another one there.
    local f, see, g = kinds.compiled(kinds.BY_RUN)
    local registry = g.registry
    for n = 1, 6 do
      for _, call in ipairs {
        function(object)
          registry:reset()
          assert.equal(1, registry:register(object, G "x"))
        end,
        function(object) registry:set(1, object) end,
        function(object) registry:store(object) end,
        function(object) registry:store(object, object) end,
        function(object)
          registry:set(1, object)
          local snapshot = registry:snapshot()
          registry:store()
          registry:restore(snapshot)
        end,
      } do
        local object, other = setmetatable({}, { __gc = nothing }), {}
        local theirs = runner(f, see, other)
        theirs()
        interrupt(n, function()
          theirs(function(found) assert.equal(other, found) end)
          f({}, nothing)
        end, function() call(object) end)
        assert.equal(object, registry:find(1))
        assert.equal(other, theirs(itself))
      end
    end
  end)

  kinds.each("an error that ends a run in a run leaves the outer one in place",
    function(run, see)
      -- 5.1 does not report the end of such a run in a coroutine. The inner
      -- frame was taken for one that a reset forgot and came back when the
      -- outer run was over (a crash, or an endless loop); it counted as under
      -- way while a C function held it in a temporary at its depth; and another
      -- coroutine looked only at the innermost frame.
      local outer, inner, seen = {}, {}, 0
      local function fail() pcall(run, inner, function() error "boom" end) end
      local function look(it)
        assert.equal(outer, see(it))
        coroutine.wrap(function() assert.equal(outer, see(it)) end)()
        seen = seen + 1
      end
      local function fail_and_look(it)
        fail()
        look(it)
      end
      local co = coroutine.wrap(function()
        run(outer, fail_and_look)
        run(outer, look)
        run(outer, fail)
        run(outer, function(it)
          fail()
          coroutine.yield()
          look(it)
        end)
      end)
      co()
      local other = coroutine.wrap(function() run({}, coroutine.yield) end)
      other()
      for _ = 1, 3 do
        other()
        co()
      end
      assert.equal(3 + 3 + 3, seen)
    end)

  it("an input called arg is not 5.1's own arg", function()
    -- A function with `...` has a local `arg` after its parameters there.
    local g = gbi.graph.new()
    g:output(g:placeholder "arg", (g:placeholder "..."))
    assert.same({ 1, 2, 3 }, { g:compile()(1, 2, 3) })
    local r, object = gbi.new(), {}
    r:register({}, gbi.source.LocalSource "arg")
    gbi.compile_prologue(r, { "arg", "..." })(object)
    assert.equal(object, r:get(1))
  end)

  it("a write to a constant may come first", function()
    -- It was written with a preceding semicolon, which 5.1 does not allow.
    local g = gbi.graph.new()
    g:set_item("text", "key", g:placeholder "x")
    g:output()
    assert.equal("function", type(g:compile()))
  end)
end)

describe("regression, memory:", function()
  local OUT_OF_MEMORY = "not enough memory"

  -- An object whose metamethods all raise Lua's memory error.
  local function exhausted()
    local function fail() error(OUT_OF_MEMORY, 0) end
    return setmetatable({}, { __index = fail, __tostring = fail })
  end

  -- Makes each allocation fail in the cases of spec/support/faults.lua that
  -- have this in their names.
  local function faults(case)
    local out = portable.run(("%s spec/support/faults.lua short '%s'"):format(
      portable.start(portable.build .. "/faults"), case))
    local failed = out:match "(%d+) allocations failed\n$"
    assert.is_true(failed ~= nil and tonumber(failed) > 0, out)
  end

  it("a strong handle that ran out of memory is not counted", function()
    -- The reserved slot counted as another handle when the number went to an
    -- object of a run: count() returned 2, and entries() showed the handle
    -- twice.
    local path = fixture.path()
    portable.write(path, [[
      local gbi = require "gbi"
      if jit then jit.off() end
      local g = gbi.graph.new()
      g:placeholder "o"
      g:output(g:external({}, gbi.source.LocalSource "o"))
      local h, n, fewest, most = gbi.handles, 0, 1, 1
      local f = g:compile { backend = function()
        return function(run)
          run:handle(1)
          local entries = 0
          for _ in h:entries() do entries = entries + 1 end
          fewest = math.min(fewest, entries, h:count())
          most = math.max(most, entries, h:count())
        end
      end }
      repeat
        n = n + 1
        local hits, ok, handle = memory.inject(n, false, h.strong, h, "text")
        if ok then h:release(handle) end
        f {}
      until hits == 0
      print(n > 2, fewest, most)]])
    local out = portable.run(("%s %s"):format(
      portable.start(portable.build .. "/faults"), path))
    assert.equal("true\t1\t1\n", out)
  end)

  it("a source's check passes a memory error on", function()
    -- is_source called `reconstruct` under a pcall and took its memory error
    -- for the answer "not a source".
    assert.has_error(function() gbi.source.is_source(exhausted()) end,
      OUT_OF_MEMORY)
  end)

  it("a source's name passes a memory error on", function()
    -- name did the same with __tostring and called the source "?".
    assert.has_error(function() gbi.source.name(exhausted()) end,
      OUT_OF_MEMORY)
  end)

  it("a source's check passes an overflow of the stack on", function()
    -- Both took a stack overflow for an answer, too; a source made there had
    -- "?" in its name for ever.
    local function overflow() error("C stack overflow", 0) end
    local full = setmetatable({}, { __index = overflow, __tostring = overflow })
    assert.has_error(function() gbi.source.is_source(full) end,
      "C stack overflow")
    assert.has_error(function() gbi.source.name(full) end, "C stack overflow")
  end)

  it("a prologue stores and stashes in one call", function()
    -- It stored all objects in one call and stashed each in another, which
    -- could fail after the store.
    local r = gbi.new()
    for _ = 1, 2 do
      r:register_created({}, function(_, cg)
        cg:load_import("table", "pack")
        cg:call_function(0)
      end)
    end
    local _, text = gbi.compile_prologue(r)
    local _, calls = text:gsub("registry:", "")
    assert.equal(1, calls)
  end)

  it("a list to be stashed is checked before anything is stored", function()
    -- The stash was filled call by call, so an object that could not be held
    -- failed after others were stashed.
    local r, a = gbi.new(), {}
    r:store(a)
    assert.has_error(function() r:store_list({ {}, {} }, 2, { {}, 5 }) end)
    assert.equal(a, r:get(1))
    assert.equal(1, (r:count()))
  end)

  it("a run that has done its work ends without memory", function()
    -- The end of a run allocated room for its name in a list of idle runs.
    faults "registered: call a graph"
    faults "registered: call a backend"
  end)
end)

describe("regression, runs:", function()
  local function object() return { name = "o" } end

  -- Asserts that no handle of a run is left.
  local function nothing_left()
    for _ = 1, 3 do portable.collect() end -- one coroutine may hold another
    assert.equal(0, live())
  end

  kinds.each("a coroutine that failed or was dropped disturbs nobody",
    function(f, see)
      -- A run whose coroutine had failed counted as under way until it was
      -- collected: one failing request of 10,000 made 73 later ones fail.
      local failed, suspended, wrong = {}, {}, 0 -- luacheck: ignore 331
      local helper = coroutine.wrap(function(it)
        while true do it = coroutine.yield(see(it)) end
      end)
      for i = 1, 10000 do
        local mine = object()
        local co = coroutine.create(f)
        local ok, err = coroutine.resume(co, mine, function(it)
          if see(it) ~= mine or helper(it) ~= mine then wrong = wrong + 1 end
          if i % 100 == 0 then error("request " .. i, 0) end
          if i % 100 == 50 then coroutine.yield() end
        end)
        if i % 100 == 0 then
          assert.is_false(ok)
          assert.equal("request " .. i, err)
          failed[#failed + 1] = co -- a host may keep it for its traceback
        else
          assert.is_true(ok, err)
          if i % 100 == 50 and i % 200 == 50 then
            suspended[#suspended + 1] = co
          end
        end
      end
      assert.equal(0, wrong)
      helper, failed, suspended = nil, nil, nil -- luacheck: ignore 311
      nothing_left()
    end)

  -- Makes a count hook, which hosts use to limit a script's time, raise an
  -- error at each instruction of a call, one after the other, until the call
  -- succeeds. call(limit) makes a call, and returns as pcall does; limit() sets
  -- the hook of its coroutine, which the call removes at its end. Returns the
  -- number of instructions at which the hook raised.
  local function at_every_instruction(call)
    portable.jit(false) -- compiled code has no hooks
    finally(function() portable.jit(true) end)
    local k, over = 0, nil -- luacheck: ignore 311
    local function stop()
      debug.sethook()
      error("time is up", 0)
    end
    repeat
      k = k + 1
      local ok, err = call(function() debug.sethook(stop, "", k) end)
      over = ok
      if not ok then assert.equal("time is up", err) end
    until over
    return k
  end

  -- Calls f with an object that `seen` then has as a weak key.
  local function call_it(f, see, seen)
    local mine = object()
    seen[mine] = true
    local calls = 0
    local a, b, c = f(mine, function(it)
      calls = calls + 1
      if see(it) ~= mine then error("wrong object", 0) end
      return calls
    end)
    return a == 1 and b == 2 and c == 3
  end

  if not debug.gethook() then -- make coverage
    kinds.each("a hook that raises at any instruction leaves nothing",
      function(f, see, g)
        -- Between the beginning of a run and the variable that closed it, a
        -- hook could raise at an instruction; the call's objects were then
        -- visible to all later calls.
        local seen = setmetatable({}, { __mode = "k" })
        local before, outer, steps = #g.registry, object(), 0
        f(outer, function(it)
          if steps > 0 then return end
          steps = at_every_instruction(function(limit)
            local ok, err = pcall(function()
              limit()
              assert(call_it(f, see, seen))
              debug.sethook()
            end)
            assert.equal(outer, see(it))
            assert.is_true(call_it(f, see, seen))
            return ok, err
          end)
        end)
        assert.is_true(steps > 20, steps)
        assert.equal(before, #g.registry)
        outer = nil -- luacheck: ignore 311
        nothing_left()
        assert.is_nil(next(seen))
      end)

    kinds.each("so does one that raises in a coroutine", function(f, see)
      -- The same, where an error does not unwind the stack.
      local seen = setmetatable({}, { __mode = "k" })
      local failed = {}
      local steps = at_every_instruction(function(limit)
        local co = coroutine.create(function()
          limit()
          assert(call_it(f, see, seen))
          debug.sethook()
        end)
        local ok, err = coroutine.resume(co)
        failed[#failed + 1] = co
        assert.is_true(call_it(f, see, seen))
        return ok, err
      end)
      assert.is_true(steps > 20, steps)
      failed = nil -- luacheck: ignore 311
      nothing_left()
      assert.is_nil(next(seen))
    end)

    it("a hook that raises in a prologue leaves the side table as it was",
      function()
        -- A prologue obtained, stored and stashed in as many steps as it had
        -- objects, and a hook could raise between them.
        local registry = gbi.new()
        registry:register(print, gbi.source.LocalSource "o")
        registry:register_created({}, function(_, cg)
          cg:load_import("gbi.compat", "pack")
          cg:call_function(0)
        end)
        local prologue = gbi.compile_prologue(registry, { "o" })
        local old, made = {}, {}
        local steps = at_every_instruction(function(limit)
          registry:store(old, made)
          local mine = {}
          local ok, err = pcall(function()
            limit()
            prologue(mine)
            debug.sethook()
          end)
          if registry:get(1) == old then assert.equal(made, registry:get(2))
          else
            assert.equal(mine, registry:get(1))
            assert.not_equal(made, registry:get(2))
          end
          prologue(mine)
          portable.collect()
          assert.equal(mine, registry:get(1))
          assert.equal(0, registry:get(2).n)
          return ok, err
        end)
        assert.is_true(steps > 5, steps)
      end)
  end

  it("a backend without a live object does not find the examples", function()
    -- A run began only if it had objects; without objects, an index was looked
    -- up in the side table, which held the examples.
    local example, created = {}, {}
    local g = gbi.graph.new()
    g:external(example, G "example")
    g:created(created, function(_, cg) cg:load_global "example" end)
    g:output()
    local nested = g:compile { backend = function(graph, registry)
      assert.equal(example, registry:get(1))
      assert.equal(created, registry:get(2))
      return function(run)
        assert.equal(g, graph)
        for index = -1, 3 do assert.is_nil(run[index]) end
        for index = 1, 2 do assert.is_false(pcall(run.handle, run, index)) end
        return run
      end
    end }
    local run = nested()
    assert.equal(run, nested())
    nothing_left()
  end)

  -- A compiled function of an object `o` and a function, whose backend calls
  -- body(registry, function).
  local function stashing(body)
    local g = gbi.graph.new()
    g:placeholder("o")
    g:placeholder("act")
    g:output(g:external({}, gbi.source.LocalSource "o"))
    return g:compile { backend = function(_, registry)
      return function(_, _, act) return body(registry, act) end
    end }
  end

  it("what a backend's body stashes is let go", function()
    -- The store of the next run released the objects that a run had stashed,
    -- but a backend never reached it: 87 MB in a million runs.
    local f, o = stashing(function(registry) registry:stash({}) end), object()
    local more = grown(function() f(o) end, 1000, 200000)
    assert.is_true(more < 16, more)
  end)

  it("what a backend's body stashes lives as long as its run", function()
    -- The same: what is let go must not belong to a run that is suspended.
    local f = stashing(function(registry, act) act(registry:stash({})) end)
    local weak = setmetatable({}, { __mode = "v" })
    local o, runs = object(), {}
    local function others()
      for _ = 1, 3 do f(o, nothing) end
    end
    for i = 1, 5 do
      runs[i] = coroutine.wrap(f)
      runs[i](o, function(stashed)
        weak[i], stashed = stashed, nil -- luacheck: ignore 311
        coroutine.yield()
      end)
      others()
    end
    portable.collect()
    for i = 1, 5 do assert.truthy(weak[i], i) end
    for i = 1, 4 do runs[i]() end
    others()
    portable.collect()
    for i = 1, 4 do assert.is_nil(weak[i]) end
    assert.truthy(weak[5])
    runs[5] = nil
    portable.collect()
    portable.collect() -- the first one found the coroutine
    assert.is_nil(weak[5])
  end)

  it("set does not take away what a suspended run has", function()
    -- `set` in one run released what a suspended run had set.
    for _, backend in ipairs { false, function()
      return function(run, act) act(run[1]) return run[1] end
    end } do
      local g, weak = gbi.graph.new(), setmetatable({}, { __mode = "v" })
      local act = g:placeholder "act"
      act(g:created({}, function(_, cg)
        cg:load_import("gbi.compat", "pack")
        cg:call_function(0)
      end))
      g:output()
      local run = coroutine.wrap(g:compile { backend = backend or nil })
      run(function(created)
        weak[1], created = created, nil -- luacheck: ignore 311
        coroutine.yield()
      end)
      g.registry:set(1, {})
      g.registry:store({})
      portable.collect()
      assert.truthy(weak[1])
      run()
    end
  end)

  it("set and stash of a hand-written prologue are bounded", function()
    -- PyTorch keeps for ever what is set and stashed.
    local registry, kept = gbi.new(), setmetatable({}, { __mode = "k" })
    registry:register(print, gbi.source.LocalSource "o")
    registry:register_created({}, function(_, cg)
      cg:load_import("gbi.compat", "pack")
      cg:call_function(0)
    end)
    local prologue = gbi.compile_prologue(registry, { "o" })
    local function run()
      prologue(print)
      local mine, stashed = {}, registry:stash({})
      registry:set(2, mine)
      registry:set(3, registry:stash(mine))
      assert(registry:get(3) == mine)
      return mine, stashed
    end
    local more = grown(run, 1000, 200000)
    assert.is_true(more < 4, more)
    for _ = 1, 10 do
      local mine, stashed = run()
      kept[mine], kept[stashed] = true, true
    end
    portable.collect()
    local n = 0
    for _ in pairs(kept) do n = n + 1 end
    assert.is_true(n <= 4, n) -- the stashes of two runs, and what is set
    registry:reset()
    portable.collect()
    assert.is_nil(next(kept))
  end)

  kinds.each("a run that is suspended finds its own after a reset",
    function(f, see, g)
      -- A reset forgot all frames; a look-up of a suspended run then used the
      -- side table of the next registry user.
      local mine, other = object(), object()
      local one, two = runner(f, see, mine), runner(f, see, other)
      one()
      g.registry:reset()
      two()
      g.registry:register({}, G "x")
      g.registry:store({}, {})
      assert.equal(mine, one(itself))
      assert.equal(other, two(itself))
      g.registry:reset()
      portable.collect()
      assert.equal(mine, one(itself))
      assert.equal(other, two(itself))
    end)

  it("objects of a backend's run live as long as the call", function()
    -- LuaJIT: the compiler drops a local after its last use, and the run was
    -- such a local; its objects died while the backend's function was running.
    local g = gbi.graph.new()
    local act = g:placeholder "act"
    act(g:created({}, function(_, cg)
      cg:load_import("gbi.compat", "pack")
      cg:call_function(0)
    end))
    g:output()
    local died, calls = 0, 0
    local function weakly(o) return setmetatable({ o }, { __mode = "v" }) end
    local function later(weak, handle)
      local sum = 0
      for i = 1, 100 do sum = sum + i end -- a loop that gets compiled, too
      collectgarbage()
      if not weak[1] then died = died + 1 end
      if handle and gbi.handles:find(handle) ~= weak[1] then
        died = died + 1
      end
      calls = calls + 1
      return sum
    end
    for _, body in ipairs {
      function(run) return later(weakly(run[1])) end,
      function(run) return later(weakly(run[1]), run:handle(1)) end,
      function(run)
        local sum = later(weakly(run[1]))
        return sum
      end,
      function(run, f) return f(run[1]) end,
    } do
      local f = g:compile { backend = function() return body end }
      for _ = 1, 300 do
        f(function(o) return later(weakly(o)) end)
      end
    end
    assert.equal(4 * 300, calls)
    assert.equal(0, died)
    nothing_left()
  end)

  it("an object that is handed on lives as long as the call", function()
    -- The same, for objects that gbi's own code hands on.
    local g = gbi.graph.new()
    local act = g:placeholder "act"
    act(g:created({}, function(_, cg)
      cg:load_import("gbi.compat", "pack")
      cg:call_function(0)
    end):handle())
    g:output(1)
    local f, died = g:compile(), 0
    local function later(handle)
      local sum = 0
      for i = 1, 100 do sum = sum + i end
      collectgarbage()
      if not gbi.handles:find(handle) then died = died + 1 end
      return sum
    end
    for _ = 1, 300 do f(later) end
    assert.equal(0, died)
    nothing_left()
  end)

  -- The output of a program that has a function f of each kind, called with
  -- `long`, an object that stays alive: one line per kind.
  local function measured(program)
    local out, ok = portable.script(([[
      local gbi = require "gbi"
      local kinds = require "spec.support.kinds"
      local kilobytes = require "spec.support.memory"
      local long = { "lives on" }
      for _, kind in ipairs(kinds.all) do
        local f, see = kinds.compiled(kind)
        %s
      end]]):format(program))
    assert.is_true(ok, out)
    local lines = {}
    for line in out:gmatch "[^\n]+" do lines[#lines + 1] = line end
    assert.equal(#kinds.all, #lines, out)
    return lines
  end

  -- Asserts that a million calls leave memory as the first hundred left it, and
  -- no handles. (A table keeps the slots of everything made between two
  -- collections.)
  local function stays_small(call)
    for i, line in ipairs(measured(([[
        local function rounds(n)
          for i = 1, n do %s end
          return kilobytes()
        end
        local few = rounds(100)
        print(gbi.handles:count(), rounds(1000000) - few)]]):format(call))) do
      local count, more = line:match "^(%d+)\t([%d.e-]+)$"
      assert.equal("0", count)
      assert.is_true(tonumber(more) < 4096, kinds.all[i] .. ": " .. line)
    end
  end

  it("a million calls that fail leave nothing", function()
    -- A run that failed left its number behind, and a long-lived object kept
    -- all its numbers: 24 MB in a million calls.
    stays_small "pcall(f, long, error)"
  end)

  it("a million coroutines that are abandoned leave nothing", function()
    -- The same, for a run that was never resumed.
    stays_small "coroutine.wrap(f)(long, coroutine.yield)"
  end)

  it("a peak of 300,000 runs at once leaves nothing", function()
    -- Each later look-up skipped, one by one, the entries that ended runs left
    -- in a table of frames: look-ups were 2,400 times slower.
    for i, line in ipairs(measured [[
        local before = kilobytes()
        local threads, last = {}, nil
        for i = 1, 300000 do
          threads[i] = coroutine.create(f)
          local mine = i % 2 == 0 and long or {}
          assert(coroutine.resume(threads[i], mine, function(it)
            last = it
            coroutine.yield()
            if see(it) ~= mine then error "another object" end
          end))
        end
        for i = 1, 300000, 1000 do assert(coroutine.resume(threads[i])) end
        threads, last = nil, nil
        local left = kilobytes() - before
        local count = gbi.handles:count()
        for i = 1, 1000 do
          local mine = {}
          f(mine, function(it) assert(see(it) == mine) end)
        end
        print(count, gbi.handles:count(), left)]]) do
      local count, more, left = line:match "^(%d+)\t(%d+)\t([%d.e-]+)$"
      assert.equal("0", count)
      assert.equal("0", more)
      -- a table keeps its slots until it is filled again
      assert.is_true(tonumber(left) < 300000 * 80 / 1024,
        kinds.all[i] .. ": " .. line)
    end
  end)
end)

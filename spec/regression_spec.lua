-- Defects that were found after the fact, by their names. The first line of
-- each tells its cause.

local core = require "gbi.core"
local gbi = require "gbi"
local portable = require "spec.support.portable"

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
  local mode = portable.modes and collectgarbage("incremental")
  -- LuaJIT comes to no end without a pause, nor where its compiler works on
  -- what a finalizer interrupts
  portable.jit(false)
  local pause = collectgarbage("setpause", mode and 0 or 50)
  local speed = collectgarbage("setstepmul", 400)
  collectgarbage("restart")
  collectgarbage()
  box[1] = nil
  call()
  over = true
  collectgarbage("setpause", pause)
  collectgarbage("setstepmul", speed)
  if mode then collectgarbage(mode) end
  portable.jit(true)
end

-- A coroutine in a run of its own with `object` at index 1; resumed with a
-- function, it returns what this returns.
local function runner(registry, object)
  return coroutine.wrap(function()
    local frame = core.enter(registry, { object }, object and 1 or 0)
    local f = coroutine.yield()
    while f do f = coroutine.yield(f()) end
    getmetatable(frame).__close(frame)
  end)
end

describe("regression:", function()
  it("a userdata that comes first is stored again as itself", function()
    -- storeplain left the metatable of argument 1, which it had compared with
    -- a registry's, on the stack, and stored it in place of the last argument.
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
    -- Lua 5.1 has one constant for both in a function; its parser made -0.0 of
    -- an operator on constants, and so of every 0 after it.
    local g = gbi.graph.new()
    g:output(g:call_function("unm", 0.0), 0.0, g:call_function("mul", 0.0, -1),
      g:call_function("add", 0.0, 0.0), g:call_function("div", 0.0, -2))
    local signs = {}
    for i, x in ipairs { g:compile()() } do signs[i] = 1 / x end
    local most = math.huge
    assert.same({ -most, most, -most, most, -most }, signs)
  end)

  it("a run's number is no index to release", function()
    -- release took a live number for an index that had been stored, and made
    -- room for the four thousand million indices before it.
    local registry, object = gbi.new(), {}
    local number = core.number(registry, object, 1)
    local ok, why = registry:release(number)
    assert.is_nil(ok)
    assert.equal("unregistered", why)
    assert.equal(object, registry:get(number))
    assert.equal(1, registry:register(object))
  end)

  it("a number finds no finalized object while the state closes", function()
    -- A registry's guard took objects with finalizers out of the side table
    -- when the state closed, and left the numbers that runs had given them.
    local out = portable.script([[
      local core, number = require "gbi.core", nil
      local portable = require "spec.support.portable"
      local registry = core.new()
      older = portable.setmetatable({}, { __gc = function()
        local object, why = registry:find(number)
        print(object and "finalized: " .. tostring(object.finalized) or why)
      end })
      younger = portable.setmetatable({}, { __gc = function(self)
        self.finalized = true
      end })
      number = core.number(registry, younger, 1)
    ]])
    assert.equal("unregistered\n", out)
  end)

  it("a finalizer's number is not lost", function()
    -- The table of numbers was made by an allocation that may run a finalizer,
    -- and put in place of the one that had been made for this meanwhile.
    for n = 1, 4 do
      local registry, object, other = gbi.new(), {}, {}
      local mine, theirs
      interrupt(n, function() theirs = core.number(registry, other, 1) end,
        function() mine = core.number(registry, object, 1) end)
      theirs = theirs or core.number(registry, other, 1)
      assert.equal(object, registry:find(mine))
      assert.equal(other, registry:find(theirs))
    end
  end)

  it("a run that a finalizer begins is not lost", function()
    -- The table of frames was made by an allocation that may run a finalizer,
    -- and put in place of the one that had been made for this meanwhile.
    for n = 1, 6 do
      local registry, object, other = gbi.new(), {}, {}
      local theirs, mine = runner(registry, other), runner(registry, object)
      local begun = false
      interrupt(n, function()
        begun = true
        theirs()
      end, mine)
      if not begun then theirs() end
      local function first() return registry:find(1) end
      assert.equal(object, mine(first))
      assert.equal(other, theirs(first))
    end
  end)

  it("a reset in a finalizer does not take away a run that begins", function()
    -- The frame was put into a table of frames that a reset had replaced in
    -- the meantime; the next look-up found nil where a table had to be.
    for n = 1, 6 do
      local registry, object = gbi.new(), {}
      runner(registry, {})()
      interrupt(n, function() registry:reset() end, function()
        local mine = runner(registry, object)
        mine()
        local found = mine(function() return registry:find(1) end)
        assert.is_true(found == object or found == nil)
      end)
      assert.is_nil(registry:find(2))
      local mine = runner(registry, object)
      mine()
      assert.equal(object, mine(function() return registry:find(1) end))
    end
  end)

  it("a finalizer in another run does not divert a call", function()
    -- A call put its coroutine's side table in place first and then allocated,
    -- which may run finalizers that have another one put there.
    for n = 1, 6 do
      for _, call in ipairs {
        function(registry, object)
          assert.equal(1, registry:register(object))
        end,
        function(registry, object) registry:set(1, object) end,
        function(registry, object) registry:store(object) end,
        function(registry, object) registry:store(object, object) end,
        function(registry, object)
          registry:set(1, object)
          local snapshot = registry:snapshot()
          registry:store()
          registry:restore(snapshot)
        end,
      } do
        local registry, object, other = gbi.new(), setmetatable({}, {
          __gc = function() end }), {}
        local mine, theirs = runner(registry, {}), runner(registry, other)
        local function first() return registry:find(1) end
        mine()
        theirs()
        interrupt(n, function() theirs(first) end, function()
          mine(function() call(registry, object) end)
        end)
        assert.equal(object, mine(first))
        assert.equal(other, theirs(first))
      end
    end
  end)

  it("an error that ends a run in a run leaves the outer one in place",
    function()
      -- 5.1: nobody notices such an end in a coroutine. The inner frame was
      -- taken for one that a reset forgot and came back when the outer run was
      -- over (a crash, or no end); it counted as under way while a C function
      -- held it in a temporary at its depth; and another coroutine looked at
      -- the innermost frame alone.
      local g = gbi.graph.new()
      g:placeholder "o"
      local act = g:placeholder "act"
      g:output(act, g:external({}, gbi.source.LocalSource "o"))
      local run = g:compile { backend = function()
        return function(_, f) return f() end
      end }
      local r, outer, inner = g.registry, {}, {}
      local function fail() pcall(run, inner, function() error "boom" end) end
      local seen = {}
      local function look()
        seen[#seen + 1] = { pcall(r.get, r, 1) }
        seen[#seen + 1] = { true, (r:find(1)) }
      end
      local co = coroutine.wrap(function()
        run(outer, function()
          fail()
          look()
        end)
        run(outer, look)
        run(outer, fail)
        r:find(1)
        run(outer, function()
          fail()
          coroutine.yield()
        end)
      end)
      co()
      for _, one in ipairs(seen) do
        assert.is_true(one[1], one[2])
        assert.equal(outer, one[2])
      end
      assert.equal(4, #seen)
      assert.equal(outer, (r:find(1)))
      local other = coroutine.wrap(function() run({}, coroutine.yield) end)
      other()
      assert.equal("unregistered", select(2, r:find(1)))
      other()
      co()
    end)

  it("an input called arg is not 5.1's own arg", function()
    -- A function with `...` has there a local `arg` behind its parameters.
    local g = gbi.graph.new()
    g:output(g:placeholder "arg", (g:placeholder "..."))
    assert.same({ 1, 2, 3 }, { g:compile()(1, 2, 3) })
    local r, object = gbi.new(), {}
    r:register({}, gbi.source.LocalSource "arg")
    gbi.compile_prologue(r, { "arg", "..." })(object)
    assert.equal(object, r:get(1))
  end)

  it("a write to a constant may come first", function()
    -- It was written with a semicolon before it, which 5.1 does not know.
    local g = gbi.graph.new()
    g:set_item("text", "key", g:placeholder "x")
    g:output()
    assert.equal("function", type(g:compile { trace = false }))
  end)

  it("what a coroutine of no run writes is nobody's", function()
    -- The side table of those who belong to none of several runs was taken for
    -- empty, but kept what they had written into it.
    local registry, object = gbi.new(), {}
    local one, two = runner(registry, {}), runner(registry, {})
    one()
    two()
    registry:set(1, object)
    local found, why = registry:find(1)
    assert.is_nil(found)
    assert.equal("unregistered", why)
    local live, dead = registry:count()
    assert.equal(0, live)
    assert.equal(0, dead)
  end)

  it("what one run releases no other one finds", function()
    -- A release forgot the index in the side table in place alone.
    local registry, object = gbi.new(), {}
    local one, two = runner(registry, object), runner(registry, object)
    assert.equal(1, registry:register(object))
    one()
    two()
    assert.is_true(one(function() return registry:release(1) end))
    local found, why
    two(function() found, why = registry:find(1) end)
    assert.is_nil(found)
    assert.equal("unregistered", why)
  end)

  it("a new coroutine is not taken for a dead one", function()
    -- The coroutine of the side table in place was known by its address alone,
    -- where the next coroutine is made once that one has been collected.
    local registry, object, other = gbi.new(), {}, {}
    local running = runner(registry, other)
    running()
    local function run()
      core.enter(registry, { object }, 1)
      coroutine.yield()
    end
    local dead = coroutine.create(run)
    local name = tostring(dead)
    coroutine.resume(dead)
    dead = nil -- luacheck: ignore 311
    collectgarbage()
    collectgarbage()
    local same = {}
    for i = 1, 100 do
      same[i] = coroutine.create(function() return registry:find(1) end)
    end
    for i = 1, 100 do
      if tostring(same[i]) == name then
        local _, found = coroutine.resume(same[i])
        assert.equal(other, found)
      end
    end
    running()
  end)

  it("what was registered in another run is not dead in this one", function()
    -- A registration past the end of a run's side table left empty slots
    -- behind it, which say that there was an object.
    local registry, object, other = gbi.new(), {}, {}
    local one, two = runner(registry), runner(registry)
    one()
    two()
    one(function() return registry:register(other) end)
    local index, found, why
    two(function()
      index = registry:register(object)
      found, why = registry:find(1)
    end)
    assert.equal(2, index)
    assert.is_nil(found)
    assert.equal("unregistered", why)
  end)
end)

describe("regression, memory:", function()
  local OUT_OF_MEMORY = "not enough memory"

  -- What raises Lua's memory error when anything is asked of it.
  local function exhausted()
    local function fail() error(OUT_OF_MEMORY, 0) end
    return setmetatable({}, { __index = fail, __tostring = fail })
  end

  -- Lets each allocation fail in the cases of spec/support/faults.lua that have
  -- this in their name.
  local function faults(case)
    local out = portable.run(("%s spec/support/faults.lua short '%s'"):format(
      portable.start(portable.build .. "/faults"), case))
    local failed = out:match "(%d+) allocations failed\n$"
    assert.is_true(failed ~= nil and tonumber(failed) > 0, out)
  end

  it("a source's check passes a memory error on", function()
    -- is_source called `reconstruct` under a pcall and took its memory error
    -- for an answer: no source.
    assert.has_error(function() gbi.source.is_source(exhausted()) end,
      OUT_OF_MEMORY)
  end)

  it("a source's name passes a memory error on", function()
    -- name did the same with __tostring and called the source "?".
    assert.has_error(function() gbi.source.name(exhausted()) end,
      OUT_OF_MEMORY)
  end)

  it("a source's check passes an overflow of the stack on", function()
    -- Both took the error of a full stack for an answer, too; a source that
    -- was made there had "?" in its name for good.
    local function overflow() error("C stack overflow", 0) end
    local full = setmetatable({}, { __index = overflow, __tostring = overflow })
    assert.has_error(function() gbi.source.is_source(full) end,
      "C stack overflow")
    assert.has_error(function() gbi.source.name(full) end, "C stack overflow")
  end)

  it("a prologue stores and stashes in one call", function()
    -- It stored all objects in one call and stashed each in another, which
    -- could fail when the store was done.
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
    -- The stash was filled call by call, so one that could not be held came
    -- after others were.
    local r, a = gbi.new(), {}
    r:store(a)
    assert.has_error(function() r:store_list({ {}, {} }, 2, { {}, 5 }) end)
    assert.equal(a, r:get(1))
    assert.equal(1, (r:count()))
  end)

  it("a run that has done its work ends without memory", function()
    -- The end of a run made room for its name in a list of idle ones.
    faults "registered: call a graph"
  end)
end)

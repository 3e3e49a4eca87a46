-- Runs: the argument of a backend's function, and the handles that end with it.
local gbi = require "gbi"
local handles_since = require "spec.support.handles_since"
local kinds = require "spec.support.kinds"
local portable = require "spec.support.portable"
local raises = require "spec.support.errors".raises
local unpack = require "gbi.compat".unpack
local source = gbi.source

local L, G = source.LocalSource, source.GlobalSource

local live -- counts the handles left by the running spec

before_each(function() live = handles_since() end)

local function object(name) return { name = name } end

local function collect_all()
  portable.collect()
  portable.collect() -- a coroutine that held a run may have held another's
end

describe("a handle of a run", function()
  local function both(what, test)
    kinds.each(what, test, kinds.handles)
  end

  both("is the same in the whole run, and new in the next", function(f)
    local seen = {}
    f({}, function(handle)
      seen[handle] = true
      f({}, function(inner) seen[inner] = true end)
    end)
    f({}, function(handle) seen[handle] = true end)
    local n = 0
    for _ in pairs(seen) do n = n + 1 end
    assert.equal(1 + 3 + 1, n)
  end)

  both("ends with the run that returns", function(f)
    local kept, handle = object("o"), nil
    f(kept, function(h) handle = h end)
    assert.same({ nil, "dead" }, { gbi.handles:find(handle) })
    assert.has_error(function() gbi.handles:get(handle) end,
      ("handle %d is no longer alive"):format(handle))
    assert.equal(0, live())
  end)

  -- Asserts that a handle of a run that is over finds its object or nothing,
  -- and is dead after a collection.
  local function is_over(handle, o)
    local found, why = gbi.handles:find(handle)
    assert.is_true(found == o or why == "dead")
    found = nil -- luacheck: ignore 311
    collect_all()
    assert.same({ nil, "dead" }, { gbi.handles:find(handle) })
    assert.equal(0, live())
    assert.equal("o", o.name)
  end

  both("ends with the run that fails", function(f)
    local kept, handle = object("o"), nil
    assert.is_false(pcall(f, kept, function(h)
      handle = h
      error("oops")
    end))
    is_over(handle, kept)
  end)

  both("ends with the run whose coroutine fails", function(f)
    local kept, handle = object("o"), nil
    local co = coroutine.create(f)
    assert.is_false(coroutine.resume(co, kept, function(h)
      handle = h
      coroutine.yield(error("oops"))
    end))
    assert.equal("dead", coroutine.status(co))
    co = nil -- luacheck: ignore 311
    is_over(handle, kept)
  end)

  both("ends with the run whose coroutine is dropped", function(f)
    local kept, handle = object("o"), nil
    local co = coroutine.wrap(f)
    co(kept, function(h)
      handle = h
      coroutine.yield()
    end)
    collect_all()
    assert.equal(kept, gbi.handles:get(handle))
    co = nil -- luacheck: ignore 311
    is_over(handle, kept)
  end)

  if coroutine.close then
    both("ends with the run whose coroutine is closed", function(f)
      local kept, handle = object("o"), nil
      local co = coroutine.create(f)
      coroutine.resume(co, kept, function(h)
        handle = h
        coroutine.yield()
      end)
      assert.is_true(coroutine.close(co))
      is_over(handle, kept)
    end)
  end

  both("keeps the object alive in the run, and not after it", function(f)
    local weak = setmetatable({}, { __mode = "v" })
    local function make()
      weak[1] = object("o")
      return weak[1]
    end
    f(make(), function(handle)
      collect_all()
      assert.equal("o", gbi.handles:get(handle).name)
      collect_all()
    end)
    collect_all()
    assert.is_nil(weak[1])
  end)

  both("is one of gbi.handles", function(f)
    local o = object("o")
    local before = gbi.handles:strong("other")
    f(o, function(handle)
      assert.is_true(handle > before)
      assert.equal(o, gbi.handles:get(handle, "table"))
      assert.equal(2, live())
      local found = {}
      for h, value, kind in gbi.handles:entries() do
        if h >= before then found[#found + 1] = { h, value, kind } end
      end
      assert.same({ { before, "other", "strong" }, { handle, o, "run" } },
        found)
      assert.same({ nil, "unregistered" }, { gbi.new_handles():find(handle) })
    end)
    assert.equal(1, live())
    assert.is_true(gbi.handles:release(before))
  end)

  both("is found by every coroutine", function(f)
    local o = object("o")
    f(o, function(handle)
      assert.equal(o, coroutine.wrap(function()
        return gbi.handles:get(handle)
      end)())
    end)
  end)

  both("may be released: it is dead, and the run goes on", function(f)
    local o = object("o")
    f(o, function(handle)
      gbi.handles:release(handle)
      assert.same({ nil, "dead" }, { gbi.handles:find(handle) })
      f(o, function(inner) assert.equal(o, gbi.handles:get(inner)) end)
      assert.same({ nil, "dead" }, { gbi.handles:find(handle) })
    end)
    assert.equal(0, live())
  end)

  both("has a death notice when the run is over", function(f)
    local kept, handle, log = object("o"), nil, {}
    local function note(h) log[#log + 1] = h end
    local function begin(h)
      handle = h
      assert.is_true(gbi.handles:on_collect(h, note))
    end
    f(kept, function(h)
      begin(h)
      collect_all()
      assert.equal(0, gbi.handles:sweep())
    end)
    assert.equal(1, gbi.handles:sweep())
    assert.same({ handle }, log)
    pcall(f, kept, function(h)
      begin(h)
      error("oops")
    end)
    collect_all()
    assert.equal(1, gbi.handles:sweep())
    assert.equal(handle, log[2])
    assert.equal(0, gbi.handles:sweep())
  end)
end)

describe("a run", function()
  -- Runs body(run, ...) with an object at index 2 of 3.
  local function with(body, ...)
    local g = gbi.graph.new()
    g:placeholder("o")
    g:external({}, G "unused")
    local o = g:external({}, L "o")
    g:external({}, G "unused")
    g:output(o, (g:placeholder "..."))
    return g:compile { backend = function() return body end }(...)
  end

  it("has its objects by index, and nil where it has none", function()
    local o = object("o")
    assert.equal("done", with(function(run, input, more)
      assert.equal(o, input)
      assert.equal("more", more)
      assert.is_nil(run[1])
      assert.equal(o, run[2])
      assert.is_nil(run[3])
      assert.is_nil(run[4])
      assert.is_nil(run[0])
      return "done"
    end, o, "more"))
  end)

  it("gives handles only of objects, at the caller's line", function()
    with(function(run)
      raises("bad argument #1 to 'handle' (the run has no external object 1)",
        function() run:handle(1) end)
      for _, index in ipairs { 0, -2, 3, 4, portable.min } do
        raises(("bad argument #1 to 'handle' (the run has no external object "
          .. "%d)"):format(index), function() run:handle(index) end)
      end
      local handle = run:handle(2)
      raises("bad argument #1 to 'handle' (index expected, got a handle)",
        function() run:handle(handle) end)
      for _, index in ipairs { "x", {}, true } do
        assert.is_false(pcall(run.handle, run, index))
      end
      assert.is_false(pcall(run.handle, run))
      assert.is_false(pcall(run.handle, run, 2.5))
      assert.equal(handle, run:handle(2))
    end, {})
  end)

  it("is the first argument of its method", function()
    with(function(run)
      for _, other in ipairs { 2, {}, gbi.handles, gbi.new(), print } do
        assert.is_false(pcall(run.handle, other, 2))
      end
      assert.is_false(pcall(run.handle))
      local ok, err = pcall(function() run.handle(2) end)
      assert.is_false(ok)
      assert.matches("^spec/run_spec%.lua:%d+: .*gbi%.run expected", err)
    end, {})
  end)

  it("that is over gives no handle", function()
    local kept, method
    with(function(run)
      kept, method = run, run.handle
      run:handle(2)
    end, {})
    raises("calling 'handle' on bad self (the run is over)",
      function() kept:handle(2) end)
    assert.is_false(pcall(method, kept, 2))
    assert.equal(0, live())
  end)

  it("that failed still gives handles while something holds it", function()
    local kept, handle
    local o = object("o")
    assert.is_false(pcall(with, function(run)
      kept, handle = run, run:handle(2)
      error("oops")
    end, o))
    collect_all()
    assert.equal(o, kept[2])
    assert.equal(handle, kept:handle(2))
    assert.equal(o, gbi.handles:get(handle))
    kept = nil -- luacheck: ignore 311
    collect_all()
    assert.same({ nil, "dead" }, { gbi.handles:find(handle) })
  end)

  it("passes all results of the backend's function on", function()
    for _, n in ipairs { 0, 1, 2, 50, 250, portable.arguments - 100 } do
      local results = {}
      for i = 1, n do results[i] = i % 3 > 0 and i or nil end
      assert.equal(n, select("#", with(function(run)
        run:handle(2)
        return unpack(results, 1, n)
      end, {})))
    end
  end)

  it("may be left by a tail call, and may yield", function()
    local o = object("o")
    local co = coroutine.wrap(function()
      return with(function(run)
        local handle = run:handle(2)
        return (function(...)
          coroutine.yield(handle)
          return gbi.handles:get(handle), ...
        end)("more")
      end, o)
    end)
    local handle = co()
    collect_all()
    assert.equal(o, gbi.handles:get(handle))
    local got, more = co()
    assert.equal(o, got)
    assert.equal("more", more)
    assert.same({ nil, "dead" }, { gbi.handles:find(handle) })
  end)
end)

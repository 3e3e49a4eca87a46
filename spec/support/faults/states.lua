-- Lua states in which gbi is loaded, or which close, while memory runs out.
-- Each case has the fields
--
--   name
--   prepare, call, after  Lua texts, run one after the other in a new state
--   sign                  1: `call` runs out of memory; -1: closing does
--   wanted                what `after` returns

local PATHS = ("package.path, package.cpath = %q, %q\n"):format(package.path,
  package.cpath)

-- Returns "ok" if gbi works.
local WORKS = [[
  for name, value in pairs(package.loaded) do -- 5.1 records that it failed
    if type(value) ~= "table" and value ~= true then
      package.loaded[name] = nil
    end
  end
  local gbi = require "gbi"
  local capi = require "capi"
  local portable = require "spec.support.portable"
  local source = gbi.source.GlobalSource "x"
  local kept = portable.setmetatable({}, { __gc = function() end })

  for _, r in ipairs { gbi.new(), gbi.default, capi.new() } do
    assert(#r == 0 and tostring(r):find "^gbi.registry %(0 live, 0 dead%)")
    r:register(kept, source)
    local other = {}
    capi.register(r, other, source)
    local snapshot = r:snapshot()
    other = nil
    portable.collect()
    assert(r:get(1) == kept and r:find(2), "a snapshot holds")
    snapshot = nil
    portable.collect()
    assert(not r:find(2), "weak")
    assert(r ~= gbi.default or gbi.get_external_object_by_index(1) == kept)
    local ok, e = pcall(r.register, r, 5, source)
    assert(not ok and tostring(e):find "^Failed to make weakref to User Obj")
    r:reset()
    r:store(kept)
    assert(r ~= gbi.default or gbi.get_external_object_by_index(1) == kept)
    r:reset()
  end

  for _, h in ipairs { gbi.handles, gbi.new_handles(), capi.new_handles() } do
    assert(tostring(h):find "^gbi.handles %(0 live%)")
    local first = h:weak(kept)
    assert(first > 1000000000 and h:get(first) == kept)
    local strong, dead, called = h:strong {}, h:weak {}, 0
    assert(h:on_collect(dead, function() called = called + 1 end))
    portable.collect()
    assert(h:find(strong) and not h:find(dead) and h:count() == 2)
    assert(h:sweep() == 1 and called == 1)
    assert(h:release(first) and h:release(strong) and h:count() == 0)
    local ok, e = pcall(h.weak, h, "text")
    assert(not ok and tostring(e):find "strong")
  end

  local g = gbi.graph.new()
  g:output(g:call_function(gbi.source.GlobalSource "look",
    g:created({}, function(_, cg)
      cg:load_import("gbi.compat", "pack")
      cg:call_function(0)
    end):handle()))
  local handle
  function look(h)
    handle = h
    return gbi.handles:get(h).n
  end
  assert(g:compile()() == 0)
  assert(select(2, gbi.handles:find(handle)) == "dead")
  assert(not g.registry:find(2))
  assert(g:compile { backend = function()
    return function(run) return run:handle(1) end
  end }() == handle + 1)
  assert(gbi.compile_prologue(gbi.new()))
  assert(gbi.traceback("message"):find "^message\nstack traceback:")
  assert(gbi.debug(true) == false) -- in this state; it is on in another
  return "ok"
]]

-- Finalizers use everything while the state closes; none of them gets an object
-- that was already finalized.
local CLOSING = PATHS .. [[
  local gbi = require "gbi"
  local core = require "gbi.core"
  local setmetatable = require "spec.support.portable".setmetatable
  local r, h = gbi.new(), gbi.new_handles()
  local given = { [h] = {}, [gbi.handles] = {} }
  kept = {}
  local function object()
    local o = setmetatable({}, { __gc = function(self)
      self.finalized = true
      for i = 1, 6 do
        for _, registry in ipairs { r, gbi.default } do
          local o = registry:find(i)
          assert(not (o and o.finalized), "finalized")
        end
      end
      for handles, list in pairs(given) do
        for i = 1, #list do
          local o = handles:find(list[i])
          assert(not (o and o.finalized), "finalized")
        end
        handles:release(list[1])
        handles:weak(self)
        handles:sweep()
      end
      gbi.new():store(self)
    end })
    kept[#kept + 1] = o
    return o
  end
  for _, registry in ipairs { r, gbi.default } do
    registry:register(object(), gbi.source.GlobalSource "x")
    registry:store(object(), object(), {})
    registry:set(1, object())
    registry:stash(object())
    kept[#kept + 1] = registry:snapshot()
  end
  for handles, list in pairs(given) do
    for i = 1, 6 do
      list[i] = i % 2 == 0 and handles:weak(object())
        or handles:strong(object())
      handles:on_collect(list[i], print)
    end
  end
  kept.run = core.enter(r, { object() }, 1)
  table.insert(given[gbi.handles], kept.run:handle(1))
]]

return {
  -- regression: the state knew a metatable before it had its metamethods, and a
  -- second `require` used it unfinished
  { name = "require", prepare = PATHS, call = 'require "gbi"', sign = 1,
    after = WORKS, wanted = "ok" },
  { name = "require capi", prepare = PATHS, call = 'require "capi"', sign = 1,
    after = WORKS, wanted = "ok" },
  { name = "first use", prepare = PATHS .. 'require "gbi"',
    call = 'return require "gbi".traceback', -- which loads two modules
    sign = 1, after = [[
      for name, value in pairs(package.loaded) do
        local t = type(value)
        assert(t == "table" or t == "function" or value == true, name)
      end
    ]] .. WORKS, wanted = "ok" },
  { name = "close", prepare = CLOSING, call = "", sign = -1,
    after = "return 'closing'", wanted = "closing" },
}

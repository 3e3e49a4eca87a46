-- The end of a state: finalizers run from the youngest object to the oldest,
-- weak tables are no longer cleared, and no index may lead to a finalized
-- object. Each case is a script in a Lua of its own.

local portable = require "spec.support.portable"

local PRELUDE = [[
  gbi, portable = require "gbi", require "spec.support.portable"
  compat = require "gbi.compat"
  local setmetatable = portable.setmetatable
  r = gbi.new()
  X = gbi.source.GlobalSource "x"
  -- An object that knows whether it was finalized; the globals keep it until
  -- the end.
  kept = {}
  function object(name, finalizer)
    local o = setmetatable({ name = name }, { __gc = function(self)
      self.finalized = true
      if finalizer then finalizer() end
    end })
    kept[#kept + 1] = o
    return o
  end
  local function check(name, o)
    if o and o.finalized then print(name .. " gave " .. o.name) end
  end
  -- Prints every way in which a finalized object is handed out.
  function look()
    for i = 1, 4 do
      check("find", (r:find(i)))
      local ok, o = pcall(r.get, r, i)
      check("get", ok and o)
      ok, o = pcall(gbi.get_external_object_by_index, i)
      check("get of the default registry", ok and o)
      for _, entry in r:entries() do check("entries", entry.object) end
      if snapshot then
        r:restore(snapshot)
        check("restore", (r:find(i)))
      end
    end
  end
]]

-- Runs a script to the end of its state, with warnings on; returns what it
-- printed.
local function run(script)
  local out, ok = portable.script(PRELUDE .. script, portable.warn)
  assert.is_true(ok, out)
  return out
end

describe("a state closes", function()
  for what, script in pairs {
    ["a registry in use"] = [[
      function f() end
      for _, registry in ipairs { r, gbi.default } do
        registry:register(io.stdout, X)
        registry:register_created(object "a", f)
        registry:store(object "b", f, coroutine.create(f), {})
        registry:set(1, object "c")
      end]],
    ["a snapshot"] = [[
      r:store(object "a", {})
      snapshot = r:snapshot()]],
    ["something stashed"] = [[
      r:stash(object "a")
      r:store()
      r:stash(object "b")]],
    ["callbacks that wait for a death"] = [[
      local function dies() print "died" end
      for _, h in ipairs { gbi.new_handles(), gbi.handles } do
        local held = {}
        h:on_collect(h:weak(object "a"), dies)
        h:on_collect(h:weak(held), dies)
        object("b", function() assert(h:sweep() == 0) return held end)
      end]],
    ["handles of every kind"] = [[
      for _, h in ipairs { gbi.new_handles(), gbi.handles } do
        h:weak(object "a")
        h:strong(object "b")
        h:strong(false)
        h:release(h:weak(object "c"))
        h:strong(h)
      end
      local g = gbi.graph.new()
      g:output(g:external({}, gbi.source.GlobalSource "o"):handle())
      o = object "d"
      handle = g:compile()()]],
    ["a coroutine that waits"] = [[
      co = coroutine.create(function()
        r:register(object "a", X)
        r:store((coroutine.running()))
        coroutine.yield()
      end)
      assert(coroutine.resume(co))]],
    ["os.exit from a coroutine that runs"] = ([[
      coroutine.wrap(function()
        %s
        r:register(o, X)
        r:store((coroutine.running()))
        os.exit(0, true)
      end)()]]):format(portable.closes
        and 'local o <close> = setmetatable(object "a", { __close = print })'
        or 'local o = object "a"'),
    ["an iterator in the middle"] = [[
      r:register(object "a", X)
      r:store(object "b", object "c")
      step, state = r:entries()
      step(state, 0)]],
    ["os.exit"] = [[
      r:store(object "a", r)
      gbi.register_user_object(r, X)
      os.exit(0, true)]],
    ["thousands of objects"] = [[
      local function again() r:find(1) r:register(r, X) end
      for i = 1, 5000 do r:register(object("a", again), X) end]],
    ["a registry that was let go"] = [[
      r:store(object "a", r)
      r = nil]],
  } do
    it(("with %s"):format(what), function()
      assert.equal("", run(script))
    end)
  end

  it("while the youngest finalizer can still get live objects", function()
    assert.equal("alive\nnil\tdead\n", run [[
      object("oldest", function() print(r:find(1)) end)
      r:register(object "a", X)
      object("youngest", function()
        assert(r:get(1) == kept[2] and r:find(1) == kept[2])
        print "alive"
      end)]])
  end)

  it("and get says that the object is no longer alive", function()
    assert.equal("external object 1 (G[\"x\"]) is no longer alive\n", run [[
      object("oldest", function()
        print((select(2, pcall(r.get, r, 1)):match "external.*"))
      end)
      r:register(object "a", gbi.source.GlobalSource "x")]])
  end)
end)

-- How objects a, b and c get into the registry.
local WAYS = {
  register = "for _, o in ipairs(objects) do r:register(o, X) end",
  register_created =
    "for _, o in ipairs(objects) do r:register_created(o, print) end",
  store = "r:store(compat.unpack(objects))",
  store_list = "r:store_list(objects)",
  set = "for i, o in ipairs(objects) do r:set(i, o) end",
  restore = [[
    if not snapshot then
      r:store(compat.unpack(objects))
      snapshot = r:snapshot()
      r:store()
    end
    r:restore(snapshot)]],
}

-- When they get there: `put` is one of these ways. The object "young" is the
-- youngest, so its finalizer puts them during the closing.
local CASES = {
  ["before"] = "put()",
  ["before, twice"] = "put() put() r:reset() put()",
  ["before some collections"] = [[
    put() collectgarbage() put() collectgarbage()
    pcall(collectgarbage, "generational") put() collectgarbage()]],
  ["before, in another order of ages"] = [[
    objects[1], objects[2], objects[4] =
      object("d", look), objects[1], object("e", look)
    put()]],
  ["before and meanwhile"] = 'put() r:store() object("young", put)',
  ["meanwhile, after those it held before"] =
    'r:register(object("young", put), X)',
  ["meanwhile, after another registry held some"] = [[
    other = gbi.new()
    other:register(object("young", put), X)]],
  ["meanwhile, after a handle table held some"] =
    'gbi.handles:weak(object("young", put))',
  ["before an object has its finalizer, and again"] = [[
    local late = portable.bare { name = "late" }
    kept[#kept + 1], objects[4] = late, late
    put()
    portable.arm(late, function(self)
      self.finalized = true
      look()
    end)
    r:store()
    put()]],
}

describe("while a state closes no finalizer is given a finalized object",
  function()
    for case, script in pairs(CASES) do
      it(("that came %s"):format(case), function()
        local wrong = {}
        for way, put in pairs(WAYS) do
          for _, registry in ipairs { "r", "gbi.default" } do
            local out = run(([[
              r = %s
              object("oldest", look)
              objects = { object("a", look), object("b", look),
                          object("c", look) }
              local function put() %s end
              %s
              object("youngest", look)]]):format(registry, put, script))
            if out ~= "" then
              wrong[("%s, by %s"):format(registry, way)] = out:match("[^\n]+")
            end
          end
        end
        assert.same({}, wrong)
      end)
    end
  end)

describe("no finalizer is given a finalized object", function()
  it("of a registry that is collected with it", function()
    assert.equal("", run [[
      do
        local mine, all = gbi.new(), {}
        local function look_at()
          for i = 1, 3 do
            local o = mine:find(i)
            if o and o.finalized then print(o.name) end
          end
        end
        for i = 1, 3 do
          all[i] = setmetatable({ name = i }, { __gc = function(self)
            self.finalized = true
            look_at()
          end })
          mine:register(all[i], X)
        end
      end
      collectgarbage()]])
  end)
end)

describe("a registry that a finalizer resurrects", function()
  it("works as before", function()
    assert.equal("2\ttrue\ttrue\n", run [[
      do
        local mine = gbi.new()
        local o = setmetatable({}, { __gc = function() back = mine end })
        mine:register(o, X)
      end
      collectgarbage()
      local t = {}
      local index = back:register(t, X)
      back:restore(back:snapshot())
      print(index, back:find(index) == t, #back == 2)]])
  end)
end)

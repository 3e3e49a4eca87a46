-- The registry: the promises of every function and method, and misuse.

local compat = require "gbi.compat"
local gbi = require "gbi"
local fixture = require "spec.support.fixture"
local portable = require "spec.support.portable"
local source = require "spec.support.named_source"

local from = source "from" -- for specs in which any source will do

-- The module function and the method of each of the seed's functions.
local SEED = {
  register = "register_user_object",
  register_created = "register_graph_created_object",
  get = "get_external_object_by_index",
  store = "store_user_object_weakrefs",
  reset = "reset_user_object_tracking",
  has_objects = "has_user_objects",
  set = "set_external_object_by_index",
  stash = "stash_graph_created_object",
}

-- gbi.default with module functions in place of its methods.
local functions = portable.setmetatable({}, {
  __index = function(_, method)
    local f = SEED[method] and gbi[SEED[method]]
    return function(_, ...)
      if f then -- in 5.1 a tail call would hide the line
        local object = f(...)
        return object
      end
      return gbi.default[method](gbi.default, ...)
    end
  end,
  __len = function() return #gbi.default end,
})

-- Everything that can be seen of a registry, in one table.
local function state(r)
  local found, entries, constructors = {}, {}, {}
  for index, entry in r:entries() do entries[index] = entry end
  for index, f, kind in r:constructors() do
    constructors[index] = { f, kind }
  end
  for index = -1, #r + 8 do found[index] = { r:find(index) } end
  return { found = found, entries = entries, constructors = constructors,
           length = #r, has = r:has_objects(), count = { r:count() } }
end

-- Asserts that f raises `message`, a string, after the position of the call.
local function assert_raises(message, f)
  local ok, err = pcall(f)
  assert.is_false(ok)
  assert.equal(message, tostring(err):match("^[^:]+:%d+: (.*)$"))
end

local function noop() end

-- The constructor at an index.
local function constructor(r, index)
  for i, f in r:constructors() do
    if i == index then return f end
  end
end

-- Values that cannot be held weakly; nil is number 0.
local VALUES = { [0] = nil, true, false, 1, 0.5, "two\nlines",
                 require "capi".light() }

before_each(gbi.reset_user_object_tracking)

for name, new in pairs {
  ["the methods of a registry"] = gbi.new,
  ["the module functions"] = function() return functions end,
} do
  describe(name, function()
    local r, a, b, c

    before_each(function()
      r, a, b, c = new(), {}, {}, {}
    end)

    describe("register", function()
      it("gives out dense indices from 1", function()
        assert.equal(1, r:register(a, source "a"))
        assert.equal(2, r:register(b, from))
        assert.equal(3, r:register(a, from))
        assert.equal(a, r:get(1))
        assert.equal(b, r:get(2))
        assert.equal(a, r:get(3))
      end)

      it("takes whatever can be referenced weakly", function()
        for i, value in ipairs { {}, noop, print, io.stdout, gbi.default,
                                 coroutine.create(noop) } do
          assert.equal(i, r:register(value, from))
          assert.equal(value, r:get(i))
        end
      end)

      it("makes a constructor that gives cg the source", function()
        local cg, where = spy.new(noop), source "a"
        r:register(a, where)
        constructor(r, 1)(cg)
        assert.spy(cg).was.called(1)
        assert.spy(cg).was.called_with(match.is_ref(where))
      end)

      it("needs a source", function()
        r:register(a, from)
        local before = state(r)
        for _, object in ipairs { a, print, io.stdout, gbi.default } do
          assert.is_false((pcall(r.register, r, object)))
          assert.is_false((pcall(r.register, r, object, nil)))
          assert.is_false((pcall(r.register, r, object, object)))
        end
        assert.same(before, state(r))
        assert.equal(2, r:register(b, from))
      end)

      it("takes anything for a source that can be called `reconstruct`",
        function()
          local callable = setmetatable({}, { __call = noop })
          for i, where in ipairs {
            { reconstruct = noop },
            { reconstruct = callable },
            setmetatable({}, { __index = { reconstruct = noop } }),
            portable.setmetatable({}, { __index = { reconstruct = noop },
                                        __gc = noop }),
            gbi.source.LocalSource "x",
          } do
            local cg = spy.new(noop)
            assert.equal(i, r:register(a, where))
            constructor(r, i)(cg)
            assert.spy(cg).was.called_with(match.is_ref(where))
          end
        end)

      it("sets a slot that store has filled", function()
        r:store(a, b)
        assert.equal(1, r:register(c, from))
        assert.equal(c, r:get(1))
        assert.equal(b, r:get(2))
      end)
    end)

    describe("register_created", function()
      it("shares the indices of register", function()
        assert.equal(1, r:register(a, from))
        assert.equal(2, r:register_created(b, noop))
        assert.equal(3, r:register(c, from))
        assert.equal(b, r:get(2))
      end)

      it("makes a constructor that calls construct_fn(index, cg)", function()
        local construct_fn, cg = spy.new(noop), {}
        r:register(a, from)
        r:register_created(b, function(...) construct_fn(...) end)
        constructor(r, 2)(cg)
        assert.spy(construct_fn).was.called(1)
        assert.spy(construct_fn).was.called_with(2, match.is_ref(cg))
      end)
    end)

    describe("store", function()
      it("puts its first argument at index 1", function()
        r:store(a, b)
        assert.equal(a, r:get(1))
        assert.equal(b, r:get(2))
      end)

      it("replaces the whole side table", function()
        r:store(a, b, c)
        r:store(c)
        assert.equal(c, r:get(1))
        assert.same({ nil, "unregistered" }, { r:find(2) })
        assert.same({ nil, "unregistered" }, { r:find(3) })
        r:store()
        assert.same({ nil, "unregistered" }, { r:find(1) })
      end)

      it("replaces registered objects, past its end, too", function()
        r:register(a, from)
        r:register(b, from)
        r:store(c)
        assert.equal(c, r:get(1))
        assert.same({ nil, "unregistered" }, { r:find(2) })
        r:store(c, a)
        assert.equal(a, r:get(2))
      end)

      it("touches no constructor", function()
        r:register(a, source "a")
        r:register_created(b, noop)
        local before = state(r).constructors
        r:store(c)
        assert.same(before, state(r).constructors)
        assert.equal(2, #r)
        assert.equal(3, r:register(a, from))
      end)

      it("takes thousands of objects, and the same one twice", function()
        local many, n = {}, portable.arguments
        for i = 1, n do many[i] = i % 2 == 0 and a or {} end
        r:store(compat.unpack(many))
        for i = 1, n do assert(r:get(i) == many[i]) end
        assert.same({ n, 0 }, { r:count() })
      end)
    end)

    describe("set", function()
      it("replaces one object", function()
        r:register(a, from)
        r:register(b, from)
        r:set(1, c)
        assert.equal(c, r:get(1))
        assert.equal(b, r:get(2))
      end)

      it("appends at index n+1, and not further", function()
        r:register(a, from)
        r:set(2, b)
        r:set(3, c)
        assert.equal(c, r:get(3))
        assert.has_error(function() r:set(5, a) end)
        assert.equal(1, #r)
        assert.equal(2, r:register(a, from)) -- the number of constructors + 1
        assert.equal(a, r:get(2))
        assert.equal(c, r:get(3))
      end)

      it("fills a slot that the last store left out", function()
        r:register(a, from)
        r:register(b, from)
        r:store()
        r:set(2, c)
        assert.equal(c, r:get(2))
        assert.same({ nil, "unregistered" }, { r:find(1) })
      end)

      it("keeps indices that the last store left out unregistered", function()
        for _ = 1, 6 do r:register(a, from) end
        r:store(b)
        r:set(4, c)
        collectgarbage()
        assert.equal(b, r:get(1))
        assert.equal(c, r:get(4))
        for _, index in ipairs { 2, 3, 5, 6 } do
          assert.same({ nil, "unregistered" }, { r:find(index) })
        end
        assert.same({ 2, 0 }, { r:count() })
      end)
    end)

    describe("stash", function()
      it("returns its object and puts it at no index", function()
        local before = state(r)
        assert.equal(a, r:stash(a))
        assert.same(before, state(r))
      end)
    end)

    describe("has_objects", function()
      it("asks for constructors, not for slots", function()
        assert.is_false(r:has_objects())
        r:store(a)
        r:set(2, b)
        assert.is_false(r:has_objects())
        r:register(a, from)
        r:store()
        assert.is_true(r:has_objects())
        r:reset()
        assert.is_false(r:has_objects())
      end)
    end)

    describe("reset", function()
      it("empties everything, and indices start at 1 again", function()
        local empty = state(r)
        r:register(a, from)
        r:register_created(b, noop)
        r:store(a, b, c)
        r:set(2, c)
        r:stash(c)
        r:reset()
        assert.same(empty, state(r))
        assert.same({ nil, "unregistered" }, { r:find(1) })
        assert.equal(1, r:register(c, from))
        assert.equal(c, r:get(1))
      end)
    end)

    describe("get", function()
      it("says how many the registry holds", function()
        for _, object in ipairs { a, b, c } do r:register(object, from) end
        for _, index in ipairs { 0, 4, 7, -1, 1000000000, portable.min } do
          assert_raises(("external object %d is not registered "
            .. "(the registry holds 3)"):format(index), function()
            r:get(index)
          end)
        end
      end)

      it("takes floats and strings that are integers", function()
        r:register(a, from)
        assert.equal(a, r:get(1.0))
        assert.equal(a, r:get("1"))
        assert.equal(a, r:get("0x1"))
      end)

      it("checks the type: a basic one, or a metatable's name", function()
        local co = coroutine.create(noop)
        r:store(a, io.stdout, noop, co)
        for i, tname in ipairs { "table", "FILE*", "function", "thread" } do
          assert.equal(r:get(i), r:get(i, tname))
        end
        assert.equal(io.stdout, r:get(2, "userdata"))
        assert.equal(a, r:get(1, nil))
        assert_raises("external object 2 is not a table (got FILE*)",
          function() r:get(2, "table") end)
        assert_raises("external object 1 is not a FILE* (got table)",
          function() r:get(1, "FILE*") end)
      end)

      it("names the source of an object of another type", function()
        r:register(io.stdout, gbi.source.AttrSource(
          gbi.source.GlobalSource "io", "stdout"))
        assert_raises('external object 1 (G["io"].stdout) is not a thread '
          .. "(got FILE*)", function() r:get(1, "thread") end)
      end)
    end)

    for method, gb_type in pairs {
      register = "Failed to make weakref to User Object",
      register_created =
        "Failed to make weakref to graph-created external object",
    } do
      describe(method .. " of what cannot be referenced weakly", function()
        local function failure(value)
          local extra = method == "register_created" and noop or source "s"
          local ok, err = pcall(function() r[method](r, value, extra) end)
          assert.is_false(ok)
          return err
        end

        it("leaves nothing behind", function()
          r:register(a, from)
          r:store(b, c)
          local before = state(r)
          for i = 0, #VALUES do failure(VALUES[i]) end
          assert.same(before, state(r))
          assert.equal(2, r:register(a, from))
        end)

        it("raises an error object", function()
          for i = 0, #VALUES do
            local value, err = VALUES[i], failure(VALUES[i])
            assert.is_table(err)
            assert.equal(gb_type, err.gb_type)
            assert.equal("user_object: " .. tostring(value), err.context)
            assert.equal("Object does not allow us to make a weakref to it",
              err.explanation)
            assert.equal(1, #err.hints)
            assert.truthy(err.hints[1]:find("constant", 1, true))
            assert.truthy(err.hints[1]:find("wrap", 1, true))
            assert.equal("cannot create weak reference to a " .. type(value),
              err.from_exc)
          end
        end)

        it("lays it out with indented lines", function()
          local err = failure("two\nlines")
          err.hints[2] = "another"
          assert.equal(gb_type
            .. "\n  Explanation: " .. err.explanation
            .. "\n  Hint: " .. err.hints[1]
            .. "\n  Hint: another"
            .. "\n\n  Developer debug context: user_object: two\n    lines"
            .. "\n\nfrom user code: " .. err.where, tostring(err))
          assert.truthy(err.where:find("registry_spec.lua:%d+: $"))
          err.where = nil
          assert.falsy(tostring(err):find("from user code", 1, true))
        end)
      end)
    end
  end)
end

describe("the seed's functions", function()
  it("are module functions and methods, in C; get for LuaJIT in Lua", function()
    for method, name in pairs(SEED) do
      local what = method == "get" and rawget(_G, "jit") and "Lua" or "C"
      assert.equal(what, debug.getinfo(gbi[name], "S").what, name)
      assert.equal(what, debug.getinfo(gbi.default[method], "S").what, method)
    end
  end)

  it("act on the tables of gbi.default either way", function()
    local a, b, r = {}, {}, gbi.default
    assert.equal(1, gbi.register_user_object(a, from))
    assert.equal(a, r:get(1))
    assert.is_true(r:has_objects())
    assert.equal(2, r:register_created(b, noop))
    assert.equal(b, gbi.get_external_object_by_index(2))
    assert.equal(3, gbi.register_graph_created_object(a, noop))
    gbi.store_user_object_weakrefs(b)
    assert.equal(b, r:get(1))
    r:store(a)
    assert.equal(a, gbi.get_external_object_by_index(1))
    gbi.set_external_object_by_index(1, b)
    assert.equal(b, r:get(1))
    r:set(1, a)
    assert.equal(a, gbi.get_external_object_by_index(1))
    assert.equal(3, #r)
    r:reset()
    assert.is_false(gbi.has_user_objects())
    assert.has_error(function() gbi.get_external_object_by_index(1) end)
    gbi.store_user_object_weakrefs(a)
    gbi.reset_user_object_tracking()
    assert.same({ nil, "unregistered" }, { r:find(1) })
  end)

  it("are the same when the module is loaded again", function()
    local object = {}
    for name in pairs(package.loaded) do
      if name:find("^gbi%f[%z.]") then package.loaded[name] = nil end
    end
    local again = require "gbi"
    assert.not_equal(gbi, again)
    assert.equal(gbi.default, again.default)
    gbi.register_user_object(object, from)
    assert.equal(object, again.get_external_object_by_index(1))
    assert.equal(object, gbi.get_external_object_by_index(1))
    again.reset_user_object_tracking()
    assert.is_false(gbi.has_user_objects())
    for _, module in ipairs { gbi, again } do
      assert.has_error(function() module.get_external_object_by_index(1) end)
    end
    again.store_user_object_weakrefs(object)
    for _, module in ipairs { gbi, again } do
      assert.equal(object, module.get_external_object_by_index(1))
    end
    gbi.store_user_object_weakrefs()
    for _, module in ipairs { gbi, again } do
      assert.has_error(function() module.get_external_object_by_index(1) end)
    end
    -- so are the sources that the two copies made
    local mine, other = gbi.source.LocalSource "x", again.source.LocalSource "x"
    assert.equal(mine, other)
    for _, module in ipairs { gbi, again } do
      for _, where in ipairs { mine, other } do
        again.reset_user_object_tracking()
        assert.equal(1, module.register_user_object(object, where))
        assert.equal(object, gbi.default:get(1))
        for index, construct in gbi.default:constructors() do
          assert.equal(1, index)
          assert.equal("function", type(construct))
        end
        local text = select(2, module.compile_prologue(gbi.default, { "x" }))
        assert.truthy(text:find("function(x)", 1, true))
        assert.equal(object, gbi.default:get(1))
      end
    end
  end)

  it("take no other value with a registry's metatable", function()
    local r = gbi.new()
    local fake = setmetatable({}, getmetatable(r))
    for _, name in ipairs { "store", "get", "register", "find", "reset" } do
      local ok, err = pcall(r[name], fake, {}, {}, {})
      assert.is_false(ok)
      assert.truthy(err:find "gbi.registry expected", err)
    end
    gbi.store_user_object_weakrefs(fake)
    assert.equal(fake, gbi.default:get(1))
    gbi.store_user_object_weakrefs(fake)
    assert.equal(fake, gbi.default:get(1))
    gbi.default:reset()
  end)

  -- A register makes a closure, so it can start a collection, which calls
  -- finalizers that replace the tables that the register has looked up.
  it("register in the tables that a finalizer left behind", function()
    local own, kept, ran = gbi.source.LocalSource "x", { {}, {} }, 0
    local function garbage(f)
      portable.setmetatable({}, { __gc = function()
        ran = ran + 1
        f()
      end })
    end
    collectgarbage("restart") -- for spec/support/collector.lua
    local restore = portable.collector {
      mode = "incremental", pause = 0, stepmul = 1000,
    }
    collectgarbage()
    finally(function()
      restore()
      gbi.default:reset()
    end)
    for _, r in ipairs { gbi.default, gbi.new() } do
      local register = r == gbi.default and gbi.register_user_object
        or function(...) return r:register(...) end
      local step = r:constructors()
      for _, f in ipairs {
        function() r:reset() end,
        function() r:store(kept[1], kept[2]) end,
        function() r:register(kept[1], from) end,
      } do
        r:reset()
        ran = 0
        local object = {}
        for _ = 1, 3000 do
          garbage(f)
          local index = register(object, own)
          local found = r:get(index) -- before another collection
          local i, construct = step(r, index - 1)
          assert.equal(object, found)
          assert.equal(index, i)
          assert.equal("function", type(construct))
          if index > 50 then r:reset() end
          if ran > 30 then break end -- soon, where the heap is small
        end
        assert(ran > 30, ran)
      end
    end
  end)

  it("register after a reset in new tables, by every way", function()
    for _, r in ipairs { gbi.default, gbi.new() } do
      local register = r == gbi.default and gbi.register_user_object
        or function(...) return r:register(...) end
      local plain, own = {}, gbi.source.LocalSource "x"
      for _, other in ipairs { setmetatable({}, {}), print, own } do
        for round = 1, 3 do
          r:reset()
          for i, object in ipairs { plain, other, plain } do
            assert.equal(i, register(object, i ~= 3 and own or from))
            assert.equal(object, r:get(i), round)
            assert.equal(i, #r)
          end
          r:store(other, plain, plain)
          assert.equal(4, register(plain, own))
          assert.same({ other, plain, plain, plain },
            { r:get(1), r:get(2), r:get(3), r:get(4) })
          local sources = {}
          for i, entry in r:entries() do sources[i] = entry.source end
          for i = 1, 4 do
            assert.is_true(rawequal(i ~= 3 and own or from, sources[i]), i)
          end
        end
      end
      r:reset()
    end
  end)

  it("raise their errors with the caller's position", function()
    local r, file = gbi.new(), debug.getinfo(1, "S").short_src
    for _, f in ipairs {
      function() r:get(7) end,
      function() gbi.get_external_object_by_index(7) end,
      function() r:store(7) end,
      function() gbi.stash_graph_created_object(7) end,
    } do
      local _, err = pcall(f)
      local position = ("%s:%d: "):format(file,
        debug.getinfo(f, "S").linedefined)
      assert.equal(position, err:sub(1, #position))
    end
  end)

  it("see the same tables from every coroutine", function()
    local object = {}
    coroutine.wrap(function() gbi.register_user_object(object, from) end)()
    assert.equal(object, gbi.get_external_object_by_index(1))
  end)
end)

describe("the tables of gbi.default", function()
  -- The tables in the Lua registry, under light userdata, that hold `value`.
  local function anchors(value, index)
    local found = {}
    for key, t in pairs(debug.getregistry()) do
      if type(key) == "userdata" and type(t) == "table"
         and rawequal(rawget(t, index), value) then
        found[#found + 1] = t
      end
    end
    return found
  end

  local function check_anchored()
    local object, example = {}, {}
    local i = gbi.register_user_object(object, from)
    local k = gbi.register_graph_created_object(example, noop)
    local objects = anchors(object, i)
    assert.equal(1, #objects)
    assert.equal("v", getmetatable(objects[1]).__mode)
    assert.equal(example, objects[1][k])
    local constructors = anchors(constructor(gbi.default, k), k)
    assert.equal(1, #constructors)
    assert.is_nil(getmetatable(constructors[1]))
    assert.is_function(constructors[1][i])
    local both, examples = anchors(example, k), nil
    assert.equal(2, #both)
    for _, t in ipairs(both) do
      if t ~= objects[1] then examples = t end
    end
    assert.is_nil(getmetatable(examples))
    assert.is_nil(examples[i])
  end

  it("are anchored in the Lua registry", check_anchored)

  it("stay so after reset", function()
    check_anchored()
    gbi.reset_user_object_tracking()
    check_anchored()
  end)

  it("stay so after store, set and restore", function()
    check_anchored()
    local a, b, c = {}, {}, {}
    gbi.store_user_object_weakrefs(a)
    assert.equal(1, #anchors(a, 1))
    gbi.store_user_object_weakrefs(a, b, c)
    gbi.store_user_object_weakrefs(c, b, a)
    assert.equal(1, #anchors(a, 3))
    local snapshot = gbi.default:snapshot()
    gbi.store_user_object_weakrefs()
    assert.equal(0, #anchors(a, 3))
    gbi.default:restore(snapshot)
    assert.equal(1, #anchors(a, 3))
    check_anchored()
  end)

  it("are not shared with other registries", function()
    local object, r = {}, gbi.new()
    r:register_created(object, noop)
    assert.equal(0, #anchors(object, 1))
  end)
end)

describe("a registry", function()
  local r, a, b, c

  before_each(function()
    r, a, b, c = gbi.new(), {}, {}, {}
  end)

  it("never sees another one's objects", function()
    local other = gbi.new()
    r:register(a, from)
    other:store(b, c)
    gbi.store_user_object_weakrefs(c)
    assert.equal(a, r:get(1))
    assert.equal(b, other:get(1))
    assert.same({ nil, "unregistered" }, { r:find(2) })
    assert.equal(0, #other)
    other:reset()
    assert.equal(a, r:get(1))
    assert.equal(c, gbi.get_external_object_by_index(1))
  end)

  it("has the number of constructors for its length", function()
    assert.equal(0, #r)
    r:register(a, from)
    r:register_created(b, noop)
    assert.equal(2, #r)
    r:store(a, b, c)
    assert.equal(2, #r)
    r:set(4, c)
    r:store()
    assert.equal(2, #r)
    assert.equal(3, r:register(c, from))
    assert.equal(3, #r)
    r:reset()
    assert.equal(0, #r)
  end)

  it("has constructors up to its length, whatever was stored", function()
    local function check(n)
      local seen = {}
      for index in r:constructors() do seen[#seen + 1] = index end
      assert.equal(n, #r)
      assert.equal(n, #seen)
      for i = 1, n do assert.equal(i, seen[i]) end
    end
    local many = {}
    for i = 1, 40 do many[i] = {} end
    for i = 1, 20 do
      if i % 3 == 0 then r:store_list(many, i * 7 % 23) end
      if i % 4 == 0 then r:set(i, many[i]) end
      if i % 5 == 0 then r:restore(r:snapshot()) end
      local index = i % 2 == 0 and r:register(many[i], from)
        or r:register_created(many[i], noop)
      assert.equal(i, index)
      assert.equal(many[i], r:get(i))
      check(i)
    end
    r:store()
    check(20)
  end)

  it("counts and prints its live and dead entries", function()
    local function check(live, dead)
      assert.same({ live, dead }, { r:count() })
      assert.truthy(tostring(r):find(("^gbi.registry %%(%d live, %d dead%%)")
        :format(live, dead)))
    end
    local dying = { {}, {} }
    check(0, 0)
    r:register(a, from)
    r:register(dying[1], from)
    r:store_list({ a, b, dying[1], dying[2] })
    check(4, 0)
    dying = nil -- luacheck: ignore dying
    collectgarbage()
    check(2, 2)
    r:set(3, c)
    check(3, 1)
    r:store(a)
    check(1, 0)
    r:store()
    check(0, 0)
    r:set(3, c)
    check(1, 0)
  end)

  it("keeps forgotten indices unregistered when a later one is set", function()
    -- An index between the last stored one and a later one was dead, as if
    -- its object had been collected.
    local kept = { {}, {}, {}, {}, {}, {}, {}, {} }
    local last = { {}, {}, {} }
    for _, leave in ipairs { 0, 1, 3 } do
      for way, add in pairs {
        register = function() r:register(last[1], from) end,
        register_created = function() r:register_created(last[1], noop) end,
        set = function() r:set(9, last[1]) end,
        ["register and set"] = function()
          r:register(last[1], from)
          r:set(10, last[2])
        end,
        ["set and register"] = function()
          r:set(9, last[2])
          r:register(last[1], from)
          r:set(10, last[2])
        end,
        ["set in the middle"] = function()
          r:set(9, last[1])
          r:set(6, last[2])
        end,
        ["snapshot and restore"] = function()
          r:register(last[1], from)
          local snapshot = r:snapshot()
          r:store_list(kept)
          r:restore(snapshot)
        end,
      } do
        r:reset()
        for i = 1, 8 do r:register(kept[i], from) end
        r:store_list(kept, leave)
        add()
        collectgarbage()
        assert.equal(last[1], r:get(9), way)
        local live = 0
        for i = 1, 12 do
          local object, why = r:find(i)
          if object then live = live + 1
          else assert.equal("unregistered", why, way) end
          if i <= leave then assert.equal(kept[i], object)
          elseif i < 9 and not (way == "set in the middle" and i == 6) then
            assert.is_nil(object)
          end
        end
        assert.same({ live, 0 }, { r:count() })
        local entries = 0
        for index, entry in r:entries() do
          entries = entries + 1
          assert.equal(r:get(index), entry.object)
        end
        assert.equal(live, entries)
      end
    end
  end)

  it("tells omitted indices from dead ones", function()
    local kept = { {}, {}, {} }
    for i = 1, 5 do r:register(kept[i] or {}, from) end
    r:store(kept[1], {})
    r:set(5, kept[2]) -- 3 and 4 were left out
    assert.equal(6, r:register({}, from))
    collectgarbage()
    local snapshot = r:snapshot()
    for round = 1, 2 do
      assert.same({ kept[1] }, { r:find(1) })
      assert.same({ nil, "dead" }, { r:find(2) })
      assert.same({ nil, "unregistered" }, { r:find(3) })
      assert.same({ nil, "unregistered" }, { r:find(4) })
      assert.same({ kept[2] }, { r:find(5) })
      assert.same({ nil, "dead" }, { r:find(6) })
      assert.same({ nil, "unregistered" }, { r:find(7) })
      assert.same({ 2, 2 }, { r:count() })
      local seen = {}
      for index, entry in r:entries() do
        seen[#seen + 1] = ("%d %s"):format(index, entry.status)
      end
      assert.same({ "1 live", "2 dead", "5 live", "6 dead" }, seen)
      assert_raises("external object 3 is not registered (the registry "
        .. "holds 4)", function() r:get(3) end)
      if round == 1 then
        r:store_list({ a, b, c, a, b, c, a, b })
        r:restore(snapshot)
      end
    end
  end)

  -- The size that the side table was made with was still recorded after
  -- register or set had written past it, or a restore had made a shorter table.
  -- A store in place then ran out of memory between two of its slots.
  it("stores all or nothing when out of memory, in a table of any history",
    function()
      local path = fixture.path()
      portable.write(path, [[
        local gbi = require "gbi"
        if jit then jit.off() end
        local from, failures = gbi.source.GlobalSource "x", 0
        local new, kept, LAST = {}, {}, 12
        for i = 1, LAST do new[i], kept[i] = { i }, { i } end

        local function seen(r)
          local t = {}
          for i = 1, LAST + 2 do
            local object, why = r:find(i)
            t[i] = object or why
          end
          return t
        end

        local function same(a, b)
          for i = 1, LAST + 2 do
            if a[i] ~= b[i] then return false end
          end
          return true
        end

        -- Makes a registry by a dozen random calls. Returns the last index of
        -- its side table.
        local function history(r, seed)
          local function random(n)
            seed = seed * 1103515245 % 2147483648 + 12345
            seed = seed % 2147483648
            return math.floor(seed / 65536) % n + 1
          end
          local snapshot, count, size, saved = nil, 0, 0, 0
          local function object()
            return random(3) == 1 and kept[random(LAST)] or {}
          end
          local function store(n)
            local t = {}
            for i = 1, n do t[i] = object() end
            r:store_list(t)
            size = n
          end
          local calls = {
            function() store(random(LAST)) end,
            function() store(random(5) - 1) end,
            function() snapshot, saved = r:snapshot(), size end,
            function()
              if snapshot then
                r:restore(snapshot)
                snapshot, size = nil, saved
              end
            end,
            function()
              for _ = 1, random(4) do
                if count < LAST then
                  count = count + 1
                  r:register(object(), from)
                  if count > size then size = count end
                end
              end
            end,
            function()
              local i = (count > size and count or size) + 1
              if i <= LAST then
                r:set(i, kept[i])
                size = i
              end
            end,
            function() -- this one may run out of memory
              if count > 3 then
                store(random(count - 2))
                collectgarbage()
              end
              if count < LAST then
                local _, done = memory.inject(random(8), true, r.register, r,
                  object(), from)
                if done then count = count + 1 end
                if done and count > size then size = count end
              end
            end,
            collectgarbage,
          }
          for _ = 1, 12 do calls[random(#calls)]() end
          collectgarbage()
          collectgarbage()
          return size
        end

        local function check(seed, to_n, store)
          local n, ok, hits = 0, nil, nil
          local list, after = {}, {}
          for i = 1, LAST + 2 do
            after[i] = i <= to_n and new[i] or "unregistered"
            list[i] = i <= to_n and new[i] or nil
          end
          repeat
            n = n + 1
            local r = gbi.new()
            history(r, seed)
            local before = seen(r)
            hits, ok = memory.inject(n, true, store, r, list, to_n)
            failures = failures + hits
            if not same(seen(r), ok and after or before) then
              print(("history %d, store of %d, allocation %d"):format(seed,
                to_n, n))
            end
            store(r, list, to_n)
            if not same(seen(r), after) then print(seed, "again") end
          until ok
        end

        for seed = 1, 1000 do
          local size = history(gbi.new(), seed)
          for _, n in ipairs { size, seed % (LAST + 1) } do
            check(seed, n, function(r, list, k) r:store_list(list, k) end)
            check(seed, n, function(r, list, k)
              r:store_list(list, k, list)
            end)
          end
          if size == 3 then
            check(seed, 3, function(r, list)
              r:store(list[1], list[2], list[3])
            end)
          end
        end
        print(failures > 1000 and "done" or failures)
      ]])
      local out = portable.run(("%s %s"):format(
        portable.start(portable.build .. "/faults"), path))
      assert.equal("done\n", out)
    end)

  it("stores in place after it restored a shorter snapshot", function()
    local old = {}
    for i = 1, 40 do old[i] = { "old" } end
    local function check(list)
      for i = 1, 42 do
        local object, why = r:find(i)
        assert.is_true(rawequal(list[i], object), i)
        assert.equal(not list[i] and "unregistered" or nil, why)
      end
      assert.same({ #list, 0 }, { r:count() })
    end
    for _, n in ipairs { 0, 1, 3, 4, 5, 31 } do
      r:reset()
      local kept, new = {}, {}
      for i = 1, n do kept[i] = old[i] end
      r:store_list(kept)
      local snapshot = r:snapshot()
      r:store_list(old)
      r:restore(snapshot)
      check(kept)
      for i = n + 1, 40 do -- up to what the longer one had
        kept[i] = old[41 - i]
        r:set(i, kept[i])
        if i % 5 == 0 then check(kept) end
        for k = 1, i do new[k] = { "new" } end
        r:store_list(new)
        check(new)
        local index = r:register(b, from)
        kept, new = new, {}
        if kept[index] then kept[index] = b else table.insert(kept, b) end
        check(kept)
        if #kept > i then
          kept[#kept] = nil
          r:store_list(kept)
        end
      end
    end
  end)

  -- Each call changed the state that the next one relied on: the size of the
  -- side table, its length, and which slots were left out.
  it("finds the right object at every index, after any five calls", function()
    local objects = {}
    for i = 1, 12 do objects[i] = {} end
    local slots, size, count, snapshot, saved, saved_size, fresh

    local function object() -- a different object each time
      fresh = fresh % 12 + 1
      return objects[fresh]
    end

    local function put(i)
      slots[i] = object()
      if i > size then size = i end
      return slots[i]
    end

    local function store(n)
      slots, size = {}, 0
      for i = 1, n do put(i) end
      r:store(compat.unpack(slots, 1, n))
    end

    local CALLS = {
      function() store(0) end,
      function() store(1) end,
      function() store(3) end,
      function() store(size) end,
      function()
        count = count + 1
        assert(r:register(put(count), from) == count)
      end,
      function() r:set(1, put(1)) end,
      function()
        local i = (size > count and size or count) + 1
        r:set(i, put(i))
      end,
      function()
        snapshot, saved, saved_size = r:snapshot(), {}, size
        for i = 1, size do saved[i] = slots[i] end
      end,
      function()
        if not snapshot then return end
        r:restore(snapshot)
        slots, size = {}, saved_size
        for i = 1, size do slots[i] = saved[i] end
      end,
    }

    local function check(calls)
      local live = 0
      for i = 1, 10 do
        local found, why = r:find(i)
        if slots[i] then live = live + 1 end
        if found ~= slots[i] or not found and why ~= "unregistered" then
          error(("calls %s: index %d is %s"):format(calls, i, why or "wrong"))
        end
      end
      local n, dead = r:count()
      assert(n == live and dead == 0 and #r == count, calls)
    end

    local ways = #CALLS
    for code = 0, ways ^ 5 - 1 do
      r:reset()
      slots, size, count, snapshot, fresh = {}, 0, 0, nil, 0
      local rest = code
      for _ = 1, 5 do
        CALLS[rest % ways + 1]()
        rest = math.floor(rest / ways)
      end
      check(code)
    end
  end)

  describe("find", function()
    it("returns an object, or dead or unregistered", function()
      r:register(a, from)
      r:register({}, from)
      collectgarbage()
      assert.same({ a }, { r:find(1) })
      assert.same({ nil, "dead" }, { r:find(2) })
      for _, index in ipairs { 0, 3, -1, 1e9, portable.min, "7", "0x7" } do
        assert.same({ nil, "unregistered" }, { r:find(index) })
      end
      assert.equal(a, r:find("1"))
      assert.equal(a, r:find(1.0))
    end)
  end)

  describe("entries", function()
    it("tell index, kind, status, object and source", function()
      local where = source "a"
      r:register(a, where)
      r:register(b, from)
      r:register_created(c, noop)
      r:set(4, a)
      r:set(5, b)
      local seen = {}
      for index, entry in r:entries() do
        seen[#seen + 1] = index
        assert.equal("live", entry.status)
      end
      assert.same({ 1, 2, 3, 4, 5 }, seen)
      local entries = state(r).entries
      assert.same({ kind = "user", status = "live", object = a,
                    source = where }, entries[1])
      assert.equal(where, entries[1].source)
      assert.same({ kind = "user", status = "live", object = b,
                    source = from }, entries[2])
      assert.same({ kind = "graph_created", status = "live", object = c },
        entries[3])
      assert.same({ kind = "stored", status = "live", object = a }, entries[4])
      assert.same({ kind = "stored", status = "live", object = b }, entries[5])
    end)

    it("show dead objects, and leave out unregistered indices", function()
      local where = source "gone"
      r:register({}, where)
      r:register(a, from)
      collectgarbage()
      assert.same({ kind = "user", status = "dead", source = where },
        state(r).entries[1])
      r:store()
      assert.same({}, state(r).entries)
      r:store(a)
      r:set(3, a)
      local seen = {}
      for index in r:entries() do seen[#seen + 1] = index end
      assert.same({ 1, 3 }, seen)
    end)

    it("may be changed while they are visited", function()
      local function visit(change)
        r:store(a, b, c)
        local seen = {}
        for index, entry in r:entries() do
          assert.equal(r:get(index), entry.object)
          seen[#seen + 1] = index
          change(index)
          if index > 9 then break end
        end
        return seen
      end
      assert.same({ 1, 2, 3 }, visit(function(index) r:set(index, c) end))
      assert.same({ c, c, c }, { r:get(1), r:get(2), r:get(3) })
      assert.same({ 1 }, visit(function() r:store() end))
      assert.same({ 1 }, visit(function() r:reset() end))
      assert.same({ 1, 2 }, visit(function() r:store(c, c) end))
      assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, visit(function(index)
        if index > 2 then r:set(index + 1, a) end
      end))
    end)
  end)

  describe("constructors", function()
    it("come in index order, with their kinds", function()
      for i = 1, 20 do
        if i % 2 == 0 then r:register(a, from)
        else r:register_created(b, noop) end
      end
      r:store(c)
      local indices = {}
      for index, f, kind in r:constructors() do
        indices[#indices + 1] = index
        assert.is_function(f)
        assert.equal(index % 2 == 0 and "user" or "graph_created", kind)
      end
      assert.equal(20, #indices)
      for i = 1, 20 do assert.equal(i, indices[i]) end
    end)
  end)

  describe("snapshot", function()
    it("is restored, whatever ran in between", function()
      r:store(a, b)
      local snapshot = r:snapshot()
      r:store(c)
      r:set(2, a)
      r:restore(snapshot)
      assert.equal(a, r:get(1))
      assert.equal(b, r:get(2))
      r:store()
      r:restore(snapshot)
      assert.equal(b, r:get(2))
      assert.same({ nil, "unregistered" }, { r:find(3) })
    end)

    it("is not changed by what happens to the registry", function()
      r:store(a, b)
      local snapshot = r:snapshot()
      r:restore(snapshot)
      r:set(1, c)
      r:store(c, c)
      r:reset()
      r:restore(snapshot)
      assert.equal(a, r:get(1))
      assert.equal(b, r:get(2))
    end)

    it("does not touch constructors", function()
      r:register(a, from)
      local snapshot = r:snapshot()
      r:register(b, from)
      r:restore(snapshot)
      assert.equal(2, #r)
      assert.same({ nil, "unregistered" }, { r:find(2) })
      assert.equal(3, r:register(c, from))
    end)

    it("remembers dead and omitted indices", function()
      r:register(a, from)
      r:register(b, from)
      r:store_list({ {} })
      collectgarbage()
      local snapshot = r:snapshot()
      r:store(a, b)
      r:restore(snapshot)
      assert.same({ nil, "dead" }, { r:find(1) })
      assert.same({ nil, "unregistered" }, { r:find(2) })
    end)
  end)

  describe("store_list", function()
    it("does what store does with the elements", function()
      r:store_list({ a, b, c })
      assert.equal(c, r:get(3))
      r:store_list({ a, b, c }, 1)
      assert.equal(a, r:get(1))
      assert.same({ nil, "unregistered" }, { r:find(2) })
      r:store_list({})
      assert.same({ 0, 0 }, { r:count() })
    end)

    it("is not changed by what happens to the list", function()
      local list = { a, b }
      r:store_list(list)
      list[1] = c
      assert.equal(a, r:get(1))
    end)

    it("calls no metamethod for length or elements", function()
      local list = setmetatable({ a }, {
        __len = function() error "len" end,
        __index = function() error "index" end,
      })
      r:store_list(list)
      assert.same({ 1, 0 }, { r:count() })
    end)
  end)

  describe("name", function()
    it("is the name of an index in messages", function()
      r:register(a, gbi.source.GlobalSource "x")
      r:register_created(b, noop)
      r:register(c, { reconstruct = noop })
      assert.equal('external object 1 (G["x"])', r:name(1))
      for _, index in ipairs { 0, 2, 3, 4, -1, 1e9, portable.min } do
        assert.equal(("external object %d"):format(index), r:name(index))
      end
    end)
  end)
end)

describe("misuse", function()
  local HELD = "table, function, userdata or thread expected, got "
  local SOURCE = "source expected (an object with a method 'reconstruct')"
  local NUMBER = "number expected, got "
  local FRACTION = "number has no integer representation"
  local HANDLE = "index expected, got a handle"
  local WEAKLY = "external object %s cannot be held weakly: got %s"
  local t = {}

  -- Three registered objects, the last of them left out by a store.
  local function fill(r)
    local objects = { {}, {}, {} }
    r:register(objects[1], source "one")
    r:register_created(objects[2], noop)
    r:register(objects[3], from)
    r:store(objects[1], objects[2])
    return objects
  end

  -- The error of `code`, a chunk of its own because errors name a function by
  -- how it is called; its arguments are `x` and the rest.
  local function failure(code, x, ...)
    local ok, err = pcall(compat.load("local x = ... " .. code, "=call"), x,
      ...)
    assert.is_false(ok)
    return err
  end

  -- Asserts that `code` raises `expected` and changes nothing in r.
  local function check(r, code, expected, ...)
    local objects = fill(r)
    local before = state(r)
    assert.equal("call:1: " .. expected, failure(code, ...))
    assert.same(before, state(r))
    assert.equal(objects[2], r:get(2))
    assert.equal(4, r:register(objects[1], from))
  end

  -- Misuse of a method, and of the module function beside it: argument `n` of
  -- those given is wrong because of `why`.
  local function wrong(method, n, why, ...)
    local args = compat.pack(...)
    local list = args.n > 0 and "select(2, ...)" or ""
    local text = "bad argument #%d to '%s' (%s)"
    it(("of %s: %s"):format(method, text:format(n, method, why)), function()
      local r = gbi.new()
      check(r, ("x:%s(%s)"):format(method, list),
        text:format(n, method, why), r, compat.unpack(args, 1, args.n))
      local name = SEED[method]
      if not name then return end
      check(gbi.default, ("x.%s(%s)"):format(name, list),
        text:format(n, name, why), gbi, compat.unpack(args, 1, args.n))
    end)
  end

  wrong("register", 1, "value expected")
  wrong("register", 2, SOURCE, t)
  wrong("register", 2, SOURCE, t, nil)
  wrong("register", 2, SOURCE, t, 5)
  wrong("register", 2, SOURCE, t, t)
  wrong("register", 2, SOURCE, t, "x")
  wrong("register", 2, SOURCE, t, false)
  wrong("register", 2, SOURCE, 5, t)
  wrong("register_created", 1, "value expected")
  wrong("register_created", 2, "function expected, got no value", t)
  wrong("register_created", 2, "function expected, got table", t, t)
  wrong("get", 1, NUMBER .. "no value")
  wrong("get", 1, NUMBER .. "table", t)
  wrong("get", 1, NUMBER .. "string", "one")
  wrong("get", 1, FRACTION, 1.5)
  wrong("get", 1, FRACTION, 2 ^ 63)
  wrong("get", 1, FRACTION, 0 / 0)
  wrong("get", 2, "string expected, got table", 1, t)
  wrong("store", 1, WEAKLY:format("1 (one)", "number"), 5)
  wrong("store", 2, WEAKLY:format(2, "nil"), t, nil, t)
  wrong("store", 3, WEAKLY:format("3 (from)", "nil"), t, t, nil, "x")
  wrong("store", 4, WEAKLY:format(4, "string"), t, t, t, "x")
  wrong("set", 1, NUMBER .. "no value")
  wrong("set", 1, NUMBER .. "table", t, t)
  wrong("set", 1, FRACTION, 1.5, t)
  wrong("set", 2, HELD .. "no value", 1)
  wrong("set", 2, HELD .. "nil", 1, nil)
  wrong("set", 2, HELD .. "boolean", 1, true)
  for _, index in ipairs { 0, -1, 5, 1000000000, portable.min } do
    wrong("set", 1, "index out of range (the registry holds 3)", index, t)
  end
  for _, handle in ipairs { 1000000001, gbi.handles:strong(t), 2147483648,
                            4294967297, 9007199254740992, portable.max } do
    for _, method in ipairs { "get", "find", "set", "name", "place" } do
      wrong(method, 1, HANDLE, handle, t)
    end
  end
  wrong("stash", 1, HELD .. "no value")
  wrong("stash", 1, HELD .. "nil", nil)
  wrong("stash", 1, HELD .. "number", 5)
  wrong("store_list", 1, "table expected, got no value")
  wrong("store_list", 1, "table expected, got number", 5)
  wrong("store_list", 1, WEAKLY:format(2, "number"), { t, 5, t })
  wrong("store_list", 1, WEAKLY:format(2, "nil"), { t }, 2)
  wrong("store_list", 1, WEAKLY:format(2, "nil"), { t }, portable.max)
  wrong("store_list", 2, "negative count", { t }, -1)
  wrong("store_list", 2, NUMBER .. "string", { t }, "all")
  wrong("find", 1, NUMBER .. "no value")
  wrong("find", 1, NUMBER .. "table", t)
  wrong("find", 1, FRACTION, 1.5)
  wrong("name", 1, NUMBER .. "table", t)
  wrong("place", 1, NUMBER .. "no value")
  wrong("place", 1, FRACTION, 1.5)
  wrong("restore", 1, "gbi.snapshot expected, got no value")
  wrong("restore", 1, "gbi.snapshot expected, got table", t)
  wrong("restore", 1, "gbi.snapshot expected, got FILE*", io.stdout)
  wrong("restore", 1, "snapshot of another registry", gbi.new():snapshot())

  it("of a method: a call on something else", function()
    local r = gbi.new()
    for method in pairs(getmetatable(r).__index) do
      for got, x in pairs { ["no value"] = "", number = "3", table = "{}, 1",
                            string = "'x'", ["FILE*"] = "io.stdout",
                            ["gbi.snapshot"] = "x:snapshot()",
                            ["nil"] = "nil, 1, 2" } do
        check(gbi.new(), ("x.%s(%s)"):format(method, x),
          ("bad argument #1 to '%s' (gbi.registry expected, got %s)"):format(
            method, got), r)
      end
      local how = debug.getinfo(r[method], "S").what == "C"
        and "calling '%s' on bad self" or "bad argument #1 to '%s'"
      check(gbi.new(), ("local t = { %s = x.%s } t:%s(1)"):format(method,
        method, method), (how .. " (gbi.registry expected, got table)"):format(
          method), r)
    end
  end)

  it("of # and tostring: an operand of another type", function()
    for _, event in ipairs { "__len", "__tostring" } do
      assert.equal(("call:1: bad argument #1 to '%s' (gbi.registry expected, "
        .. "got number)"):format(event),
        failure(("x.%s(3)"):format(event), getmetatable(gbi.default)))
    end
  end)

  it("of the iterators: a number that is not one of theirs", function()
    for _, method in ipairs { "entries", "constructors" } do
      local r = gbi.new()
      check(r, "x.step(x.r, -1)", "bad argument #2 to 'step' "
        .. "(index out of range)", { step = r[method](r), r = r })
    end
  end)

  -- The next index overflowed, and the loop over the rest never ended. In a
  -- process of its own, which gets two seconds.
  it("of the iterators: the greatest integer there is", function()
    for _, method in ipairs { "entries", "constructors" } do
      local script = ([[
        local r = require "gbi".new()
        r:register(r, { reconstruct = print })
        assert(r:%s()(r, %s) == nil)]]):format(method,
          math.maxinteger or "2 ^ 63 - 1024")
      assert.is_true(portable.execute(("ulimit -t 2; %s -e '%s'"):format(
        portable.start(), script)))
    end
  end)

  it("of a source whose __index raises: the error is passed on", function()
    local r = gbi.new()
    local hostile = setmetatable({}, {
      __index = function() error("no", 0) end,
    })
    fill(r)
    local before = state(r)
    assert.has_error(function() r:register(t, hostile) end, "no")
    assert.same(before, state(r))
  end)
end)

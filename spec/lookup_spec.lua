-- Look-ups: the promises of `get` and `find` in Lua beyond those in C. The same
-- loops run on every Lua; on LuaJIT they are compiled.

local capi = require "capi"
local compat = require "gbi.compat"
local gbi = require "gbi"
local portable = require "spec.support.portable"
local source = require "spec.support.named_source"

local from = source "from"

-- How many of the tried loops LuaJIT compiled. It gives up on some.
local tried, compiled = 0, 0

-- How many rounds loops run before and after a change.
local TIMES = 1000

-- Calls f, and records whether LuaJIT compiled a loop of the function `loop`
-- meanwhile.
local function traces(loop, f)
  local jit, starts, loops = rawget(_G, "jit"), {}, 0
  local function event(what, trace, func)
    if what == "start" then starts[trace] = func
    elseif what == "stop" and starts[trace] == loop
       and require "jit.util".traceinfo(trace).linktype == "loop" then
      loops = loops + 1
    end
  end
  if jit then
    jit.flush()
    jit.attach(event, "trace")
  end
  local ok, err = pcall(f)
  if jit then jit.attach(event) end
  if not ok then error(err, 0) end
  tried = tried + 1
  if loops > 0 then compiled = compiled + 1 end
end

-- A new function (self, number, expected) that looks up a number in a loop; the
-- text is the look-up.
local function looper(text)
  return assert(compat.load(([[
    local gbi, TIMES = ...
    return function(self, number, expected)
      for i = 1, TIMES do
        local found, why = %s
        if found ~= expected then
          return ("at %%d: %%s, %%s"):format(i, tostring(found), tostring(why))
        end
      end
    end
  ]]):format(text), "=loop"))(gbi, TIMES)
end

local FACES = {
  ["registry:get"] = "self:get(number)",
  ["registry:find"] = "self:find(number)",
  ["the module function"] = "gbi.get_external_object_by_index(number)",
}

-- Ways to change a registry r so that index 1 finds the object `new`.
local CHANGES = {
  ["store"] = function(r, new) r:store(new, {}) end,
  ["a store of more objects"] = function(r, new) r:store(new, {}, {}, {}) end,
  ["a store of fewer objects"] = function(r, new) r:store(new) end,
  ["store_list"] = function(r, new) r:store_list { new, {}, {} } end,
  ["store from C"] = function(r, new) capi.store(r, new) end,
  ["set"] = function(r, new) r:set(1, new) end,
  ["reset"] = function(r, new)
    r:reset()
    r:register(new, from)
  end,
  ["reset from C"] = function(r, new)
    capi.reset(r)
    capi.register(r, new, from)
  end,
  ["restore"] = function(r, new)
    local before = r:snapshot()
    r:store(new, {}, {})
    local snapshot = r:snapshot()
    r:restore(before)
    assert(r:get(1) ~= new)
    r:restore(snapshot)
  end,
}

describe("a loop of look-ups", function()
  after_each(function() gbi.default:reset() end)

  for face, text in pairs(FACES) do
    local function registry()
      return face == "the module function" and gbi.default or gbi.new()
    end

    for change, f in pairs(CHANGES) do
      it(("by %s finds the new object after %s"):format(face, change),
        function()
          local r, old, new, other = registry(), {}, {}, {}
          local loop = looper(text)
          r:register(old, from)
          r:register(other, from)
          traces(loop, function()
            assert.is_nil(loop(r, 1, old))
            for _ = 1, 3 do
              f(r, new)
              assert.is_nil(loop(r, 1, new))
              new, old = old, new
            end
          end)
        end)
    end

    it(("by %s, of a second registry, finds its own"):format(face), function()
      local a, b = registry(), gbi.new()
      local x, y, loop = {}, {}, looper(text)
      a:register(x, from)
      b:register(y, from)
      assert.is_nil(loop(a, 1, x))
      if face ~= "the module function" then
        assert.is_nil(loop(b, 1, y))
        assert.is_nil(loop(a, 1, x))
      end
    end)

    it(("by %s finds what a finalizer stores meanwhile"):format(face),
      function()
        collectgarbage("restart") -- for spec/support/collector.lua
        local r, objects, now = registry(), { {}, {} }, 1
        r:register(objects[1], from)
        local function arm()
          portable.setmetatable({}, { __gc = function()
            now = 3 - now
            r:store(objects[now])
          end })
        end
        local loop = assert(compat.load(([[
          local gbi, objects, arm = ...
          return function(self, number, seen)
            local garbage
            for i = 1, 200000 do
              local found = %s
              garbage = { garbage and i }
              if found ~= objects[seen] then
                seen = 3 - seen
                arm()
                if found ~= objects[seen] then return nil end
                return i, seen
              end
            end
            return 200000, seen
          end
        ]]):format(text), "=loop"))(gbi, objects, arm)
        local changes, seen = 0, 1
        arm()
        for _ = 1, 5 do
          local at
          at, seen = loop(r, 1, seen)
          assert.is_truthy(at)
          if at < 200000 then changes = changes + 1 end
          assert.equal(seen, now)
        end
        assert.is_true(changes > 0)
      end)
  end

  it("no longer finds a collected object", function()
    for face, text in pairs(FACES) do
      local r = face == "the module function" and gbi.default or gbi.new()
      local loop = looper(text)
      r:store({})
      loop(r, 1, (r:find(1)))
      portable.collect()
      local ok, result = pcall(loop, r, 1, false)
      assert.matches(face:find "find" and "at 1: nil, dead"
        or "external object 1 is no longer alive$", tostring(result), face)
      assert.equal(face:find "find" ~= nil, ok)
    end
  end)

  it("by handle finds a handle until it is released", function()
    for _, text in ipairs { "self:get(number)", "self:find(number)" } do
      local h = gbi.new_handles()
      for _, value in ipairs { {}, false, 0, "text" } do
        local loop = looper(text)
        local handle = h:strong(value)
        traces(loop, function()
          assert.is_nil(loop(h, handle, value))
        end)
        local other = h:strong({})
        assert.is_nil(loop(h, handle, value))
        h:release(handle)
        local ok, result = pcall(loop, h, handle, 1)
        assert.matches(ok and "at 1: nil, dead" or "no longer alive$", result)
        h:release(other)
      end
    end
  end)

  it("is nearly always compiled", function()
    assert.is_true(tried > 30)
    local jit = rawget(_G, "jit") -- off in make coverage
    if jit and jit.status() then assert.is_true(compiled > tried / 2) end
  end)
end)

describe("a look-up", function()
  -- Values that are neither a registry nor a handle table, by their names in
  -- errors.
  local function others(real)
    local metatable = getmetatable(real)
    local copy = {}
    for key, value in pairs(metatable) do copy[key] = value end
    local list = {
      { "no value" }, { "boolean", false }, { "number", 1 }, { "string", "1" },
      { "table", {} }, { "function", print },
      { "table", setmetatable({}, { __index = real }) },
      { "thread", coroutine.create(function() end) }, { "FILE*", io.stdout },
      { "gbi.snapshot", gbi.new():snapshot() },
      { metatable.__name, setmetatable({}, metatable) },
      { metatable.__name, setmetatable({ [1] = {} }, copy) },
    }
    return list
  end

  for kind, new in pairs { ["gbi.registry"] = gbi.new,
                           ["gbi.handles"] = gbi.new_handles } do
    it(("tells a %s from anything else"):format(kind), function()
      local real = new()
      local list = others(real)
      local other = kind == "gbi.handles" and gbi.new() or gbi.new_handles()
      list[#list + 1] = { kind == "gbi.handles" and "gbi.registry"
        or "gbi.handles", other }
      for _, method in ipairs { "get", "find" } do
        -- errors name a function by how it is called
        local call = assert(compat.load(([[
          local real, some, value = ...
          local x
          if some then x = real.%s(value, 1) else x = real.%s() end
          return x
        ]]):format(method, method), "=call"))
        for i = 1, #list do
          local got, value = list[i][1], list[i][2]
          for _ = 1, 100 do -- compiled, too
            local ok, err = pcall(call, real, i > 1, value)
            assert.is_false(ok)
            assert.equal(("call:3: bad argument #1 to '%s' (%s expected, got "
              .. "%s)"):format(method, kind, got), err)
          end
        end
      end
    end)
  end

  it("recognizes a registry, whatever is in its metatable", function()
    local r, x = gbi.new(), {}
    r:store(x)
    local get, metatable = r.get, getmetatable(r)
    metatable.__eq = function() return true end
    assert.is_false(pcall(get, {}, 1))
    metatable.__eq = nil
    assert.equal(x, get(r, 1))
  end)
end)

-- Handle tables: numbers for single values, never given out twice.

local compat = require "gbi.compat"
local portable = require "spec.support.portable"
local gbi = require "gbi"

local collect = portable.collect
-- No handle is smaller.
local FIRST = 1000000001

local function noop() end

local function source()
  return gbi.source.GlobalSource "x"
end

describe("a handle", function()
  local h
  before_each(function() h = gbi.new_handles() end)

  it("finds its object", function()
    local t, f, co = {}, function() return h end, coroutine.create(noop)
    for _, object in ipairs { t, f, co, io.stdout, h } do
      local handle = h:weak(object)
      assert.equal(object, h:get(handle))
      assert.equal(object, h:find(handle))
      assert.equal(object, h:get(h:strong(object)))
    end
  end)

  it("counts up, even if all earlier handles are dead", function()
    local kept = {}
    local first = h:weak(kept)
    assert.is_true(first >= FIRST)
    assert.equal(first + 1, h:strong "x")
    assert.is_true(h:release(first + 1))
    h:weak({})
    collect()
    assert.equal(first + 3, h:weak(kept))
  end)

  it("finds nothing in another table", function()
    local before = h:weak(noop)
    local other = gbi.new_handles()
    local first = other:strong "x"
    local between = h:strong "y"
    local last = other:weak(noop)
    local after = h:weak(noop)
    local log = {}
    for handle, why in pairs { [before] = "unregistered", [between] = "dead",
                               [after] = "unregistered" } do
      for _, name in ipairs { "find", "release" } do
        assert.same({ nil, why }, { other[name](other, handle) })
      end
      assert.same({ nil, why },
        { other:on_collect(handle, function() log[1] = "called" end) })
      assert.is_false(pcall(other.get, other, handle))
    end
    assert.same({ "x", noop, noop, "y", noop },
      { other:get(first), other:get(last), h:get(before), h:get(between),
        h:get(after) })
    assert.equal(0, other:sweep())
    assert.is_nil(log[1])
    assert.is_true(h:release(between))
    assert.is_true(other:release(first))
  end)

  it("does not keep its object alive", function()
    local witness = setmetatable({}, { __mode = "k" })
    local object = {}
    witness[object] = true
    local handle = h:weak(object)
    collect()
    assert.equal(object, h:find(handle))
    object = nil -- luacheck: ignore 311
    collect()
    assert.is_nil(next(witness))
    assert.same({ nil, "dead" }, { h:find(handle) })
  end)

  it("is dead for ever, whatever is registered later", function()
    local handle = h:weak({})
    collect()
    for _ = 1, 1000 do h:weak(noop) end
    assert.same({ nil, "dead" }, { h:find(handle) })
  end)

  it("of strong keeps any value but nil until release", function()
    local witness = setmetatable({}, { __mode = "k" })
    local object = {}
    witness[object] = true
    local handle = h:strong(object)
    object = nil -- luacheck: ignore 311
    collect()
    assert.is_not_nil(next(witness))
    assert.equal(next(witness), h:get(handle))
    assert.is_true(h:release(handle))
    collect()
    assert.is_nil(next(witness))
    for _, value in ipairs { false, true, 1.5, "text", io.stdout } do
      handle = h:strong(value)
      collect()
      assert.equal(value, h:get(handle))
      assert.equal(value, (h:find(handle)))
      assert.is_true(h:release(handle))
      assert.same({ nil, "dead" }, { h:find(handle) })
    end
  end)

  it("is released once; twice is harmless", function()
    local other = gbi.new_handles()
    local handle, kept = h:strong {}, { {}, {} }
    assert.is_true(h:release(handle))
    assert.same({ nil, "dead" }, { h:release(handle) })
    local next_one = h:weak(kept[1])
    assert.same({ nil, "dead" }, { h:release(handle) })
    assert.equal(kept[1], h:get(next_one))
    assert.same({ nil, "unregistered" }, { other:release(next_one) })
    assert.same({ nil, "unregistered" }, { h:release(next_one + 1) })
    assert.same({ nil, "unregistered" }, { h:release(0) })
  end)

  it("of another table is unregistered or another's, never shared", function()
    local other, t = gbi.new_handles(), {}
    local handle = h:weak(t)
    assert.same({ nil, "unregistered" }, { other:find(handle) })
    assert.has_error(function() other:get(handle) end,
      ("handle %d was never given out"):format(handle))
  end)

  it("says what is wrong, at the caller's line", function()
    local handle = h:weak(io.stdout)
    local dead = h:weak({})
    collect()
    for _, case in ipairs {
      { dead, nil, ("handle %d is no longer alive"):format(dead) },
      { 7, nil, "handle 7 was never given out" },
      { -1, nil, "handle -1 was never given out" },
      { handle, "table", ("handle %d is not a table (got FILE*)"):format(
        handle) },
    } do
      local ok, err = pcall(function() local x = h:get(case[1], case[2])
        return x end)
      assert.is_false(ok)
      assert.matches("handles_spec%.lua:%d+: ", err)
      assert.equal(case[3], (err:gsub("^.-:%d+: ", "")))
    end
    assert.equal(io.stdout, h:get(handle, "FILE*"))
    assert.equal(io.stdout, h:get(handle, "userdata"))
  end)

  it("is never an index, nor an index a handle", function()
    local r, t = gbi.new(), {}
    local handle, index = h:weak(t), r:register(t, source())
    assert.same({ nil, "unregistered" }, { h:find(index) })
    for name, call in pairs { -- a tail call would hide the name
      get = function() local x = r:get(handle) return x end,
      find = function() local x = r:find(handle) return x end,
      set = function() r:set(handle, t) end,
      name = function() local x = r:name(handle) return x end,
      place = function() local x = r:place(handle) return x end,
      get_external_object_by_index = function()
        local x = gbi.get_external_object_by_index(handle)
        return x
      end,
      set_external_object_by_index = function()
        gbi.set_external_object_by_index(handle, t)
      end,
    } do
      local ok, err = pcall(call)
      assert.is_false(ok, name)
      assert.matches("bad argument #1 to '[%w_.]*" .. name
        .. "' %(index expected, got a handle%)", err)
    end
  end)

  it("of a value needs strong", function()
    for _, value in ipairs { false, 1, "text" } do
      local ok, err = pcall(h.weak, h, value)
      assert.is_false(ok)
      assert.equal("Failed to make weakref to User Object", err.gb_type)
      assert.matches("'strong'", err.hints[1])
      assert.matches("'strong'", tostring(err))
      assert.matches("^user_object: " .. tostring(value), err.context)
    end
    assert.is_false(pcall(h.weak, h, nil))
    assert.equal(0, h:count())
    local other = gbi.new_handles()
    local given = other:strong(1)
    pcall(h.weak, h, nil)
    assert.equal(given + 1, h:strong(1)) -- an error shows no number
  end)

  it("appears in entries, in order, and in count, while it is live", function()
    local kept = { {}, {} }
    local a, b, c = h:weak(kept[1]), h:strong "x", h:weak({})
    local d = h:weak(kept[2])
    collect()
    local seen = {}
    for handle, value, kind in h:entries() do
      seen[#seen + 1] = { handle, value, kind }
    end
    assert.same({ { a, kept[1], "weak" }, { b, "x", "strong" },
                  { d, kept[2], "weak" } }, seen)
    assert.equal(3, h:count())
    assert.matches("^gbi%.handles %(3 live%): ", tostring(h))
    assert.same({ nil, "dead" }, { h:find(c) })
  end)

  it("may come and go while entries are visited", function()
    local first = h:strong(1)
    for i = 2, 100 do h:strong(i) end
    local seen = 0
    for handle, value in h:entries() do
      assert.equal(first - 1 + value, handle)
      seen = seen + 1
      h:release(handle)
      h:release(handle + 1)
      for _ = 1, 50 do h:strong(0) end
    end
    assert.equal(50, seen)
  end)

  it("is given out and found in every coroutine of the state", function()
    local t = {}
    local handle = coroutine.wrap(function() return gbi.handles:weak(t) end)()
    assert.equal(t, gbi.handles:get(handle))
    assert.is_true(gbi.handles:release(handle))
  end)
end)

describe("misuse of a handle table", function()
  local h
  before_each(function() h = gbi.new_handles() end)

  local function fails(pattern, f, ...)
    local args = compat.pack(...)
    local ok, err = pcall(function()
      local x = f(compat.unpack(args, 1, args.n))
      return x
    end)
    assert.is_false(ok)
    assert.matches(pattern, err)
    assert.matches("^[^\n]*handles_spec%.lua:%d+: ", err)
  end

  it("is an argument error that names the function", function()
    fails("bad argument #1 to '%??[%w_]*'.*gbi%.handles expected, got no value",
      h.weak)
    for _, name in ipairs { "weak", "strong", "get", "find", "release",
                            "on_collect", "sweep", "entries", "count" } do
      fails("gbi%.handles expected, got table", h[name], {}, 1)
      fails("gbi%.handles expected, got gbi%.registry", h[name], gbi.new(), 1)
      fails("gbi%.handles expected, got FILE%*", h[name], io.stdout, 1)
    end
    local ok, err = pcall(function() h.find(FIRST) end)
    assert.is_false(ok)
    assert.matches("'find'", err)
    for _, name in ipairs { "get", "find", "release", "on_collect" } do
      fails("number expected, got table", h[name], h, {})
      fails("number expected, got no value", h[name], h)
      fails("number has no integer representation", h[name], h, 1.5)
    end
    fails("value expected", h.strong, h)
    fails("value expected, got nil", h.strong, h, nil)
    fails("value expected", h.weak, h)
    fails("function expected, got table", h.on_collect, h, FIRST, {})
  end)

  it("takes no other value with its metatable", function()
    local thief = debug.setmetatable({}, debug.getmetatable(h))
    fails("gbi%.handles expected", h.weak, thief, {})
  end)

  it("finds nothing at the edges of the integers", function()
    local given = h:weak(noop)
    for _, handle in ipairs { portable.min, portable.max, 0, -given,
                              FIRST - 1, given - 1, given + 1 } do
      assert.same({ nil, "unregistered" }, { h:find(handle) })
      assert.same({ nil, "unregistered" }, { h:release(handle) })
      assert.same({ nil, "unregistered" }, { h:on_collect(handle, noop) })
    end
  end)
end)

describe("on_collect", function()
  local h, log
  before_each(function() h, log = gbi.new_handles(), {} end)

  local function note(handle) log[#log + 1] = handle end

  it("calls back for the dead in a sweep, in order, once", function()
    local alive = {}
    local dying = {}
    for i = 1, 100 do
      dying[i] = {}
      local handle = h:weak(i % 10 == 0 and alive or dying[i])
      assert.is_true(h:on_collect(handle, note))
    end
    dying = nil -- luacheck: ignore 311
    collect()
    assert.same({}, log)
    assert.equal(90, h:sweep())
    assert.equal(90, #log)
    for i = 2, #log do assert.is_true(log[i - 1] < log[i]) end
    assert.equal(0, h:sweep())
    assert.equal(90, #log)
  end)

  it("is removed by nil and by release", function()
    local handles, objects = {}, {}
    for i = 1, 3 do
      objects[i] = {}
      handles[i] = h:weak(objects[i])
      h:on_collect(handles[i], note)
    end
    assert.is_true(h:on_collect(handles[1], nil))
    h:release(handles[2])
    objects = nil -- luacheck: ignore 311
    collect()
    assert.equal(1, h:sweep())
    assert.same({ handles[3] }, log)
  end)

  it("is removed by release also from a handle that has died", function()
    local object = {}
    local handle = h:weak(object)
    assert.is_true(h:on_collect(handle, note))
    object = nil -- luacheck: ignore 311
    collect()
    assert.same({ nil, "dead" }, { h:release(handle) })
    assert.equal(0, h:sweep())
    assert.same({}, log)
  end)

  it("refuses handles that are dead or unregistered", function()
    local handle = h:weak({})
    collect()
    assert.same({ nil, "dead" }, { h:on_collect(handle, note) })
    assert.same({ nil, "unregistered" }, { h:on_collect(handle + 1, note) })
    assert.same({ nil, "unregistered" }, { h:on_collect(1, note) })
    assert.equal(0, h:sweep())
    assert.same({}, log)
  end)

  it("replaces the previous callback", function()
    local object = {}
    local handle = h:weak(object)
    h:on_collect(handle, function() note "first" end)
    h:on_collect(handle, function() note "second" end)
    object = nil -- luacheck: ignore 311
    collect()
    assert.equal(1, h:sweep())
    assert.same({ "second" }, log)
  end)

  it("raises its error from sweep, and the next sweep goes on", function()
    local first
    local objects = {}
    for i = 1, 4 do
      objects[i] = {}
      local handle = h:weak(objects[i])
      first = first or handle
      h:on_collect(handle, function(n)
        note(n - first + 1)
        if (n - first) % 2 == 1 then error("no " .. n - first + 1, 0) end
      end)
    end
    objects = nil -- luacheck: ignore 311
    collect()
    assert.has_error(function() h:sweep() end, "no 2")
    assert.same({ 1, 2 }, log)
    assert.has_error(function() h:sweep() end, "no 4")
    assert.same({ 1, 2, 3, 4 }, log)
    assert.equal(0, h:sweep())
  end)

  it("the callback may do anything to the table", function()
    local handles, objects = {}, {}
    for i = 1, 4 do
      objects[i] = {}
      handles[i] = h:weak(objects[i])
      h:on_collect(handles[i], note)
    end
    h:on_collect(handles[1], function(handle)
      note(handle)
      h:release(handles[2])
      h:sweep()
      for _ = 1, 100 do h:strong(0) end
    end)
    objects = nil -- luacheck: ignore 311
    collect()
    h:sweep()
    assert.same({ handles[1], handles[3], handles[4] }, log)
  end)

  it("is not called when the state closes", function()
    local out, ok = portable.script([[
      local h = require "gbi".new_handles()
      local setmetatable = require "spec.support.portable".setmetatable
      local function gc() h:sweep() end
      local o = setmetatable({}, { __gc = gc })
      kept = setmetatable({}, { __gc = gc })
      h:on_collect(h:weak(o), function() print "called" end)]])
    assert.equal("", out)
    assert.is_true(ok)
  end)
end)

describe("a handle table stays small:", function()
  -- Ten million rounds, with ten handles alive at any time, in a Lua of its
  -- own, because garbage grows with the size of the process. Returns how much
  -- more memory, in KiB, is left than after a hundred rounds.
  local function growth(prelude, round)
    local out = portable.script(([[
      local live = {}
      local collect = require "spec.support.portable".collect
      %s
      local function rounds(n)
        for i = 1, n do %s end
        collect()
        return collectgarbage "count"
      end
      local few = rounds(100)
      print(rounds(10000000) - few, count())]]):format(prelude, round))
    local grown, count = out:match "^([%d.e+-]+)\t(%d+)"
    assert.equal("10", count, out)
    return tonumber(grown)
  end

  local GBI = [[
    local h = require "gbi".new_handles()
    local function count() return h:count() end]]

  it("ten million handles released", function()
    local grown = growth(GBI, [[
      local old = live[i % 10]
      if old then h:release(old) end
      live[i % 10] = i % 2 == 0 and h:weak(print) or h:strong(i)]])
    assert.is_true(grown < 16, grown)
  end)

  -- Entries that the collector has not yet cleared stay as an empty part of the
  -- table. In 5.2 and 5.3 that part is large, in every weak table.
  it("ten million handles whose objects are collected", function()
    local grown = growth(GBI, [[
      local object = {}
      live[i % 10] = object
      h:weak(object)]])
    local of_lua = growth([[
      local weak, last = setmetatable({}, { __mode = "v" }), 0
      local function count() return 10 end]], [[
      local object = {}
      live[i % 10] = object
      last = last + 1
      weak[last] = object]])
    assert.is_true(grown < math.max(512, 2.5 * of_lua), grown)
  end)
end)

describe("finalizers", function()
  it("find their own object's handle dead, and may use the table", function()
    local h, log = gbi.new_handles(), {}
    local handle
    do
      local o = portable.setmetatable({}, { __gc = function(self)
        log[1] = h:find(handle) == nil
        log[2] = h:weak(noop)
        log[3] = h:strong(self)
        log[4] = h:release(log[2])
      end })
      handle = h:weak(o)
    end
    portable.collect_all()
    assert.is_true(log[1])
    assert.is_true(log[2] > handle and log[3] > log[2])
    assert.is_true(log[4])
    assert.same({ nil, "dead" }, { h:find(handle) })
    assert.is_true(h:release(log[3])) -- the object was resurrected
  end)
end)

describe("while a state closes", function()
  local PRELUDE = [[
    gbi, portable = require "gbi", require "spec.support.portable"
    -- 5.1 unloads C libraries during a finalizer that doubles the memory in
    -- use, as loading this library in one may do
    local _ = gbi.graph
    kept, handles = {}, {}
    function object(name, finalizer)
      local o = portable.setmetatable({ name = name }, { __gc = function(self)
        self.finalized = true
        if finalizer then finalizer() end
      end })
      kept[#kept + 1] = o
      return o
    end
    -- Prints every way in which a finalized object is handed out.
    function look()
      local function check(how, o)
        if o and o.finalized then print(how .. " gave " .. o.name) end
      end
      for _, handle in ipairs(handles) do
        check("find", (h:find(handle)))
        local ok, o = pcall(h.get, h, handle)
        check("get", ok and o)
      end
      for _, o in h:entries() do check("entries", o) end
    end
  ]]

  for _, way in ipairs { "weak", "strong", "run" } do
    for case, text in pairs {
      ["before"] = "put() object('youngest', look)",
      ["before and after a collection"] =
        "put() collectgarbage() put() object('youngest', look)",
      ["meanwhile, after one it held before"] = [[
        h:weak(object("young", function() look() put() look() end))]],
    } do
      for _, which in ipairs { "gbi.handles", "gbi.new_handles()" } do
        if way ~= "run" or which == "gbi.handles" then
          it(("%s finds no finalized object of a %s handle that came %s")
            :format(which, way, case), function()
              local out, ok = portable.script(PRELUDE .. ([[
                h = %s
                object("oldest", look)
                local objects = { object "a", object("b", look), object "c" }
                local function put()
                  for i, o in ipairs(objects) do
                    %s
                  end
                end
                %s]]):format(which, way == "run" and [[
                    local g = gbi.graph.new()
                    g:placeholder "o"
                    g:output(g:external(o, gbi.source.LocalSource "o"))
                    kept[#kept + 1] = coroutine.wrap(g:compile {
                      backend = function()
                        return function(run)
                          handles[#handles + 1] = run:handle(1)
                          coroutine.yield()
                        end
                      end })
                    kept[#kept](o)]]
                  or "handles[#handles + 1] = h:" .. way .. "(o)", text),
                portable.warn)
              assert.equal("", out)
              assert.is_true(ok)
            end)
        end
      end
    end
  end
end)

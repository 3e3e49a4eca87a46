-- gbi.h: what Lua and C do to one registry, and the programs that use it.

local compat = require "gbi.compat"
local portable = require "spec.support.portable"
local gbi = require "gbi"
local capi = require "capi"
local new_source = gbi.source.GlobalSource

local function noop() end

local collect, read, run = portable.collect, portable.read, portable.run

local CFLAGS = "-pedantic -Wall -Wextra -Werror -Icsrc "
  .. (os.getenv("LUA_CFLAGS") or "-I/usr/include/lua5.4")

describe("both faces", function()
  it("see the same tables", function()
    local r, a, b = capi.new(), {}, {}
    assert.equal(1, capi.register(r, a, new_source "a"))
    assert.equal(2, r:register(b))
    assert.equal(a, r:get(1))
    assert.equal(b, capi.get(r, 2))
    assert.equal("external object 1 (G[\"a\"])", r:name(1))
    assert.equal(gbi.default, capi.default())
    capi.set(r, 2, a)
    assert.equal(a, r:find(2))
    assert.is_true(capi.release(r, 1))
    assert.is_false(capi.release(r, 1))
    assert.same({ nil, "unregistered" }, { r:find(1) })
    assert.same({ 1, 0 }, { capi.count(r) })
  end)

  it("have one version in one state", function()
    assert.equal(1, capi.open())
  end)

  it("take their registry by any index, and leave the stack right", function()
    local r = gbi.new() -- capi.c checks the stack
    assert.equal(1, capi.register(r, r))
    assert.equal(2, capi.register(r, r, new_source "r"))
    capi.store(r)
    capi.store(r, r, noop)
    capi.restore(r, capi.snapshot(r))
    capi.reset(r)
  end)
end)

describe("C", function()
  local r
  before_each(function() r = gbi.new() end)

  it("registers what a C constructor creates", function()
    local index = capi.register_c_created(r, {})
    gbi.compile_prologue(r)()
    assert.same({ n = 0 }, r:get(index))
  end)

  it("gets a userdata's address, checked by its metatable", function()
    local table = {}
    r:store(io.stdout, table, r)
    assert.same({ io.stdout, true }, { capi.get_udata(r, 1, "FILE*") })
    assert.has_error(function() capi.get_udata(r, 2, "FILE*") end,
      "external object 2 is not a FILE* (got table)")
    assert.has_error(function() capi.get_udata(r, 3, "FILE*") end,
      "external object 3 is not a FILE* (got gbi.registry)")
    assert.has_error(function() capi.get_udata(r, 4, "FILE*") end,
      "external object 4 is not registered (the registry holds 3)")
  end)

  it("finds and gets as Lua does", function()
    r:register({}, new_source "gone")
    r:register(noop)
    collect()
    for _, find in ipairs { capi.find, capi.find_in } do
      assert.same({ nil, "dead" }, { find(r, 1) })
      assert.same({ noop, "live" }, { find(r, 2) })
      assert.same({ nil, "unregistered" }, { find(r, 3) })
      assert.same({ nil, "unregistered" }, { find(r, portable.min) })
    end
    assert.has_error(function() capi.get(r, 1) end,
      'external object 1 (G["gone"]) is no longer alive')
  end)

  it("raises what Lua raises, and changes nothing", function()
    r:register(noop)
    for expected, f in pairs {
      ["gbi.registry expected, got table"] = function() capi.check {} end,
      ["Failed to make weakref to User Object"] = function()
        capi.register(r, 5)
      end,
      ["Failed to make weakref to graph-created external object"] = function()
        capi.register_created(r, nil, noop)
      end,
      ["construct_fn is not a function"] = function()
        capi.register_created(r, {}, 5)
      end,
      ["external object 2 cannot be held weakly: got number"] = function()
        capi.store(r, {}, 5)
      end,
      ["a nil cannot be held weakly"] = function() capi.set(r, 1, nil) end,
      ["external object 3: index out of range"] = function()
        capi.set(r, 3, {})
      end,
      ["a string cannot be held weakly"] = function() capi.stash(r, "x") end,
      ["not a snapshot of this registry"] = function()
        capi.restore(r, gbi.new():snapshot())
      end,
      ["callback is not a function"] = function()
        capi.on_collect(r, 1, 5)
      end,
    } do
      local ok, err = pcall(f)
      assert.is_false(ok)
      assert.truthy(tostring(err):find(expected, 1, true), tostring(err))
      assert.same({ 1, 0 }, { r:count() })
      assert.equal(noop, r:get(1))
      assert.equal(1, #r)
    end
  end)

  it("keeps an index in a pointer", function()
    for _, i in ipairs { 0, 1, 2147483648, 9007199254740992, -1,
                         portable.max } do
      assert.equal(i, capi.pointer(i))
    end
  end)

  it("loads gbi when nobody has, in any order", function()
    for _, first in ipairs { 'require "capi" require "gbi"',
                             'require "gbi" require "capi"' } do
      local out, ok = run(("%s -e '%s'"):format(portable.start(), first .. [[
        local r = require "capi".default()
        assert(r == require "gbi".default)
        r:register(r)
        io.write(tostring(require "capi".get(r, 1) == r))]]))
      assert.equal("true", out)
      assert.is_true(ok)
    end
  end)
end)

describe("a handle", function()
  local r
  before_each(function() r = gbi.new() end)

  it("is an object without a source, which nobody can obtain", function()
    r:register({})
    assert.has_error(function() gbi.compile_prologue(r) end,
      "external object 1 has no source, so it cannot be obtained again")
  end)

  it("is swept when its object died, and its index never reused", function()
    local a, b = {}, {}
    r:register(a)
    r:register({})
    r:register(b)
    r:register({})
    assert.equal(0, gbi.new():sweep())
    collect()
    assert.same({ 2, 2 }, { r:count() })
    assert.equal(2, r:sweep())
    assert.equal(0, r:sweep())
    assert.same({ 2, 0 }, { r:count() })
    assert.same({ nil, "unregistered" }, { r:find(2) })
    assert.equal(5, r:register(a))
    assert.equal(b, r:get(3))
  end)

  it("is swept, and what a prologue can obtain again is not", function()
    r:register({}, new_source "x")
    r:register_created({}, noop)
    r:store({}, {}, {})
    collect()
    assert.equal(0, r:sweep())
    assert.same({ nil, "dead" }, { r:find(1) })
  end)

  it("takes no memory in ten million rounds", function()
    local function rounds(n)
      for i = 1, n do
        r:register({})
        if i % 1000 == 0 then
          collectgarbage()
          r:sweep()
        end
      end
      collect()
      r:sweep()
      collect()
      return collectgarbage("count")
    end
    local registered = 100000
    local few = rounds(registered)
    local before = #r
    -- the ten millions: released by hand, a million at a time
    for _ = 1, 10 do
      for _ = 1, 1000000 do r:release(r:register(noop)) end
    end
    local many = rounds(registered)
    assert.equal(before, #r)
    assert.is_true(many - few < 16, many - few)
    assert.equal(10000000 + 2 * registered + 1, r:register(noop))
  end)
end)

describe("on_collect", function()
  local r, log
  before_each(function() r, log = gbi.new(), {} end)

  local function note(index) log[#log + 1] = index end

  it("tells of the dead in a sweep, in order, once", function()
    local alive = {}
    for i = 1, 100 do
      r:register(i % 10 == 0 and alive or {})
      assert.is_true(r:on_collect(i, note))
    end
    collect()
    assert.same({}, log)
    assert.equal(90, r:sweep())
    assert.equal(90, #log)
    for i = 2, #log do assert.is_true(log[i - 1] < log[i]) end
    r:sweep()
    assert.equal(90, #log)
  end)

  it("is there for C, too", function()
    capi.register(r, {})
    assert.is_true(capi.on_collect(r, 1, note))
    assert.is_false(capi.on_collect(r, 2, note))
    collect()
    assert.equal(1, capi.sweep(r))
    assert.same({ 1 }, log)
  end)

  it("can be taken back, and goes with a release or a reset", function()
    for _ = 1, 3 do r:register({}) end
    for i = 1, 3 do r:on_collect(i, note) end
    r:on_collect(1, nil)
    r:release(2)
    collect()
    r:sweep()
    assert.same({ 3 }, log)
    r:register({})
    r:on_collect(4, note)
    r:reset()
    r:register({})
    collect()
    r:sweep()
    assert.same({ 3 }, log)
  end)

  it("tells of an object with a source, which stays registered", function()
    r:register({}, new_source "x")
    r:on_collect(1, note)
    collect()
    assert.equal(0, r:sweep())
    assert.equal(0, r:sweep())
    assert.same({ 1 }, log)
    assert.same({ nil, "dead" }, { r:find(1) })
  end)

  it("raises its error from sweep, and the next sweep goes on", function()
    for i = 1, 4 do
      r:register({})
      r:on_collect(i, function(index)
        note(index)
        if index % 2 == 0 then error("no " .. index, 0) end
      end)
    end
    collect()
    assert.has_error(function() r:sweep() end, "no 2")
    assert.same({ 1, 2 }, log)
    assert.same({ 0, 2 }, { r:count() })
    assert.has_error(function() r:sweep() end, "no 4")
    assert.same({ 1, 2, 3, 4 }, log)
    assert.equal(0, r:sweep())
  end)

  it("may do anything to the registry", function()
    for i = 1, 4 do
      r:register({})
      r:on_collect(i, note)
    end
    r:on_collect(1, function()
      note(1)
      r:release(2)
      r:sweep()
      r:register(noop)
    end)
    collect()
    r:sweep()
    assert.same({ 1, 3, 4 }, log)
    r:on_collect(5, note)
    r:register({})
    r:on_collect(6, function() r:reset() end)
    collect()
    r:sweep()
    assert.equal(0, #r)
  end)

  it("wants an index and a function", function()
    r:register(noop)
    assert.same({ nil, "unregistered" }, { r:on_collect(2, note) })
    for _, bad in ipairs { { "x", note }, { 1, 5 }, { 1 } } do
      assert.is_false(pcall(r.on_collect, r, compat.unpack(bad)))
    end
  end)

  it("is not called when the state closes", function()
    local out, ok = run(("%s -e '%s'"):format(portable.start(), [[
      local r = require "gbi".new()
      local setmetatable = require "spec.support.portable".setmetatable
      local o = setmetatable({}, { __gc = function() r:sweep() end })
      kept = setmetatable({}, { __gc = function() r:sweep() end })
      r:register(o)
      r:on_collect(1, function() print "called" end)]]))
    assert.equal("", out)
    assert.is_true(ok)
  end)
end)

describe("gbi.h", function()
  it("compiles alone, as C99 and as C++", function()
    for _, compiler in ipairs { "gcc -std=c99 -x c", "g++ -std=c++11 -x c++" }
    do
      local out, ok = run(("echo '#include \"gbi.h\"' | %s %s -fsyntax-only -")
        :format(compiler, CFLAGS))
      assert.equal("", out)
      assert.is_true(ok)
    end
  end)

  it("has an example in the README that compiles and runs", function()
    local example = read("README.md"):match("```c\n(.-)```")
    local path = os.tmpname()
    portable.write(path .. ".c", example)
    local out, ok = run(("gcc -std=c99 %s -fPIC -shared %s.c -o %s.so"):format(
      CFLAGS, path, path))
    assert.equal("", out)
    assert.is_true(ok)
    out, ok = run(("%s -e '%s'"):format(portable.start(), ([[
      local bell = assert(package.loadlib(%q, "luaopen_bell"))()
      bell.on_ring(print)
      bell.ring()
      bell.on_ring(function() print "gone" end)
      collectgarbage()
      bell.ring()]]):format(path .. ".so")))
    os.remove(path)
    os.remove(path .. ".c")
    os.remove(path .. ".so")
    assert.equal("ding\n", out)
    assert.is_true(ok)
  end)
end)

describe("examples/c/wheel.c", function()
  local wheel = require "wheel"

  it("fires what is alive, in its order, and skips what is not", function()
    local w, log = wheel.new(1000), {}
    local alive = {}
    for i = 1, 300 do
      local o = { fire = function() log[#log + 1] = i end }
      if i % 3 > 0 then alive[i] = o end
      assert.is_true(w:after((i * 7) % 150 + 1, o))
    end
    collect()
    assert.same({ 200, 100 }, { w:count() })
    local fired, skipped = 0, 0
    for tick = 1, 160 do
      local n, m = w:tick()
      for k = #log - n + 1, #log do
        assert.equal(tick, (log[k] * 7) % 150 + 1)
      end
      fired, skipped = fired + n, skipped + m
    end
    assert.same({ 200, 100, 200 }, { fired, skipped, #log })
    assert.equal("function", type(alive[1].fire))
    assert.same({ 0, 0 }, { w:count() })
  end)

  it("is full when it is full, and goes on after an error", function()
    local w = wheel.new(2)
    local bad = { fire = function() error("bad", 0) end }
    local fired = 0
    local good = { fire = function() fired = fired + 1 end }
    assert.is_true(w:after(1, bad))
    assert.is_true(w:after(1, good))
    assert.same({ nil, "full" }, { w:after(1, good) })
    assert.has_error(function() w:tick() end, "bad")
    assert.same({ 1, 0 }, { w:tick() })
    assert.equal(1, fired)
    assert.is_true(w:after(1, good))
    assert.has_error(function() w:after(1, 5) end)
    assert.has_error(function() w:after(0, good) end)
    assert.same({ 1, 0 }, { w:tick() })
  end)
end)

describe("examples/c/host.c", function()
  it("runs a script that submits jobs", function()
    local out, ok = run(portable.build .. "/host examples/c/jobs.lua")
    assert.equal("2\t2\nfirst, second\n", out)
    assert.is_true(ok)
  end)

  it("tells of a script that fails, or is not there", function()
    local out, ok = run(portable.build .. "/host no-such-script.lua")
    assert.truthy(out:find("no%-such%-script"))
    assert.is_false(ok)
    out, ok = run(portable.build .. "/host")
    assert.truthy(out:find("usage"))
    assert.is_false(ok)
  end)
end)

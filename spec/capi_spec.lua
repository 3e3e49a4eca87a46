-- gbi.h: what Lua and C do to one registry, and the programs that use it.

local portable = require "spec.support.portable"
local gbi = require "gbi"
local capi = require "capi"
local new_source = gbi.source.GlobalSource

local function noop() end

local collect, read, run = portable.collect, portable.read, portable.run

-- the smallest and the greatest number that Lua hands to C as an integer
local MIN, MAX = portable.min, portable.max
if capi.integer_bits == 32 then MIN, MAX = -2 ^ 31, 2 ^ 31 - 1 end

local CFLAGS = "-pedantic -Wall -Wextra -Werror -Icsrc "
  .. (os.getenv("LUA_CFLAGS") or "-I/usr/include/lua5.4")

describe("the interfaces for Lua and C", function()
  it("share the tables", function()
    local r, a, b = capi.new(), {}, {}
    assert.equal(1, capi.register(r, a, new_source "a"))
    assert.equal(2, r:register(b, new_source "b"))
    assert.equal(a, r:get(1))
    assert.equal(b, capi.get(r, 2))
    assert.equal("external object 1 (G[\"a\"])", r:name(1))
    assert.equal(gbi.default, capi.default())
    capi.set(r, 2, a)
    assert.equal(a, r:find(2))
    assert.same({ 2, 0 }, { capi.count(r) })
    capi.store(r, b)
    assert.same({ nil, "unregistered" }, { r:find(2) })
    assert.same({ 1, 0 }, { capi.count(r) })
    local h = capi.new_handles()
    local weak, strong = capi.weak(h, a), h:strong(5)
    assert.equal(a, h:get(weak))
    assert.equal(5, capi.get_handle(h, strong))
    assert.equal(2, capi.count_handles(h))
    assert.equal("live", capi.release(h, strong))
    assert.equal("dead", capi.release(h, strong))
    assert.same({ nil, "dead" }, { h:find(strong) })
    assert.equal(1, h:count())
    assert.equal(gbi.handles, capi.state_handles())
    weak = capi.weak(nil, a)
    assert.equal(a, gbi.handles:get(weak))
    assert.is_true(gbi.handles:release(weak))
    assert.same({ nil, "dead" }, { capi.find_handle(nil, weak) })
  end)

  it("have the same version in a state", function()
    assert.equal(2, capi.open())
  end)

  it("take a registry at any index, and leave the stack right", function()
    local r = gbi.new() -- capi.c checks the stack
    assert.equal(1, capi.register(r, r, new_source "r"))
    assert.equal(2, capi.register_created(r, r, noop))
    capi.store(r)
    capi.store(r, r, noop)
    capi.restore(r, capi.snapshot(r))
    capi.reset(r)
    local h = capi.new_handles()
    local handle = capi.weak(h, h)
    capi.find_handle(h, handle)
    capi.find_handle(nil, handle)
    capi.on_collect(h, handle, noop)
    capi.sweep(h)
    capi.release(h, handle)
  end)
end)

describe("C", function()
  local r
  before_each(function() r = gbi.new() end)

  it("registers an object that a C constructor creates", function()
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
    r:register(noop, new_source "noop")
    collect()
    for _, find in ipairs { capi.find, capi.find_in } do
      assert.same({ nil, "dead" }, { find(r, 1) })
      assert.same({ noop, "live" }, { find(r, 2) })
      assert.same({ nil, "unregistered" }, { find(r, 3) })
      assert.same({ nil, "unregistered" }, { find(r, MIN) })
    end
    assert.has_error(function() capi.get(r, 1) end,
      'external object 1 (G["gone"]) is no longer alive')
  end)

  it("finds and gets by handle as Lua does", function()
    for _, h in ipairs { false, capi.new_handles() } do
      h = h or nil
      local gone, live = capi.weak(h, {}), capi.strong(h, noop)
      local no = capi.strong(h, false)
      collect()
      for _, find in ipairs { capi.find_handle, capi.find_handle_in } do
        assert.same({ nil, "dead" }, { find(h, gone) })
        assert.same({ noop, "live" }, { find(h, live) })
        assert.same({ false, "live" }, { find(h, no) })
        for _, other in ipairs { no + 1, 1, 0, -1, MIN, MAX } do
          assert.same({ nil, "unregistered" }, { find(h, other) })
        end
      end
      assert.equal(noop, capi.get_handle(h, live))
      assert.has_error(function() capi.get_handle(h, gone) end,
        ("handle %d is no longer alive"):format(gone))
      assert.has_error(function() capi.get_handle(h, 7) end,
        "handle 7 was never given out")
      local file = capi.weak(h, io.stdout)
      assert.same({ io.stdout, true }, { capi.get_handle_udata(h, file,
        "FILE*") })
      assert.has_error(function() capi.get_handle_udata(h, live, "FILE*") end,
        ("handle %d is not a FILE* (got function)"):format(live))
      for _, handle in ipairs { live, no, file } do
        assert.equal("live", capi.release(h, handle))
      end
    end
  end)

  it("raises the errors that Lua raises, and changes nothing", function()
    r:register(noop, new_source "noop")
    local h = capi.new_handles()
    local handle = h:weak(noop)
    for expected, f in pairs {
      ["gbi.registry expected, got table"] = function() capi.check {} end,
      ["Failed to make weakref to User Object"] = function()
        capi.register(r, 5, new_source "x")
      end,
      ["'strong'"] = function() capi.weak(h, 5) end,
      ["nil cannot have a handle"] = function() capi.strong(h, nil) end,
      ["gbi.handles expected, got gbi.registry"] = function()
        capi.check_handles(r)
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
        capi.on_collect(h, handle, 5)
      end,
    } do
      local ok, err = pcall(f)
      assert.is_false(ok)
      assert.truthy(tostring(err):find(expected, 1, true), tostring(err))
      assert.same({ 1, 0 }, { r:count() })
      assert.equal(noop, r:get(1))
      assert.equal(1, #r)
      assert.equal(1, h:count())
      assert.equal(noop, h:get(handle))
    end
  end)

  it("keeps a handle in a pointer", function()
    for _, i in ipairs { 0, 1, 1000000001, 2147483647 } do
      assert.equal(i, capi.pointer(i))
    end
    if capi.pointer_bits < 64 then return end -- the greatest handle
    for _, i in ipairs { 2147483648, 9007199254740992, -1, MAX } do
      assert.equal(i, capi.pointer(i))
    end
  end)

  it("has no functions for a state that has not loaded gbi.core", function()
    -- A host that fetched the table in one state crashed with it in another.
    local LOADED = "gbi.core is not loaded in this Lua state (call gbi_open)"
    local GOT = "bad argument #1 to '?' (%s expected, got string)"
    local n = 0
    for name, err in pairs(capi.bare()) do
      n = n + 1
      if name == "check_registry" then
        assert.equal(GOT:format "gbi.registry", err)
      elseif name == "check_handles" then
        assert.equal(GOT:format "gbi.handles", err)
      else
        assert.equal(LOADED, err, name)
      end
    end
    assert.equal(17, n)
    -- in a state that has gbi, all of them work, with their own errors
    local core = assert(package.loadlib(portable.build .. "/gbi/core.so",
      "luaopen_gbi_core"))
    for name, err in pairs(capi.bare(core)) do
      assert.not_equal(LOADED, err, name)
      if name ~= "check_registry" and name ~= "check_handles"
         and name ~= "weak of a value" and name ~= "get_handle"
         and name ~= "get_handle_udata" then
        assert.equal("no error", err, name)
      end
    end
  end)

  it("loads gbi if it is not loaded yet, in any order", function()
    for _, first in ipairs { 'require "capi" require "gbi"',
                             'require "gbi" require "capi"' } do
      local out, ok = run(("%s -e '%s'"):format(portable.start(), first .. [[
        local r = require "capi".default()
        assert(r == require "gbi".default)
        r:register(r, require "gbi".source.GlobalSource "r")
        io.write(tostring(require "capi".get(r, 1) == r))]]))
      assert.equal("true", out)
      assert.is_true(ok)
    end
  end)
end)

describe("on_collect", function()
  it("can be called from C, too", function()
    local log = {}
    local function note(handle) log[#log + 1] = handle end
    for _, h in ipairs { false, capi.new_handles() } do
      h, log = h or nil, {}
      local handle = capi.weak(h, {})
      assert.equal("live", capi.on_collect(h, handle, note))
      assert.equal("unregistered", capi.on_collect(h, handle + 1, note))
      collect()
      assert.equal("dead", capi.on_collect(h, handle, note))
      assert.equal(1, capi.sweep(h))
      assert.equal(0, capi.sweep(h))
      assert.same({ handle }, log)
    end
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
    portable.write(path .. ".c", '#include "gbi.h"\n', example, [[
      int luaopen_bell (lua_State *L) {
        lua_newtable(L);
        lua_pushcfunction(L, on_ring);
        lua_setfield(L, -2, "on_ring");
        lua_pushcfunction(L, ring);
        lua_setfield(L, -2, "ring");
        return 1;
      }
    ]])
    local out, ok = run(("gcc -std=c99 %s -fPIC -shared %s.c -o %s.so"):format(
      CFLAGS, path, path))
    assert.equal("", out)
    assert.is_true(ok)
    out, ok = run(("%s -e '%s'"):format(portable.start(), ([[
      local bell = assert(package.loadlib(%q, "luaopen_bell"))()
      local function ding() print "ding" end
      bell.ring()
      bell.on_ring(ding)
      bell.ring()
      bell.on_ring(function() print "dong" end)
      collectgarbage()
      bell.ring()
      print(require "gbi".handles:count())]]):format(path .. ".so")))
    os.remove(path)
    os.remove(path .. ".c")
    os.remove(path .. ".so")
    assert.equal("ding\ndong\n1\n", out)
    assert.is_true(ok)
  end)
end)

describe("examples/c/wheel.c", function()
  local wheel = require "wheel"

  it("fires the live timers in order, and skips the dead", function()
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

  it("refuses a timer when it is full, and goes on after an error", function()
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

  it("reports a script that fails or is missing", function()
    local out, ok = run(portable.build .. "/host no-such-script.lua")
    assert.truthy(out:find("no%-such%-script"))
    assert.is_false(ok)
    out, ok = run(portable.build .. "/host")
    assert.truthy(out:find("usage"))
    assert.is_false(ok)
  end)
end)

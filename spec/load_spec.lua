-- Loading gbi fills the module, and does nothing else that a host could notice.

local portable = require "spec.support.portable"

-- Uses every module of gbi, after the host's part.
local USE = [[
  local gbi = require "gbi"
  local source = gbi.source
  local g = gbi.graph.new()
  local x = g:placeholder("x")
  local out = g:external(io.stdout, source.AttrSource(source.GlobalSource("io"),
    "stdout"))
  g:call_method("write", out, "x is ", x, "\n")
  g:call_function(source.GlobalSource("assert"), out:handle())
  g:output(x + 1)
  local f = g:compile()
  assert(f(1) == 2)
  assert(not pcall(f, {}))
  assert(gbi.traceback("message"):find("message", 1, true))
  gbi.compile_prologue(g.registry)()
  assert(gbi.inspect(g.registry):find("stdout", 1, true))
  local path = os.tmpname()
  assert(g:save(path))
  assert(tostring(assert(gbi.load_graph(path))) == tostring(g))
  os.remove(path)
  assert(gbi.handles:get(gbi.handles:weak(g)) == g)
]]

-- Loads everything that `require` loads later.
local TOUCH = [[
  for _, name in ipairs { "source", "graph", "load_graph", "compile_prologue",
                          "inspect", "debug", "traceback" } do
    local value = require "gbi"[name]
    assert(value ~= nil and rawequal(value, require "gbi"[name]), name)
  end
]]

local STRICT = [[
  setmetatable(_G, {
    __index = function(_, name) error("undeclared: " .. name, 2) end,
    __newindex = function(_, name) error("undeclared: " .. name, 2) end,
  })
]]

local function check(...)
  local out, ok = portable.script(table.concat({ ... }, "\n"))
  assert.is_true(ok, out)
  return out
end

describe("loading", function()
  it("works where undeclared globals raise", function()
    -- compat.lua asked for setfenv, which 5.2 and later do not have
    assert.equal("x is 1\nx is ", check(STRICT, USE))
  end)

  it("works without the libraries that a host may leave out",
    function()
      check([[
        debug, jit = nil, nil
        coroutine, os, io, utf8, bit32, bit = nil, nil, nil, nil, nil, nil
        package.loaded.debug, package.loaded.jit = nil, nil
      ]], STRICT, [[
        local gbi = require "gbi"
        assert(gbi.handles:get(gbi.handles:weak(gbi)) == gbi)
      ]])
    end)

  it("calls nothing that a host may have replaced", function()
    -- compat.lua ran a coroutine, and OpenResty's are its scheduler's: loaded
    -- in a request it failed with "attempt to yield across C-call boundary"
    check([[
      for _, name in ipairs { "coroutine", "io", "os" } do
        for key, f in pairs(_G[name]) do
          if type(f) == "function" then
            _G[name][key] = function() error(name .. "." .. key, 2) end
          end
        end
      end
      print, dofile, loadfile = nil, nil, nil
      require "gbi"
    ]], TOUCH)
  end)

  it("changes nothing but package.loaded", function()
    check([[
      local function copy(t)
        local new = {}
        for key, value in pairs(t) do new[key] = value end
        return new
      end

      local function same(a, b, what)
        for key, value in pairs(a) do
          assert(rawequal(b[key], value), what .. "." .. tostring(key))
        end
        for key in pairs(b) do
          assert(a[key] ~= nil, what .. "." .. tostring(key))
        end
      end

      local before, tables = {}, { _G = _G, string_mt = getmetatable("") }
      for name, library in pairs(_G) do
        if type(library) == "table" then tables[name] = library end
      end
      for name, t in pairs(tables) do before[name] = copy(t) end
      local loaded = copy(package.loaded)
      local hook = debug.gethook()
      math.randomseed(42)
      local random = math.random()
      math.randomseed(42)

      require "gbi"
      ]], TOUCH, [[
      assert(math.random() == random)
      assert(debug.gethook() == hook)
      for name, t in pairs(tables) do same(before[name], t, name) end
      for name in pairs(package.loaded) do
        assert(loaded[name] or name == "gbi" or name:find("^gbi%.%l+$"), name)
      end
      for name, module in pairs(loaded) do
        assert(package.loaded[name] == module)
      end
      for _, value in ipairs { 1, true, print, _G } do
        assert(getmetatable(value) == nil)
      end
    ]])
  end)

  it("writes nothing", function()
    assert.equal("", check('require "gbi"', TOUCH))
  end)

  it("loads modules only when they are used", function()
    check(STRICT, [[
      local gbi = require "gbi"
      assert(gbi.handles:get(gbi.handles:weak(gbi)) == gbi)
      gbi.default:store(gbi)
      assert(gbi.get_external_object_by_index(1) == gbi)
      assert(gbi.new():find(1) == nil and gbi.nosuch == nil)
      local now = { gbi = true, ["gbi.core"] = true, ["gbi.errors"] = true,
                    ["gbi.lookup"] = true }
      for name in pairs(package.loaded) do
        assert(now[name] or not name:find "^gbi", name)
      end
    ]], TOUCH, [[
      assert(gbi.source == require "gbi.source")
      assert(gbi.graph == require "gbi.graph")
      assert(gbi.load_graph == gbi.graph.load)
      assert(gbi.compile_prologue == require "gbi.prologue")
      assert(gbi.inspect == require "gbi.inspect".inspect)
      assert(gbi.debug == require "gbi.inspect".debug)
      assert(gbi.traceback == require "gbi.traceback".traceback)
    ]])
  end)

  it("takes at most 40 KiB for handles alone", function()
    check([[
      local function used()
        collectgarbage()
        collectgarbage()
        return collectgarbage "count"
      end
      local before = used()
      local gbi = require "gbi"
      gbi.handles:release(gbi.handles:strong(1))
      local taken = used() - before
      assert(taken <= 40, taken)
      local _ = gbi.graph
      assert(used() - before > 2 * taken, "it was loaded already")
    ]])
  end)

  it("of a module at its first use may fail, and later succeed", function()
    -- 5.1's require would say "loop or previous error" for ever
    check([[
      local gbi = require "gbi"
      package.preload["gbi.node"] = function() error("not enough memory", 0) end
      local ok, err = pcall(function() return gbi.graph end)
      assert(not ok and err:find "not enough memory", err)
      package.preload["gbi.node"] = nil
    ]], TOUCH, USE)
  end)
end)

-- Looking inside: the table of a registry, and the call sites of its entries.

local gbi = require "gbi"
local fixture = require "spec.support.fixture"
local portable = require "spec.support.portable"
local capi = require "capi"

local Local, collect = gbi.source.LocalSource, portable.collect
local X = Local "x"

-- The line that called the caller of this function, as a place.
local function here()
  local info = debug.getinfo(2, "Sl")
  return ("%s:%d"):format(info.short_src, info.currentline)
end

-- The rows of a registry's table: each maps the header's names to its cells.
local function rows(text)
  local header, list = {}, {}
  local lines = text:gmatch("([^\n]*)\n")
  for at, name in lines():gmatch("()(%S+)") do
    header[#header + 1] = { at = at, name = name }
  end
  assert.truthy(lines():find("^[- ]+$"))
  for line in lines do
    local row = {}
    for i, column in ipairs(header) do
      local last = header[i + 1] and header[i + 1].at - 1 or #line
      row[column.name] = line:sub(column.at, last):gsub(" +$", "")
    end
    list[#list + 1] = row
  end
  return list
end

local function construct(_, cg)
  cg:load_import("table", "pack")
  cg:call_function(0)
end

describe("gbi.inspect", function()
  it("prints only the header for an empty registry", function()
    local text = gbi.inspect(gbi.new())
    assert.equal("index  kind  status  type  source  place\n"
      .. "-----  ----  ------  ----  ------  -----\n", text)
  end)

  it("shows kind, status, type and source of every entry", function()
    local r = gbi.new()
    local f, stream = print, setmetatable({}, { __name = "my.stream" })
    r:register(io.stdout, gbi.source.AttrSource(gbi.source.GlobalSource("io"),
      "stdout"))
    r:register({}, Local("gone"))
    r:register_created(stream, construct)
    r:register(f, Local("f"))
    r:set(5, stream)
    collect()
    local function row(index, kind, status, type, source)
      return { index = index, kind = kind, status = status, type = type,
               source = source, place = "" }
    end
    local expected = {
      row("1", "user", "live", "FILE*", 'G["io"].stdout'),
      row("2", "user", "dead", "", 'L["gone"]'),
      row("3", "graph_created", "live", "my.stream", ""),
      row("4", "user", "live", "function", 'L["f"]'),
      row("5", "stored", "live", "my.stream", ""),
    }
    assert.same(expected, rows(gbi.inspect(r)))
  end)

  it("shows indices that the last store left out", function()
    local r, a = gbi.new(), {}
    for i = 1, 3 do r:register(a, Local("x" .. i)) end
    r:store(a)
    local list = rows(gbi.inspect(r))
    assert.equal(3, #list)
    assert.same({ "1", "live" }, { list[1].index, list[1].status })
    assert.same({ "2", "unregistered", "" },
      { list[2].index, list[2].status, list[2].type })
    assert.same({ "3", 'L["x3"]' }, { list[3].index, list[3].source })
  end)

  it("orders its rows by number", function()
    local r, a = gbi.new(), {}
    for _ = 1, 12 do r:register(a, X) end
    r:store(a, a)
    local list = rows(gbi.inspect(r))
    for i = 1, 12 do assert.equal(tostring(i), list[i].index) end
  end)

  it("keeps a row on one line, whatever the names", function()
    local r = gbi.new()
    local named = setmetatable({}, { __name = "two\nlines" })
    r:register(named, { reconstruct = print })
    r:register(named, setmetatable({ reconstruct = print },
      { __tostring = function() return "a\nb" end }))
    r:register(named, setmetatable({ reconstruct = print },
      { __tostring = function() error("no name") end }))
    r:register(setmetatable({}, { __metatable = "locked" }), X)
    local list = rows(gbi.inspect(r))
    assert.equal(4, #list)
    assert.equal("two lines", list[1].type)
    assert.equal("a b", list[2].source)
    assert.equal("?", list[3].source)
  end)

  it("keeps nothing alive", function()
    local r, object = gbi.new(), {}
    r:register(object, X)
    local text = gbi.inspect(r)
    object = nil -- luacheck: ignore 311
    collect()
    assert.is_nil((r:find(1)))
    assert.truthy(text ~= gbi.inspect(r))
  end)

  it("names its argument if it is not a registry", function()
    for _, case in ipairs { { 5, "number" }, { {}, "table" },
        { "x", "string" }, { io.stdout, "FILE*" },
        { gbi.handles, "gbi.handles" } } do
      local ok, err = pcall(gbi.inspect, case[1])
      assert.is_false(ok)
      assert.truthy(err:find("bad argument #1 to 'inspect' (gbi.registry "
        .. "expected, got " .. case[2], 1, true), err)
    end
  end)
end)

describe("gbi.debug", function()
  after_each(function()
    gbi.debug(false)
    gbi.default:reset()
  end)

  it("is off at first, and returns the previous setting", function()
    local r = gbi.new()
    assert.is_false(gbi.debug(false))
    r:register({}, X)
    assert.is_nil(r:place(1))
    assert.is_false(gbi.debug(true))
    assert.is_true(gbi.debug(true))
    assert.is_true(gbi.debug(false))
    assert.error(function() gbi.debug() end)
    assert.error(function() gbi.debug("on") end)
  end)

  it("records where each registering function was called", function()
    gbi.debug(true)
    local r, object, places = gbi.new(), {}, {}
    r:register(object, X) places[1] = here()
    r:register_created(object, construct) places[2] = here()
    capi.register(r, object, X) places[3] = here()
    for i = 1, 3 do assert.equal(places[i], r:place(i)) end
    local list = rows(gbi.inspect(r))
    for i = 1, 3 do assert.equal(places[i], list[i].place) end
    gbi.register_user_object(object, X) places[1] = here()
    gbi.register_graph_created_object(object, construct) places[2] = here()
    for i = 1, 2 do assert.equal(places[i], gbi.default:place(i)) end
  end)

  it("works for existing registries, and stops when turned off",
    function()
      local r, object = gbi.new(), {}
      r:register(object, X)
      gbi.debug(true)
      r:register(object, X) local place = here()
      gbi.debug(false)
      r:register(object, X)
      assert.is_nil(r:place(1))
      assert.equal(place, r:place(2))
      assert.is_nil(r:place(3))
    end)

  it("names the caller of gbi's own functions, not the functions", function()
    gbi.debug(true)
    local g, object = gbi.graph.new(), {}
    local x = g:external(object, gbi.source.GlobalSource("x")) local a = here()
    g:created(object, construct) local b = here()
    assert.equal(a, g.registry:place(1))
    assert.equal(b, g.registry:place(2))
    g:output(x)
    local path = fixture.path()
    assert(g:save(path))
    local loaded = gbi.load_graph(path) local c = here()
    assert.equal(c, loaded.registry:place(1))
  end)

  it("names the line in a coroutine, and none without Lua functions", function()
    gbi.debug(true)
    local r, object, place = gbi.new(), {}, nil
    coroutine.wrap(function()
      r:register(object, X) place = here()
    end)()
    assert.equal(place, r:place(1))
    -- 5.1's coroutines begin in a Lua function
    local ok, register = pcall(coroutine.wrap, r.register)
    if ok then register(r, object, X) end
    assert.equal(ok and "?" or nil, r:place(2))
  end)

  it("keeps a place through store and set, and forgets it at reset", function()
    gbi.debug(true)
    local r, object = gbi.new(), {}
    r:register(object, X) local place = here()
    r:register_created(object, construct) local created = here()
    r:store(object, object)
    r:set(1, {})
    r:restore(r:snapshot())
    r:store()
    assert.equal(place, r:place(1))
    assert.equal(created, r:place(2))
    gbi.debug(false)
    r:reset()
    r:register(object, X)
    r:set(2, object)
    for i = 0, 4 do assert.is_nil(r:place(i)) end
  end)

  it("leaves nothing of a registration that fails", function()
    gbi.debug(true)
    local r = gbi.new()
    assert.error(function() r:register(5, X) end)
    assert.error(function() r:register({}, 5) end)
    assert.error(function() r:register({}) end)
    assert.is_nil(r:place(1))
    r:store({})
    assert.is_nil(r:place(1))
  end)

  it("holds neither the object nor its caller", function()
    gbi.debug(true)
    local r, witness = gbi.new(), setmetatable({}, { __mode = "v" })
    do
      local object = {}
      local function caller() return (r:register(object, X)) end
      caller()
      witness[1], witness[2] = object, caller
    end
    collect()
    assert.is_nil(witness[1])
    assert.is_nil(witness[2])
    assert.equal("dead", select(2, r:find(1)))
    assert.truthy(r:place(1))
  end)

  it("survives finalizers that register and reset while it records", function()
    -- in a small Lua state of its own, where collections are frequent
    local out = portable.script([[
      local gbi = require "gbi"
      gbi.debug(true)
      local r, object, last, runs = gbi.new(), {}, 0, 0
      local X = gbi.source.LocalSource "x"
      local newproxy = rawget(_G, "newproxy") -- 5.1: tables have no finalizer
      local function finalizer(f)
        if newproxy then getmetatable(newproxy(true)).__gc = f
        else setmetatable({}, { __gc = f }) end
      end
      local function register()
        local i = r:register(object, X)
        last = last + 1
        if i ~= last then print(("index %d is %d"):format(last, i)) end
        if not r:place(i) then print(("index %d has no place"):format(i)) end
      end
      local function finalize()
        runs = runs + 1
        if runs % 2 == 0 then
          r:reset()
          last = 0
        end
        register()
        finalizer(finalize)
      end
      finalizer(finalize)
      require "spec.support.portable".collector { pause = 0 }
      local n = 0
      repeat
        n = n + 1
        local _ = ("x"):rep(n % 997) -- collections come at any moment
        r:reset()
        last = 0
        register()
        local before = runs -- what the step finds, a finalizer may reset
        for i in r:constructors() do assert(r:place(i) or runs > before, i) end
      until runs > 3000
      finalize = function() end
      print "done"
    ]])
    assert.equal("done\n", out)
  end)
end)

describe("an interactive Lua", function()
  it("prints a registry, and its table", function()
    local text = portable.script([[
gbi = require "gbi"; gbi.debug(true); r = gbi.new(); kept = {}
x = gbi.source.LocalSource "x"
print(r:register(kept, x), r:register({}, x))
collectgarbage() collectgarbage()
print(r)
print(gbi.inspect(r))
]], "-i <")
    assert.truthy(text:find("gbi.registry (1 live, 1 dead): ", 1, true), text)
    assert.truthy(text:find('1      user  live    table  L["x"]  stdin:', 1,
      true), text)
  end)
end)

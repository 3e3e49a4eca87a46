-- What a call costs as its input grows: run by build/faults (spec/c/faults.c),
-- which provides `memory`.
--
--     build/faults spec/support/growth.lua [short | vm | machine] [CASE]
--
-- Each case is called with an input of n, 4 n and 16 n. If its cost grows by
-- more than n log n does, the program fails. The cost is the same in every run:
-- `vm` counts the instructions of Lua's virtual machine, and the allocated
-- bytes; `machine` makes valgrind count machine instructions, to include the
-- work of C (patterns, the core). `short` is `vm` with fewer sizes. CASE is
-- part of a case's name; `vm` without it also fails if a public function is
-- called by no case.

local gbi = require "gbi"
local portable = require "spec.support.portable"
local public = require "spec.support.public"
local annotate = dofile "tools/annotate.lua"

local MODE, ONLY = arg[1] or "vm", arg[2] or ""
local SHORT = MODE == "short"

local memory = memory -- luacheck: globals memory

local source = gbi.source
local G, Attr, Item = source.GlobalSource, source.AttrSource,
  source.GetItemSource

local N = SHORT and 16 or 64 -- the smallest size, if a case names no other
local MOST = 6 -- times the cost for 4 times the size; n log n has 5.2 at most
local FLOOR = { instructions = 1000, bytes = 8000 } -- allowance for small costs

local PATH = os.tmpname()

-- Parts of long texts; the last ones are hard for a pattern.
local TEXTS = { letters = "a", spaces = " ", points = ".", digits = "1",
                ["a word and points"] = "a.", numbers = "_1", quotes = '"',
                controls = "\n", positions = ":1: " }
local TEXT = SHORT and 256 or 1024 -- the smallest size of a text

local cases = {}

-- A case: make(n) returns the function to call; only that call is measured.
local function case(name, make, n)
  cases[#cases + 1] = { name = name, make = make, n = n or N }
end

local function each(n, f)
  local list = {}
  for i = 1, n do list[i] = f(i) end
  return list
end

local function object() return {} end


-- Registries and handle tables --------------------------------------------

local function registry(n)
  local r, objects = gbi.new(), each(n, object)
  for i = 1, n do r:register(objects[i], G("g" .. i)) end
  return r, objects
end

case("registry: register", function(n)
  return function() registry(n) end
end)

-- Calls with a registry of n objects.
for name, f in pairs {
  get = function(r, o) for i = 1, #o do r:get(i) end end,
  find = function(r, o) for i = 1, #o do r:find(i + 1) end end,
  register_created = function(r, o)
    for i = 1, #o do r:register_created(o[i], print) end
  end,
  set = function(r, o) for i = 1, #o do r:set(i, o[1]) end end,
  ["set, appending"] = function(r, o)
    for i = 1, #o do r:set(#o + i, o[i]) end
  end,
  stash = function(r, o) for i = 1, #o do r:stash(o[i]) end r:store() end,
  store_list = function(r, o) r:store_list(o, #o) end,
  snapshot = function(r) r:restore(r:snapshot()) end,
  entries = function(r) for i, e in r:entries() do assert(i and e) end end,
  constructors = function(r)
    for i, e in r:constructors() do assert(i and e) end
  end,
  count = function(r) r:count() r:has_objects() end,
  name = function(r, o) for i = 1, #o do r:name(i) end end,
  tostring = function(r) tostring(r) end,
  reset = function(r) r:reset() end,
  inspect = function(r) gbi.inspect(r) end,
  compile_prologue = function(r) gbi.compile_prologue(r) end,
} do
  case("registry: " .. name, function(n)
    local r, objects = registry(n)
    return function() f(r, objects) end
  end)
end

case("registry: store", function(n)
  local r, objects = registry(n)
  return function() r:store(table.unpack(objects)) end
end)

case("registry: prologue", function(n)
  local r = gbi.new()
  for _ = 1, n do r:register(print, G "print") end
  return gbi.compile_prologue(r)
end)

case("registry: parameters", function(n)
  local params = each(n, function(i) return "x" .. i end)
  return function() gbi.compile_prologue(gbi.new(), params) end
end)

-- A constructor with n instructions of each kind: one after another, or all
-- loads before all stores.
for name, deep in pairs { instructions = false, ["a deep stack"] = true } do
  case("registry: " .. name, function(n)
    local rounds, depth = n, 1
    if deep then rounds, depth = 1, n end
    local r = gbi.new()
    r:register_created(r, function(_, cg)
      cg:load_registry()
      for _ = 1, rounds do
        for _ = 1, depth do
          cg:load_const(1)
          cg:load_local "x"
          cg:load_import("string", "rep")
          cg:load_global "print"
          cg:call_function(0)
          cg:dup_top()
        end
        for _ = 1, depth do
          local var = cg:new_var "x"
          cg:store(var)
          cg:load(var)
          for _ = 1, 5 do cg:pop_top() end
        end
      end
    end)
    return function() gbi.compile_prologue(r, { "x" }) end
  end)
end

case("registry: the default one", function(n)
  local objects = each(n, object)
  return function()
    for i = 1, n do
      gbi.register_user_object(objects[i], G "print")
      gbi.register_graph_created_object(objects[i], print)
      gbi.set_external_object_by_index(i, objects[i])
      gbi.get_external_object_by_index(i)
      gbi.stash_graph_created_object(objects[i])
      assert(gbi.has_user_objects())
    end
    gbi.store_user_object_weakrefs(table.unpack(objects))
    gbi.reset_user_object_tracking()
  end
end)

case("registry: new", function(n)
  return function() each(n, gbi.new) each(n, gbi.new_handles) end
end)

-- Calls with a handle table of n objects, half of them strong.
for name, f in pairs {
  get = function(h, o) for i = 1, #o do h:get(o[i]) end end,
  find = function(h, o) for i = 1, #o do h:find(o[i] + 1) end end,
  release = function(h, o) for i = 1, #o do h:release(o[i]) end end,
  entries = function(h) for i, v in h:entries() do assert(i and v) end end,
  count = function(h) h:count() end,
  tostring = function(h) tostring(h) end,
  on_collect = function(h, o)
    for i = 1, #o do h:on_collect(o[i], print) end
    h:sweep()
  end,
} do
  case("handles: " .. name, function(n)
    local h, objects = gbi.new_handles(), each(n, object)
    local handles = each(n, function(i)
      return i % 2 == 0 and h:weak(objects[i]) or h:strong(objects[i])
    end)
    return function() f(h, handles, objects) end
  end)
end

for _, kind in ipairs { "weak", "strong" } do
  case("handles: " .. kind, function(n)
    local h, objects = gbi.new_handles(), each(n, object)
    return function() for i = 1, n do h[kind](h, objects[i]) end end
  end)
end

case("handles: sweep", function(n)
  local h, objects, called = gbi.new_handles(), each(n, object), 0
  for i = 1, n do
    h:on_collect(h:weak(objects[i]), function() called = called + 1 end)
  end
  objects = nil -- luacheck: ignore 311
  portable.collect()
  return function() assert(h:sweep() == n and called == n) end
end)


-- Sources -----------------------------------------------------------------

-- A chain of n sources, linked by their bases or keys.
local CHAINS = {
  calls = function(n)
    local s = source.ImportSource("string", "rep")
    for _ = 1, n do s = source.CallFunctionNoArgsSource(s) end
    return s
  end,
  bases = function(n)
    local s = G "g"
    for _ = 1, n do s = Attr(s, "x") end
    return s
  end,
  keys = function(n)
    local s = G "g"
    for _ = 1, n do s = Item(G "g", s) end
    return s
  end,
}

for name, chain in pairs(CHAINS) do
  case("source: make, " .. name, function(n)
    return function() chain(n) end
  end)
  case("source: tostring, " .. name, function(n)
    local s = chain(n)
    return function() tostring(s) end
  end)
  case("source: compare, " .. name, function(n)
    local a, b = chain(n), chain(n)
    return function() assert(a == b and a ~= chain(n + 1)) end
  end)
  case("source: reconstruct, " .. name, function(n)
    local r, s = gbi.new(), chain(n)
    r:register({}, s)
    return function() gbi.compile_prologue(r) end
  end, 8) -- the C stack allows some 200 levels
end

-- Sources with a text of n bytes.
for kind, make in pairs {
  LocalSource = source.LocalSource,
  ConstantSource = source.ConstantSource,
  ImportSource = function(text) return source.ImportSource(text, text) end,
  GetItemSource = function(text) return Item(G "g", text) end,
} do
  for what, text in pairs(TEXTS) do
    case(("source: %s, %s"):format(kind, what), function(n)
      local name = text:rep(n / #text)
      return function()
        local s, r = make(name), gbi.new()
        assert(s == make(name) and source.name(s) ~= "?")
        r:register({}, s)
        gbi.compile_prologue(r, { name })
      end
    end, TEXT)
  end
end

-- Each source uses the previous one twice.
case("source: compare, twice each", function(n)
  local function twice()
    local s = G "g"
    for _ = 1, n do s = Item(s, s) end
    return s
  end
  local a, b = twice(), twice()
  return function() assert(a == b) end
end, 1)


-- Graphs ------------------------------------------------------------------

local function values(g, n)
  local x = g:placeholder "x"
  return each(n, function(i)
    if i > 1 then x = x + 1 end
    return x
  end)
end

-- Graphs of n parts.
local GRAPHS = {
  ["a chain"] = function(g, n)
    g:output(values(g, n)[n])
  end,
  inputs = function(g, n)
    local inputs = each(n, function(i) return g:placeholder("x" .. i) end)
    g:output(inputs[n])
  end,
  arguments = function(g, n)
    local list = values(g, n)
    g:output(g:call_function(G "select", table.unpack(list)))
  end,
  outputs = function(g, n)
    g:output(table.unpack(values(g, n)))
  end,
  ["one user"] = function(g, n)
    local x = g:placeholder "x"
    for _ = 1, n do g:set_item(x, 1, x) end
    g:output()
  end,
  ["calls of results"] = function(g, n)
    local f = g:placeholder "f"
    for _ = 1, n do f = f() end
    g:output(f)
  end,
  ["results of results"] = function(g, n)
    local f = g:placeholder "f"
    for _ = 1, n do f = select(2, f():results(2)) end
    g:output(f)
  end,
  externals = function(g, n)
    for i = 1, n do
      g:call_function(G "print", g:external(g, G("g" .. i)):handle())
    end
    g:output()
  end,
  ["one external"] = function(g, n)
    local o = g:external(g, G(("long"):rep(n)))
    for _ = 1, n do g:call_function(o, o) end
    g:output()
  end,
  created = function(g, n)
    for _ = 1, n do
      g:call_function(G "print", (g:created({}, function(_, cg)
        cg:load_global "print"
      end)))
    end
    g:output()
  end,
  attributes = function(g, n)
    for i = 1, n do g:call_function(G "print", (g:attribute("a" .. i, i))) end
    g:output()
  end,
  operators = function(g, n)
    local x = g:placeholder "x"
    for _ = 1, n do
      x = x:lt(1):land(x:le(2)):lor(x:gt(3)):lnot()
      x = x:eq(x:ge(4)):ne(x:getitem(x:len()))
    end
    g:output(x)
  end,
  functions = function(g, n)
    for _ = 1, n do g:call_function(G "print") end
    g:output()
  end,
  conditions = function(g, n)
    local x = g:placeholder "x"
    local list = each(n, function() return g:call_function(G "print") end)
    g:call_function(G "print", table.unpack(list))
    for _ = 1, n do
      local function part()
        return g:subgraph(function(y) return y + 1 end, { "y" })
      end
      x = g:cond(x, part(), part(), { x })
    end
    g:output(x)
  end,
  loops = function(g, n)
    local x = g:placeholder "x"
    for _ = 1, n do
      x = g:while_loop(g:subgraph(function(y) return y:lt(3) end, { "y" }),
        g:subgraph(function(y) return y + 1 end, { "y" }), { x })
    end
    g:output(x)
  end,
  operands = function(g, n)
    local list = values(g, n)
    local function part()
      local sub = g:subgraph()
      sub:output(table.unpack(each(n, function(i)
        return sub:placeholder("y" .. i)
      end)))
      return sub
    end
    g:output(g:cond(list[1], part(), part(), list):results(math.min(n, 200)))
  end,
}

-- Graphs with texts of n bytes.
local SIZES = {} -- the least size of a graph, if not N

for what, text in pairs(TEXTS) do
  SIZES["a name of " .. what] = TEXT
  GRAPHS["a name of " .. what] = function(g, n)
    local name = text:rep(n / #text) .. "-"
    local x = g:placeholder(name)
    local o = g:external(g, Attr(G(name), name))
    local s = Attr(o.source, "a" .. name)
    for _ = 1, 8 do
      g:set_item(g:call_method(name, o, x, g:get_attr(x, name)),
        g:call_function(s), name)
      g:get_attr(s)
    end
    g:output(o:handle(), g:attribute(name, name))
  end
end

local function graph(make, n)
  local g = gbi.graph.new()
  make(g, n)
  return g
end

local function backend()
  return function() end
end

-- The operations on a graph.
local USES = {
  lint = function(g) assert(g:lint()) end,
  compile = function(g) g:compile() end,
  code = function(g) g:code() end,
  backend = function(g) g:compile { backend = backend } end,
  tostring = function(g) tostring(g) end,
  print_tabular = function(g) g:print_tabular { write = function() end } end,
  to_dot = function(g) g:to_dot() end,
  nodes = function(g)
    for x in g:nodes() do assert(x.users and x.inputs and x.args) end
  end,
  find_nodes = function(g) g:find_nodes { op = "call_function" } end,
  copy = function(g) g:copy() end,
  node_copy = function(g)
    local new, copies = gbi.graph.new(), {}
    for x in g:nodes() do copies[x] = new:node_copy(x, copies) end
  end,
  graph_copy = function(g) gbi.graph.new():graph_copy(g) end,
  transformer = function(g) gbi.graph.transformer(g):transform() end,
  eliminate = function(g) g:eliminate_dead_code() end,
  erase = function(g)
    for x in g:nodes(true) do g:erase_node(x) end
  end,
  replace = function(g)
    for x in g:nodes() do
      if x.op == "placeholder" then x:replace_all_uses_with(5) end
    end
  end,
  save = function(g) assert(g:save(PATH)) end,
}

-- Without methods that make no sense for a graph: a created object has no
-- source, and the calls of a handle are not those of a value.
local LEFT_OUT = { ["save, created"] = true,
                   ["replace, results of results"] = true,
                   ["replace, calls of results"] = true }

if SHORT then USES = { compile = USES.compile, tostring = USES.tostring } end

for what, make in pairs(GRAPHS) do
  case("graph: record, " .. what, function(n)
    return function() graph(make, n) end
  end, SIZES[what])
  for use, f in pairs(USES) do
    if not LEFT_OUT[use .. ", " .. what] then
      case(("graph: %s, %s"):format(use, what), function(n)
        local g = graph(make, n)
        return function() f(g) end
      end, SIZES[what])
    end
  end
  if what ~= "created" then
    case("graph: load, " .. what, function(n)
      assert(graph(make, n):save(PATH))
      return function() assert(gbi.load_graph(PATH)) end
    end, SIZES[what])
  end
end

case("graph: interpreter", function(n)
  local g = gbi.graph.new()
  local list = values(g, n)
  for i = 1, n do
    local a = g:attribute("a" .. i, { x = "x" })
    g:call_method("rep", g:get_attr(a, "x"), list[i])
  end
  g:output(list[n])
  return function() gbi.graph.interpreter(g):run(1) end
end)

case("graph: debug", function(n)
  return function()
    for _ = 1, n do gbi.debug(true) end
    graph(GRAPHS.inputs, n)
    for _ = 1, n do gbi.debug(false) end
  end
end)

case("graph: trace", function(n)
  return function()
    gbi.graph.trace(function(x)
      for _ = 1, n do x = x * 2 end
      return x
    end, { "x" })
  end
end)

case("graph: insert at the front", function(n)
  local g = gbi.graph.new()
  local x = g:placeholder "x"
  return function()
    for _ = 1, n do
      g:inserting_after(x, function() return x + 1 end)
      g:inserting_before(x.next, function() return x + 1 end)
    end
  end
end)

case("graph: update_arg", function(n)
  local g = gbi.graph.new()
  local list = values(g, n)
  return function()
    for i = 2, n do list[i]:update_arg(1, list[1]) end
  end
end)

case("graph: set_target, inputs", function(n)
  local g = gbi.graph.new()
  local inputs = each(n, function(i) return g:placeholder("x" .. i) end)
  return function()
    for i = 1, n do inputs[i]:set_target("y" .. i) end
  end
end)

case("graph: set_target, calls", function(n)
  local g = gbi.graph.new()
  local f, h = g:placeholder "f", g:placeholder "h"
  local calls = each(n, function() return f() end)
  return function()
    for i = 1, n do calls[i]:set_target(h) end
  end
end)


-- Runs --------------------------------------------------------------------

-- A graph of n external objects.
local function objects_of(n)
  local g = gbi.graph.new()
  return g, each(n, function() return g:external(print, G "print") end)
end

case("runs: handle", function(n)
  local g, objects = objects_of(n)
  g:output(table.unpack(objects))
  return g:compile { backend = function()
    return function(run)
      for i = 1, n do run:handle(i) end
    end
  end }
end)

case("runs: handed-on objects", function(n)
  local g, objects = objects_of(n)
  for i = 1, n do g:call_function(G "type", objects[i]:handle()) end
  g:output()
  return g:compile()
end)

-- Handles are found although n runs, which were under way at a time, are over.
case("runs: after a peak", function(n)
  local g = gbi.graph.new()
  local act = g:placeholder "act"
  act(g:external(print, G "print"):handle())
  g:output()
  local f = g:compile()
  local threads = each(n, function() return coroutine.wrap(f) end)
  for i = 1, n do threads[i](coroutine.yield) end
  threads = nil -- luacheck: ignore 311
  portable.collect()
  return function()
    for _ = 1, n do f(function(h) assert(gbi.handles:find(h)) end) end
  end
end)


-- Traceback ---------------------------------------------------------------

case("traceback", function(n)
  local g = gbi.graph.new()
  local x = g:external(print, G(("long"):rep(n)))
  for _ = 1, n do x = x + 1 end
  g:output(x)
  local f = g:compile()
  return function() xpcall(f, gbi.traceback) end
end)


-- Measuring ---------------------------------------------------------------

table.sort(cases, function(a, b) return a.name < b.name end)

local selected = {}
for _, it in ipairs(cases) do
  if it.name:find(ONLY, 1, true) then selected[#selected + 1] = it end
end

-- The costs of calling f, by name.
local function vm(f)
  local instructions = 0
  local function run()
    debug.sethook(function() instructions = instructions + 10 end, "", 10)
    f()
    debug.sethook()
  end
  local bytes = memory.counted(run)
  return { instructions = instructions, bytes = bytes }
end

-- Calls run(case, n, f) for each case and size.
local function measure(run)
  for _, it in ipairs(selected) do
    for _, n in ipairs { it.n, 4 * it.n, 16 * it.n } do
      local f = it.make(n)
      portable.collect()
      collectgarbage "stop"
      run(it, n, f)
      collectgarbage "restart"
    end
  end
end

-- The dumps of callgrind, one for each call of memory.counted.
local function machine()
  local dir = portable.folder()
  local out, ok = portable.run(("valgrind -q --tool=callgrind "
    .. "--callgrind-out-file=%s/out --collect-atstart=no "
    .. "--toggle-collect=memory_counted --dump-after=memory_counted "
    .. "%s/faults spec/support/growth.lua calls '%s'"):format(dir,
      portable.build, ONLY))
  assert(ok, out)
  local i = 0
  measure = function(run) -- luacheck: ignore 111 122
    for _, it in ipairs(selected) do
      for _, n in ipairs { it.n, 4 * it.n, 16 * it.n } do
        i = i + 1
        local text = assert(portable.read(("%s/out.%d"):format(dir, i)))
        run(it, n, tonumber(text:match "\ntotals: (%d+)"
          or text:match "\nsummary: (%d+)"))
      end
    end
  end
  return function(instructions) return { instructions = instructions } end,
    function() portable.execute("rm -r " .. dir) end
end

if MODE == "calls" then -- under valgrind
  measure(function(_, _, f) memory.counted(f) end)
  os.remove(PATH)
  os.exit(0, true)
end

local cost, done = vm, function() end
if MODE == "machine" then cost, done = machine() end

local failures = {}

-- Adds a failure for each public function that no case calls.
local function check_calls()
  local called = {}
  for _, it in ipairs(cases) do
    local f = it.make(it.n)
    debug.sethook(function()
      called[debug.getinfo(2, "f").func] = true
    end, "c")
    f()
    debug.sethook()
  end
  for name, item in pairs(annotate.read().items) do
    if item.kind == "function" and not called[public.find(name)] then
      failures[#failures + 1] = name .. ": no case calls it"
    end
  end
end

if MODE == "vm" and ONLY == "" then check_calls() end

local worst, before = 0, nil
measure(function(it, n, f)
  local now = cost(f)
  if n > it.n then
    for what, many in pairs(now) do
      local times = many / (before[what] + FLOOR[what])
      if n == 16 * it.n then worst = math.max(worst, times) end
      if n == 16 * it.n and times > MOST then
        failures[#failures + 1] = ("%s: %d %s for %d, %d for %d"):format(
          it.name, before[what], what, n / 4, many, n)
      end
    end
  end
  before = now
end)
done()
os.remove(PATH)
print(("growth.lua %s: %d cases, at most %.1f times the cost for 4 times the "
  .. "size"):format(MODE, #selected, worst))
if #failures > 0 then
  io.stderr:write(table.concat(failures, "\n"), "\n")
  os.exit(1, true)
end

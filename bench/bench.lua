--- Measures every row and the cost against the number of objects:
-- bench.lua [FILE.csv [MOST]]
--
-- Medians of interleaved runs: gbi, floor, peer, luaL_ref, gbi, floor ... in
-- processor time, each on a heap that has just been collected.
local gbi = require "gbi"
local peer = require "peer"
local floor = require "floor"
local rows = require "rows"
local report = require "report"
local callgrind = require "callgrind"
local measures = require "measure"

local measure, median, seconds =
  measures.sides, measures.median, measures.seconds

local ROUNDS, SLOW_ROUNDS, CURVE_ROUNDS = 51, 5, 5
local largest = math.tointeger(tonumber(arg[2] or 10000000))

-- Bytes per entry for each side; and how many of each are left after they have
-- been dropped.
local function memory(holders, n)
  local objects = rows.tables(n)
  local taken, left = {}, {}
  for name, holder in pairs(holders(objects)) do
    local function used()
      collectgarbage()
      collectgarbage()
      return collectgarbage("count") * 1024
    end
    holder.fill(10)
    holder.drop()
    local before = used()
    holder.fill(n)
    taken[name] = (used() - before) / n
    holder.drop()
    left[name] = (used() - before) / n
  end
  return taken, left
end

local add, close = report.csv(arg[1] or "bench/results.csv")
local missed = 0

local function note(name, unit, values, must, most)
  if not report.row(io.stdout, name, values, must, most) then
    missed = missed + 1
  end
  add(name, nil, unit, values, must)
end

report.head(io.stdout, "nanoseconds an operation")
for i, row in ipairs(rows) do
  if row.counted then
    local values = {}
    for name in pairs(row.make()) do values[name] = callgrind(i, name) end
    note(row.name .. ", instructions", "instructions", values, row.must)
  else
    note(row.name, "ns", measure(row.make, row.n,
      row.slow and SLOW_ROUNDS or ROUNDS), row.must)
  end
end

do
  local taken, left = memory(rows.holders, 1000000)
  note("register, bytes an entry", "bytes", taken, 0.8)
  note("  left of an entry by reset", "bytes", left, nil, 0.5)
  note("h:weak, bytes a handle, floor the same in Lua", "bytes",
    memory(rows.handle_holders, 1000000), 1.0)
end

-- The curves: each operation on registries and handle tables of many entries,
-- at random places. There are only a few objects, so that the curves show the
-- cost of the tables.
local objects = rows.tables(1000)

-- A function of n that calls `f` with `n` random numbers up to `size`.
local function randomly(size, f)
  return function(n)
    local i = 1
    for _ = 1, n do
      i = (i * 1103515245 + 12345) & 0x7fffffff
      f(i % size + 1)
    end
  end
end

-- Nanoseconds that f(object) takes when called for each object of the list; the
-- median of some rounds, each after `make` has made the container to fill.
local function filling(list, make, f)
  local size, times = #list, {}
  for round = 1, size < 1000000 and CURVE_ROUNDS or 1 do
    local into = make()
    collectgarbage()
    times[round] = seconds(function()
      for i = 1, size do f(into, list[i]) end
    end)
  end
  return median(times) / size * 1e9
end

local function curve_of(size)
  local list = {}
  for i = 1, size do list[i] = objects[i % 1000 + 1] end
  local n, from = 200000, gbi.source.LocalSource("x")
  local registry, other, refs -- and a table of handles to fill
  local handles, other_handles
  local function register(into, value) into:register(value, from) end
  local function weak(into, value) into:weak(value) end
  local register_times = {
    gbi = filling(list, function()
      registry = gbi.new()
      return registry
    end, register),
    peer = filling(list, function()
      other = peer.new()
      return other
    end, register),
    ref = filling(list, function()
      refs = floor.refs()
      return refs
    end, function(into, value) into.register(value) end),
  }
  local rounds = math.max(1, 100000 // size)
  local function stores(r)
    return function()
      for _ = 1, rounds do r:store_list(list, size) end
    end
  end
  local curve = {
    register = register_times,
    store = measure({ gbi = stores(registry), peer = stores(other) },
      rounds * size, CURVE_ROUNDS),
    get = measure({
      gbi = randomly(size, function(i) return registry:get(i) end),
      peer = randomly(size, function(i) return other:get(i) end),
      ref = randomly(size, function(i) return refs.get(i) end),
    }, n, CURVE_ROUNDS),
    find = measure({
      gbi = randomly(size, function(i) return registry:find(i) end),
      peer = randomly(size, function(i) return other:find(i) end),
    }, n, CURVE_ROUNDS),
  }
  registry, other = nil, nil -- makes room for the handles
  curve["h:weak"] = {
    gbi = filling(list, function()
      handles = gbi.new_handles()
      return handles
    end, weak),
    peer = filling(list, function()
      other_handles = peer.new_handles()
      return other_handles
    end, weak),
    ref = register_times.ref,
  }
  local first = handles:weak(objects[1]) - size - 1
  curve["h:get"] = measure({
    gbi = randomly(size, function(i) return handles:get(first + i) end),
    peer = randomly(size, function(i) return other_handles:get(i) end),
    ref = randomly(size, function(i) return refs.get(i) end),
  }, n, CURVE_ROUNDS)
  return curve
end

-- A point may be worse than the first of its curve by this factor. Caches may
-- make it worse: then the peer or luaL_ref, with tables of that size, are worse
-- by as much.
local FLAT = 1.2

print()
local size, first = 1000, nil
print("cost against the number of entries, ns (and as a multiple of the first)")
print(("%-10s %10s %16s %16s %16s %9s"):format("operation", "entries", "gbi",
  "peer", "luaL_ref", "must"))
while size <= largest do
  local curve = curve_of(size)
  first = first or curve
  for _, name in ipairs(report.curves) do
    local cells, must = {}, FLAT
    for i, column in ipairs { "gbi", "peer", "ref" } do
      local value = curve[name][column]
      local multiple = value and value / first[name][column]
      cells[i] = value and ("%8.1f (%5.2f)"):format(value, multiple) or ""
      if multiple and column ~= "gbi" then
        must = math.max(must, FLAT * multiple)
      end
    end
    local flat = curve[name].gbi <= first[name].gbi * must
    if not flat then missed = missed + 1 end
    print(("%-10s %10d %16s %16s %16s %9.2f  %s"):format(name, size, cells[1],
      cells[2], cells[3], must, flat and "ok" or "MISSED"))
    add(name, size, "ns", curve[name])
  end
  size = size * 10
end
close()
print(("\nrows that miss what they must reach: %d"):format(missed))

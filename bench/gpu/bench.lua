--- Measures the workload of examples/cuda on a GPU, alternating between the
-- rows: bench.lua TABLE.md PICTURE.svg
--
-- Programs that are not Lua run beside this one, wait for a line that says what
-- to run, and answer with the microseconds per call.
local gbi = require "gbi"
local cuda = require "cuda"
local kernels = require "kernels"
local workload = require "workload"
local rows = require "rows"

local TABLE, PICTURE = arg[1], arg[2]
local ROUNDS = tonumber(os.getenv "ROUNDS") or 15
local CALLS = tonumber(os.getenv "CALLS") or 2000
local GROWTH = tonumber(os.getenv "GROWTH") or 100000
local BUILD = os.getenv "BUILD" or "build"

local xs = {}
for i = 1, 16 do xs[i] = i end
local main = cuda.stream()
local x = cuda.from(main, xs)

-- Runs a function of this program.
local function measure(f, calls)
  cuda.synchronize()
  local began = cuda.clock()
  for _ = 1, calls do f(x, main):close() end
  cuda.synchronize()
  local took = (cuda.clock() - began) / calls * 1e6
  local z = f(x, main)
  assert(workload.check(z:read(main), xs, workload.fork_join_of))
  z:close()
  return took
end

-- Starts a program that answers requests.
local function start(command)
  local path = os.tmpname()
  os.remove(path)
  if not os.execute("mkfifo " .. path) then return nil end
  local to = io.popen(("%s >%s"):format(command, path), "w")
  local from = io.open(path, "r")
  os.remove(path)
  return function(line)
    if line then
      to:write(line, "\n")
      to:flush()
    end
    return from:read("*l") or "fail it ended"
  end
end

local ptx = os.tmpname()
local file = assert(io.open(ptx, "w"))
file:write(kernels.PTX)
file:close()
local bare = start(("%s/gpu-bare %s"):format(BUILD, ptx))
local torch, version
do
  local there = os.execute("python3 -c 'import torch' 2>/dev/null")
  if there == true or there == 0 then
    torch = start("python3 bench/gpu/pytorch.py")
    version = torch() -- its first line has the version
  end
end

local function outside(program, mode)
  return function(calls)
    local line = program(("%s %d"):format(mode, calls))
    local us = tonumber(line)
    if not us then return nil, (line:gsub("^fail ", "")) end
    return us
  end
end

local function inside(f)
  return function(calls) return measure(f, calls) end
end

local table_rows = {
  { "bare", "bare driver calls", outside(bare, "create") },
  { "reuse", "the same, with one event kept per stream",
    outside(bare, "reuse") },
  { "bare graph", "bare driver calls, CUDA graph", outside(bare, "graph") },
  { "gbi", "gbi", inside(rows.gbi()) },
  { "of_run", "gbi, numbers that belong to the run", inside(rows.of_run()) },
  { "hand", "the Lua module by hand", inside(rows.hand()) },
  { "gbi graph", "gbi, CUDA-graph backend",
    inside(rows.graph()) },
}
if torch then
  for _, row in ipairs {
    { "eager", "PyTorch eager" },
    { "compile-eager", 'torch.compile, backend "eager"' },
    { "inductor", 'torch.compile, backend "inductor"' },
    { "reduce-overhead", 'torch.compile, mode "reduce-overhead"' },
  } do
    row[3] = outside(torch, row[1])
    table_rows[#table_rows + 1] = row
  end
end

-- Alternating; the first round only warms up.
local times, failures = {}, {}
for round = 0, ROUNDS do
  for _, row in ipairs(table_rows) do
    local us, why = row[3](CALLS)
    times[row[1]] = times[row[1]] or {}
    if not us then failures[row[1]] = why
    elseif round > 0 then table.insert(times[row[1]], us) end
  end
end
os.remove(ptx)

local function median(name)
  local list = times[name]
  if not list or failures[name] or #list == 0 then return nil end
  table.sort(list)
  return list[math.floor((#list + 1) / 2)], list[1], list[#list]
end

-- Does memory grow?
local function growth(f)
  local function state()
    cuda.synchronize()
    collectgarbage()
    collectgarbage()
    local bytes = cuda.memory()
    return bytes, collectgarbage("count"), gbi.handles:count()
  end
  for _ = 1, GROWTH / 10 do f(x, main):close() end
  local bytes, kilobytes, handles = state()
  for _ = 1, GROWTH do f(x, main):close() end
  local bytes2, kilobytes2, handles2 = state()
  return bytes2 - bytes, kilobytes2 - kilobytes, handles2 - handles
end

local lines = {}
local function add(format, ...)
  lines[#lines + 1] = format:format(...)
end

local name, driver = cuda.device()
add("%s, driver %s%s; median of %d batches of %d calls each, in turns, in one "
  .. "run:", name, driver, version and (", " .. version) or "", ROUNDS, CALLS)
add("")
add("| | µs per call | least – most | of the bare calls |")
add("|---|---|---|---|")
local base = median("bare")
for _, row in ipairs(table_rows) do
  local us, least, most = median(row[1])
  if us then
    add("| %s | %.2f | %.2f – %.2f | %.2f |", row[2], us, least, most,
      us / base)
  else
    add("| %s | failed: %s | | |", row[2], failures[row[1]])
  end
end
add("")
add("| aim | | reached? |")
add("|---|---|---|")
local missed = 0
local function aim(what, ratio, limit, most)
  if not ratio then return end
  local ok = most and ratio <= limit or not most and ratio >= limit
  if not ok then missed = missed + 1 end
  add("| %s %s %g | %.2f | %s |", what, most and "≤" or "≥", limit, ratio,
    ok and "yes" or "no")
end
local us = median("gbi")
local function times_faster(other)
  local slow = median(other)
  return slow and slow / us
end
aim("gbi / bare driver calls", us / base, 1.15, true)
aim('torch.compile, backend "eager" / gbi', times_faster "compile-eager", 8)
aim("PyTorch eager / gbi", times_faster "eager", 2.5)
aim("gbi with CUDA graph / bare driver calls",
  median("gbi graph") / base, 0.5, true)
add("")
for _, case in ipairs {
  { "gbi", rows.gbi() },
  { "gbi with CUDA graph", rows.graph() },
} do
  local bytes, kilobytes, handles = growth(case[2])
  add("After %d more calls of %s: %d bytes of the GPU, %.1f kilobytes of Lua "
    .. "and %d handles more.", GROWTH, case[1], bytes, kilobytes, handles)
end

local text = table.concat(lines, "\n") .. "\n"
io.write("\n", text)
local out = assert(io.open(TABLE, "w"))
out:write(text)
out:close()

-- The picture: a bar for each row.
local WIDTH, LEFT, HEIGHT = 380, 290, 24
local longest = 0
for _, row in ipairs(table_rows) do
  longest = math.max(longest, median(row[1]) or 0)
end
local svg = { ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" '
  .. 'height="%d" font-family="sans-serif" font-size="12">'):format(
  LEFT + WIDTH + 70, #table_rows * HEIGHT + 40) }
svg[#svg + 1] = ('<text x="%d" y="16">microseconds per call, %s</text>')
  :format(LEFT, name)
for i, row in ipairs(table_rows) do
  local y, value = i * HEIGHT + 6, median(row[1])
  svg[#svg + 1] = ('<text x="%d" y="%d" text-anchor="end">%s</text>'):format(
    LEFT - 8, y + 14, (row[2]:gsub('"', "&quot;")))
  if value then
    svg[#svg + 1] = ('<rect x="%d" y="%d" width="%.1f" height="%d" '
      .. 'fill="%s"/>'):format(LEFT, y, value / longest * WIDTH, HEIGHT - 6,
      row[1]:find "^gbi" and "#0b62a4" or "#a0a0a0")
    svg[#svg + 1] = ('<text x="%.1f" y="%d">%.1f</text>'):format(
      LEFT + value / longest * WIDTH + 6, y + 14, value)
  else
    svg[#svg + 1] = ('<text x="%d" y="%d">failed</text>'):format(LEFT, y + 14)
  end
end
svg[#svg + 1] = "</svg>\n"
out = assert(io.open(PICTURE, "w"))
out:write(table.concat(svg, "\n"))
out:close()
if missed > 0 then print(missed .. " aims missed") end
os.exit(0)

-- Every allocation fails once: run by build/faults (spec/c/faults.c), which
-- provides `memory`.
--
--     build/faults spec/support/faults.lua [short | long | collect] [CASE]
--
-- Each case (faults/cases.lua) is run in each of its starting states
-- (faults/starts.lua), with its 1st, 2nd, 3rd ... allocation failing, until it
-- succeeds. After a failure everything must be as before the call and nothing
-- more be kept alive; the same call must then succeed, with the same result.
-- Random sequences of operations do the same (faults/compose.lua); GBI_SEED
-- chooses others. `long` does more of all, and also fails all allocations after
-- `long` does more of everything, and also fails all allocations after the
-- n-th; `short` takes a third of the starting states. In `collect` nothing
-- fails: a count hook of one instruction makes a full collection at every
-- instruction. CASE is part of a case's name; all of its states are tried.

local compat = require "gbi.compat"

-- LuaJIT's compiler does not survive every failure in compiled code.
if jit then jit.off() end -- luacheck: ignore 113

local MODE, ONLY = arg[1] or "short", arg[2]
local SEQUENCES = { short = 40, long = 1000, collect = 0 }

local memory = memory -- luacheck: globals memory

local World = require "spec.support.faults.world"
local cases = require "spec.support.faults.cases"
local compose = require "spec.support.faults.compose"
local gbi = require "gbi"
local portable = require "spec.support.portable"
local starts = require "spec.support.faults.starts"
local states = require "spec.support.faults.states"

local PATH = os.tmpname()

local injected, calls = 0, 0

-- Mistakes that were found; the first one of each case is enough.
local failures = {}

local function failed(message)
  failures[#failures + 1] = message
  error(failures, 0)
end

-- Calls f, which ends at its first failure.
local function case_of(f, ...)
  local args = compat.pack(...)
  local ok, err = xpcall(function() f(compat.unpack(args, 1, args.n)) end,
    function(e) return e == failures and e or debug.traceback(e) end)
  if not ok and err ~= failures then error(err, 0) end
end

local function which(n, all)
  return ("allocation %d (%s)"):format(n, all and "and all after it"
    or "alone")
end

-- A Lua state for one case: see faults/states.lua.
local function in_states(case)
  for _, all in ipairs { false, true } do
    local n = 0
    repeat
      n = n + 1
      local hits, ok, err, result, left = memory.state(case.prepare,
        case.call, case.sign * n, all, case.after)
      local function check(condition, message)
        if not condition then
          failed(("%s, %s: %s"):format(case.name, which(n, all),
            tostring(message)))
        end
      end
      check(ok or (hits > 0 and portable.no_memory(err)), err)
      check(result == case.wanted, result)
      check(left == 0, left .. " blocks were not freed")
      injected = injected + hits
    until hits == 0
    calls = calls + n
    if MODE == "short" then break end
  end
end

local function in_sequence(name, seed, all)
  local hits, err = compose.sequence(seed, memory.inject, all)
  if not hits then failed(("%s %s"):format(name, err)) end
  injected, calls = injected + hits, calls + hits
end

local function new_world(start, case)
  local w = World.new(start.states)
  start.make(w)
  w.dying = start.dying or case.runs
  starts.arguments(w)
  if case.file then
    w.path = PATH
    w.saved = gbi.graph.new()
    w.saved:output((w.saved:external(print, gbi.source.AttrSource(
      gbi.source.GlobalSource "io", "stdout"))))
    w.saved:save(w.path)
  end
  if case.prepare then case.prepare(w) end
  return w
end

-- The differing lines of two texts.
local function difference(expected, value)
  local out, other = {}, tostring(expected):gmatch "[^\n]*"
  for line in tostring(value):gmatch "[^\n]*" do
    local wanted = other()
    if line ~= wanted and #out < 3 then
      out[#out + 1] = ("\n  %s\n  -- instead of %s"):format(line, wanted)
    end
  end
  return table.concat(out)
end

-- If there is no memory for a message, luaL_error of 5.5.0 uses a value below
-- it on the stack. Should messages not be compared, therefore?
local GARBLED = false
do
  local wanted = select(2, pcall(setmetatable, 1))
  for n = 1, 10 do
    local _, _, err = memory.inject(n, false, setmetatable, 1)
    GARBLED = GARBLED or err ~= wanted and not portable.no_memory(err)
  end
end

local function without_message(results)
  return (results:gsub("false, .*", "false"))
end

-- Calls a case while its n-th allocation fails. Returns the number of failed
-- allocations, whether the call failed, and its results as a string.
local function inject(n, all, case, w)
  local t = compat.pack(memory.inject(n, all, case.call, w))
  injected = injected + t[1]
  calls = calls + 1
  return t[1], not t[2] and portable.no_memory(t[3]),
    w:list(compat.unpack(t, 2, t.n))
end

local function try(start, case, all)
  local w = new_world(start, case)
  local mark = case.runs and w:given() or nil
  local before = w:state(mark)
  local wanted = w:list(pcall(case.call, w))
  local after = w:state(mark)
  local finish_after = w:finish()
  local finish_before = new_world(start, case):finish()
  local n = 0
  local function same(what, expected, value)
    if expected ~= value and not case.halves then
      failed(("%s: %s, %s: %s:%s"):format(start.name, case.name,
        which(n, all), what, difference(expected, value)))
    end
  end
  local hits
  repeat
    n = n + 1
    for again = 1, MODE == "long" and 2 or 1 do
      local nomemory, got
      w = new_world(start, case)
      local functions = w:functions()
      local file = w.path and portable.read(w.path)
      if w.path then portable.collect() end -- so that no text is left in memory
      hits, nomemory, got = inject(n, all, case, w)
      if nomemory then
        same("state", before, w:state(mark))
        for i, f in pairs(w:functions()) do
          same("constructor", true, rawequal(f, functions[i]))
        end
        if w.path then
          same("file", file, portable.read(w.path))
          same("temporary file", nil, portable.read(w.path .. ".tmp"))
        end
        if (n + again) % 2 == 0 then same("held", finish_before, w:finish())
        else
          same("result", wanted, w:list(pcall(case.call, w)))
          same("state after it", after, w:state(mark))
          same("held after it", finish_after, w:finish())
        end
      elseif start.dying then -- a collection changes what the case sees
        w:finish()
      else
        if not case.degrades then
          local known = GARBLED and hits > 0 and without_message or tostring
          same("result of a call that went on", known(wanted), known(got))
        end
        same("state of a call that went on", after, w:state(mark))
        same("held by a call that went on", finish_after, w:finish())
      end
    end
  until hits == 0
end

-- In the mode `collect` nothing fails: the results must be those without a
-- hook.
local function collecting(start, case)
  local w = new_world(start, case)
  local wanted = w:list(pcall(case.call, w))
  local after = w:finish()
  w = new_world(start, case)
  debug.sethook(function() collectgarbage() end, "", 1)
  local got = w:list(pcall(case.call, w))
  debug.sethook()
  calls = calls + 1
  if start.dying then return end -- it sees its objects die
  if wanted ~= got or after ~= w:finish() then
    failed(("%s: %s: %s instead of %s"):format(start.name, case.name, got,
      wanted))
  end
end

local found = not ONLY

-- Should this case be tried?
local function wanted(name)
  local is = not ONLY or name:find(ONLY, 1, true) ~= nil
  found = found or is
  return is
end

-- The starting states of graphs, few because graphs hardly depend on them.
local GRAPHS = { registered = true, dead = true, recorded = true,
  ["the default registry"] = true, ["in a coroutine's run"] = true,
  dying = true, live = true, ["of runs, the state's"] = true }

for i, start in ipairs(starts) do
  for k, case in ipairs(cases) do
    if (case.of == start.of or case.of == "graphs" and GRAPHS[start.name])
       and wanted(start.name .. ": " .. case.name) then
      if MODE == "collect" then case_of(collecting, start, case)
      elseif MODE == "long" then
        case_of(try, start, case, false)
        case_of(try, start, case, true)
      elseif ONLY or (i + k) % 3 == 0 then
        case_of(try, start, case, i % 2 == 0)
      end
    end
  end
end

gbi.debug(false)
local seed = require "spec.support.seed" "faults"
for i = 1, SEQUENCES[MODE] do
  local name = ("sequence %d of seed %d:"):format(i, seed)
  if wanted(name) then
    case_of(in_sequence, name, (seed * 1009 + i) % 2 ^ 31, false)
    if MODE == "long" then
      case_of(in_sequence, name, (seed * 1009 + i) % 2 ^ 31, true)
    end
  end
end

gbi.debug(true)
for _, case in ipairs(MODE ~= "collect" and states or {}) do
  if wanted(case.name) then case_of(in_states, case) end
end

if not found then error("no case has this in its name: " .. ONLY) end
os.remove(PATH)
print(("faults.lua %s: %d calls in %d states, %d allocations failed"):format(
  MODE, calls, #starts, injected))
if #failures > 0 then
  io.stderr:write(table.concat(failures, "\n"), "\n",
    #failures, " cases failed\n")
  os.exit(1, true)
end

--- Tracebacks that explain generated code.
-- @module gbi
local compat = require "gbi.compat"
local errors = require "gbi.errors"

compat.interpret()

local debug = rawget(_G, "debug") -- a host may have none

-- Generated function -> line -> what it does. These are strings, or lists of
-- strings: before Lua 5.2 a value that leads to its weak key keeps it alive.
local notes = setmetatable({}, { __mode = "k" })

local traceback = {}

-- Stores the notes for the lines of a generated function.
-- @tparam function f
-- @tparam {[integer]=string|{string,...}} lines
function traceback.note(f, lines)
  notes[f] = lines
end

-- Returns debug.getinfo of a level of a thread's stack; in the running thread,
-- level 1 is the caller of gbi.traceback. Only `annotate` calls level_info: the
-- 4 added levels are level_info, annotate, pcall and gbi.traceback.
local function level_info(thread, level)
  local info
  if thread then info = debug.getinfo(thread, level, "Slf")
  else info = debug.getinfo(level + 4, "Slf") end
  return info
end

-- Returns the line in the position before a message, if it names this source.
local function line_of(message, source)
  local n = #source + 1
  return message:sub(1, n) == source .. ":"
    and tonumber(message:match("^(%d+):", n + 1)) or nil
end

-- Does a traceback's entry belong to this level?
local function is_entry(entry, info)
  local prefix = info.short_src .. ":"
  if info.currentline > 0 then prefix = prefix .. info.currentline .. ":" end
  return entry:sub(1, #prefix) == prefix
    or info.what == "C" and entry:find("^%[builtin#%d+%]:") ~= nil
end

local function split(text)
  local parts, from = {}, 1
  while true do
    local at = text:find("\n\t", from, true)
    parts[#parts + 1] = text:sub(from, (at or 0) - 1)
    if not at then return parts end
    from = at + 2
  end
end

-- Adds the notes to a traceback that begins at `level`. LuaJIT does not know
-- the line in the top function of a coroutine that failed; the message may have
-- it.
--
-- Entries are paired with levels from both ends, because the middle of a deep
-- stack is left out. A name may contain newlines, and then there are more
-- entries than levels: if an entry does not fit its level, its half of the
-- traceback is left unchanged.
local function annotate(text, thread, level, message)
  local entries = split(text)
  local gap, last = #entries + 1, level
  for i, entry in ipairs(entries) do
    if entry == "..." or entry:find("^%.%.%.\t%(skipping %d+ levels%)$") then
      gap = i
      break
    end
  end
  if gap <= #entries then
    local beyond = level + 1
    while level_info(thread, beyond) do last, beyond = beyond, beyond * 2 end
    while beyond - last > 1 do
      local middle = math.floor((last + beyond) / 2)
      if level_info(thread, middle) then last = middle else beyond = middle end
    end
  end
  for _, half in ipairs { { from = 2, to = gap - 1, step = 1, level = level },
      { from = #entries, to = gap + 1, step = -1, level = last } } do
    local found, at = {}, half.level
    for i = half.from, half.to, half.step do
      if entries[i] ~= "(...tail calls...)" then -- no level of its own
        local info = level_info(thread, at)
        if not (info and is_entry(entries[i], info)) then
          found = {}
          break
        end
        local lines, line = notes[info.func], info.currentline
        if line < 1 then line = line_of(message, info.short_src) end
        local note = lines and line and lines[line]
        found[i] = type(note) == "table" and table.concat(note, ", ") or note
        at = at + half.step
      end
    end
    for i, note in pairs(found) do
      entries[i] = ("%s\n\t\t%s"):format(entries[i], note)
    end
  end
  return table.concat(entries, "\n\t")
end

--- Like `debug.traceback`, but explains each line of a generated function: adds
-- its node, the external objects that it uses, and the call sites that recorded
-- these, if `gbi.debug(true)` was called before. It can be the message handler
-- of `xpcall`, and it can inspect a coroutine that failed.
-- @function traceback
-- @tparam ?thread thread may be omitted; default: the running thread
-- @tparam ?any message comes first in the text; a message that is neither a
-- string nor nil is returned unchanged
-- @tparam ?integer level where to start; default: 1, the caller, or 0 for
-- another thread
-- @treturn string the traceback; without a debug library, the message
function traceback.traceback(thread, message, level)
  local arg = 3 -- the level's number
  if type(thread) ~= "thread" then
    thread, message, level, arg = nil, thread, message, 2
  end
  local t = type(message)
  if not (t == "nil" or t == "string" or t == "number") then return message end
  if level ~= nil and (type(level) ~= "number" or level % 1 ~= 0) then
    errors.expected(2, "traceback", arg, "integer", level)
  end
  if not (debug and debug.traceback) then return message end
  if thread and thread == coroutine.running() then thread = nil end
  level = level or (thread and 0 or 1)
  local text
  if thread then text = debug.traceback(thread, "", level)
  else text = debug.traceback("", level + 1) end
  -- after a stack overflow there may be no room to annotate (LuaJIT)
  local ok, annotated = pcall(annotate, text, thread, level,
    tostring(message))
  if ok then text = annotated end
  if message == nil then return text:sub(2) end -- without the first newline
  return message .. text
end

return traceback

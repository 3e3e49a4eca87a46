--- Counts instructions: callgrind runs one side of one row.
local LUA = os.getenv("LUA") or "lua5.4"
local BUILD = os.getenv("BUILD") or "build"

-- Instructions per operation of the row `number` on this side.
return function(number, side)
  local pipe = io.popen(("LD_PRELOAD=%s/steady.so valgrind --tool=callgrind "
    .. "--callgrind-out-file=/dev/null --collect-atstart=no "
    .. "--toggle-collect=measured %s bench/count.lua %d %s 2>&1"):format(BUILD,
    LUA, number, side))
  local text = pipe:read("a")
  pipe:close()
  local count, n = text:match("Collected : (%d+)"), text:match("entries (%d+)")
  if not (count and n) then error(text) end
  return count / n
end

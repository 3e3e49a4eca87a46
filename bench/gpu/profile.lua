--- Shows where the time of a call goes: profile.lua [CALLS], with the libraries
-- that `make gpu-profile` builds.
--
-- It starts itself for each row: with the unchanged driver, with the driver's
-- calls timed, and with calls that do nothing instead of the driver's.
local ROW, CALLS = arg[1], tonumber(arg[2]) or 100000
local WARM = 2000

if not ROW then
  local lua, n = os.getenv "LUA" or "lua5.4", CALLS
  local build = os.getenv "BUILD" or "build"
  local function run(format, ...)
    io.stdout:flush()
    os.execute(format:format(...) .. " 2>&1")
  end
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(require "kernels".PTX)
  file:close()
  for _, mode in ipairs { "", "count", "null" } do
    print(mode == "" and "the driver as it is"
      or mode == "count" and "the driver's calls timed"
      or "calls that do nothing in the driver's place")
    local env = mode == "" and "" or ("GPU_PROFILE=%s "):format(mode)
    for _, row in ipairs { "hand", "gbi", "of_run", "graph" } do
      run("%s%s bench/gpu/profile.lua %s %d", env, lua, row, n)
    end
    if mode ~= "null" then -- the bare program checks its results
      for _, row in ipairs { "create", "reuse", "graph" } do
        run("printf 'bare C, %s, us per call: ' && echo '%s %d' | "
          .. "%s%s/gpu-profile/gpu-bare %s", row, row, n, env, build, path)
      end
    end
  end
  os.remove(path)
  return
end

local cuda = require "cuda"
local rows = require "rows"
local main = cuda.stream()
local x = cuda.from(main, { 1, 2, 3 })
local f = rows[ROW]()
for _ = 1, WARM do f(x, main):close() end
cuda.synchronize()
local began = cuda.clock()
for _ = 1, CALLS do f(x, main):close() end
cuda.synchronize()
print(("%s, us per call: %.3f"):format(ROW,
  (cuda.clock() - began) / CALLS * 1e6))

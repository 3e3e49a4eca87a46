-- Functions that specs need and that not every Lua has, or has in the same
-- form.

local compat = require "gbi.compat"
local literal = require "gbi.literal"

local portable = {}

-- The interpreter under test and its build folder.
portable.lua = os.getenv "LUA"
if not portable.lua then
  local i = 0
  while arg and arg[i - 1] do i = i - 1 end
  portable.lua = arg and arg[i] or "lua5.4"
end
portable.build = os.getenv "BUILD" or "build"

-- A copy of a function, made of its bytecode, with the same upvalues.
function portable.copy(f, strip)
  local load = loadstring or load -- luacheck: ignore 113
  local copy, i = assert(load(string.dump(f, strip))), 1
  while debug.getupvalue(f, i) do
    debug.setupvalue(copy, i, select(2, debug.getupvalue(f, i)))
    i = i + 1
  end
  return copy
end

-- The command that lists the bytecode in a file.
portable.luac = portable.lua:find "luajit" and portable.lua .. " -bl"
  or portable.lua:gsub("lua([%d.]*)$", "luac%1 -l -p")

-- Runs a command; returns its standard output and error as one text, whether it
-- succeeded, and its exit code.
function portable.run(command)
  local p = io.popen(("(%s\n) 2>&1; printf '\\n%%d' $?"):format(command))
  local out, code = p:read("*a"):match "^(.*)\n(%d+)$"
  p:close()
  return out, code == "0", tonumber(code)
end

-- A file's text; nil and a message if it does not exist.
function portable.read(path)
  local f, why = io.open(path, "rb")
  if not f then return nil, why end
  local text = f:read("*a")
  f:close()
  return text
end

-- Creates a file of these texts.
function portable.write(path, ...)
  local f = assert(io.open(path, "wb"))
  f:write(...)
  f:close()
end

-- The paths that match a pattern of the shell, in a list.
function portable.files(pattern)
  local found = {}
  local p = io.popen("ls -d " .. pattern)
  for path in p:lines() do found[#found + 1] = path end
  p:close()
  return found
end

-- Does a command succeed?
function portable.execute(command)
  local status = os.execute(command)
  return status == true or status == 0
end

-- The start of a command that runs Lua, or another program, which finds the
-- modules of this process.
function portable.start(program)
  return ("LUA_PATH='%s' LUA_CPATH='%s' %s"):format(package.path,
    package.cpath, program or portable.lua)
end

-- Makes an empty folder; returns its path.
function portable.folder()
  local path = os.tmpname()
  os.remove(path)
  assert(portable.execute("mkdir " .. path))
  return path
end

-- Runs a script in a new Lua, to the end of its state; returns as `run` does.
function portable.script(text, flags)
  local path = os.tmpname()
  portable.write(path, text)
  local out, ok, code = portable.run(("%s %s %s"):format(portable.start(),
    flags or "", path))
  os.remove(path)
  return out, ok, code
end

-- The least and the greatest integer.
portable.min = math.mininteger or -2 ^ 53
portable.max = math.maxinteger or 2 ^ 53

-- Makes an object without a finalizer, and sets its finalizer.
function portable.bare(t)
  return portable.table_gc and t
    or portable.setmetatable(t, { __gc = false })
end

function portable.arm(object, finalizer)
  local metatable = getmetatable(object)
  if metatable then metatable.__gc = finalizer
  else setmetatable(object, { __gc = finalizer }) end
end

-- How deeply calls of pcall can be nested in this Lua, if there is a limit.
local function nested(n)
  return n == 0 or select(2, pcall(nested, n - 1)) == true
end
portable.depth = nested(1000) and 1000 or 150

-- Can a coroutine yield in a pcall?
portable.yields = coroutine.wrap(function()
  return pcall(coroutine.yield, true)
end)()

-- Does the collector report its previous mode?
portable.modes = type(select(2, pcall(collectgarbage, "incremental")))
  == "string" and coroutine.close ~= nil

-- Turns LuaJIT's compiler on, or off and forgets what it compiled.
function portable.jit(on)
  local jit = rawget(_G, "jit")
  if jit and on then
    jit.on()
  elseif jit then
    jit.off()
    jit.flush()
  end
end

-- Closes a coroutine, or abandons it where there is no closing.
portable.close = coroutine.close or function() return true end

-- Is the running coroutine one that cannot yield?
function portable.is_main()
  local co, main = coroutine.running()
  return co == nil or main == true
end

-- Does Lua have to-be-closed variables?
portable.closes = compat.load("local x <close> = nil", "=") ~= nil

-- Does an error say that memory was exhausted? If Lua's stack cannot grow,
-- luaL_checkstack calls that an overflow before 5.4.
function portable.no_memory(err)
  return type(err) == "string"
    and (err:find("not enough memory", 1, true) ~= nil
      or not coroutine.close and err:find("stack overflow", 1, true) ~= nil)
end

-- The first collection runs finalizers, the second frees the objects they held.
function portable.collect()
  collectgarbage()
  collectgarbage()
end

-- Collects everything, even if finalizers raise: before 5.4, the collector
-- raises their errors here.
function portable.collect_all()
  while not pcall(collectgarbage) do end
  while not pcall(collectgarbage) do end
end

-- Sets one of the collector's numbers, by its name in 5.5; returns its previous
-- value. 5.4 does not report some, and earlier Luas do not have them.
local set
if pcall(collectgarbage, "param", "pause") then
  function set(name, n) return collectgarbage("param", name, n) end
else
  local calls = {
    pause = function(n) return collectgarbage("setpause", n) end,
    stepmul = function(n) return collectgarbage("setstepmul", n) end,
  }
  if portable.modes then
    function calls.stepsize(n)
      local log = math.floor(math.log(n, 2) + 0.5)
      collectgarbage("incremental", 0, 0, log)
      return 2 ^ 13
    end
    function calls.minormul(n)
      collectgarbage("generational", n, 0)
      return 20
    end
    function calls.minormajor(n)
      collectgarbage("generational", 0, n)
      return 100
    end
  end
  function set(name, n) return calls[name] and calls[name](n) end
end

-- Sets the collector's mode, if there are modes, and its numbers: pause,
-- stepmul, and for its mode stepsize (bytes) or minormul and minormajor.
-- Returns a function that restores the previous settings.
function portable.collector(numbers)
  local mode = portable.modes and numbers.mode
    and collectgarbage(numbers.mode)
  local before = {}
  for name, n in pairs(numbers) do
    if name ~= "mode" then before[name] = set(name, n) end
  end
  return function()
    for name, n in pairs(before) do set(name, n) end
    if mode then collectgarbage(mode) end
  end
end

-- Makes the collector take a step every few bytes. Returns a function that ends
-- that.
function portable.collect_often()
  return portable.collector {
    mode = "incremental", pause = 50, stepmul = 400, stepsize = 16,
  }
end

-- Makes a step of the collector, as if so many kilobytes had been allocated.
function portable.step(kilobytes)
  local in_bytes = pcall(collectgarbage, "param", "pause")
  return collectgarbage("step", in_bytes and kilobytes * 1024 or kilobytes)
end

-- The option that makes Lua report errors in finalizers; build/faults has none.
portable.warn = coroutine.close and not portable.lua:find "faults" and "-W"
  or ""

-- How many arguments a call can have in this Lua, if there is a limit.
portable.arguments = pcall(compat.unpack, {}, 1, 10000) and 10000 or 7000

-- A number's text, different for different numbers.
function portable.digits(x)
  if x ~= x then return "NaN" end
  local integer = compat.integers and math.type(x) == "integer"
  return (integer and "%d" or "float %.17g"):format(x)
end

-- The text of a constant in Lua source: by string.format where it can write it.
function portable.quote(x)
  if compat.integers and (type(x) ~= "number" or x - x == 0) then
    return ("%q"):format(x)
  end
  return literal.of(x)
end

-- The length operator, where it calls metamethods.
function portable.len(x)
  if compat.len then return #x end
  return x:len()
end

-- The function of a and b that returns an expression; nil if Lua lacks the
-- operator: one for 5.3's integers. (LuaJIT has some that look the same.)
function portable.expression(text)
  if not math.type and (text:find "//" or text:find "[&|]" or text:find "<<"
      or text:find ">>" or text:find "~[^=]") then
    return nil
  end
  return (compat.load(("local a, b = ... return %s"):format(text)))
end

-- Can a table have a finalizer?
portable.table_gc = false
setmetatable({}, { __gc = function() portable.table_gc = true end })
portable.collect()

-- Do finalizers run in a coroutine of their own, as in new versions of LuaJIT?
portable.apart = false
if rawget(_G, "newproxy") then
  getmetatable(newproxy(true)).__gc = function() -- luacheck: ignore 113
    portable.apart = debug.getinfo(2) == nil
  end
  portable.collect()
end

-- Like setmetatable. If tables cannot have a finalizer or length of their own,
-- and the metatable has one, it returns a userdata in the table's place.
function portable.setmetatable(t, metatable)
  if (portable.table_gc or metatable.__gc == nil)
     and (compat.len or metatable.__len == nil) then
    return setmetatable(t, metatable)
  end
  local proxy = newproxy(true) -- luacheck: ignore 113
  local mt = getmetatable(proxy)
  for event, f in pairs(metatable) do mt[event] = f end
  if mt.__index == nil then mt.__index = t end
  if mt.__newindex == nil then mt.__newindex = t end
  return proxy
end

portable.finalizable = portable.table_gc and "table" or "userdata"

return portable

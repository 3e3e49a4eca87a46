-- What the specs need and not every Lua has, or has the same.

local compat = require "gbi.compat"
local literal = require "gbi.literal"

local portable = {}

-- The interpreter under test and the folder of what was built for it.
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

-- Runs a command; returns what it wrote to its two streams, whether it
-- succeeded, and its exit code.
function portable.run(command)
  local p = io.popen(("(%s\n) 2>&1; printf '\\n%%d' $?"):format(command))
  local out, code = p:read("*a"):match "^(.*)\n(%d+)$"
  p:close()
  return out, code == "0", tonumber(code)
end

-- A file's text; nil, message where there is none.
function portable.read(path)
  local f, why = io.open(path, "rb")
  if not f then return nil, why end
  local text = f:read("*a")
  f:close()
  return text
end

-- Makes a file of these texts.
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

-- The start of a command that runs Lua, or another program, which finds modules
-- as they are here.
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

-- An object without a finalizer, and giving it one.
function portable.bare(t)
  return portable.table_gc and t
    or portable.setmetatable(t, { __gc = false })
end

function portable.arm(object, finalizer)
  local metatable = getmetatable(object)
  if metatable then metatable.__gc = finalizer
  else setmetatable(object, { __gc = finalizer }) end
end

-- How deep calls in pcall may be nested here, if not deeper.
local function nested(n)
  return n == 0 or select(2, pcall(nested, n - 1)) == true
end
portable.depth = nested(1000) and 1000 or 150

-- Can a coroutine yield in a pcall?
portable.yields = coroutine.wrap(function()
  return pcall(coroutine.yield, true)
end)()

-- Does the collector tell which mode it was in?
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

-- Is the running coroutine none that can yield?
function portable.is_main()
  local co, main = coroutine.running()
  return co == nil or main == true
end

-- Has Lua variables that are closed?
portable.closes = compat.load("local x <close> = nil", "=") ~= nil

-- Does an error say that memory was exhausted? Where Lua's stack cannot grow,
-- luaL_checkstack calls that an overflow before 5.4.
function portable.no_memory(err)
  return type(err) == "string"
    and (err:find("not enough memory", 1, true) ~= nil
      or not coroutine.close and err:find("stack overflow", 1, true) ~= nil)
end

-- The first collection runs finalizers, the second frees what they let go.
function portable.collect()
  collectgarbage()
  collectgarbage()
end

-- Collects all, whatever finalizers raise: it is raised here before 5.4.
function portable.collect_all()
  while not pcall(collectgarbage) do end
  while not pcall(collectgarbage) do end
end

-- Sets one of the collector's numbers, by the name it has in 5.5; returns what
-- it was. 5.4 does not tell some, and Luas before it do not have them.
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

-- Sets the collector's mode, where there are modes, and its numbers: pause,
-- stepmul, and for its mode stepsize (bytes) or minormul and minormajor.
-- Returns what puts back what was.
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

-- Makes the collector take a step every few bytes. Returns what ends that.
function portable.collect_often()
  return portable.collector {
    mode = "incremental", pause = 50, stepmul = 400, stepsize = 16,
  }
end

-- A step of the collector, as if so many kilobytes had been allocated.
function portable.step(kilobytes)
  local in_bytes = pcall(collectgarbage, "param", "pause")
  return collectgarbage("step", in_bytes and kilobytes * 1024 or kilobytes)
end

-- What makes Lua tell of errors in finalizers.
portable.warn = coroutine.close and "-W" or ""

-- How many arguments a call may have here, if not more.
portable.arguments = pcall(compat.unpack, {}, 1, 10000) and 10000 or 7000

-- A number's text, different for different numbers.
function portable.digits(x)
  if x ~= x then return "NaN" end
  local integer = compat.integers and math.type(x) == "integer"
  return (integer and "%d" or "float %.17g"):format(x)
end

-- The text that a constant is written with in Lua source: by string.format
-- where that can.
function portable.quote(x)
  if compat.integers and (type(x) ~= "number" or x - x == 0) then
    return ("%q"):format(x)
  end
  return literal.of(x)
end

-- What `#x` is, where it is.
function portable.len(x)
  if compat.len then return #x end
  return x:len()
end

-- The function of a and b that an expression is; nil where Lua lacks the
-- operator: one of 5.3's integers. (LuaJIT has some that look the same.)
function portable.expression(text)
  if not math.type and (text:find "//" or text:find "[&|]" or text:find "<<"
      or text:find ">>" or text:find "~[^=]") then
    return nil
  end
  return (compat.load(("local a, b = ... return %s"):format(text)))
end

-- Has a table a finalizer?
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

-- Like setmetatable. Where a table has no finalizer or length of its own, and
-- the metatable has, it returns a userdata in the table's place.
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

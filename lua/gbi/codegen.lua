--- Codegen: a stack machine whose operations emit Lua source, as PyCodegen's
-- emit bytecode. Everything emitted is evaluated once, in the order emitted.
--
-- The stack holds expressions. One that is *pure* (a constant, or a name that
-- is not assigned to again) may wait, be copied or be dropped; any other waits
-- only as long as those below it on the stack are evaluated before it, which is
-- what combining neighbours into one Lua expression does. Before a statement is
-- emitted, all that wait are evaluated into variables, from the bottom up.
local literal = require "gbi.literal"

local Codegen = {}
Codegen.__index = Codegen
Codegen.__name = "gbi.codegen"

-- Lua allows 200 locals and 255 registers in a function, and some 200 levels
-- of nesting in an expression. These leave room for each other.
local MAX_PARAMS = 100 -- beyond, parameters are read from a table
local MAX_LOCALS = 60 -- beyond, variables are fields of a table
local MAX_ARGS = 30 -- beyond, arguments are unpacked from a table
local MAX_WEIGHT = 20 -- registers that one expression takes
local MAX_TEXT = 400 -- characters of one expression

-- Names that the generated code uses itself; a parameter that has one of them
-- is given another.
local RESERVED = { G = true, require = true, registry = true, unpack = true,
                   guards = true, vars = true, params = true, objects = true,
                   _ = true }

local function bad(fname, arg, message, level)
  error(("bad argument #%d to '%s' (%s)"):format(arg, fname, message),
    (level or 2) + 1)
end

local function check_count(n, fname, arg)
  if math.type(n) ~= "integer" or n < 0 then
    bad(fname, arg, "count expected", 3)
  end
end

-- Expressions: text; pure, see above; weight, the registers that evaluating
-- it takes; prefix, can `.x` or `(…)` follow it as it is?; call, is it a call
-- (which may stand alone, and last in a list means all its results)?; var, the
-- variable that it names.

local function atom(text, prefix, var)
  return { text = text, pure = true, weight = 1, prefix = prefix, var = var }
end

local function prefixed(e)
  return e.prefix and e.text or "(" .. e.text .. ")"
end

-- The text of expressions, from number `from` on, as the arguments of a call:
-- "a, b, (f())". Too many are unpacked from a table.
local function arguments(es, from)
  local texts = {}
  for i = from, #es do texts[#texts + 1] = es[i].text end
  if #es >= from and es[#es].call then
    texts[#texts] = "(" .. es[#es].text .. ")"
  end
  local text = table.concat(texts, ", ")
  if #texts <= MAX_ARGS + 1 then return text end
  return ("unpack({%s}, 1, %d)"):format(text, #texts)
end

--- A codegen for a function of `params`.
-- @tparam {string,...} params their names, any strings, none twice
function Codegen.new(params)
  local self = setmetatable({
    lines = {}, -- the function's body
    stack = {},
    floor = 0, -- the running constructor may not pop below it
    vars = {}, -- variable -> its expression
    nvars = 0,
    declared = {}, -- variables that wait for their `local`
    risky = false, -- can what was emitted since `begin` fail?
    locals = {}, -- parameter -> its expression
    header = {},
    args = {}, -- the parameters as the function declares them
  }, Codegen)
  if #params > MAX_PARAMS then
    self.args[1] = "..."
    self.header[1] = "local params = {...}"
  end
  for i, name in ipairs(params) do
    local text = name
    if #params > MAX_PARAMS then
      text = ("params[%d]"):format(i)
    else
      if not literal.is_identifier(name) or RESERVED[name]
         or name:find("^[pv]%d+$") then
        text = "p" .. i
      end
      self.args[i] = text
    end
    self.locals[name] = atom(text, true)
  end
  return self
end

--- Emits the code that obtains the object of a source.
-- @param source anything with a method `reconstruct(self, cg)`
function Codegen:__call(source)
  local t = type(source)
  if t ~= "table" and t ~= "userdata" or source.reconstruct == nil then
    bad("codegen", 1, "source expected, got " .. t)
  end
  self:construct(function() source:reconstruct(self) end,
    "source " .. tostring(source))
end

-- Runs `emit`, which must leave one value more on the stack and all those
-- below it alone.
function Codegen:construct(emit, who)
  local floor, depth = self.floor, #self.stack
  self.floor = depth
  emit(self)
  self.floor = floor
  if #self.stack ~= depth + 1 then
    error(("%s left %d values on the codegen's stack, not 1"):format(
      who, #self.stack - depth), 0)
  end
end

function Codegen:emit(line)
  self.lines[#self.lines + 1] = line
end

function Codegen:push(e)
  self.stack[#self.stack + 1] = e
  if not e.pure and (e.weight > MAX_WEIGHT or #e.text > MAX_TEXT) then
    self:settle()
  end
end

-- Takes `n` values off the stack, the lowest first.
function Codegen:take(n, fname)
  local stack = self.stack
  local base = #stack - n
  if base < self.floor then
    error(("'%s' needs %d values on the codegen's stack, there are %d"):format(
      fname, n, #stack - self.floor), 3)
  end
  local es = table.move(stack, base + 1, #stack, 1, {})
  for i = #stack, base + 1, -1 do stack[i] = nil end
  return es
end

-- Evaluates into variables all that still waits on the stack.
function Codegen:settle()
  local stack = self.stack
  for i = 1, #stack do
    if not stack[i].pure then
      local e = stack[i]
      stack[i] = self:assign(self:new_var(), e.text)
    end
  end
end

-- Emits an assignment to a variable; returns the variable's expression.
function Codegen:assign(var, text)
  self:emit(("%s = %s"):format(var, text))
  local e = self.vars[var]
  e.assigned = true
  return e
end

-- Begins a piece of code on its own lines; `finish` ends it.
function Codegen:begin()
  self:settle()
  self.from, self.risky = #self.lines + 1, false
end

-- Ends the piece of code that `begin` began and declares its variables. If
-- it may fail, it runs under the guard of external object `index`.
function Codegen:finish(index, comment)
  local lines, from, declared = self.lines, self.from, self.declared
  self.declared = {}
  local names = table.concat(declared, ", ")
  if not self.risky and #declared == 1 and #lines == from
     and lines[from]:sub(1, #names + 3) == names .. " = " then
    lines[from] = ("local %s -- %s"):format(lines[from], comment)
    return
  end
  if #declared > 0 then names = ("local %s "):format(names) end
  if self.risky then
    table.insert(lines, from, ("%s-- %s"):format(names, comment))
    table.insert(lines, from + 1,
      ("do local _ <close> = guards[%d]"):format(index))
    for i = from + 2, #lines do lines[i] = "  " .. lines[i] end
    self:emit("end")
  else
    table.insert(lines, from, ("%s-- %s"):format(names, comment))
  end
end

--- Pushes a constant.
-- @param value nil, a boolean, number or string
function Codegen:load_const(value)
  if not literal.is_constant(value) then
    bad("load_const", 1, "constant expected, got " .. type(value))
  end
  self:push(atom(literal.of(value)))
end

--- Pushes a parameter of the compiled function.
-- @tparam string name
function Codegen:load_local(name)
  local e = self.locals[name]
  if not e then
    bad("load_local", 1, ("L[%s] is not a parameter of the compiled function")
      :format(type(name) == "string" and literal.of(name) or tostring(name)))
  end
  self:push(e)
end

-- Evaluates expressions that were just taken; returns them as variables.
function Codegen:settled(es)
  table.move(es, 1, #es, #self.stack + 1, self.stack)
  self:settle()
  return self:take(#es, "settled")
end

-- Pushes an expression made of `text` and of those in `es`.
function Codegen:combine(text, es, call)
  local weight = 1
  for i = 1, math.min(#es, MAX_ARGS + 1) do
    weight = math.max(weight, i - 1 + es[i].weight)
  end
  self.risky = true
  self:push { text = text, weight = weight + 1, prefix = true, call = call }
end

--- Pushes a global variable.
-- @tparam string name
function Codegen:load_global(name)
  if type(name) ~= "string" then
    bad("load_global", 1, "string expected, got " .. type(name))
  end
  local risky = self.risky or getmetatable(_G) ~= nil
  self:combine("G" .. literal.index(name), {})
  self.risky = risky
end

--- Pushes a module, or a field of one.
-- @tparam string module as `require` takes it
-- @tparam ?string member
function Codegen:load_import(module, member)
  if type(module) ~= "string" then
    bad("load_import", 1, "string expected, got " .. type(module))
  end
  self:combine(("require(%s)"):format(literal.of(module)), {}, true)
  if member ~= nil then self:load_attr(member) end
end

--- Pushes the registry that the code is generated for.
function Codegen:load_registry()
  self:push(atom("registry", true))
end

--- Replaces the top by its field `key`.
-- @param key a constant, not nil
function Codegen:load_attr(key)
  if key == nil or not literal.is_constant(key) then
    bad("load_attr", 1, "constant expected, got " .. type(key))
  end
  local es = self:take(1, "load_attr")
  self:combine(prefixed(es[1]) .. literal.index(key), es)
end

--- Replaces an object and a key above it by the object's element.
function Codegen:load_item()
  local es = self:take(2, "load_item")
  self:combine(("%s[%s]"):format(prefixed(es[1]), es[2].text), es)
end

--- Replaces a function and `nargs` arguments above it by its first result.
-- @tparam integer nargs
function Codegen:call_function(nargs)
  check_count(nargs, "call_function", 1)
  local es = self:take(nargs + 1, "call_function")
  if nargs > MAX_ARGS then es = self:settled(es) end
  self:combine(("%s(%s)"):format(prefixed(es[1]), arguments(es, 2)), es, true)
end

--- Replaces an object and `nargs` arguments above it by the first result of
-- its method `name`, which is looked up after the arguments are evaluated.
-- @tparam string name
-- @tparam integer nargs
function Codegen:call_method(name, nargs)
  if type(name) ~= "string" then
    bad("call_method", 1, "string expected, got " .. type(name))
  end
  check_count(nargs, "call_method", 2)
  local es = self:take(nargs + 1, "call_method")
  local plain = literal.is_identifier(name)
  local ordered = plain and nargs <= MAX_ARGS
  for i = 2, #es do ordered = ordered and es[i].pure end
  if not ordered then es = self:settled(es) end
  if plain and nargs <= MAX_ARGS then
    self:combine(("%s:%s(%s)"):format(prefixed(es[1]), name, arguments(es, 2)),
      es, true)
  else
    self:combine(("%s%s(%s)"):format(prefixed(es[1]), literal.index(name),
      arguments(es, 1)), es, true)
  end
end

--- A new variable, for `store` and `load`.
-- @treturn string
function Codegen:new_var(var) -- var: an element of a table that is there
  if var then
    self.vars[var] = atom(var, true, var)
    return var
  end
  self.nvars = self.nvars + 1
  if self.nvars <= MAX_LOCALS then
    var = "v" .. self.nvars
    self.declared[#self.declared + 1] = var
  else
    var = ("vars[%d]"):format(self.nvars - MAX_LOCALS)
    if self.nvars == MAX_LOCALS + 1 then
      self.header[#self.header + 1] = "local vars = {}"
    end
  end
  self.vars[var] = atom(var, true, var)
  return var
end

function Codegen:check_var(var, fname)
  local e = self.vars[var]
  if not e then bad(fname, 1, "not a variable of this codegen", 3) end
  return e
end

--- Pops a value into a variable.
-- @tparam string var from `new_var`
function Codegen:store(var)
  local v = self:check_var(var, "store")
  local e = self:take(1, "store")[1]
  self:settle()
  if v.assigned then -- what was loaded from it before is its old value
    local copy
    for i, waiting in ipairs(self.stack) do
      if waiting.var == var then
        copy = copy or self:assign(self:new_var(), var)
        self.stack[i] = copy
      end
    end
  end
  self:assign(var, e.text)
end

--- Pushes the value of a variable.
-- @tparam string var from `new_var`
function Codegen:load(var)
  local v = self:check_var(var, "load")
  if not v.assigned then
    bad("load", 1, ("nothing was stored in variable '%s'"):format(var))
  end
  self:push(v)
end

--- Pushes the top once more; it is evaluated once.
function Codegen:dup_top()
  self:push(self:take(1, "dup_top")[1])
  self:settle()
  self:push(self.stack[#self.stack])
end

--- Drops the top, evaluated all the same.
function Codegen:pop_top()
  local e = self:take(1, "pop_top")[1]
  if e.pure then return end
  self:settle()
  if e.call and e.text:sub(1, 1) ~= "(" then self:emit(e.text)
  else self:assign(self:new_var(), e.text) end
end

--- The text of a chunk that returns the function. It expects its bindings as
-- arguments: the globals, `require`, the registry, `table.unpack`, and the
-- guards, by index.
-- @tparam string title a comment on its first line
-- @treturn string
function Codegen:text(title)
  local out = { "-- " .. title,
    "local G, require, registry, unpack, guards = ...",
    ("return function(%s)"):format(table.concat(self.args, ", ")) }
  for _, line in ipairs(self.header) do out[#out + 1] = "  " .. line end
  for _, line in ipairs(self.lines) do out[#out + 1] = "  " .. line end
  out[#out + 1] = "end\n"
  return table.concat(out, "\n")
end

return Codegen

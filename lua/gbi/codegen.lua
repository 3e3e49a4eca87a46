--- Codegen: a stack machine whose operations emit Lua source, as PyCodegen's
-- emit bytecode. Everything emitted is evaluated once, in the order emitted.
--
-- The stack holds expressions. A *pure* expression (a constant, or a name that
-- is not assigned to again) may wait, be copied or be dropped. Any other
-- expression may wait only as long as those below it on the stack are evaluated
-- before it; combining neighbours into one Lua expression keeps that order.
-- Before a statement is emitted, all waiting expressions are evaluated into
-- variables, from the bottom up.
--
-- A constructor gets a codegen, the `cg` that it emits into; it leaves one
-- value on the stack. A codegen raises an argument error for code that it
-- cannot emit, and an error if the stack holds fewer values than an operation
-- takes.
-- @classmod gbi.codegen
local compat = require "gbi.compat"
local core = require "gbi.core"
local errors = require "gbi.errors"
local literal = require "gbi.literal"
local sources = require "gbi.source"
local traceback = require "gbi.traceback"

compat.interpret()

local Codegen = {}
Codegen.__index = Codegen
Codegen.__name = "gbi.codegen"

-- Lua allows 200 locals and 255 registers in a function, and some 200 levels
-- of nesting in an expression. These leave room for each other.
local MAX_PARAMS = 50 -- beyond, parameters are read from a table
local MAX_NAMED = 100 -- beyond, variables share locals
local MAX_SHARED = 20 -- beyond, variables are elements of a table
local MAX_ARGS = 30 -- beyond, arguments are unpacked from a table
local MAX_WEIGHT = 20 -- registers for one part of an expression
local MAX_SIZE = 50 -- operations in one part of an expression
local MAX_CHECKED = 10 -- objects in one check

local JIT = rawget(_G, "jit") ~= nil

-- The arguments of a generated chunk, and the other names that generated code
-- uses. A parameter with such a name is renamed.
local BINDINGS = { "G", "require", "registry", "unpack", "select", "enter",
                   "leave", "hand_on", "hand_back", "held", "type", "check",
                   "attributes", "body" }
-- Lua 5.1 defines `arg` in a function with `...`.
local RESERVED = { run = true, vars = true, params = true, objects = true,
                   all = true, arg = true }
for _, name in ipairs(BINDINGS) do RESERVED[name] = true end

-- Can a local of the generated function be called `name`?
local function is_free(name)
  return literal.is_identifier(name) and not RESERVED[name]
    and not name:find("^[pv]%d+$")
end

local function check_count(n, fname, arg)
  if not compat.is_integer(n) or n < 0 then
    errors.argument(3, fname, arg, "non-negative integer expected")
  end
end

local function check_string(value, fname, arg)
  if type(value) ~= "string" then
    errors.expected(3, fname, arg, "string", value)
  end
end

local function check_constant(value, fname, arg)
  if not literal.is_constant(value) then
    errors.expected(3, fname, arg, "constant", value)
  end
end

-- An expression is a table: `text`; `pure`, see above; `weight`, the number of
-- registers needed to evaluate it; `size`, the number of its operations;
-- `prefix`, whether `.x` or `(…)` can follow it without parentheses; `call`,
-- whether it is a call (which can be a statement, and gives all its results at
-- the end of a list); `many`, whether it stands for many values. A variable is
-- the expression of its name.

local function atom(text, prefix)
  return { text = text, pure = true, weight = 1, size = 0, prefix = prefix }
end

local function prefixed(e)
  return e.prefix and e.text or "(" .. e.text .. ")"
end

-- The expression of the run, in a function that has one.
Codegen.RUN = atom("run", true)

-- Returns the expression of a constant.
function Codegen.constant(value)
  return atom(literal.of(value))
end

-- Returns the expression of element `i` of a variable that is not assigned to
-- again.
function Codegen.field(var, i)
  return atom(("%s[%d]"):format(var.text, i), true)
end

-- Returns the text of expressions, from number `from` on, as the arguments of a
-- call: "a, b, (f())". If there are too many, the text unpacks a table.
local function arguments(es, from)
  local texts = {}
  for i = from, #es do texts[#texts + 1] = es[i].text end
  local last = es[#es]
  if #texts > 0 and last.call then
    texts[#texts] = "(" .. last.text .. ")"
  end
  local text = table.concat(texts, ", ")
  if #texts <= MAX_ARGS + 1 then return text end
  if last.many then
    return ("unpack({%s}, 1, %d + select(\"#\", %s))"):format(text, #texts - 1,
      last.text)
  end
  return ("unpack({%s}, 1, %d)"):format(text, #texts)
end

-- Returns the text of expressions as the values of a `return`.
function Codegen.list(es)
  return arguments(es, 1)
end

-- Creates a codegen for a function with parameters.
-- @tparam {string,...} params their names, any strings, all different; "..."
-- must be the last and takes the remaining arguments
function Codegen.new(params)
  local self = setmetatable({
    lines = {}, -- the function's body
    notes = {}, -- line of the body -> its note
    what = nil, -- the note for the next lines
    stack = {},
    settled_to = 0, -- these values on the stack are pure
    floor = 0, -- the running constructor may not pop below it
    vars = {}, -- the set of variables
    nnamed = 0, nshared = 0, -- variables that are locals
    nvars = 0, -- variables that are elements of `vars`
    free = nil, -- variables to use again, a linked list: { variable, rest }
    elements = {}, -- all variables that are elements of `vars`
    blocks = {}, -- the enclosing blocks: what to restore at their ends
    indent = "",
    names = {}, -- names of locals
    locals = {}, -- parameter -> its expression
    head = {}, -- lines before the function
    header = {}, -- lines before the body
    args = {}, -- the parameters as the function declares them
  }, Codegen)
  local n = #params
  local variadic = params[n] == "..."
  if variadic then n = n - 1 end
  local tabled = n > MAX_PARAMS
  for i = 1, n do
    local name = params[i]
    local text = tabled and ("params[%d]"):format(i)
      or is_free(name) and name or "p" .. i
    self.names[text] = true
    self.args[i] = text
    self.locals[name] = atom(text, true)
  end
  if tabled then
    self.args = {}
    self.header[1] = "local params = {...}"
  end
  if tabled or variadic then table.insert(self.args, "...") end
  if variadic then
    self.locals["..."] = atom(tabled and ("select(%d, ...)"):format(n + 1)
      or "...")
    self.locals["..."].many = true
  end
  return self
end

--- Emits the code that obtains the object of a source: `cg(source)`.
-- @tparam gbi.source source anything with a method `reconstruct(self, cg)`
-- @raise if `reconstruct` raises, or does not leave one value on the stack
-- @seed PyCodegen.\_\_call\_\_
function Codegen:__call(source)
  if not sources.is_source(source) then
    errors.expected(2, "codegen", 1, "source", source)
  end
  self:construct(function() source:reconstruct(self) end, "source %s", source)
end

-- Runs `emit`, which must push one value and leave the values below it alone.
-- An error calls it `who`; with a source, `who` is a format for the name of the
-- source. (The name is made only for an error, because it may be long.)
function Codegen:construct(emit, who, source)
  local floor, depth = self.floor, #self.stack
  self.floor = depth
  emit(self)
  self.floor = floor
  if #self.stack ~= depth + 1 then
    if source then who = who:format(sources.name(source)) end
    error(("%s left %d values on the codegen's stack, not 1"):format(
      who, #self.stack - depth), 0)
  end
end

-- Emits a line.
function Codegen:emit(line)
  self.lines[#self.lines + 1] = self.indent .. line
  self.notes[#self.lines] = self.what
end

-- Sets what gbi.traceback says about the lines that are emitted from here on: a
-- text, or a list of one-line texts.
function Codegen:note(what)
  self:settle()
  self.what = type(what) == "string" and literal.comment(what) or what
end

-- Emits the beginning of a block. Variables made in the block end with it.
function Codegen:open(line)
  self:emit(line)
  table.insert(self.blocks, {
    nnamed = self.nnamed, nshared = self.nshared, nelements = #self.elements,
    free = self.free, names = {},
  })
  self.indent = ("  "):rep(#self.blocks)
end

-- Emits the end of a block: `line`, or nothing if an `else` follows.
function Codegen:close(line)
  local block = table.remove(self.blocks)
  self.nnamed, self.nshared = block.nnamed, block.nshared
  self.free = block.free
  for i = block.nelements + 1, #self.elements do
    self.elements[i].assigned = nil
    self.free = { self.elements[i], self.free }
  end
  for _, name in ipairs(block.names) do self.names[name] = nil end
  self.indent = ("  "):rep(#self.blocks)
  if line then self:emit(line) end
end

-- Emits the declaration of a variable.
function Codegen:declare(var)
  if not var.declared then self:emit("local " .. var.text) end
  var.declared, var.assigned = true, true
end

-- Emits a check that the objects of these indices can be held weakly. The check
-- is a call of C; in LuaJIT, the code tests the types first, so that the
-- compiler rarely meets the call. (A userdata may be a light one, so the call
-- decides.)
function Codegen:check_held(indices, objects)
  self:note("the objects are checked")
  for first = 1, #indices, MAX_CHECKED do
    local types, values = {}, { "registry" }
    for i = first, math.min(first + MAX_CHECKED - 1, #indices) do
      local text = objects[indices[i]].text
      types[#types + 1] = ("held[type(%s)]"):format(text)
      values[#values + 1] = ("%d, %s"):format(indices[i], text)
    end
    local check = ("check(%s)"):format(table.concat(values, ", "))
    self:emit(JIT and ("if not (%s) then %s end"):format(
      table.concat(types, " and "), check) or check)
  end
end

-- Emits the code that obtains an external object into a variable.
function Codegen:obtain(registry, index, constructor, var)
  local name, place = registry:name(index), registry:place(index)
  self:note(place and ("%s, registered at %s"):format(name, place) or name)
  self:emit("-- " .. literal.comment(name))
  self:construct(constructor, "the constructor of " .. name)
  self:store(var)
end

-- Pushes an expression.
function Codegen:push(e)
  self.stack[#self.stack + 1] = e
end

-- Pops and returns `n` values, the lowest first.
function Codegen:take(n, fname, level)
  local stack = self.stack
  local base = #stack - n
  if base < self.floor then
    error(("'%s' needs %d values on the codegen's stack, but there are %d")
      :format(fname, n, #stack - self.floor), level or 3)
  end
  local es = compat.move(stack, base + 1, #stack, 1, {})
  for i = #stack, base + 1, -1 do stack[i] = nil end
  self.settled_to = math.min(self.settled_to, base)
  return es
end

-- Evaluates all expressions that wait on the stack into variables.
function Codegen:settle()
  local stack = self.stack
  for i = self.settled_to + 1, #stack do
    if not stack[i].pure then
      stack[i] = self:assign(self:new_var(), stack[i].text)
    end
  end
  self.settled_to = #stack
end

-- Emits an assignment to a variable; the first one declares it. Returns the
-- variable.
function Codegen:assign(var, text)
  self:emit(("%s%s = %s"):format(var.declared and "" or "local ", var.text,
    text))
  var.declared, var.assigned = true, true
  return var
end

--- Pushes a constant.
-- @tparam ?gbi.constant value
-- @seed PyCodegen.create_load_const
function Codegen:load_const(value)
  check_constant(value, "load_const", 1)
  self:push(atom(literal.of(value)))
end

--- Pushes a parameter of the compiled function.
-- @tparam string name
-- @raise an argument error if the function has no such parameter
-- @seed PyCodegen.create_load
function Codegen:load_local(name)
  local e = self.locals[name]
  if not e then
    errors.argument(2, "load_local", 1,
      ("L[%s] is not a parameter of the compiled function"):format(
        type(name) == "string" and literal.of(name) or tostring(name)))
  end
  if e.many then e = atom("(" .. e.text .. ")", true) end
  self:push(e)
end

-- Evaluates expressions that were just popped; returns them as variables.
function Codegen:settled(es)
  compat.move(es, 1, #es, #self.stack + 1, self.stack)
  self:settle()
  return self:take(#es, "settled")
end

-- Pops `n` values for one expression; evaluates them first if one is too large.
function Codegen:parts(n, fname)
  local es = self:take(n, fname, 4)
  for _, e in ipairs(es) do
    if e.weight > MAX_WEIGHT or e.size > MAX_SIZE then
      return self:settled(es)
    end
  end
  return es
end

-- Pushes the expression `text`, which contains the expressions `es`.
function Codegen:combine(text, es, call)
  local weight, size = 1, 1
  for i = 1, math.min(#es, MAX_ARGS + 1) do
    weight = math.max(weight, i - 1 + es[i].weight)
    size = size + es[i].size
  end
  self:push { text = text, weight = weight + 1, size = size, prefix = true,
              call = call }
end

-- Returns the text of an operator: its format with its operands, all pure.
local function operation(format, operands)
  local texts = {}
  for i, e in ipairs(operands) do
    texts[i] = e.text
    if i == 1 and format:find("^%%s%[") then texts[i] = prefixed(e)
    elseif e.text:find("^-") then texts[i] = "(" .. e.text .. ")" end
  end
  compat.compute(texts)
  return format:format(compat.unpack(texts))
end

-- Pushes an operator's value.
function Codegen:operate(format, operands)
  self:push { text = operation(format, operands), weight = 3, size = 1 }
end

-- Pushes a handle of external object `index`, whose value is `object`. Returns
-- the text of the list that keeps the handle alive and, in a block that may not
-- run or may run repeatedly, true; there the list is made at most once.
function Codegen:hand_on(object, index)
  if #self.blocks > 0 then
    self.nvars = self.nvars + 1
    local slot = ("vars[%d]"):format(self.nvars)
    self:emit(("if not %s then %s = {%s, 0} hand_on(registry, %s, %d) end")
      :format(slot, slot, object.text, slot, index))
    self:push(atom(slot .. "[2]", true))
    return slot, true
  end
  local list = self:assign(self:new_var(), ("{%s, 0}"):format(object.text))
  self:push { text = ("hand_on(registry, %s, %d)"):format(list.text, index),
              weight = 4, size = 1, prefix = true, call = true }
  return list.text
end

-- Emits code that makes the handles of the lists `lists` and `maybe` dead; the
-- lists in `maybe` may not exist.
function Codegen:hand_back(lists, maybe)
  for first = 1, #lists, MAX_ARGS do
    self:emit(("hand_back(%s)"):format(table.concat(lists, ", ", first,
      math.min(first + MAX_ARGS - 1, #lists))))
  end
  for _, list in ipairs(maybe) do
    self:emit(("if %s then hand_back(%s) end"):format(list, list))
  end
end

-- Pushes an attribute of the graph.
function Codegen:load_attribute(name)
  self:combine("attributes" .. literal.index(name), {})
end

-- Emits a simultaneous assignment of values to variables.
function Codegen:assign_all(vars, values)
  local targets, texts = {}, {}
  for i, var in ipairs(vars) do
    if var.text ~= values[i].text then
      targets[#targets + 1] = var.text
      texts[#texts + 1] = values[i].text
    end
  end
  if #texts <= MAX_WEIGHT then
    if #texts > 0 then
      self:emit(("%s = %s"):format(table.concat(targets, ", "),
        table.concat(texts, ", ")))
    end
    return
  end
  self:open("do")
  self:emit(("local all = {%s}"):format(table.concat(texts, ", ")))
  for i, target in ipairs(targets) do
    self:emit(("%s = all[%d]"):format(target, i))
  end
  self:close("end")
end

-- Emits an operator that is a statement.
function Codegen:statement(format, operands)
  self:settle()
  local text = operation(format, operands)
  -- a parenthesis would continue the previous line as a call
  self:emit(text:sub(1, 1) == "(" and ("do %s end"):format(text) or text)
end

--- Pushes a global variable.
-- @tparam string name
-- @seed PyCodegen.create_load_global
function Codegen:load_global(name)
  check_string(name, "load_global", 1)
  self:combine("G" .. literal.index(name), {})
end

--- Pushes a module, or a field of one.
-- @tparam string module as `require` takes it
-- @tparam ?string member
-- @seed PyCodegen.load_import_from
function Codegen:load_import(module, member)
  check_string(module, "load_import", 1)
  check_constant(member, "load_import", 2)
  self:combine(("require(%s)"):format(literal.of(module)), {}, true)
  if member ~= nil then self:load_attr(member) end
end

--- Pushes the registry that the code is generated for.
function Codegen:load_registry()
  self:push(atom("registry", true))
end

--- Replaces the top by its field `key`.
-- @tparam gbi.constant key
-- @seed PyCodegen.load_attr
function Codegen:load_attr(key)
  if key == nil then errors.expected(2, "load_attr", 1, "constant", key) end
  check_constant(key, "load_attr", 1)
  local es = self:parts(1, "load_attr")
  self:combine(prefixed(es[1]) .. literal.index(key), es)
end

--- Replaces an object and a key above it by the element of the object.
-- @seed BINARY\_SUBSCR
function Codegen:load_item()
  local es = self:parts(2, "load_item")
  self:combine(("%s[%s]"):format(prefixed(es[1]), es[2].text), es)
end

--- Replaces a function and `nargs` arguments above it by its first result.
-- @tparam integer nargs the number of arguments
-- @seed PyCodegen.call_function
function Codegen:call_function(nargs)
  check_count(nargs, "call_function", 1)
  local es = self:parts(nargs + 1, "call_function")
  if nargs > MAX_ARGS then es = self:settled(es) end
  self:combine(("%s(%s)"):format(prefixed(es[1]), arguments(es, 2)), es, true)
end

--- Replaces an object and `nargs` arguments above it by the first result of
-- its method `name`, which is looked up after the arguments are evaluated.
-- @tparam string name
-- @tparam integer nargs the number of arguments
-- @seed PyCodegen.load_method, PyCodegen.call_method
function Codegen:call_method(name, nargs)
  check_string(name, "call_method", 1)
  check_count(nargs, "call_method", 2)
  local es = self:parts(nargs + 1, "call_method")
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

-- Makes a variable of `text`.
function Codegen:variable(text)
  local var = atom(text, true)
  self.vars[var] = true
  return var
end

--- Creates a variable, for `store` and `load`.
-- @tparam ?string hint the name to use if it is free
-- @treturn gbi.variable
-- @seed PyCodegen.new_var
function Codegen:new_var(hint)
  if self.nnamed < MAX_NAMED then
    self.nnamed = self.nnamed + 1
    if not hint or not is_free(hint) or self.names[hint] then
      hint = "v" .. self.nnamed
    end
    self.names[hint] = true
    local block = self.blocks[#self.blocks]
    if block then table.insert(block.names, hint) end
    return self:variable(hint)
  end
  local var
  if self.free then
    var, self.free = self.free[1], self.free[2]
  elseif self.nshared < MAX_SHARED then
    self.nshared = self.nshared + 1
    var = self:variable("v" .. MAX_NAMED + self.nshared)
  else
    self.nvars = self.nvars + 1
    var = self:element("vars", self.nvars)
    table.insert(self.elements, var)
  end
  var.shared = true
  return var
end

-- Makes a variable that is an element of a table of the generated code.
function Codegen:element(name, i)
  local var = self:variable(("%s[%d]"):format(name, i))
  var.declared = true
  return var
end

-- Frees a variable that nothing refers to any more. A variable named after its
-- value is not reused.
function Codegen:free_var(var)
  if var.shared then
    var.assigned = nil
    self.free = { var, self.free }
  end
end

-- Pops a call and stores all its results in a variable, as a list.
function Codegen:collect(var)
  local e = self:take(1, "collect")[1]
  self:settle()
  self:assign(var, ("{%s}"):format(e.text))
end

-- Pops a call and stores its results in several new variables.
function Codegen:store_many(vars)
  local e = self:take(1, "store_many")[1]
  self:settle()
  local fresh, texts = true, {} -- can one `local` declare them all?
  for i, var in ipairs(vars) do
    fresh = fresh and not var.declared
    texts[i] = var.text
  end
  for _, var in ipairs(vars) do
    if not fresh and not var.declared then self:emit("local " .. var.text) end
    var.declared, var.assigned = true, true
  end
  self:emit(("%s%s = %s"):format(fresh and "local " or "",
    table.concat(texts, ", "), e.text))
end

-- Checks the argument of `fname`, a variable.
function Codegen:check_var(var, fname)
  if type(var) ~= "table" or not self.vars[var] then
    errors.argument(3, fname, 1, "not a variable of this codegen")
  end
end

--- Pops a value into a variable.
-- @tparam gbi.variable var from `new_var`
-- @seed PyCodegen.store
function Codegen:store(var)
  self:check_var(var, "store")
  local e = self:take(1, "store")[1]
  self:settle()
  if var.assigned then -- values loaded earlier keep its old value
    local copy
    for i, waiting in ipairs(self.stack) do
      if waiting == var then
        copy = copy or self:assign(self:new_var(), var.text)
        self.stack[i] = copy
      end
    end
  end
  self:assign(var, e.text)
end

--- Pushes the value of a variable.
-- @tparam gbi.variable var from `new_var`
-- @raise an argument error if nothing was stored in it
-- @seed PyCodegen.create_load
function Codegen:load(var)
  self:check_var(var, "load")
  if not var.assigned then
    errors.argument(2, "load", 1, "nothing was stored in the variable")
  end
  self:push(var)
end

--- Pushes a copy of the top; its expression is evaluated only once.
-- @seed PyCodegen.dup_top
function Codegen:dup_top()
  self:push(self:take(1, "dup_top")[1])
  self:settle()
  self:push(self.stack[#self.stack])
end

--- Drops the top; its expression is still evaluated.
-- @seed PyCodegen.pop_top
function Codegen:pop_top()
  local e = self:take(1, "pop_top")[1]
  if e.pure then return end
  self:settle()
  if e.call and e.text:sub(1, 1) ~= "(" then self:emit(e.text)
  else self:assign(self:new_var(), e.text) end
end

-- Returns the text of a chunk that returns the function. The chunk is called
-- with the BINDINGS: the globals, `require`, the registry, `table.unpack`; and
-- for a graph also the core's functions for runs, a table of the types that can
-- be held weakly, the attributes, and the body that a backend made.
-- @tparam string title a comment on its first line
-- @treturn string
-- @treturn {[integer]=string} the notes of its lines
function Codegen:text(title)
  local out, notes = { "-- " .. title,
    ("local %s = ..."):format(table.concat(BINDINGS, ", ")) }, {}
  local function add(line) out[#out + 1] = "  " .. line end
  for _, line in ipairs(self.head) do out[#out + 1] = line end
  out[#out + 1] = ("return function(%s)"):format(table.concat(self.args, ", "))
  for _, line in ipairs(self.header) do add(line) end
  if self.nvars > 0 then add("local vars = {}") end
  for i, line in ipairs(self.lines) do
    add(line)
    notes[#out] = self.notes[i]
  end
  out[#out + 1] = "end\n"
  return table.concat(out, "\n"), notes
end

-- The names of the types that can be held weakly.
local HELD = { table = true, ["function"] = true, thread = true,
               cdata = true }

local function no_require(module)
  error(("module '%s' cannot be reached: env has no 'require'"):format(module),
    2)
end

-- Loads the function.
-- @tparam string title the name of its chunk in error messages
-- @param registry its registry
-- @tparam ?table with `env`, its globals; `attributes`, the graph's; `body`,
-- the function that a backend made of the graph
-- @treturn function
-- @treturn string its source
function Codegen:finish(title, registry, with)
  title, with = literal.comment(title), with or {}
  local text, notes = self:text(title)
  local chunk = assert(compat.load(text, "=" .. title, {}))
  local env = with.env
  local f = chunk(env or _G, env and (env.require or no_require) or require,
    registry, compat.unpack, select, core.enter, core.leave, core.hand_on,
    core.hand_back, HELD, type, core.check, with.attributes, with.body)
  traceback.note(f, notes)
  return f, text
end

return Codegen

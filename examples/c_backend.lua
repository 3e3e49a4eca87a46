-- A backend that compiles graphs to C, with cc, while the program runs.
--
--   local f = g:compile { backend = require "examples.c_backend".backend }
--
-- A call looks at the types of its inputs (integer, float, boolean or other)
-- and runs the code that was compiled for these types; the first call with new
-- types compiles. In that code, a value of known type is a variable of C.
-- Operations on other values check the type first, and Lua does everything
-- except arithmetic: calls, fields, strings. The results and errors are Lua's
-- (but an error has no line).
--
-- It uses only gbi's public names. It does not support '...', and the functions
-- that it calls cannot yield. It knows the numbers of Lua 5.3 and 5.4.
local gbi = require "gbi"

local is_node = gbi.graph.is_node

local c_backend = {}

local HERE = (select(2, ...) or "examples/c_backend.lua"):match "^(.-)[^/]*$"
local VARIANTS = 8 -- types of calls; after these, one version for all types

-- A value in C: its type I, F, B or V (see c_backend.h), and its text.
local CTYPE = { I = "lua_Integer", F = "lua_Number", B = "int", V = "V" }
local READ = { I = "lua_tointeger(L, %d)", F = "lua_tonumber(L, %d)",
               B = "lua_toboolean(L, %d)",
               V = "(lua_pushvalue(L, %d), pull(L, %d))" }
local PUSH = { I = "lua_pushinteger(L, %s);", F = "lua_pushnumber(L, %s);",
               B = "lua_pushboolean(L, %s);", V = "push(L, %s);" }

-- The result types of arithmetic, on integers and on other numbers.
local ARITHMETIC = {}
for name in ("add sub mul mod idiv unm"):gmatch "%a+" do
  ARITHMETIC[name] = { integers = "I", floats = "F" }
end
for name in ("band bor bxor shl shr bnot"):gmatch "%a+" do
  ARITHMETIC[name] = { integers = "I" }
end
for name in ("div pow"):gmatch "%a+" do
  ARITHMETIC[name] = { integers = "F", floats = "F" }
end

local COMPARISONS = {
  eq = { sign = "==", any = "V_eq(L, %s, %s)", equal = true },
  ne = { sign = "!=", any = "!V_eq(L, %s, %s)", equal = true },
  lt = { sign = "<", any = "V_lt(L, %s, %s)" },
  le = { sign = "<=", any = "V_le(L, %s, %s)" },
  gt = { sign = ">", any = "V_gt(L, %s, %s)" },
  ge = { sign = ">=", any = "V_ge(L, %s, %s)" },
}

local Writer = {}
Writer.__index = Writer

function Writer:emit(format, ...)
  local line = format:format(...)
  if line == "}" then self.depth = self.depth - 1 end
  self.lines[#self.lines + 1] = ("  "):rep(self.depth) .. line
  if line:find "{$" then self.depth = self.depth + 1 end
end

-- The slot of Lua's stack that belongs to a variable.
function Writer:slot(var)
  if not var.slot then
    self.slots = self.slots + 1
    var.slot = self.slots
  end
  return var.slot
end

-- The value of a constant that is neither number, nil nor boolean: in a slot.
function Writer:constant(value)
  local var = self.constant_of[value]
  if not var then
    var = { type = "V" }
    var.text = ("object(%d)"):format(self:slot(var))
    self.constant_of[value] = var
    table.insert(self.constants, value)
  end
  return var
end

function Writer:value(arg)
  if is_node(arg) then return self.values[arg] or self:variable(arg, 1) end
  if arg == nil then return { type = "V", text = "nil" } end
  local kind = math.type(arg)
  if kind == "integer" then
    return { type = "I", text = arg == math.mininteger
      and "LUA_MININTEGER" or ("%dLL"):format(arg) }
  elseif arg ~= arg then
    return { type = "F", text = "(0.0 / 0.0)" }
  elseif kind == "float" and arg - arg ~= 0 then
    return { type = "F", text = arg > 0 and "HUGE_VAL" or "-HUGE_VAL" }
  elseif kind == "float" then
    return { type = "F", text = ("%a"):format(arg) }
  elseif type(arg) == "boolean" then
    return { type = "B", text = arg and "1" or "0" }
  end
  return self:constant(arg)
end

-- The variable number `i` of a node, the same in every pass. Its type is that
-- of all values that it was ever given, or V if they differ.
function Writer:variable(node, i)
  local of_node = self.variables[node] or {}
  self.variables[node] = of_node
  if not of_node[i] then
    self.count = self.count + 1
    of_node[i] = { text = ("%s_%d"):format(node.name, self.count) }
  end
  return of_node[i]
end

local function boxed(value)
  if value.type == "V" then return value.text end
  return ("from%s(%s)"):format(value.type, value.text)
end

-- Gives a variable a value; a declaration begins with its C type. A value from
-- `pull` is in the variable's own slot.
function Writer:set(var, value, declared, own)
  if var.type ~= value.type and var.type ~= "V" then
    self.changed, var.type = true, var.type and "V" or value.type
  end
  local text = value.text
  if var.type == "V" then
    text = boxed(value)
    if value.type == "V" and not own then
      text = ("keep(L, %s, %d)"):format(text, self:slot(var))
    end
  end
  self:emit("%s%s = %s;", declared and "" or CTYPE[var.type] .. " ", var.text,
    text)
  return var
end

function Writer:declare(var)
  self:emit("%s %s;", CTYPE[var.type or "V"], var.text)
end

-- Makes result `i` of a node from the value on the top.
function Writer:take(node, i)
  local var = self:variable(node, i)
  self:set(var, { type = "V", text = ("pull(L, %d)"):format(self:slot(var)) },
    false, true)
end

function Writer:push(value)
  self:emit(PUSH[value.type], value.text)
end

local function truth(value)
  if value.type == "V" then return ("truthy(%s)"):format(value.text) end
  return value.type == "B" and value.text or "1"
end

-- Type and text of an operator on values a and b (nil for a unary operator);
-- nil if C lacks the operator. Third result: is the value in the node's own
-- slot?
function Writer:operator(node, name, a, b)
  local types, kinds = a.type .. (b or a).type, ARITHMETIC[name]
  local comparison = COMPARISONS[name]
  if kinds and not types:find "[BV]" then
    local type = types == "II" and kinds.integers or kinds.floats
    if type then -- C converts
      return type, ("%s_%s(L, %s%s)"):format(type, name, a.text,
        b and ", " .. b.text or "")
    end
  end
  if kinds then
    return "V", ("V_%s(L, %s, %s%d)"):format(name, boxed(a),
      b and boxed(b) .. ", " or "", self:slot(self:variable(node, 1))), true
  elseif comparison then
    if types == "II" or types == "FF" or types == "BB" and comparison.equal then
      return "B", ("(%s %s %s)"):format(a.text, comparison.sign, b.text)
    end
    return "B", comparison.any:format(boxed(a), boxed(b))
  elseif name == "lnot" then
    return "B", "!" .. truth(a)
  elseif name == "land" or name == "lor" then
    local yes, no = a, b
    if name == "land" then yes, no = b, a end
    if types == "BB" then
      return "B", ("(%s ? %s : %s)"):format(a.text, yes.text, no.text)
    elseif truth(a) == "1" then return yes.type, yes.text end
    return "V", ("(%s ? %s : %s)"):format(truth(a), boxed(yes), boxed(no))
  end
end

-- Lets Lua run a node: gbi compiles a graph of this node alone. Its inputs are
-- those of the whole graph, which sources may need, and the node's.
function Writer:call_lua(node)
  local used, n = node.inputs, #node.users > 0 and 1 or 0
  for _, user in ipairs(node.users) do
    if user.target == "call_result" then n = math.max(n, user.args[2]) end
  end
  if not self.lua[node] then
    local alone, map = self.graph:subgraph(), {}
    for _, input in ipairs(self.inputs) do alone:placeholder(input.target) end
    for i, each in ipairs(used) do
      map[each] = alone:placeholder("operand " .. i)
    end
    local copy = alone:node_copy(node, map)
    if n == 0 then alone:output()
    elseif n == 1 then alone:output(copy)
    else alone:output(copy:results(n)) end
    self.lua[node] = alone:compile { env = self.env }
  end
  self:push(self:constant(self.lua[node]))
  for i = 1, #self.inputs do self:emit("lua_pushvalue(L, %d);", 2 + i) end
  for _, each in ipairs(used) do self:push(self:value(each)) end
  self:emit("lua_call(L, %d, %d);", #self.inputs + #used, n)
  for i = n, 1, -1 do self:take(node, i) end
end

function Writer:cond(node)
  local args, vars = node.args, {}
  local operands = self:operands(node, 4)
  local outputs = args[2]:find_nodes({ op = "output" })[1].args
  for i = 1, outputs.n do
    vars[i] = self:variable(node, i)
    self:declare(vars[i])
  end
  for k = 2, 3 do
    self:emit(k == 2 and "if (%s) {" or "else {", truth(self:value(args[1])))
    for i, value in ipairs(self:part(args[k], operands)) do
      self:set(vars[i], value, true)
    end
    self:emit "}"
  end
end

function Writer:while_loop(node)
  local args, vars, temporaries = node.args, {}, {}
  for i, operand in ipairs(self:operands(node, 3)) do
    vars[i] = self:set(self:variable(node, i), operand)
  end
  self:emit "for (;;) {"
  self:emit("if (!%s) break;", truth(self:part(args[1], vars)[1]))
  for i, value in ipairs(self:part(args[2], vars)) do
    temporaries[i] = self:set(self:variable(node, -i), value)
  end
  for i, value in ipairs(temporaries) do self:set(vars[i], value, true) end
  self:emit "}"
end

function Writer:operands(node, first)
  local list = {}
  for i = first, node.args.n do
    list[#list + 1] = self:value(node.args[i])
  end
  return list
end

-- Writes a node that is neither input nor output.
function Writer:node(node)
  local op, target, args = node.op, node.target, node.args
  if op == "get_attr" and args.n == 0 and type(target) == "string" then
    self.values[node] = self:value(self.graph.attributes[target])
  elseif op ~= "call_function" or type(target) ~= "string" then
    self:call_lua(node)
  elseif target == "get_external_object_by_index" then
    self:emit("lua_geti(L, 2, %d);", args[1])
    self:take(node, 1)
  elseif target == "external_object_handle" then
    self:emit('lua_getfield(L, 2, "handle"); lua_pushvalue(L, 2);')
    self:emit("lua_pushinteger(L, %d); lua_call(L, 2, 1);", args[1].index)
    self:take(node, 1)
  elseif target == "call_result" then
    self.values[node] = self:variable(args[1], args[2])
  elseif target == "cond" or target == "while_loop" then
    self[target](self, node)
  else
    local type, text, own = self:operator(node, target, self:value(args[1]),
      args.n > 1 and self:value(args[2]) or nil)
    if type then
      self:set(self:variable(node, 1), { type = type, text = text }, false, own)
    else
      self:call_lua(node)
    end
  end
end

-- Writes the nodes of a graph whose inputs have these values. Returns the
-- outputs.
function Writer:part(graph, values)
  local taken, outputs = 0, {}
  for node in graph:nodes() do
    if node.op == "placeholder" then
      taken = taken + 1
      self.values[node] = values[taken]
    elseif node.op == "output" then
      for i = 1, node.args.n do outputs[i] = self:value(node.args[i]) end
    else
      self:node(node)
    end
  end
  return outputs
end

-- Writes a C function for a graph whose inputs have these types, a string of I,
-- F, B and V. It takes a list of constants, the run, and the inputs. Returns
-- its text, and the constants.
function c_backend.generate(graph, name, types, env)
  local inputs = graph:find_nodes { op = "placeholder" }
  local self = setmetatable({ graph = graph, env = env, inputs = inputs,
    values = {}, variables = {}, count = 0, constant_of = {}, constants = {},
    lua = {}, slots = 2 + #inputs }, Writer)
  repeat -- until no variable changes its type
    self.changed, self.lines, self.depth = false, {}, 1
    local values = {}
    for i, input in ipairs(inputs) do
      if input.target == "..." then
        error("c_backend does not support the input '...'", 0)
      end
      local kind = types:sub(i, i)
      values[i] = self:set(self:variable(input, 1), { type = kind,
        text = READ[kind]:format(2 + i, 2 + i) }, false, true)
      values[i].slot = 2 + i
    end
    local outputs = self:part(graph, values)
    for _, value in ipairs(outputs) do self:push(value) end
    self:emit("return %d;", #outputs)
  until not self.changed
  local head = { ("int %s (lua_State *L) {"):format(name),
    ("  luaL_checkstack(L, %d, NULL);"):format(self.slots + 500),
    ("  lua_settop(L, %d);"):format(self.slots) }
  for i, value in ipairs(self.constants) do
    head[#head + 1] = ("  lua_rawgeti(L, 1, %d); lua_replace(L, %d);"):format(i,
      self.constant_of[value].slot)
  end
  return ("%s\n%s\n}\n"):format(table.concat(head, "\n"),
    table.concat(self.lines, "\n")), self.constants
end

-- Compiles C; returns the functions of these names.
function c_backend.build(text, names, flags)
  local path = os.tmpname()
  local file = assert(io.open(path .. ".c", "w"))
  file:write('#include "c_backend.h"\n\n', text)
  file:close()
  local version = _VERSION:match "[%d.]+"
  local command = ([[
    case $(uname) in
      Darwin) shared="-bundle -undefined dynamic_lookup" ;;
      *) shared=-shared ;;
    esac
    ${CC:-cc} -std=c99 -ffp-contract=off %s -fPIC $shared -DLUA_WANTED=%d \
      -I'./%s' ${LUA_CFLAGS:-$(pkg-config --cflags lua%s 2>/dev/null ||
        echo -I/usr/include/lua%s)} -o '%s.so' '%s.c' -lm 2>&1]]):format(
    flags or "-O2", version:gsub("%.", "0"), HERE, version, version, path, path)
  local cc = io.popen(command)
  local said = cc:read "a"
  local ok = cc:close()
  local functions, reason = {}, ok and "" or said
  for i, name in ipairs(ok and names or {}) do
    functions[i], reason = package.loadlib(path .. ".so", name)
    if not functions[i] then ok = false break end
  end
  for _, ending in ipairs { "", ".c", ".so" } do os.remove(path .. ending) end
  if not ok then error("c_backend: " .. reason, 0) end
  return functions
end

local KINDS = { integer = "I", float = "F" }

-- The type of a value.
function c_backend.type(value)
  return KINDS[math.type(value)] or type(value) == "boolean" and "B" or "V"
end
local type_of = c_backend.type

-- The types of n values, a string.
local function types_of(n, value, ...)
  if n == 0 then return "" end
  if n == 1 then return type_of(value) end
  return type_of(value) .. types_of(n - 1, ...)
end

-- The backend, for g:compile.
function c_backend.backend(graph, _, env)
  if not math.type then
    error("c_backend needs Lua 5.3 or 5.4", 0)
  end
  graph = graph:copy()
  graph:eliminate_dead_code()
  local variants, count = {}, 0
  local n = #graph:find_nodes { op = "placeholder" }
  local any = ("V"):rep(n)
  c_backend.generate(graph, "any", any, env) -- refuses unsupported nodes
  local function compile(types)
    if count >= VARIANTS then types = any end
    if not variants[types] then
      local text, constants = c_backend.generate(graph, "run", types, env)
      local f = c_backend.build(text, { "run" })[1]
      variants[types] = function(run, ...) return f(constants, run, ...) end
      count = count + 1
    end
    return variants[types]
  end
  return function(run, ...)
    local types = types_of(n, ...)
    local f = variants[types]
    if not f then
      f = compile(types)
      variants[types] = f
    end
    return f(run, ...)
  end
end

return c_backend

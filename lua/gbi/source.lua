--- Sources: where an object came from, and how to obtain it again.
--
-- A source is anything with a method `reconstruct(self, cg)` that emits the
-- code for its object into a codegen. The sources of this module are immutable,
-- equal if their content is equal, and print like PyTorch's: `G["io"].stdout`.
-- Their constructors raise an argument error for unsuitable arguments.
-- @module gbi.source
local core = require "gbi.core"
local errors = require "gbi.errors"
local literal = require "gbi.literal"

local source = {}

-- The metatable of all sources; the core recognizes them by it. It is also the
-- key under which a source keeps its content, so that an assignment to a named
-- field reaches __newindex.
local metatable = core.source_metatable
local CONTENT = metatable

-- What a source is made of: kind, base, member; nil for anything else. The base
-- of an import is the name of its module.
local function content(value)
  return type(value) == "table" and rawget(value, CONTENT) or nil
end

-- For gbi's own modules.
source.content = content

local function readonly(self)
  error(("source %s is immutable"):format(tostring(self)), 2)
end

-- Nothing here recurses, because sources may be nested to any depth.

local MAX_NAME = 10000 -- bytes; a longer name is cut off

-- What comes before and after the base and the member in a name.
local NAMES = {
  LocalSource = function(_, member) return "L[", literal.of(member), "]" end,
  GlobalSource = function(_, member) return "G[", literal.of(member), "]" end,
  AttrSource = function(base, member) return base, literal.index(member) end,
  GetItemSource = function(base, member)
    if literal.is_constant(member) then member = literal.of(member) end
    return base, "[", member, "]"
  end,
  ConstantSource = function(_, member) return literal.of(member) end,
  CallFunctionNoArgsSource = function(base) return base, "()" end,
  ImportSource = function(module, member)
    return "require(", literal.of(module), ")",
      member and literal.index(member) or ""
  end,
}

local function own_name(self)
  local out, size, waiting = {}, 0, { self }
  while #waiting > 0 do
    local part = table.remove(waiting)
    local c = content(part)
    if size > MAX_NAME then
      out[#out + 1] = "..."
      break
    elseif c then
      local parts = { NAMES[c.kind](c.base, c.member) }
      for i = #parts, 1, -1 do waiting[#waiting + 1] = parts[i] end
    else
      if type(part) ~= "string" then part = source.name(part) end
      out[#out + 1] = part
      size = size + #part
    end
  end
  return table.concat(out)
end

-- Constants are the same if their Lua texts are the same: 1 differs from 1.0,
-- and NaN equals NaN.
local function same_member(a, b)
  if literal.is_constant(a) and literal.is_constant(b) then
    return literal.of(a) == literal.of(b)
  end
  return a == b
end

-- Records in `seen` that two sources have been compared. Returns whether they
-- had been compared before.
local function noted(seen, a, b)
  local others = seen[a] or {}
  local before = others[b]
  seen[a], others[b] = others, true
  return before
end

local function same(a, b)
  local waiting, seen -- pairs still to compare; pairs compared before
  while true do
    local x, y = content(a), content(b)
    if rawequal(a, b) then x = nil -- go on with what waits
    elseif not (x and y) then
      if x or y or a ~= b then return false end
    elseif seen and noted(seen, a, b) then x = nil
    elseif x.kind ~= y.kind then return false
    elseif content(x.member) and content(y.member) then
      waiting, seen = waiting or {}, seen or {}
      waiting[#waiting + 1] = x.member
      waiting[#waiting + 1] = y.member
    elseif not same_member(x.member, y.member) then
      return false
    end
    if x and y then a, b = x.base, y.base
    elseif waiting and #waiting > 0 then
      b, a = table.remove(waiting), table.remove(waiting)
    else return true end
  end
end

local emitters = {} -- kind -> function that emits a source of it
local methods = {}

--- Emits the code that obtains the object.
-- @function source:reconstruct
-- @tparam gbi.codegen cg
-- @seed Source.reconstruct
function methods:reconstruct(cg)
  local c = self[CONTENT]
  emitters[c.kind](cg, c.base, c.member)
end

function metatable:__index(key)
  return methods[key] or self[CONTENT][key]
end

metatable.__newindex, metatable.__eq, metatable.__tostring =
  readonly, same, own_name

-- A kind of source, whose content { kind, base, member } emits itself through
-- emit(cg, base, member). Returns the function that makes one.
local function class(kind, emit)
  emitters[kind] = emit
  return function(base, member)
    return setmetatable({
      [CONTENT] = { kind = kind, base = base, member = member },
    }, metatable)
  end
end

local function check(ok, fname, arg, expected, value)
  if not ok then errors.expected(3, fname, arg, expected, value) end
end

local function reconstruct(value)
  return value.reconstruct
end

--- Does `value` have a method `reconstruct`?
-- @param value any value
-- @treturn boolean
function source.is_source(value)
  local t = type(value)
  if t ~= "table" and t ~= "userdata" then return false end
  local ok, method = errors.attempt(reconstruct, value)
  t = type(method)
  return ok and (t == "function" or t == "table" or t == "userdata")
end

--- Returns the name of a source: its `tostring`, or "?" if that fails.
-- @tparam gbi.source value
-- @treturn string
function source.name(value)
  local ok, text = errors.attempt(tostring, value)
  local t = type(text) -- before 5.3, `tostring` may return anything
  return ok and (t == "string" or t == "number") and ("%s"):format(text) or "?"
end

local is_source = source.is_source

local Local = class("LocalSource", function(cg, _, member)
  cg:load_local(member)
end)

--- A parameter of the compiled function: `L["x"]`.
-- @tparam string member its name
-- @treturn gbi.source
-- @raise if the code is emitted for a function without that parameter
-- @seed LocalSource of `torch._dynamo.source`
function source.LocalSource(member)
  check(type(member) == "string", "LocalSource", 1, "string", member)
  return Local(nil, member)
end

-- Returns the first input that a source needs and the set `inputs` lacks, or
-- nil.
function source.missing_input(from, inputs)
  local waiting, seen = { from }, {}
  while #waiting > 0 do
    from = table.remove(waiting)
    local it = content(from)
    if it and not seen[it] then
      seen[it] = true
      if it.kind == "LocalSource" then
        if not inputs[it.member] then return it.member end
      else
        waiting[#waiting + 1] = it.base
        waiting[#waiting + 1] = it.member
      end
    end
  end
end

local Global = class("GlobalSource", function(cg, _, member)
  cg:load_global(member)
end)

--- A global variable: `G["io"]`.
-- @tparam string member its name
-- @treturn gbi.source
-- @seed GlobalSource of `torch._dynamo.source`
function source.GlobalSource(member)
  check(type(member) == "string", "GlobalSource", 1, "string", member)
  return Global(nil, member)
end

local Attr = class("AttrSource", function(cg, base, member)
  cg(base)
  cg:load_attr(member)
end)

--- A field of another source's object: `G["io"].stdout`.
-- @tparam gbi.source base
-- @tparam string member
-- @treturn gbi.source
-- @seed AttrSource of `torch._dynamo.source`
function source.AttrSource(base, member)
  check(is_source(base), "AttrSource", 1, "source", base)
  check(type(member) == "string", "AttrSource", 2, "string", member)
  return Attr(base, member)
end

local GetItem = class("GetItemSource", function(cg, base, member)
  cg(base)
  if literal.is_constant(member) then cg:load_const(member)
  else cg(member) end
  cg:load_item()
end)

--- An element of another source's object: `G["t"][3]`.
-- @tparam gbi.source base
-- @tparam gbi.constant|gbi.source key
-- @treturn gbi.source
-- @seed GetItemSource of `torch._dynamo.source`
function source.GetItemSource(base, key)
  check(is_source(base), "GetItemSource", 1, "source", base)
  check(key ~= nil and (literal.is_constant(key) or is_source(key)),
    "GetItemSource", 2, "constant or source", key)
  return GetItem(base, key)
end

local Constant = class("ConstantSource", function(cg, _, member)
  cg:load_const(member)
end)

--- A constant.
-- @tparam ?gbi.constant value
-- @treturn gbi.source
-- @seed ConstantSource of `torch._dynamo.source`
function source.ConstantSource(value)
  check(literal.is_constant(value), "ConstantSource", 1, "constant", value)
  return Constant(nil, value)
end

local CallFunctionNoArgs = class("CallFunctionNoArgsSource", function(cg, base)
  cg(base)
  cg:call_function(0)
end)

--- The first result of a call of another source's object: `G["f"]()`.
-- @tparam gbi.source base
-- @treturn gbi.source
-- @seed CallFunctionNoArgsSource of `torch._dynamo.source`
function source.CallFunctionNoArgsSource(base)
  check(is_source(base), "CallFunctionNoArgsSource", 1, "source", base)
  return CallFunctionNoArgs(base, nil)
end

local Import = class("ImportSource", function(cg, base, member)
  cg:load_import(base, member)
end)

--- A module, or a field of one: `require("socket").tcp`.
-- @tparam string module as `require` takes it
-- @tparam ?string member
-- @treturn gbi.source
-- @seed ImportSource of `torch._dynamo.source`
function source.ImportSource(module, member)
  check(type(module) == "string", "ImportSource", 1, "string", module)
  check(member == nil or type(member) == "string", "ImportSource", 2,
    "string", member)
  return Import(module, member)
end

return source

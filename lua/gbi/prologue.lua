--- The prologue: the generated function that obtains every external object
-- of a registry and stores it, before the graph runs.
-- @module gbi
local compat = require "gbi.compat"
local errors = require "gbi.errors"
local literal = require "gbi.literal"
local source = require "gbi.source"
local Codegen = require "gbi.codegen"

compat.interpret()

local MAX_ARGS = 50 -- beyond, objects are gathered in a table

local function check_params(params)
  if params == nil then return {} end
  if type(params) ~= "table" then
    errors.expected(3, "compile_prologue", 2, "table", params)
  end
  local seen = {}
  for i = 1, #params do
    local name = params[i]
    if type(name) ~= "string" then
      errors.expected(3, "compile_prologue", 2,
        ("parameter %d: string"):format(i), name)
    elseif seen[name] then
      errors.argument(3, "compile_prologue", 2,
        ("parameter %d: duplicate name %s"):format(i, literal.of(name)))
    end
    seen[name] = true
  end
  return params
end

--- Generates the prologue of a registry. PyTorch does the same while it
-- assembles the bytecode of a compiled function.
--
-- The prologue obtains every object, in index order, by running the code that
-- its constructor emitted; stores all objects in the registry's side table; and
-- stashes the objects that it creates, to which there may be no other
-- reference.
-- @function compile_prologue
-- @tparam gbi.registry registry
-- @tparam ?{string,...} params the names of the function's parameters
-- @treturn function of the parameters; @{gbi.traceback} tells which object it
-- could not obtain
-- @treturn string its source
-- @raise if a source needs another parameter; the errors of constructors; an
-- argument error
-- @seed the use of the constructors in `output_graph.py`
local function compile_prologue(registry, params)
  errors.check_registry(2, "compile_prologue", 1, registry)
  params = check_params(params)
  local cg, n = Codegen.new(params), #registry
  local objects, created = {}, {}
  if n > MAX_ARGS then cg:emit("local objects = {}") end
  for index, constructor, kind, from in registry:constructors() do
    local missing = source.missing_input(from, cg.locals)
    if missing then
      error(("%s: L[%s] is not a parameter of the prologue"):format(
        registry:name(index), literal.of(missing)), 2)
    end
    local var = n > MAX_ARGS and cg:element("objects", index) or cg:new_var()
    cg:obtain(registry, index, constructor, var)
    objects[index] = var.text
    if kind == "graph_created" then created[#created + 1] = var.text end
  end
  cg:note("all objects are stored")
  local list = n > MAX_ARGS and "objects"
    or ("{%s}"):format(table.concat(objects, ", "))
  if #created > 0 then -- one call, so that both are done or neither
    cg:emit(("registry:store_list(%s, %d, {%s})"):format(list, n,
      table.concat(created, ", ")))
  elseif n > MAX_ARGS then
    cg:emit(("registry:store_list(objects, %d)"):format(n))
  else
    cg:emit(("registry:store(%s)"):format(table.concat(objects, ", ")))
  end
  local f, text = cg:finish(("gbi prologue(%s)"):format(
    table.concat(params, ", ")), registry)
  return f, text
end

return compile_prologue

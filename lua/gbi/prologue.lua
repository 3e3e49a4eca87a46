--- The prologue: the generated function that obtains every external object
-- of a registry and stores it, before the graph runs.
-- @module gbi
local compat = require "gbi.compat"
local core = require "gbi.core"
local literal = require "gbi.literal"
local source = require "gbi.source"
local Codegen = require "gbi.codegen"

compat.interpret()

local MAX_ARGS = 50 -- beyond, objects are gathered in a table

local function check_params(params)
  if params == nil then return {} end
  if type(params) ~= "table" then
    error(("bad argument #2 to 'compile_prologue' (table expected, got %s)")
      :format(type(params)), 3)
  end
  local seen = {}
  for i = 1, #params do
    local name = params[i]
    if type(name) ~= "string" or seen[name] then
      error(("bad argument #2 to 'compile_prologue' (parameter %d: %s)")
        :format(i, type(name) ~= "string" and "string expected, got "
          .. type(name) or literal.of(name) .. " is there twice"), 3)
    end
    seen[name] = true
  end
  return params
end

--- Generates the prologue of a registry. PyTorch does the same while it
-- assembles the bytecode of a compiled function.
--
-- The prologue obtains every object, in index order, by running the code that
-- its constructor emitted; stores them all in the registry's side table; and
-- stashes those that the graph creates, which nobody else may hold.
-- @function compile_prologue
-- @tparam gbi.registry registry
-- @tparam ?{string,...} params the names of the function's parameters
-- @treturn function of the parameters; an error of it names the object that
-- could not be obtained
-- @treturn string its source
-- @raise when an object was registered without a source, or with one that wants
-- another parameter; what a constructor raises; an argument error
-- @seed what `output_graph.py` does with the constructors
local function compile_prologue(registry, params)
  if getmetatable(registry) ~= getmetatable(core.default) then
    error(("bad argument #1 to 'compile_prologue' (gbi.registry expected, "
      .. "got %s)"):format(type(registry)), 2)
  end
  local cg = Codegen.new(check_params(params))
  local names, objects, created, n, last = {}, {}, {}, 0, 0
  for _ in registry:constructors() do n = n + 1 end
  if n > MAX_ARGS then cg:emit("local objects = {}") end
  for index, constructor, kind, from in registry:constructors() do
    local name = registry:name(index)
    local missing = source.missing_input(from, cg.locals)
    if kind == "user" and not from then
      error(name .. " has no source, so it cannot be obtained again", 2)
    elseif missing then
      error(("%s: L[%s] is not a parameter of the prologue"):format(name,
        literal.of(missing)), 2)
    end
    local var = n > MAX_ARGS and cg:element("objects", index) or cg:new_var()
    names[index] = name
    cg:emit("-- " .. literal.comment(name))
    cg:traced_as(index, function()
      cg:construct(constructor, "the constructor of " .. name)
      cg:store(var)
    end)
    for i = last + 1, index - 1 do objects[i] = "nil" end -- released
    objects[index], last = var.text, index
    if kind == "graph_created" then
      created[#created + 1] = var.text
    end
  end
  if cg.traced then cg:trace(0) end -- errors of `store` name the object
  local list = n > MAX_ARGS and "objects"
    or ("{%s}"):format(table.concat(objects, ", "))
  if #created > 0 then -- one call, so that it fails before or after both
    cg:emit(("registry:store_list(%s, %d, {%s})"):format(list, last,
      table.concat(created, ", ")))
  elseif n > MAX_ARGS then
    cg:emit(("registry:store_list(objects, %d)"):format(last))
  else
    cg:emit(("registry:store(%s)"):format(table.concat(objects, ", ")))
  end
  return cg:finish("gbi prologue, external objects: " .. n, registry, names)
end

return compile_prologue

-- Records functions as graphs, and finds the sources of functions.
local compat = require "gbi.compat"
local errors = require "gbi.errors"
local literal = require "gbi.literal"
local source = require "gbi.source"

local trace = {}

local debug = rawget(_G, "debug") -- a host may have none

-- Can this Lua tell the names of a function's parameters?
local tells = debug and debug.getlocal
  and pcall(debug.getlocal, function() end, 1)

-- Returns the names of the inputs for a function: the given names, or those of
-- its parameters. Raises the argument errors of `fname`.
function trace.inputs(level, fname, f, names)
  if type(f) ~= "function" then
    errors.expected(level + 1, fname, 1, "function", f)
  elseif names == nil then
    local info = tells and debug.getinfo(f, "Su")
    if not info or info.what == "C" then
      errors.argument(level + 1, fname, 2, "the names of the function's "
        .. "parameters are unknown; pass the names of the inputs")
    end
    names = {}
    local name = debug.getlocal(f, 1)
    while name do
      names[#names + 1] = name
      name = debug.getlocal(f, #names + 1)
    end
    if info.isvararg then names[#names + 1] = "..." end
    return names
  elseif type(names) ~= "table" then
    errors.expected(level + 1, fname, 2, "table", names)
  end
  local seen = {}
  for i, name in ipairs(names) do
    if type(name) ~= "string" then
      errors.expected(level + 1, fname, 2, ("name %d: string"):format(i), name)
    elseif seen[name] then
      errors.argument(level + 1, fname, 2, ("name %d: duplicate name %s")
        :format(i, literal.of(name)))
    elseif seen["..."] then
      errors.argument(level + 1, fname, 2, "'...' must be the last input")
    end
    seen[name] = true
  end
  return names
end

-- Records f in an empty graph, with inputs of these names.
function trace.into(level, graph, f, names)
  local inputs = {}
  for i, name in ipairs(names) do inputs[i] = graph:placeholder(name) end
  graph:finish(level + 1, f(compat.unpack(inputs)))
end

-- Function -> its source and where it was found: a table and a key in it. The
-- table refers to the function, so that before Lua 5.2 an entry stays for ever;
-- but only functions that were once globals or in a library are here.
local known = setmetatable({}, { __mode = "k" })

local function sorted(t)
  local names = {}
  for name in next, t do
    if type(name) == "string" then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

-- Looks for a function among the fields of a table; make(name) makes the source
-- of a field.
local function look(f, t, make)
  local found
  for name, value in next, t do
    if value == f and type(name) == "string"
       and (not found or name < found) then
      found = name
    end
  end
  return found and { table = t, key = found, source = make(found) }
end

-- Looks for a function in the globals, in the libraries among them, and in the
-- loaded modules.
local function find(f, globals)
  local found = look(f, globals, source.GlobalSource)
  if found then return found end
  for _, name in ipairs(sorted(globals)) do
    local library = rawget(globals, name)
    if type(library) == "table" and library ~= globals then
      found = look(f, library, function(key)
        return source.AttrSource(source.GlobalSource(name), key)
      end)
      if found then return found end
    end
  end
  if globals ~= _G then return end
  local loaded = package.loaded
  for _, name in ipairs(sorted(loaded)) do
    local module = rawget(loaded, name)
    if type(module) == "table" then
      found = look(f, module, function(key)
        return source.ImportSource(name, key)
      end)
    elseif module == f then
      return { table = loaded, key = name, source = source.ImportSource(name) }
    end
    if found then return found end
  end
end

-- Returns the source of a function that is a global or a field of a library
-- among the globals or of a loaded module; nil for any other function. If there
-- are several, the alphabetically first.
function trace.source_of(f, globals)
  local entry = known[f]
  if not entry or entry.globals ~= globals
     or rawget(entry.table, entry.key) ~= f then
    entry = find(f, globals)
    if not entry then return nil end
    entry.globals = globals
    known[f] = entry
  end
  return entry.source
end

return trace

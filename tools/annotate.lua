-- Puts the comments beside the functions in other forms: the annotations of
-- LuaLS, and the functions that LDoc cannot find by itself.
--
--     lua tools/annotate.lua luals > library/gbi.lua
--     lua tools/annotate.lua ldoc > build/functions.lua
--
-- Three dashes (in C, three stars) begin the comment of a public name, two that
-- of an internal one. Tags are LDoc's, and two of our own: see config.ld.

local FILES = {
  "lua/gbi/init.lua", "lua/gbi/prologue.lua", "lua/gbi/inspect.lua",
  "lua/gbi/traceback.lua", "csrc/registry_lua.c", "csrc/handles_lua.c",
  "csrc/run.c", "lua/gbi/source.lua", "lua/gbi/codegen.lua",
  "lua/gbi/graph.lua", "lua/gbi/change.lua", "lua/gbi/node.lua",
  "lua/gbi/interpreter.lua",
}

local TAGS = {
  module = true, submodule = true, classmod = true, ["function"] = true,
  table = true, tparam = true, tfield = true, treturn = true, param = true,
  raise = true, see = true, seed = true, also = true,
}

local annotate = {}


-- Reading -----------------------------------------------------------------

-- The comment blocks of a text: public, lines, line (the number of the first),
-- and code, the line that follows.
local function blocks(text, is_c)
  local list, block = {}, nil
  local n = 0
  for line in (text .. "\n"):gmatch("(.-)\n") do
    n = n + 1
    local begins, body
    if is_c then
      begins = line:find("^/%*%*%*$") ~= nil
      body = block and not begins and block.open and line
      if body == "*/" then block.open, body = false, nil end
    else
      local dashes, rest = line:match("^%s*(%-%-%-?) ?(.*)$")
      begins = dashes == "---" or dashes ~= nil and not block
      body = dashes and rest
    end
    if begins then
      block = { public = is_c or line:find("^%s*%-%-%-") ~= nil, lines = {},
                line = n, open = true }
      list[#list + 1] = block
      if not is_c then block.lines[1] = body end
    elseif body then
      block.lines[#block.lines + 1] = body
    elseif block and not (is_c and line == "*/") then
      block.code, block = line, nil
    end
  end
  return list
end

local function trim(s)
  return s:match("^%s*(.-)%s*$")
end

-- A type, a name and a text, as @tparam and @tfield take them.
local function typed(text)
  local optional, t, name, rest = text:match("^(%??)(%S+)%s+(%S+)%s*(.*)$")
  return { type = t, optional = optional == "?", name = name, text = rest }
end

-- The contents of a block: text, and lists of its tags by name.
local function parse(block, complain)
  local item = { line = block.line, code = block.code, text = {} }
  local tag
  for _, line in ipairs(block.lines) do
    local name, rest = line:match("^%s*@(%l+)%s*(.*)$")
    if name then
      if not TAGS[name] then complain("there is no tag @" .. name) end
      item[name] = item[name] or {}
      tag = { rest }
      table.insert(item[name], tag)
    else
      table.insert(tag or item.text, line)
    end
  end
  item.text = trim(table.concat(item.text, "\n"))
  for name in pairs(TAGS) do
    for i, lines in ipairs(item[name] or {}) do
      local text = trim(table.concat(lines, " "):gsub("%s+", " "))
      if name == "tparam" or name == "tfield" then text = typed(text)
      elseif name == "param" then
        text = { type = "any", name = text:match("^%S+"),
                 text = text:match("^%S+%s*(.*)$") }
      elseif name == "treturn" then
        local optional, t, rest = text:match("^(%??)(%S+)%s*(.*)$")
        text = { type = t, optional = optional == "?", text = rest }
      end
      item[name][i] = text
    end
  end
  item.params = item.tparam or item.param or {}
  return item
end

-- The name and the parameters of the function that a line of Lua defines.
local function defined(code)
  local name, params = (code or ""):match("^function ([%w_.:]+)%((.-)%)")
  if name then return name, params end
  return (code or ""):match("^([%w_]+%.[%w_]+) = ")
end

-- Compares the documented parameters with the actual ones.
local function check_params(item, params, complain)
  local i = 0
  for name in params:gmatch("[%w_.]+") do
    i = i + 1
    local given = item.params[i] and item.params[i].name
    if given ~= name then
      complain(("parameter %d is %s, but documented as %s"):format(i, name,
        tostring(given)))
    end
  end
  if #item.params > i then complain("there are too many @tparam") end
end

--- Everything that is documented: a list of modules, in order, each with
-- `name`, `class`, `text`, and `items` in order; the items by qualified name
-- (`gbi.new`, `gbi.graph:lint`); and the set of names whose comment says that
-- they are internal.
-- @treturn table `modules`, `items`, `internal`
-- @raise all mistakes in the comments
function annotate.read()
  local model = { modules = {}, items = {}, internal = {} }
  local by_name, complaints = {}, {}
  for _, path in ipairs(FILES) do
    local file = assert(io.open(path))
    local text = file:read("*a")
    file:close()
    local is_c, module = path:find("%.c$") ~= nil, nil
    for _, block in ipairs(blocks(text, is_c)) do
      local function complain(message)
        complaints[#complaints + 1] = ("%s:%d: %s"):format(path, block.line,
          message)
      end
      local name, params = defined(not is_c and block.code or nil)
      local own = name and module
        and name:gsub("^[%w_]+([.:])", module.name .. "%1")
      if not block.public then
        if own then model.internal[own] = true end
      else
        local item = parse(block, complain)
        local head = item.module or item.classmod or item.submodule
        if item.text == "" then complain("there is no text") end
        if head then
          module = by_name[head[1]]
          if not module then
            module = { name = head[1], class = item.classmod ~= nil,
                       text = item.text, items = {} }
            by_name[module.name] = module
            table.insert(model.modules, module)
          end
        else
          local called = item["function"] and item["function"][1]
          local table_name = item.table and item.table[1]
          if not module then
            complain("the file does not say what module it is")
          elseif table_name then
            item.kind, item.name = "table", "gbi." .. table_name
          elseif item.tfield then
            item.kind, item.name = "field", module.name .. "."
              .. item.tfield[1].name
          elseif called or name then
            item.kind = "function"
            item.name = own
            if called then
              item.name = called:find("^gbi%.") and called
                or called:find("[.:]")
                   and called:gsub("^[%w_]+([.:])", module.name .. "%1")
                or module.name .. (module.class and ":" or ".") .. called
            end
          else
            complain("no name follows")
          end
          if item.name then
            if params then check_params(item, params, complain) end
            if model.items[item.name] then
              complain(item.name .. " has a second comment")
            end
            model.items[item.name] = item
            table.insert(module.items, item)
            for _, other in ipairs(item.also or {}) do
              model.items["gbi." .. other] = item
            end
          end
        end
      end
    end
  end
  if #complaints > 0 then error(table.concat(complaints, "\n"), 0) end
  return model
end


-- Writing -----------------------------------------------------------------

-- A type in LuaLS's language.
local function luals_type(t)
  local element = t:match("^{([%w.]+),%.%.%.}$")
  return element and element .. "[]" or t
end

-- Markdown that only LDoc resolves: @{gbi.source}. LDoc knows tables by their
-- class, @{gbi.registry.entry}; LuaLS knows them as gbi.entry.
local function plain(text)
  return (text:gsub("@{gbi%.%l+%.(%l+)}", "`gbi.%1`"):gsub("@{(.-)}", "`%1`")
    :gsub("\\_", "_"))
end

local function names(params)
  local list = {}
  for i, param in ipairs(params) do list[i] = param.name end
  return table.concat(list, ", ")
end

-- The names of classes as locals of the annotations.
local function local_name(module)
  return module:match("[%w_]+$")
end

local function luals_text(out, item, text)
  for line in (plain(text) .. "\n"):gmatch("(.-)\n") do
    out("---" .. line)
  end
  for _, seed in ipairs(item and item.seed or {}) do
    out("---")
    out("---In PyTorch: " .. plain(seed))
  end
  for _, raise in ipairs(item and item.raise or {}) do
    out("---")
    out("---Raises " .. plain(raise))
  end
end

-- Other ways to call a function, which the parameters do not show.
local OVERLOADS = {
  ["gbi.traceback"] = "fun(message: any, level?: integer): string",
}

local function luals_function(out, item, name)
  luals_text(out, item, item.text)
  if OVERLOADS[name] then out("---@overload " .. OVERLOADS[name]) end
  for _, param in ipairs(item.params) do
    out(("---@param %s%s %s %s"):format(param.name,
      param.optional and param.name ~= "..." and "?" or "",
      luals_type(param.type), plain(param.text)))
  end
  for _, result in ipairs(item.treturn or {}) do
    local dots, text = result.text:match("^(%.%.%.)%s*(.*)$")
    text = plain(text or result.text)
    out(("---@return %s%s %s%s"):format(luals_type(result.type),
      result.optional and "?" or "", dots and "... " or "",
      text ~= "" and "# " .. text or ""))
  end
  out(("function %s(%s) end"):format(name, names(item.params)))
  out("")
end

-- Lines that describe Lua's operators and indexing on an object of the class.
local function luals_operators(out, module)
  if module == "gbi.registry" then
    out("---@operator len: integer")
  elseif module == "gbi.run" then
    out("---@field [integer] gbi.object?")
  elseif module == "gbi.codegen" then
    out("---@overload fun(source: gbi.source)")
  elseif module == "gbi.node" then
    local node = require "gbi.node"
    local list = {}
    for name, operands in pairs(node.overloads) do
      list[#list + 1] = ("---@operator %s%s: gbi.node"):format(name,
        operands == 2 and "(gbi.node|gbi.constant)" or "")
    end
    table.sort(list)
    for _, line in ipairs(list) do out(line) end
    out("---@overload fun(...: gbi.node|gbi.constant): gbi.node")
  end
end

-- Does a field hold functions of its own, as `gbi.source` does?
local function has_functions(model, name)
  for other in pairs(model.items) do
    if other:sub(1, #name + 1) == name .. "." then return true end
  end
  return false
end

--- The annotations for LuaLS.
-- @treturn string
function annotate.luals(model)
  local lines = {}
  local function out(line) lines[#lines + 1] = (line:gsub("%s+$", "")) end
  out("---@meta gbi")
  out("-- Made by `make meta` from the comments beside gbi's functions.")
  out("")
  out("---What can be held weakly.")
  out("---@alias gbi.object table|userdata|function|thread")
  out("---@alias gbi.constant boolean|number|string")
  out("---@class gbi.snapshot")
  out("---@class gbi.variable")
  out("")
  for _, module in ipairs(model.modules) do
    for _, item in ipairs(module.items) do
      if item.kind == "table" then
        luals_text(out, item, item.text)
        out("---@class " .. item.name)
        for _, field in ipairs(item.tfield) do
          out(("---@field %s%s %s %s"):format(field.name,
            field.optional and "?" or "", luals_type(field.type),
            plain(field.text)))
        end
        out("")
      end
    end
    luals_text(out, nil, module.text)
    out("---@class " .. module.name)
    luals_operators(out, module.name)
    for _, item in ipairs(module.items) do
      local field = item.kind == "field" and item.tfield[1]
      if field and not has_functions(model, item.name) then
        out(("---@field %s %s %s"):format(field.name, field.type,
          plain(item.text)))
      end
    end
    out(("local %s = {}"):format(local_name(module.name)))
    out("")
    for _, item in ipairs(module.items) do
      local field = item.kind == "field" and item.tfield[1]
      if field and has_functions(model, item.name) then
        out(item.name .. " = {}")
        out("")
      elseif item.kind == "function" and not item.name:find("__", 1, true) then
        local name = item.name
        if name:find(":", 1, true) then
          name = name:gsub("^.*%.", "")
        end
        luals_function(out, item, name)
      end
      for _, other in ipairs(item.also or {}) do
        luals_function(out, item, "gbi." .. other)
      end
    end
  end
  out("return gbi")
  return table.concat(lines, "\n") .. "\n"
end

--- The module's functions that are documented where they are implemented, with
-- comments for LDoc.
-- @treturn string
function annotate.ldoc(model)
  local lines = { "--- Implemented elsewhere.", "-- @module gbi", "local _",
                  "" }
  local function out(format, ...)
    lines[#lines + 1] = format:format(...):gsub("%s+$", "")
  end
  local function tag(name, each)
    out("-- @%s %s%s %s %s", name, each.optional and "?" or "", each.type,
      each.name or "", each.text)
  end
  for _, module in ipairs(model.modules) do
    for _, item in ipairs(module.items) do
      local others = item.also or {}
      if module.class and item.kind == "function"
         and item.name:find("^gbi%.[%w_]+$") then
        others = { item.name:match("[%w_]+$") }
      end
      for _, other in ipairs(others) do
        for line in (item.text .. "\n"):gmatch("(.-)\n") do
          out("-%s %s", line == item.text:match("^[^\n]*") and "--" or "-",
            line)
        end
        out("-- @function %s", other)
        for _, each in ipairs(item.params) do tag("tparam", each) end
        for _, each in ipairs(item.treturn or {}) do tag("treturn", each) end
        for _, each in ipairs(item.raise or {}) do out("-- @raise %s", each) end
        for _, each in ipairs(item.seed or {}) do out("-- @seed %s", each) end
        if item.name:find(":", 1, true) then out("-- @see %s", item.name) end
        out("")
      end
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

if arg and arg[0] and arg[0]:find("annotate%.lua$") then
  local write = assert(annotate[arg[1]], "luals or ldoc")
  io.write(write(annotate.read()))
end

return annotate

-- What fuzz_load_graph.c does with each of its inputs: reads it as a graph; if
-- that succeeds, writes it, reads it and writes it again. Files are strings
-- here.

-- luacheck: ignore 122 (it puts itself in the place of `io` and `os`)

local files, opened = {}, {} -- path -> text
local reading = false

-- A file of `io`, with the methods that gbi uses.
local File = {}
File.__index = File

function File:read(n)
  local text = files[self.path]
  local part = text:sub(self.at, self.at + n - 1)
  self.at = self.at + n
  return part ~= "" and part or nil
end

function File:write(...)
  files[self.path] = (files[self.path] or "") .. table.concat({ ... })
  return self
end

function File:close()
  opened[self] = nil
  return true
end

function io.open(path, mode)
  if mode:find("r") and not files[path] then return nil, path .. ": no file" end
  if mode:find("w") then files[path] = "" end
  local file = setmetatable({ path = path, at = 1 }, File)
  opened[file] = true
  return file
end

function os.rename(from, to)
  files[to], files[from] = files[from], nil
  return true
end

function os.remove(path)
  files[path] = nil
  return true
end

-- Reading a graph runs no code and looks up none.
local function forbid(t, name)
  local f = t[name]
  t[name] = function(...)
    if reading then error("FORBIDDEN: " .. name, 0) end
    return f(...)
  end
end

for _, name in ipairs { "load", "loadfile", "dofile", "require" } do
  forbid(_G, name)
end
for _, name in ipairs { "popen", "lines", "input", "output" } do
  forbid(io, name)
end
for _, name in ipairs { "execute", "exit", "getenv", "tmpname" } do
  forbid(os, name)
end
forbid(string, "dump")

local gbi, core = require "gbi", require "gbi.core"
assert(gbi.load_graph and gbi.graph) -- these are loaded when they are needed

function core.create(path, text)
  if files[path] then return nil, path .. ": File exists", true end
  files[path] = text
  return true
end

-- Reads a graph. Returns it, or nothing if it is properly refused.
local function read(path)
  reading = true
  local ok, graph, reason = pcall(gbi.load_graph, path)
  reading = false
  assert(next(opened) == nil, "a file was left open")
  if not ok then error("load_graph raises " .. tostring(graph), 0) end
  if graph then return graph end
  assert(type(reason) == "string" and reason:sub(1, #path + 2) == path .. ": ",
    "what is wrong with the file is not said: " .. tostring(reason))
  reason = reason:sub(#path + 3)
  assert(not reason:find("^attempt to ") and not reason:find("FORBIDDEN")
    and not reason:find("stack overflow") and reason ~= "",
    "an error that is not gbi's: " .. reason)
end

local function save(graph, path)
  files[path] = nil
  assert(graph:save(path))
  for name in pairs(files) do
    assert(name == "input" or name == "once" or name == "twice"
      or name == "table", "a file was left: " .. name)
  end
  return files[path]
end

-- The text of a graph, its indices numbered in order of appearance: a file has
-- no gaps between them, but a graph with eliminated nodes may have some.
local function renumbered(graph)
  local numbers, n = {}, 0
  return (tostring(graph):gsub(
    "(get_external_object_by_index%]%(args = %()(%d+)", function(before, index)
      if not numbers[index] then
        n = n + 1
        numbers[index] = n
      end
      return before .. numbers[index]
    end))
end

local function backend()
  return function() end
end

-- The result of compiling it: text, or an error that is not Lua's.
local function compile(graph, options)
  local ok, f, text = pcall(graph.compile, graph, options)
  if ok then
    assert(type(f) == "function" and type(text) == "string")
    return text
  end
  assert(type(f) == "string" and not f:find("attempt to", 1, true)
    and not f:find("^%[string") and not f:find("near '", 1, true), f)
  return f
end

--- @treturn boolean was it a graph?
return function(data)
  files = { input = data }
  local graph = read("input")
  if not graph then return false end
  assert(graph:lint())
  assert(tostring(graph) and graph:to_dot())
  graph:print_tabular(setmetatable({ path = "table" }, File))
  local text = save(graph, "once")
  local again = assert(read("once"), "what was saved is refused")
  assert(save(again, "twice") == text, "saved again it is another")
  graph:eliminate_dead_code()
  assert(renumbered(graph) == renumbered(again), "read again it is another")
  assert(tostring(graph) ~= tostring(again)
    or compile(graph) == compile(again), "it compiles to other code")
  compile(graph, { backend = backend })
  return true
end

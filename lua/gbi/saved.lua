--- Graphs in files: data that is checked on the way in and never executed.
--
-- A file is the line `gbi graph 2`, a line with the length and the checksum of
-- what follows, and a list of nodes. A value is written as a letter and what
-- it takes: n nil, t true, f false, i123; integer, d0.5; float, s5:hello
-- string, r7; the 7th node, and for a source its kind's letters and its parts.
-- The external objects that matter are numbered 1, 2, 3 ... in their order.
local compat = require "gbi.compat"
local errors = require "gbi.errors"
local literal = require "gbi.literal"
local node = require "gbi.node"
local source = require "gbi.source"

compat.interpret()

local saved = {}

local HEADER = "gbi graph 2\n"
local MAX_DEPTH = 100 -- of sources in sources

-- Kinds of sources: letter, and the parts that it is made of.
local KINDS = {
  LocalSource = { letter = "L", parts = { "member" } },
  GlobalSource = { letter = "G", parts = { "member" } },
  AttrSource = { letter = "A", parts = { "base", "member" } },
  GetItemSource = { letter = "I", parts = { "base", "member" } },
  ConstantSource = { letter = "C", parts = { "member" } },
  CallFunctionNoArgsSource = { letter = "F", parts = { "base" } },
  ImportSource = { letter = "M", parts = { "base", "member" } },
}
local BY_LETTER = {}
for kind, shape in pairs(KINDS) do
  BY_LETTER[shape.letter] = { make = source[kind], parts = #shape.parts }
end

-- Adler-32.
local function checksum(text)
  local a, b = 1, 0
  for i = 1, #text do
    a = (a + text:byte(i)) % 65521
    b = (b + a) % 65521
  end
  return compat.digits(b * 65536 + a)
end

local function float(x)
  if x ~= x then return "nan" end
  if x == math.huge then return "inf" end
  if x == -math.huge then return "-inf" end
  return (("%.17g"):format(x):gsub(",", "."))
end


-- Writing -----------------------------------------------------------------

-- Writes a value; `who` is what the error names.
local function put(out, value, numbers, who, depth)
  depth = (depth or 0) + 1
  if depth > MAX_DEPTH then
    error(("%s cannot be saved: its source is nested too deeply"):format(who),
      0)
  end
  local t = type(value)
  local content = source.content(value)
  if value == nil then out[#out + 1] = "n"
  elseif t == "boolean" then out[#out + 1] = value and "t" or "f"
  elseif compat.is_integer(value) then
    out[#out + 1] = "i" .. compat.digits(value) .. ";"
  elseif t == "number" then out[#out + 1] = ("d%s;"):format(float(value))
  elseif t == "string" then out[#out + 1] = "s" .. #value .. ":" .. value
  elseif node.is(value) then out[#out + 1] = ("r%d;"):format(numbers[value])
  elseif content then
    local shape = KINDS[content.kind]
    out[#out + 1] = shape.letter
    for _, part in ipairs(shape.parts) do
      put(out, content[part], numbers, who, depth)
    end
  else
    error(("%s cannot be saved: it has no source of gbi's own kinds"):format(
      who), 0)
  end
end

-- Why a file could not be written, by the name that the caller knows.
local function because(path, other, reason)
  if reason:sub(1, #other) == other then reason = reason:sub(#other + 3) end
  return path .. ": " .. reason
end

-- Writes a graph of which the nodes in `live` matter, for the caller's caller.
-- @treturn true; or nil and why the file cannot be written
function saved.save(graph, live, path)
  local where = errors.position(3)
  local sources, numbers, nodes, out = {}, {}, {}, {}
  local indices, renumbered = {}, {}
  for index, _, _, from in graph.registry:constructors() do
    sources[index] = from
  end
  for _, each in ipairs(graph.nodes) do
    if live[each] then
      nodes[#nodes + 1] = each
      numbers[each] = #nodes
      if each:builtin() == node.EXTERNAL then
        indices[#indices + 1] = each.args[1]
      end
    end
  end
  table.sort(indices)
  for i, index in ipairs(indices) do renumbered[index] = i end
  put(out, #nodes)
  for _, each in ipairs(nodes) do
    local external = each:builtin() == node.EXTERNAL
    local who = where .. (external and graph.registry:name(each.args[1])
      or "node " .. each.name)
    put(out, each.op)
    put(out, each.name)
    put(out, each.target, numbers, who)
    put(out, each.args.n)
    for i = 1, each.args.n do
      put(out, external and renumbered[each.args[i]] or each.args[i], numbers,
        who)
    end
    if external then
      local from = sources[each.args[1]]
      put(out, source.content(from) and from or {}, numbers, who)
    end
  end
  local payload = table.concat(out)
  -- all text is made first: nothing may raise while the other file is there
  local text = HEADER .. #payload .. " " .. checksum(payload) .. "\n" .. payload
  local other = path .. ".tmp"
  local file, reason = io.open(other, "wb")
  if not file then return nil, because(path, other, reason) end
  local ok
  ok, reason = file:write(text)
  if ok then ok, reason = file:close() else file:close() end
  if ok then ok, reason = os.rename(other, path) end
  if not ok then
    os.remove(other)
    return nil, because(path, other, reason)
  end
  return true
end


-- Reading -----------------------------------------------------------------

local Failure = {} -- metatable of the error that ends a reading

local function fail(reason)
  error(setmetatable({ reason = reason }, Failure), 0)
end

local Reader = {}
Reader.__index = Reader

function Reader:match(pattern)
  local from, to, a = self.text:find("^" .. pattern, self.at)
  if not from then fail(("damaged at byte %d"):format(self.at)) end
  self.at = to + 1
  return a
end

-- Reads a value: a constant, a node read before, or a source.
function Reader:value(depth)
  depth = (depth or 0) + 1
  if depth > MAX_DEPTH then fail("a source is nested too deeply") end
  local letter = self:match("(%a)")
  if letter == "n" then return nil
  elseif letter == "t" then return true
  elseif letter == "f" then return false
  elseif letter == "i" then
    local i = compat.to_integer(self:match("(%-?%d+);"))
    return i or fail("an integer is out of range")
  elseif letter == "d" then
    local text = self:match("([-+.%w]+);")
    if text == "inf" then return math.huge end
    if text == "-inf" then return -math.huge end
    if text == "nan" then return 0 / 0 end
    if not text:find("^%-?%d[%d.e+-]*$") then
      fail("a number is malformed")
    elseif not text:find("[.e]") then
      text = text .. ".0"
    end
    return tonumber(text) or fail("a number is malformed")
  elseif letter == "s" then
    local length = tonumber(self:match("(%d+):"))
    if length > #self.text - self.at + 1 then fail("a string is cut off") end
    local s = self.text:sub(self.at, self.at + length - 1)
    self.at = self.at + length
    return s
  elseif letter == "r" then
    return self.nodes[tonumber(self:match("(%d+);"))]
      or fail("a node is used before it is made")
  end
  local kind = BY_LETTER[letter]
  if not kind then fail(("damaged at byte %d"):format(self.at - 1)) end
  local a = self:value(depth)
  local b
  if kind.parts > 1 then b = self:value(depth) end
  if node.is(a) or node.is(b) then fail("a source is made of nodes") end
  local ok, made = errors.attempt(kind.make, a, b)
  return ok and made or fail("a source is malformed")
end

-- Reads a value of a basic type.
function Reader:read(t)
  local value = self:value()
  if type(value) ~= t then fail(t .. " expected") end
  return value
end

function Reader:count()
  local n = self:value()
  if not compat.is_integer(n) or n < 0 or n > #self.text - self.at + 1 then
    fail("a count is out of range")
  end
  return n
end

-- Reads an external object: its index and its source.
function Reader:external(args)
  local index, from = args[1], self:value()
  if args.n ~= 1 or not compat.is_integer(index)
     or not source.content(from) then
    fail("an external object is malformed")
  elseif self.sources[index] then
    fail("an index is there twice")
  end
  self.sources[index] = from
  self.externals = self.externals + 1
end

local OPS = { placeholder = true, call_function = true, call_method = true,
              get_attr = true, output = true }

-- Reads a node and checks all that a graph's functions check.
function Reader:node(graph)
  local op, name, target = self:read("string"), self:read("string"),
    self:value()
  local args = { n = self:count() }
  for i = 1, args.n do
    args[i] = self:value()
    if not node.is(args[i]) and not literal.is_constant(args[i]) then
      fail("an argument is malformed")
    end
  end
  if not OPS[op] then fail("there is no such kind of node") end
  if not literal.is_identifier(name) then fail("a name is malformed") end
  local made
  if op == "call_function" and target == node.EXTERNAL then
    self:external(args)
    made = graph:append(2, op, target, args, name)
  elseif op == "call_function" and target == node.HANDLE then
    made = args.n == 1 and node.is(args[1]) and args[1]:handle()
  elseif op == "call_function" and target == node.RESULT then
    local call, i = args[1], args[2]
    if args.n == 2 and node.is(call) and call:is_call()
       and compat.is_integer(i) and i >= 1 and i <= 200 then
      made = graph:append(2, op, target, args, name)
    end
  elseif op == "get_attr" then
    if args.n == 1 then made = graph:get_attr(args[1], target)
    else made = args.n == 0 and graph:get_attr(target) end
  elseif op == "placeholder" then
    made = args.n == 0 and graph:placeholder(target)
  else -- call_function, call_method: (target, ...); output: (...)
    local take = graph[op]
    if op == "output" then
      made = target == "output"
        and take(graph, compat.unpack(args, 1, args.n))
    else
      made = take(graph, target, compat.unpack(args, 1, args.n))
    end
  end
  if not made then fail("a node is malformed") end
  graph:rename(made, name)
  self.nodes[#self.nodes + 1] = made
end

function Reader:graph(graph)
  for _ = 1, self:count() do self:node(graph) end
  if self.at <= #self.text then fail("there is more than a graph") end
  for index = 1, self.externals do
    graph.registry:register({}, self.sources[index]
      or fail("an index is missing"))
  end
end

--- Reads a graph into an empty one.
-- @treturn graph; or nil and what is wrong
function saved.load(graph, path)
  local file, reason = io.open(path, "rb")
  if not file then return nil, reason end
  local text
  text, reason = file:read("*a")
  file:close()
  if not text then return nil, path .. ": " .. reason end
  local length, sum, payload = text:match("^" .. HEADER .. "(%d+) (%d+)\n(.*)$")
  if not length then return nil, path .. ": not a gbi graph" end
  if length ~= ("%d"):format(#payload) or checksum(payload) ~= sum then
    return nil, path .. ": damaged, its checksum does not match"
  end
  local reader = setmetatable({ text = payload, at = 1, nodes = {},
                                sources = {}, externals = 0 }, Reader)
  local ok, err = pcall(reader.graph, reader, graph)
  if not ok then
    if errors.exhausted(err) then error(err, 0) end
    return nil, ("%s: %s"):format(path,
      getmetatable(err) == Failure and err.reason
        or tostring(err):gsub("^.-:%d+: ", "")) -- a graph's own checks
  end
  ok, reason = graph:lint()
  if not ok then return nil, ("%s: %s"):format(path, reason) end
  return graph
end

return saved

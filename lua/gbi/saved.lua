--- Graphs in files: data that is checked when read and never executed.
--
-- A file consists of the line `gbi graph 2`, a line with the length and the
-- checksum of the rest, and a list of nodes. A value is written as a letter and
-- its content: n nil, t true, f false, i123; integer, d0.5; float, s5:hello
-- string, r7; the 7th node of the same graph; a source as the letter of its
-- kind and its parts, a graph as g and a list of nodes, a table as T, the
-- number of its fields and the fields. The external objects of live nodes are
-- numbered 1, 2, 3 ... in their order; after the node of an external object
-- comes its source, and after the first node of an attribute its value.
local compat = require "gbi.compat"
local control = require "gbi.control"
local core = require "gbi.core"
local errors = require "gbi.errors"
local literal = require "gbi.literal"
local node = require "gbi.node"
local source = require "gbi.source"

compat.interpret()

local saved = {}

local HEADER = "gbi graph 2\n"
local MAX_DEPTH = 100 -- of sources in sources, tables in tables

-- Kinds of sources: letter and parts.
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

-- Returns the Adler-32 checksum of a text.
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

local Writer = {}
Writer.__index = Writer

local function cannot(who, why)
  error(("%s cannot be saved: %s"):format(who, why), 0)
end

local function order(a, b)
  local t, u = type(a), type(b)
  if t ~= u then return t < u end
  if t == "boolean" then return a and not b end
  return a < b
end

-- Writes plain data. Errors name `who`.
function Writer:data(value, who, depth)
  local t, seen = type(value), self.seen
  if depth > MAX_DEPTH then
    cannot(who, "it is nested too deeply")
  elseif t ~= "table" then
    if not literal.is_constant(value) then
      cannot(who, "it contains a " .. t)
    end
    return self:put(value)
  elseif getmetatable(value) ~= nil then
    cannot(who, "it contains a table with a metatable")
  elseif seen[value] then
    cannot(who, "it contains the same table twice")
  end
  seen[value] = true
  local keys = {}
  for key in next, value do
    if not literal.is_constant(key) then
      cannot(who, "a key is a " .. type(key))
    end
    keys[#keys + 1] = key
  end
  table.sort(keys, order)
  self:add "T"
  self:put(#keys)
  for _, key in ipairs(keys) do
    self:put(key)
    self:data(value[key], who, depth + 1)
  end
end

function Writer:add(text)
  self.out[#self.out + 1] = text
end

-- Writes a constant, a source, or a node; errors name `who`.
function Writer:put(value, numbers, who, depth)
  depth = (depth or 0) + 1
  if depth > MAX_DEPTH then cannot(who, "its source is nested too deeply") end
  local t = type(value)
  local content = source.content(value)
  if value == nil then self:add "n"
  elseif t == "boolean" then self:add(value and "t" or "f")
  elseif compat.is_integer(value) then
    self:add("i" .. compat.digits(value) .. ";")
  elseif t == "number" then self:add(("d%s;"):format(float(value)))
  elseif t == "string" then self:add("s" .. #value .. ":" .. value)
  elseif node.is(value) then self:add(("r%d;"):format(numbers[value]))
  elseif content then
    local shape = KINDS[content.kind]
    self:add(shape.letter)
    for _, part in ipairs(shape.parts) do
      self:put(content[part], numbers, who, depth)
    end
  else
    cannot(who, "it has no source from gbi.source")
  end
end

-- Writes a node.
function Writer:node(each, numbers)
  local external = node.builtin(each) == node.EXTERNAL
  local who = self.where .. (external and self.registry:name(each.index)
    or "node " .. control.path(each))
  local args = each.args
  self:put(each.op)
  self:put(each.name)
  self:put(each.target, numbers, who)
  self:put(args.n)
  for i = 1, args.n do
    if node.is_graph(args[i]) then
      self:add "g"
      self:graph(args[i])
    else
      self:put(external and self.renumbered[args[i]] or args[i], numbers, who)
    end
  end
  if external then
    self:put(each.source or {}, numbers, who)
  end
  local name = node.attribute(each)
  if name and not self.attributes[name] then
    self.attributes[name] = true
    self:data(each.graph.attributes[name], ("%sattribute %s"):format(
      self.where, literal.of(name)), 1)
  end
end

-- Writes the live nodes of a graph.
function Writer:graph(graph)
  local nodes, numbers = {}, {}
  for each in graph:nodes() do
    if self.live[each] then
      nodes[#nodes + 1] = each
      numbers[each] = #nodes
    end
  end
  self:put(#nodes)
  for _, each in ipairs(nodes) do self:node(each, numbers) end
end

-- Adds the indices of the external objects of live nodes to a list and a set.
local function collect(graph, live, list, set)
  for each in graph:nodes() do
    if live[each] then
      if each.index and not set[each.index] then
        set[each.index] = 0
        list[#list + 1] = each.index
      end
      for _, part in control.graphs(each) do collect(part, live, list, set) end
    end
  end
end

-- Writes a graph; errors name the line of the caller's caller.
-- @treturn true; or nil and why the file cannot be written
function saved.save(graph, path)
  local live, indices, renumbered = control.live(graph, {}), {}, {}
  collect(graph, live, indices, renumbered)
  table.sort(indices)
  for i, index in ipairs(indices) do renumbered[index] = i end
  local writer = setmetatable({
    out = {}, live = live, registry = graph.registry, attributes = {},
    seen = {}, -- the tables that are written
    renumbered = renumbered, where = errors.position(3),
  }, Writer)
  writer:graph(graph)
  local payload = table.concat(writer.out)
  local text = HEADER .. #payload .. " " .. checksum(payload) .. "\n" .. payload
  -- a new file in the same folder
  local other, ok, reason, exists
  local mark = tostring({}):match "%x+$" or ""
  for try = 1, 100 do
    other = ("%s.%s-%d.tmp"):format(path, mark, try)
    ok, reason, exists = core.create(other, text)
    if ok or not exists then break end
  end
  if ok then ok, reason = os.rename(other, path) end
  if ok then return true end
  if not exists then os.remove(other) end
  if reason:sub(1, #other) == other then reason = reason:sub(#other + 3) end
  return nil, path .. ": " .. reason
end


-- Reading -----------------------------------------------------------------

local Failure = {} -- metatable of the errors of `fail`

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

-- The limits of a file, which are options of load_graph, and the errors for
-- files that exceed them.
saved.LIMITS = {
  nodes = { most = 1000000, "the file has more than %d nodes" },
  depth = { most = MAX_DEPTH, never_more = true,
            "nested more than %d times" },
  bytes = { most = 64 * 1024 * 1024, "the file has more than %d bytes" },
}

local MAX_NAME = 200 -- bytes of a node's name, which is written at each use

-- Fails because the file exceeds a limit.
local function too_much(limits, name)
  fail((saved.LIMITS[name][1] .. " (option '%s')"):format(limits[name], name))
end

-- Reads a whole file, which must not exceed the limit of bytes. Returns its
-- text, or nil and the reason.
local function read(file, limits)
  local parts, size = {}, 0
  repeat
    local part, reason = file:read(65536)
    if reason then return nil, reason end
    size = size + #(part or "")
    if size > limits.bytes then too_much(limits, "bytes") end
    parts[#parts + 1] = part
  until not part
  return table.concat(parts)
end

-- Reads a value: with `data` a constant or a table of these, otherwise a
-- constant, a node read before, or a source.
function Reader:value(depth, data)
  depth = (depth or 0) + 1
  if depth > self.limits.depth then too_much(self.limits, "depth") end
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
  elseif letter == "r" and not data then
    return self.nodes[tonumber(self:match("(%d+);"))]
      or fail("a node is used before it is made")
  end
  if letter == "T" and data then
    local t = {}
    for _ = 1, self:count() do
      local key = self:value(depth, true)
      if key == nil or key ~= key or not literal.is_constant(key) then
        fail("a key is malformed")
      end
      local value = self:value(depth, true)
      t[key] = value
    end
    return t
  end
  local kind = BY_LETTER[letter]
  if not kind or data then fail(("damaged at byte %d"):format(self.at - 1)) end
  local a = self:value(depth)
  local b
  if kind.parts > 1 then b = self:value(depth) end
  if node.is(a) or node.is(b) then fail("a source contains a node") end
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

-- Reads an argument: a value, or a graph for a condition or loop.
function Reader:argument(graph)
  if self.text:sub(self.at, self.at) ~= "g" then return self:value() end
  self.at = self.at + 1
  self.depth = self.depth + 1
  if self.depth > self.limits.depth then too_much(self.limits, "depth") end
  local part, nodes = graph:subgraph(), self.nodes
  self:list(part)
  self.depth, self.nodes = self.depth - 1, nodes
  return part
end

-- Reads the value of an attribute, after its first node.
function Reader:attribute(graph, name)
  if type(name) == "string" and graph.attributes[name] == nil then
    local value = self:value(nil, true)
    if value == nil then fail("an attribute is malformed") end
    graph.attributes[name] = value
  end
end

-- Reads an external object: its index and its source.
function Reader:external(args)
  local index, from = args[1], self:value()
  if args.n ~= 1 or not compat.is_integer(index)
     or not source.content(from) then
    fail("an external object is malformed")
  end
  local before = self.sources[index]
  if before and before ~= from then fail("an index has two sources") end
  if not before then self.externals = self.externals + 1 end
  self.sources[index] = from
  return index, from
end

local OPS = { placeholder = true, call_function = true, call_method = true,
              get_attr = true, output = true }

-- Reads a node, with all checks that the functions of a graph make.
function Reader:node(graph)
  local op, name, target = self:read("string"), self:read("string"),
    self:value()
  local args = { n = self:count() }
  for i = 1, args.n do
    args[i] = self:argument(graph)
    if not node.is(args[i]) and not node.is_graph(args[i])
       and not literal.is_constant(args[i]) then
      fail("an argument is malformed")
    end
  end
  if not OPS[op] then fail("unknown kind of node") end
  if not literal.is_identifier(name) or #name > MAX_NAME then
    fail("a name is malformed")
  end
  local made
  if op == "call_function" and target == node.EXTERNAL then
    local index, from = self:external(args)
    made = graph:external_node(2, index, from, "user", name)
  elseif op == "call_function" and target == node.HANDLE then
    made = args.n == 1 and node.is(args[1]) and args[1]:handle()
  elseif op == "call_function" and target == node.RESULT then
    local call, i = args[1], args[2]
    if args.n == 2 and compat.is_integer(i) and i >= 1
       and i <= control.results(call) then
      made = graph:append(2, op, target, args, name)
    end
  elseif op == "call_function" and control.label(target, 2) then
    made = control.record(graph, target, args)
  elseif op == "get_attr" then
    if args.n == 1 then made = graph:get_attr(args[1], target)
    elseif args.n == 0 then
      self:attribute(graph, target)
      made = graph:get_attr(target)
    end
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

-- Reads the nodes of a graph.
function Reader:list(graph)
  self.nodes = {}
  local n = self:count()
  self.nodes_left = self.nodes_left - n
  if self.nodes_left < 0 then too_much(self.limits, "nodes") end
  for _ = 1, n do self:node(graph) end
end

function Reader:graph(graph)
  self:list(graph)
  if self.at <= #self.text then fail("unexpected data after the graph") end
  for index = 1, self.externals do
    graph.registry:register({}, self.sources[index]
      or fail("an index is missing"))
  end
end

-- Why a reading failed, from its error.
local function why(err)
  if errors.exhausted(err) then error(err, 0) end
  return getmetatable(err) == Failure and err.reason
    or tostring(err):gsub("^.-:%d+: ", "") -- a graph's own checks
end

--- Reads a graph into an empty one.
-- @tparam gbi.graph graph
-- @tparam string path
-- @tparam table limits for each name in saved.LIMITS, the most
-- @treturn graph; or nil and what is wrong
function saved.load(graph, path, limits)
  local file, reason = io.open(path, "rb")
  if not file then return nil, reason end
  local ok, text
  ok, text, reason = pcall(read, file, limits)
  file:close()
  if not ok then text, reason = nil, why(text) end
  if not text then return nil, path .. ": " .. reason end
  local length, sum, payload = text:match("^" .. HEADER .. "(%d+) (%d+)\n(.*)$")
  if not length then return nil, path .. ": not a gbi graph" end
  if length ~= ("%d"):format(#payload) or checksum(payload) ~= sum then
    return nil, path .. ": damaged, its checksum does not match"
  end
  local reader = setmetatable({ text = payload, at = 1, depth = 1,
                                limits = limits, nodes_left = limits.nodes,
                                sources = {}, externals = 0 }, Reader)
  local err
  ok, err = pcall(reader.graph, reader, graph)
  if not ok then return nil, ("%s: %s"):format(path, (why(err))) end
  ok, reason = graph:lint()
  if not ok then return nil, ("%s: %s"):format(path, reason) end
  return graph
end

return saved

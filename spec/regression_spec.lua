-- Defects that were found after the fact, by their names. The first line of
-- each tells its cause.

local core = require "gbi.core"
local gbi = require "gbi"

describe("regression:", function()
  it("a userdata that comes first is stored again as itself", function()
    -- storeplain left the metatable of argument 1, which it had compared with
    -- a registry's, on the stack, and stored it in place of the last argument.
    local first, second = io.tmpfile(), io.tmpfile()
    for _ = 1, 3 do
      gbi.store_user_object_weakrefs(first, second)
      assert.equal(first, gbi.get_external_object_by_index(1))
      assert.equal(second, gbi.get_external_object_by_index(2))
    end
    gbi.default:reset()
    first:close()
    second:close()
  end)

  it("a run's number is no index to release", function()
    -- release took a live number for an index that had been stored, and made
    -- room for the four thousand million indices before it.
    local registry, object = gbi.new(), {}
    local number = core.number(registry, object, 1)
    local ok, why = registry:release(number)
    assert.is_nil(ok)
    assert.equal("unregistered", why)
    assert.equal(object, registry:get(number))
    assert.equal(1, registry:register(object))
  end)

  it("a number finds no finalized object while the state closes", function()
    -- A registry's guard took objects with finalizers out of the side table
    -- when the state closed, and left the numbers that runs had given them.
    local script = os.tmpname()
    local file = assert(io.open(script, "w"))
    file:write([[
      local core, number = require "gbi.core", nil
      local registry = core.new()
      older = setmetatable({}, { __gc = function()
        local object, why = registry:find(number)
        print(object and "finalized: " .. tostring(object.finalized) or why)
      end })
      younger = setmetatable({}, { __gc = function(self)
        self.finalized = true
      end })
      number = core.number(registry, younger, 1)
    ]])
    file:close()
    local p = io.popen(("LUA_PATH='%s' LUA_CPATH='%s' lua5.4 %s 2>&1"):format(
      package.path, package.cpath, script))
    local out = p:read("*a")
    p:close()
    os.remove(script)
    assert.equal("unregistered\n", out)
  end)
end)

describe("regression, memory:", function()
  local OUT_OF_MEMORY = "not enough memory"

  -- What raises Lua's memory error when anything is asked of it.
  local function exhausted()
    local function fail() error(OUT_OF_MEMORY, 0) end
    return setmetatable({}, { __index = fail, __tostring = fail })
  end

  -- Lets each allocation fail in the cases of spec/faults.lua that have this
  -- in their name.
  local function faults(case)
    local p = io.popen(("LUA_PATH='%s' LUA_CPATH='%s' "
      .. "%s spec/faults.lua short '%s' 2>&1"):format(package.path,
      package.cpath, os.getenv "GBI_FAULTS" or "build/faults", case))
    local out = p:read("*a")
    p:close()
    local failed = out:match "(%d+) allocations failed\n$"
    assert.is_true(failed ~= nil and tonumber(failed) > 0, out)
  end

  it("a source's check passes a memory error on", function()
    -- is_source called `reconstruct` under a pcall and took its memory error
    -- for an answer: no source.
    assert.has_error(function() gbi.source.is_source(exhausted()) end,
      OUT_OF_MEMORY)
  end)

  it("a source's name passes a memory error on", function()
    -- name did the same with __tostring and called the source "?".
    assert.has_error(function() gbi.source.name(exhausted()) end,
      OUT_OF_MEMORY)
  end)

  it("a source's check passes an overflow of the stack on", function()
    -- Both took the error of a full stack for an answer, too; a source that
    -- was made there had "?" in its name for good.
    local function overflow() error("C stack overflow", 0) end
    local full = setmetatable({}, { __index = overflow, __tostring = overflow })
    assert.has_error(function() gbi.source.is_source(full) end,
      "C stack overflow")
    assert.has_error(function() gbi.source.name(full) end, "C stack overflow")
  end)

  it("a prologue stores and stashes in one call", function()
    -- It stored all objects in one call and stashed each in another, which
    -- could fail when the store was done.
    local r = gbi.new()
    for _ = 1, 2 do
      r:register_created({}, function(_, cg)
        cg:load_import("table", "pack")
        cg:call_function(0)
      end)
    end
    local _, text = gbi.compile_prologue(r)
    local _, calls = text:gsub("registry:", "")
    assert.equal(1, calls)
  end)

  it("a list to be stashed is checked before anything is stored", function()
    -- The stash was filled call by call, so one that could not be held came
    -- after others were.
    local r, a = gbi.new(), {}
    r:store(a)
    assert.has_error(function() r:store_list({ {}, {} }, 2, { {}, 5 }) end)
    assert.equal(a, r:get(1))
    assert.equal(1, (r:count()))
  end)

  it("a run that has done its work ends without memory", function()
    -- The end of a run made room for its name in a list of idle ones.
    faults "registered: call a graph"
  end)
end)

-- Defects that were found by failing every allocation (spec/faults.lua), each
-- with its cause first.

local gbi = require "gbi"

local OUT_OF_MEMORY = "not enough memory"

-- What raises Lua's memory error when anything is asked of it.
local function exhausted()
  local function fail() error(OUT_OF_MEMORY, 0) end
  return setmetatable({}, { __index = fail, __tostring = fail })
end

describe("regression:", function()
  -- is_source called `reconstruct` under a pcall and took its memory error for
  -- an answer: no source.
  it("a memory error in a source's check is not swallowed", function()
    assert.has_error(function() gbi.source.is_source(exhausted()) end,
      OUT_OF_MEMORY)
  end)

  -- name did the same with __tostring and called the source "?".
  it("a memory error in a source's name is not swallowed", function()
    assert.has_error(function() gbi.source.name(exhausted()) end,
      OUT_OF_MEMORY)
  end)

  -- The prologue stored all objects in one call and stashed each in another,
  -- which could fail when the store was done.
  it("a prologue stores and stashes in one call", function()
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

  -- The stash list was filled call by call, so one that could not be held came
  -- after others were.
  it("a list to be stashed is checked before anything is stored", function()
    local r, a = gbi.new(), {}
    r:store(a)
    assert.has_error(function() r:store_list({ {}, {} }, 2, { {}, 5 }) end)
    assert.equal(a, r:get(1))
    assert.equal(1, (r:count()))
  end)
end)

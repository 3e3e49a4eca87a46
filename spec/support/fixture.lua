-- Settings that last as long as a test. They are undone when the test ends, the
-- latest first.

local busted = require "busted"

local fixture = {}

local undo = {}

busted.subscribe({ "test", "end" }, function()
  while #undo > 0 do table.remove(undo)() end
  return nil, true
end)

-- Calls f when the test ends. (busted's `finally` takes one function per test.)
function fixture.later(f)
  undo[#undo + 1] = f
end

-- Sets a global variable.
function fixture.global(name, object)
  rawset(_G, name, object)
  fixture.later(function() rawset(_G, name, nil) end)
end

-- Replaces what `require` returns.
function fixture.module(name, object)
  package.loaded[name] = object
  fixture.later(function() package.loaded[name] = nil end)
end

-- A path for a file, which the test may or may not create.
function fixture.path()
  local path = os.tmpname()
  fixture.later(function() os.remove(path) end)
  return path
end

return fixture

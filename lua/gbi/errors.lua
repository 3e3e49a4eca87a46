-- Errors: argument errors in the words of Lua's own libraries, and the errors
-- that must not be handled.
--
-- A `level` says which function's line an error names, like the second argument
-- of `error` called in the same place: 1 is the function itself, 2 its caller.
-- No function passes a level on in a tail call, because a tail call leaves no
-- trace on the stack.
local core = require "gbi.core"

local errors = {}

-- Raises an argument error: bad argument #1 to 'output' (message).
function errors.argument(level, fname, arg, message)
  error(("bad argument #%d to '%s' (%s)"):format(arg, fname, message),
    level + 1)
end

-- Raises the argument error for a value of the wrong type.
function errors.expected(level, fname, arg, what, value)
  errors.argument(level + 1, fname, arg, ("%s expected, got %s"):format(what,
    core.typename(value)))
end

-- Raises the argument error for a method called on a value of the wrong type.
function errors.self(level, fname, what, value)
  errors.argument(level + 1, fname, 1, ("%s expected, got %s"):format(what,
    value == nil and "no value" or core.typename(value)))
end

-- Raises an argument error if `value` is not a registry.
function errors.check_registry(level, fname, arg, value)
  if getmetatable(value) ~= getmetatable(core.default) then
    errors.expected(level + 1, fname, arg, "gbi.registry", value)
  end
end

-- Does an error say only that memory or the stack was exhausted?
function errors.exhausted(err)
  if type(err) ~= "string" then return false end
  local message = err:match("^.*:%d+: (.*)$") or err
  -- 5.3 also says "not enough memory for buffer allocation"
  return message:find("^not enough memory") ~= nil
    or message == "stack overflow"
    or message == "C stack overflow" or message == "error in error handling"
    or message:find("^stack overflow %([%a ]+%)$") ~= nil
end

-- Like pcall, but re-raises out-of-memory and stack overflow.
function errors.attempt(f, ...)
  local ok, result = pcall(f, ...)
  if not ok and errors.exhausted(result) then error(result, 0) end
  return ok, result
end

-- Returns the text that `error` puts before a message: "main.lua:12: ", or "".
function errors.position(level)
  local _, where = errors.attempt(error, "", level + 3)
  return where
end

return errors

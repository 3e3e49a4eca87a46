--- Traces: which part of a generated function failed.
--
-- A function whose code can fail has a variable `run`, of its activation alone,
-- and puts the number of each part in it before that begins; so recursion and
-- coroutines suspended in the middle of the same function do not mix them up.
-- When an error goes through it, closing `run` puts the part's name before the
-- message, once: not at every level of a recursion. An error that is no string,
-- and Lua's own memory error, pass unchanged. The run of a call that is over
-- serves the next one; giving it back cannot fail, so that a call which has
-- done its work does not.
--
-- Where Lua has no variables that are closed, `runs.call` calls the function
-- with its run as first argument, in `pcall`. In Lua 5.1 a coroutine cannot
-- yield there: in one, a function that may yield is called as it is.
local compat = require "gbi.compat"

local nobody = setmetatable({}, { __newindex = function() end })

-- Ends a frame of the registry and passes the results on.
local function leave(frame, ...)
  getmetatable(frame).__close(frame)
  return ...
end

--- The runs of one generated function.
-- @tparam {[integer]=string} names of its parts
-- @tparam boolean may_yield is it worth its errors' names that it can yield?
-- @treturn table at 1 an idle run, to be used, or false; `new()` makes one. A
-- run is a list with the number of the present part: elements of a list are the
-- fastest to write
local function trace(names, may_yield)
  local runs = { false, leave = leave }
  local metatable = {
    __close = function(run, err)
      runs[1] = run
      if err == nil then return end -- as nearly always
      local name = names[run[1]]
      if name and type(err) == "string" and err ~= "not enough memory"
         and not err:find(name .. ": ", 1, true) then
        error(name .. ": " .. err, 0)
      end
    end,
  }
  function runs.new()
    return setmetatable({ 0 }, metatable)
  end
  local function over(run, ok, ...)
    local frame = run.frame
    if frame then
      run.frame = nil
      leave(frame)
    end
    if ok then
      runs[1] = run
      return ...
    end
    metatable.__close(run, (...))
    error((...), 0)
  end
  function runs.call(f, ...)
    if may_yield and not compat.yields and coroutine.running() then
      return f(nobody, ...)
    end
    local run = runs[1] or runs.new()
    runs[1] = false
    return over(run, pcall(f, run, ...))
  end
  return runs
end

return trace

--- Traces: which part of a generated function failed.
--
-- A function whose code can fail has a variable `run`, of its activation alone,
-- and tells it the number of each part before it begins; so recursion and
-- coroutines suspended in the middle of the same function do not mix them up.
-- When an error goes through it, closing `run` puts the part's name before the
-- message; the runs around it let the message pass as it is. So do all, if it
-- is no string, or Lua's own memory error. The run of a call that is over
-- serves the next one.

local named -- the last message that was given a name

--- The runs of one generated function.
-- @tparam {[integer]=string} names of its parts
-- @treturn table `idle`, a run to be used or nil; `new()` makes one
local function trace(names)
  local runs = {}
  local metatable = {
    __close = function(run, err)
      runs.idle = run
      local name = names[run.at]
      if err ~= nil and name and type(err) == "string" and err ~= named
         and err ~= "not enough memory" then
        named = ("%s: %s"):format(name, err)
        error(named, 0)
      end
    end,
  }
  function runs.new()
    return setmetatable({ at = 0 }, metatable)
  end
  return runs
end

return trace

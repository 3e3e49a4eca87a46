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

--- The runs of one generated function.
-- @tparam {[integer]=string} names of its parts
-- @treturn table at 1 an idle run, to be used, or false; `new()` makes one. A
-- run is a list with the number of the present part: elements of a list are the
-- fastest to write
local function trace(names)
  local runs = { false }
  local metatable = {
    __close = function(run, err)
      runs[1] = run
      if err == nil then return end -- as nearly always
      local name = names[run[1]]
      if name and type(err) == "string" and err ~= "not enough memory"
         and not err:find(name .. ": ", 1, true) then
        error(("%s: %s"):format(name, err), 0)
      end
    end,
  }
  function runs.new()
    return setmetatable({ 0 }, metatable)
  end
  return runs
end

return trace

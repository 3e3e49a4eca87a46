-- `luarocks test` runs this file in the Lua that it was told to use. It builds,
-- and runs the specs; the arguments are passed to busted.

local lua = arg[-1]:match("[^/]+$")

local command = ("make test LUA=%s ARGS='%s'"):format(lua,
  table.concat(arg, " "))
print(command)

local ok = os.execute(command) -- true, or 0 before 5.2
os.exit((ok == true or ok == 0) and 0 or 1)

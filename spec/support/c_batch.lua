-- Many graphs compiled by one call of cc, with the examples' backend.

local c_backend = math.type and require "examples.c_backend"

-- Returns backend(types), the option for `compile` of a graph whose inputs will
-- have these types, and build(flags), which must be called before the first
-- run.
return function()
  local texts, names, constants, functions = {}, {}, {}, nil
  local function backend(types)
    return function(g, _, env)
      local i = #names + 1
      names[i] = "graph" .. i
      g = g:copy()
      g:eliminate_dead_code()
      texts[i], constants[i] = c_backend.generate(g, names[i], types, env)
      return function(run, ...) return functions[i](constants[i], run, ...) end
    end
  end
  local function build(flags)
    functions = c_backend.build(table.concat(texts, "\n"), names, flags)
  end
  return backend, build
end

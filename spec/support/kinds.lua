-- Compiled functions of every kind: the ways in which a graph's calls get an
-- external object.

local busted = require "busted"

local gbi = require "gbi"

local kinds = {
  DIRECTLY = "used directly",
  HANDED_ON = "handed on",
  IN_RUN = "in a backend's run",
  BY_RUN = "handed on by a backend",
}

kinds.all = { kinds.DIRECTLY, kinds.HANDED_ON, kinds.IN_RUN, kinds.BY_RUN }

-- Those that give out handles.
kinds.handles = { kinds.HANDED_ON, kinds.BY_RUN }

kinds.backends = {
  [kinds.IN_RUN] = function()
    return function(run, _, act) return act(run), act(run), act(run) end
  end,
  [kinds.BY_RUN] = function()
    return function(run, _, act)
      return act(run:handle(1)), act(run:handle(1)), act(run:handle(1))
    end
  end,
}

local function see_object(object) return object end

local function see_handle(handle) return gbi.handles:get(handle) end

local function see_run(run) return run[1] end

-- A compiled function f(o, act), whose external object is `o`. It calls act(it)
-- three times; see(it) is the object as this run sees it. Also returns the
-- graph and the function's source.
function kinds.compiled(kind)
  local g = gbi.graph.new()
  g:placeholder "o"
  local act = g:placeholder "act"
  local o = g:external({}, gbi.source.LocalSource "o")
  local it = kind == kinds.HANDED_ON and o:handle() or o
  g:output(act(it), act(it), act(it))
  local f, text = g:compile { backend = kinds.backends[kind] }
  return f, kind == kinds.DIRECTLY and see_object
    or kind == kinds.IN_RUN and see_run or see_handle, g, text
end

-- A spec for each of some kinds: test(f, see, graph, source), as from
-- `compiled`.
function kinds.each(what, test, some)
  for _, kind in ipairs(some or kinds.all) do
    busted.it(("%s: objects %s"):format(what, kind), function()
      test(kinds.compiled(kind))
    end)
  end
end

return kinds

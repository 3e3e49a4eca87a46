-- tickets.lua: requests that know one another by number.
local gbi = require "gbi"
local handles, source = gbi.handles, gbi.source
local Attr, Global = source.AttrSource, source.GlobalSource

local tickets = {}
local most = 0 -- handles at a time

-- Called in the middle of a run with a number for its request. Another thread
-- of nginx's scheduler finds the request by it, while the run sleeps.
function tickets.lend(ticket)
  most = math.max(most, handles:count())
  ngx.thread.spawn(function()
    ngx.sleep(0.01)
    local ctx = handles:get(ticket)
    ctx.seen = ctx.id
  end)
end

-- Compiled once, run by all requests at the same time. Its external object is
-- the request's own `ngx.ctx`.
local function compile()
  local g = gbi.graph.new()
  local seconds = g:placeholder("seconds")
  local ctx = g:external(ngx.ctx, Attr(Global("ngx"), "ctx"))
  local ticket = ctx:handle()
  g:call_function(source.ImportSource("tickets", "lend"), ticket)
  g:call_function(Attr(Global("ngx"), "sleep"), seconds)
  g:output(g:get_attr(ctx, "id"), ticket)
  return (g:compile())
end

local run

-- /work?id=ID&seconds=NUMBER
function tickets.work()
  run = run or compile()
  local ctx = ngx.ctx
  ctx.id = ngx.var.arg_id
  local id, ticket = run(tonumber(ngx.var.arg_seconds) or 0.1)
  local _, now = handles:find(ticket)
  ngx.say(("request %s: is %s, was seen as %s, ticket %d is %s"):format(
    ngx.var.arg_id, id, ctx.seen, ticket, now))
end

-- /look?ticket=NUMBER, from a request of its own
function tickets.look()
  local ctx, why = handles:find(tonumber(ngx.var.arg_ticket))
  ngx.say(ctx and ctx.id or why)
end

-- /count
function tickets.count()
  collectgarbage()
  ngx.say(("%d tickets at a time, now %d"):format(most,
    handles:count()))
end

return tickets

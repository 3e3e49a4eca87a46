-- An argument is best, until something between can only carry a number.
--
-- Text goes through a pipe, a queue or another process; an object does not.
local gbi = require "gbi"

local log = { lines = 0 }
function log:add() self.lines = self.lines + 1 end

-- The usual way. Where it can be done, nothing is simpler or faster.
local function work(object) object:add() end
work(log)
print("usual", log.lines) --> usual	1

-- What comes out of a message is text, and no way leads from it to the object.
local message = ("job %s"):format(tostring(log))
print("usual", type(message:match "^job (.*)")) --> usual	string

-- With gbi: the message holds a handle.
message = ("job %d"):format(gbi.handles:weak(log))
work(gbi.handles:get(tonumber(message:match "%d+")))
print("gbi", log.lines) --> gbi	2

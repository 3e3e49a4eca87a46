-- LÖVE, as docs/hosts.md says, on an invisible screen.

local hosts = require "spec.support.hosts"
local fixture = require "spec.support.fixture"
local portable = require "spec.support.portable"

-- Starts an X server, which picks its own number, until the test ends. Returns
-- the number.
local function screen()
  local path = fixture.path()
  local out = portable.run(([[
    Xvfb -displayfd 3 -screen 0 640x480x24 -nolisten tcp 3>%s >/dev/null 2>&1 &
    echo $!
    for i in $(seq 100); do
      [ ! -s %s ] || break
      sleep 0.1
    done
  ]]):format(path, path))
  local pid = out:match("%d+")
  fixture.later(function() portable.run("kill " .. pid) end)
  return assert(portable.read(path):match("%d+"), out)
end

describe("LÖVE", function()
  local why = hosts.missing("love", "Xvfb", "zip")

  it("has objects with handles across frames, and graphs", function()
    if why then pending(why) end
    local display = screen()
    hosts.follow("LÖVE", hosts.home("love"), function(text)
      return ("export DISPLAY=:%s\n%s"):format(display, text)
    end)
  end)
end)

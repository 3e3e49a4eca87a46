-- luv and threads, as docs/hosts.md says.

local hosts = require "spec.support.hosts"
local portable = require "spec.support.portable"

describe("luv", function()
  local why = hosts.missing("lua5.4")
  if not why and not portable.execute("lua5.4 -l luv -e '' 2>/dev/null") then
    why = "luv is not installed: make test-hosts installs it"
  end

  it("posts results of threads by handle", function()
    if why then pending(why) end
    hosts.follow("luv and threads", hosts.home("luv"))
  end)
end)

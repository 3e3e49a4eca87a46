-- Neovim, as docs/hosts.md says.

local hosts = require "spec.support.hosts"

describe("Neovim", function()
  local why = hosts.missing("nvim")

  it("finds views by handle in callbacks of timers and pipes", function()
    if why then pending(why) end
    hosts.follow("Neovim", hosts.home("neovim"))
  end)
end)

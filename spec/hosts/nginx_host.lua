-- nginx with its Lua module, as docs/hosts.md says, on a free port.

local fixture = require "spec.support.fixture"
local hosts = require "spec.support.hosts"
local portable = require "spec.support.portable"

-- The nginx that tools/nginx unpacked, or else the installed one.
local UNPACKED = hosts.here .. "/build/hosts/nginx"
local NGINX, MODULES = "/usr/sbin/nginx", "/usr/lib/nginx/modules"

local function free_port()
  local ok, uv = pcall(require, "luv")
  if not ok then return 8080 end
  local socket = uv.new_tcp()
  assert(socket:bind("127.0.0.1", 0))
  local port = assert(socket:getsockname()).port
  socket:close()
  uv.run()
  return port
end

describe("nginx", function()
  local unpacked = portable.read(UNPACKED .. "/nginx")
  local why = hosts.missing("curl", unpacked and UNPACKED .. "/nginx" or NGINX)
  local modules = unpacked and UNPACKED .. MODULES or MODULES
  if not why and not portable.read(modules .. "/ngx_http_lua_module.so") then
    why = "nginx has no Lua module: make test-hosts unpacks one that has"
  end

  it("runs a graph for many requests at a time, each with its objects",
    function()
      if why then pending(why) end
      local home, port = hosts.home("nginx"), free_port()
      fixture.later(function()
        local pid = portable.read(home .. "/site/logs/nginx.pid")
        if pid then portable.run("kill " .. pid) end
      end)
      hosts.follow("OpenResty", home, function(text)
        text = text:gsub("8080", port)
        if text:find("nginx.conf ", 1, true) then
          text = ("%s\nsed -i s/8080/%d/ ~/site/nginx.conf"):format(text, port)
        end
        if unpacked then
          for _, path in ipairs { NGINX, MODULES } do
            local new = hosts.quote(path == NGINX and UNPACKED .. "/nginx"
              or modules)
            text = text:gsub(path, function() return new end)
          end
        end
        return text
      end)

      local seen = {}
      for line in io.lines(home .. "/site/answers") do
        local id = line:match("^request (%d+): is (%d+), was seen as %2, "
          .. "ticket %d+ is dead$")
        assert.is_truthy(id and not seen[id], line)
        seen[id] = true
      end
      for id = 1, 1000 do assert.is_true(seen[tostring(id)], id) end
      assert.equal("", portable.read(home .. "/site/logs/error.log"))
    end)
end)

-- Follows docs/hosts.md: runs its commands like a user with a fresh checkout,
-- and compares their output with the page.

local assert = require "luassert"
local portable = require "spec.support.portable"
local printed = require "spec.support.printed"

local hosts = {}

local PAGE = "docs/hosts.md"
hosts.here = portable.run("pwd"):match("[^\n]+")

-- Hides this checkout from scripts, and makes HOME a folder for the host.
local PLAIN = [[
  unset LUA LUA_PATH LUA_CPATH LUA_CFLAGS LUA_LIBS BUILD MAKEFLAGS MAKELEVEL
  unset XDG_DATA_HOME XDG_CONFIG_HOME XDG_STATE_HOME XDG_CACHE_HOME
  export HOME=%s
]]

-- Quotes a word for the shell.
function hosts.quote(text)
  return "'" .. text:gsub("'", [['\'']]) .. "'"
end

local quote = hosts.quote

-- The blocks of a section of the page, in order: { language, text }.
local function blocks(title)
  local page = portable.read(PAGE)
  local _, from = page:find("\n## " .. title, 1, true)
  assert.is_truthy(from, title)
  local section = page:sub(from, page:find("\n## ", from, true))
  local list = {}
  for language, text in section:gmatch("\n```(%l+)\n(.-)```") do
    list[#list + 1] = { language = language, text = text }
  end
  return list
end

-- The scripts on the page: path -> text.
function hosts.shown()
  local files = {}
  for path, text in portable.read(PAGE):gmatch(
      "\n`(spec/hosts/[^`]+)`:\n\n```%l+\n(.-)```") do
    files[path] = text
  end
  return files
end

-- The reason why a host cannot run here: the first of these commands that is
-- missing; or nil.
function hosts.missing(...)
  for _, command in ipairs { ... } do
    if not portable.execute(("command -v %s >/dev/null"):format(
        quote(command))) then
      return command .. " is not installed: make test-hosts installs it"
    end
  end
end

-- A new, empty folder for a host.
function hosts.home(name)
  local path = ("%s/build/hosts/%s-home"):format(hosts.here, name)
  assert(portable.execute(("rm -rf %s && mkdir -p %s"):format(quote(path),
    quote(path))))
  return path
end

-- Runs a shell script in the checkout; it must succeed within a minute. Returns
-- its output.
function hosts.run(home, script)
  local out, ok = portable.run(PLAIN:format(quote(home))
    .. "timeout 60 sh -euc " .. quote(script))
  assert.is_true(ok, script .. out)
  return out
end

-- Runs the commands of a section, and compares their output with the page.
-- `translate` may change a block of commands first.
function hosts.follow(title, home, translate)
  local out
  for _, block in ipairs(blocks(title)) do
    local text = block.text
    if block.language == "text" then
      printed.matches(text, out)
      out = nil
    elseif block.language == "sh" and not text:find("sudo", 1, true) then
      out = hosts.run(home, translate and translate(text) or text)
    end
  end
end

return hosts

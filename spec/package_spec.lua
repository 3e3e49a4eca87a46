-- Everything that is installed and packed is complete and consistent, and works
-- from an empty folder.

local compat = require "gbi.compat"
local portable = require "spec.support.portable"
local printed = require "spec.support.printed"
local LUA, read, write = portable.lua, portable.read, portable.write
local VERSION = _VERSION:match("%d+%.%d+")

local HERE = portable.run("pwd"):match("[^\n]+")

-- Without the folders of this checkout, such as those that `make asan` adds.
local PATH = {}
for folder in os.getenv("PATH"):gmatch("[^:]+") do
  if folder:sub(1, #HERE) ~= HERE then PATH[#PATH + 1] = folder end
end
PATH = table.concat(PATH, ":")

-- Runs a command without any part of this checkout in the environment. Returns
-- its output, and whether it succeeded.
local function sh(command, ...)
  return portable.run(("unset YES LUA LUA_PATH LUA_CPATH LUA_CFLAGS LUA_LIBS "
    .. "BUILD MAKEFLAGS MAKELEVEL; PATH='%s'; "):format(PATH)
    .. command:format(...))
end

local function must(...)
  local out, ok = sh(...)
  assert.is_true(ok, out)
  return out
end

local EXAMPLE = printed.blocks("README.md", "lua")[2] -- its graph

-- A new folder that contains only README's example.
local function folder()
  local path = portable.folder()
  write(path .. "/example.lua", EXAMPLE)
  return path
end

-- Runs README's example in the folder, after the shell commands `setup`.
local function example(path, setup)
  printed.matches(printed.promised(EXAMPLE),
    must("cd %s && %s && %s example.lua", path, setup, LUA))
end

local function rockspec(version)
  local path = ("rockspec/gbi-%s.rockspec"):format(version)
  local spec = {}
  assert(compat.load(read(path), "@" .. path, spec))()
  return spec, path
end

local HEADER = read("csrc/gbi.h"):match('#define GBI_VERSION "(.-)"')

describe("the version", function()
  it("is the same in header, module, changelog and rockspec", function()
    assert.equal("gbi " .. HEADER, require "gbi"._VERSION)
    assert.equal("gbi " .. HEADER,
      read("lua/gbi/init.lua"):match('\nlocal VERSION = "(.-)"'))
    assert.equal(HEADER, read("CHANGELOG.md"):match("\n## (%d%S*)"))
    local spec = rockspec(HEADER .. "-1")
    assert.equal(HEADER .. "-1", spec.version)
    assert.truthy(spec.source.url:find("/gbi-" .. HEADER .. ".tar.gz", 1, true))
  end)
end)

describe("the rockspec", function()
  it("is of format 3.0, builtin, needs Lua only and is tested by busted",
    function()
      local spec = rockspec("scm-1")
      assert.equal("3.0", spec.rockspec_format)
      assert.equal("builtin", spec.build.type)
      assert.same({ "lua >= 5.1" }, spec.dependencies)
      assert.same({ type = "command", script = "rockspec/test.lua" },
        spec.test)
    end)

  it("lists every Lua module and C file", function()
    local modules = rockspec("scm-1").build.modules
    local listed = {}
    for name, where in pairs(modules) do
      if type(where) == "string" then
        listed[where] = true
        local path = name == "gbi" and "gbi/init" or name:gsub("%.", "/")
        assert.equal(("lua/%s.lua"):format(path), where)
      else
        for _, path in ipairs(where.sources) do listed[path] = true end
      end
    end
    for _, path in ipairs(portable.files "csrc/*.c lua/gbi/*.lua") do
      assert.is_true(listed[path], path)
      listed[path] = nil
    end
    assert.same({}, listed)
  end)
end)

describe("the release rockspec", function()
  it("differs from the scm one only in version and source", function()
    local release, scm = rockspec(HEADER .. "-1"), rockspec("scm-1")
    release.version, release.source = scm.version, scm.source
    assert.same(scm, release)
  end)

  it("has one placeholder, which the page on releases names",
    function()
      for _, version in ipairs { HEADER .. "-1", "scm-1" } do
        local _, path = rockspec(version)
        local _, n = read(path):gsub("github%.com/OWNER/gbi", "")
        assert.equal(1, n, path)
      end
      assert.truthy(read("docs/releasing.md"):find("github.com/OWNER/gbi", 1,
        true))
    end)

  it("passes luarocks lint", function()
    local _, path = rockspec(HEADER .. "-1")
    must("luarocks --lua-version %s lint %s", VERSION, path)
  end)
end)

-- (With this checkout's folders in PATH, because `make asan` needs its own Lua
-- for what it has built.)
describe("an uninstalled checkout", function()
  it("works from any folder", function()
    local empty = folder()
    example(empty, ([[PATH='%s'; eval "$(make -s -C %s env LUA=%s BUILD=%s)"]])
      :format(os.getenv "PATH", HERE, LUA, portable.build))
    must("rm -r %s", empty)
  end)

  it("precedes the paths of the environment, and keeps them", function()
    local empty = folder()
    must("echo 'return 5' >%s/other.lua", empty)
    assert.equal("5\n", must("PATH='%s'; export LUA_PATH='%s/?.lua' && "
      .. 'eval "$(make -s env LUA=%s BUILD=%s)" && '
      .. [[%s -e 'require "gbi" print((require "other"))']],
      os.getenv "PATH", empty, LUA, portable.build, LUA))
    must("rm -r %s", empty)
  end)

  it("may be in a folder with any name", function()
    -- make env printed the path in double quotes, where the shell expands $
    local empty = folder()
    local odd = empty .. [[/a$HOME 'b' "c"]]
    local quoted = "'" .. odd:gsub("'", [['\'']]) .. "'"
    must("mkdir -p %s && cp -r Makefile csrc spec examples %s/", quoted,
      quoted)
    assert.equal(odd .. "/lua/?.lua", must('eval "$(make -s -C %s env)" && '
      .. 'printf %%s "${LUA_PATH%%%%;*}"', quoted):match("^[^;]*"))
    must("rm -r %s", empty)
  end)
end)

-- The second copy took over the metatables of the first, and recognized
-- constructors by the address of a function of its own: kinds and objects were
-- wrong.
describe("a second copy in one Lua state", function()
  local empty

  setup(function()
    empty = folder()
    must("mkdir -p %s/same/gbi %s/other && cp %s/gbi/core.so %s/same/gbi/",
      empty, empty, portable.build, empty)
    must("cp -r Makefile csrc examples spec %s/other && cd %s/other && "
      .. "sed -i.bak 's/\"%s\"/\"9.8.7\"/' csrc/gbi.h && "
      .. "make -s all LUA=%s BUILD=build CFLAGS=-O0", empty, empty, HEADER, LUA)
  end)

  teardown(function()
    must("rm -r %s", empty)
  end)

  -- The output of a script, with `copies`, the folder, and open(copy), which
  -- opens another copy of the core.
  local function script(text)
    return (portable.script(([[
      local copies = %q
      local function open(copy)
        return assert(package.loadlib(copies .. copy .. "/gbi/core.so",
          "luaopen_gbi_core"))()
      end
      local function message(f, ...)
        local ok, err = pcall(f, ...)
        assert(not ok)
        return (err:gsub("^[^ ]*:%%d+: ", ""))
      end
      %s]]):format(empty, text)))
  end

  it("gives the first one, if the versions are the same", function()
    assert.equal("user\tstored\ttrue\ttrue\n", (script [[
      local gbi = require "gbi"
      local core = require "gbi.core"
      local capi = require "capi"
      local r, o = gbi.new(), {}
      r:register(o, gbi.source.GlobalSource "o")
      assert(open "/same" == core)
      r:store(o, o)
      local kinds = {}
      for i, entry in r:entries() do kinds[i] = entry.kind end
      print(kinds[1], kinds[2], capi.get(r, 1) == o,
        core.default == gbi.default)]]))
  end)

  it("is refused, naming both versions, if they differ", function()
    assert.equal(("gbi 9.8.7 cannot be opened in a Lua state that has gbi %s\n"
      .. "gbi %s cannot be opened in a Lua state that has gbi 0.1.0\n"):format(
        HEADER, HEADER), (script [[
      require "gbi.core"
      print(message(open, "/other/build"))
      package.loaded["gbi.core"] = nil
      debug.getregistry()["gbi.core"] = nil
      print(message(open, "/same"))]]))
  end)

  it("of the Lua files is refused if the core's version differs", function()
    assert.equal("gbi 9.8.7\nthe Lua files of gbi " .. HEADER
      .. " found the gbi.core of gbi 9.8.7 (LUA_PATH and LUA_CPATH lead to two "
      .. "versions)\n", (script [[
      package.cpath = copies .. "/other/build/?.so"
      print(require "gbi.core"._VERSION)
      print(message(require, "gbi"))]]))
  end)

  it("may be loaded any number of times", function()
    -- each load left 0.3 KB
    assert.equal("true\n", (script [[
      local kilobytes = require "spec.support.memory"
      local function reload(n)
        for _ = 1, n do
          for name in pairs(package.loaded) do
            if name:find "^gbi" then package.loaded[name] = nil end
          end
          require "gbi"
        end
        return kilobytes()
      end
      reload(50)
      local before = reload(50)
      print(reload(500) - before < 10)]]))
  end)
end)

describe("make install", function()
  it("installs module, Lua files, header and pkg-config file", function()
    local empty = folder()
    local prefix = empty .. "/usr"
    must("make install LUA=%s PREFIX=/usr DESTDIR=%s", LUA, empty)
    assert.equal("prefix=/usr\n", read(prefix .. "/share/pkgconfig/gbi.pc")
      :match("prefix=[^\n]*\n"))
    must("make install LUA=%s PREFIX=%s", LUA, prefix)
    example(empty, ("export LUA_PATH='%s/share/lua/%s/?.lua;"
      .. "%s/share/lua/%s/?/init.lua' LUA_CPATH='%s/lib/lua/%s/?.so'"):format(
        prefix, VERSION, prefix, VERSION, prefix, VERSION))
    local pc = ("PKG_CONFIG_PATH=%s/share/pkgconfig pkg-config "):format(prefix)
    assert.equal(HEADER .. "\n", must(pc .. "--modversion gbi"))
    must("${CC:-cc} $(%s --cflags gbi) %s -c examples/c/wheel.c -o %s/wheel.o",
      pc, os.getenv("LUA_CFLAGS"), empty)
    must("rm -r %s", empty)
  end)

  it("is undone by `make uninstall`", function()
    local empty = folder()
    local prefix = empty .. "/usr"
    must("make install LUA=%s PREFIX=%s", LUA, prefix)
    write(prefix .. "/include/other.h", "")
    must("make uninstall LUA=%s PREFIX=%s", LUA, prefix)
    assert.equal(prefix .. "/include/other.h\n",
      must("find %s -type f", prefix))
    must("rm -r %s", empty)
  end)

  it("takes any PREFIX", function()
    -- sed took a | in it for the end of the replaced text
    local empty = folder()
    must("make install LUA=%s DESTDIR=%s PREFIX='/a|b & c'", LUA, empty)
    local pc = read(empty .. "/a|b & c/share/pkgconfig/gbi.pc")
    assert.equal("/a|b & c", pc:match("^prefix=([^\n]*)\n"))
    local flags = must("PKG_CONFIG_PATH='%s/a|b & c/share/pkgconfig' "
      .. "pkg-config --define-variable=prefix='%s/a|b & c' --cflags gbi",
      empty, empty)
    must("eval ${CC:-cc} '%s' %s -c examples/c/wheel.c -o %s/wheel.o",
      flags:match("[^\n]*"), os.getenv("LUA_CFLAGS"), empty)
    must("rm -r %s", empty)
  end)
end)

describe("tools/need", function()
  -- Runs it with a Lua missing and `id -u` printing `id`; the programs that
  -- would install the Lua print their arguments.
  local function need(id, setup)
    local bin = portable.folder()
    for name, text in pairs { id = "echo " .. id, sudo = 'echo sudo "$@"',
        ["apt-get"] = 'echo apt-get "$@"' } do
      write(("%s/%s"):format(bin, name), "#!/bin/sh\n", text, "\n")
    end
    local out, ok = sh("chmod +x %s/*; PATH=%s:$PATH; %s tools/need lua:lua9 "
      .. "</dev/null", bin, bin, setup)
    must("rm -r %s", bin)
    return out, ok
  end

  local INSTALL = "apt-get install -y --no-install-recommends lua9\n"

  it("says what is missing, and installs it for root", function()
    local out, ok = need(0, "LUA=lua9")
    assert.is_true(ok)
    assert.equal("gbi needs what is not there: lua9\napt-get update && "
      .. INSTALL .. "apt-get update\n" .. INSTALL, out)
  end)

  it("installs nothing for other users without asking", function()
    local out, ok = need(1000, "LUA=lua9")
    assert.is_false(ok)
    assert.equal("gbi needs what is not there: lua9\n"
      .. "sudo apt-get update && sudo " .. INSTALL
      .. "run that, or this again with YES=1\n", out)
    out, ok = need(1000, "YES=1 LUA=lua9")
    assert.is_true(ok)
    assert.truthy(out:find("\nsudo apt%-get update\nsudo apt%-get install"))
  end)

  it("prints nothing when nothing is missing", function()
    assert.same({ "", true }, { need(1000, "LUA=" .. LUA) })
  end)
end)

describe("make amalgamation", function()
  local empty, dir

  setup(function()
    empty = folder()
    dir = empty .. "/amalgamation"
    must("make amalgamation LUA=%s BUILD=%s", LUA, empty)
  end)

  teardown(function()
    must("rm -r %s", empty)
  end)

  -- With every warning of the Makefile an error.
  local function compile(cc, arguments)
    local warn = read("Makefile"):match("\nWARN = (.-[^\\])\n")
    return must("%s %s -Werror -O2 -I%s %s %s", cc, warn:gsub("\\\n", ""), dir,
      os.getenv("LUA_CFLAGS"), arguments)
  end

  it("writes the same two files each time, with the licence", function()
    assert.equal("gbi.c\ngbi.h\n", must("ls %s", dir))
    assert.equal(read("csrc/gbi.h"), read(dir .. "/gbi.h"))
    local text = read(dir .. "/gbi.c")
    assert.truthy(text:find(HEADER, 1, true))
    for line in read("LICENSE"):gmatch("[^\n]+") do
      assert.truthy(text:find("** " .. line .. "\n", 1, true), line)
    end
    must("make amalgamation LUA=%s BUILD=%s/again", LUA, empty)
    assert.equal(text, read(empty .. "/again/amalgamation/gbi.c"))
  end)

  it("is all that a host needs", function()
    compile("${CC:-cc}", ("-o %s/host examples/c/host.c %s/gbi.c %s"):format(
      empty, dir, os.getenv("LUA_LIBS")))
    assert.equal("2\t2\nfirst, second\n",
      must("cd %s && ./host %s/examples/c/jobs.lua", empty, HERE))
  end)

  it("defines one symbol", function()
    compile("${CC:-cc}", ("-c %s/gbi.c -o %s/gbi.o"):format(dir, empty))
    local symbols = {}
    for name in must("nm -g %s/gbi.o", empty):gmatch("%x+ [^U] _?(%S+)") do
      symbols[#symbols + 1] = name
    end
    assert.same({ "luaopen_gbi_core" }, symbols)
  end)

  local _, clang = sh("command -v clang");
  (clang and it or pending)("has clang, if it is there, find no fault",
    function()
      -- clang warns about unused definitions in a file; gcc overlooks them in
      -- inline functions
      compile("clang", ("-c %s/gbi.c -o %s/gbi.o"):format(dir, empty))
    end)
end)

describe("make dist", function()
  local empty, dist

  -- A tarball has no git; there, the folder itself is packed.
  setup(function()
    empty = folder()
    local _, tracked = sh("git rev-parse --git-dir")
    if tracked then
      must("make dist BUILD=%s/build", empty)
    else
      local out, ok = sh("make dist")
      assert.is_false(ok)
      assert.truthy(out:find("this is not a checkout", 1, true))
      must("mkdir -p %s/build %s/copy/gbi-%s && tar -cf - --exclude='./build*' "
        .. "--exclude='*.o' . | tar -xf - -C %s/copy/gbi-%s", empty, empty,
        HEADER, empty, HEADER)
      must("tar -czf %s/build/gbi-%s.tar.gz -C %s/copy gbi-%s", empty, HEADER,
        empty, HEADER)
    end
    must("cd %s && tar -xzf build/gbi-%s.tar.gz", empty, HEADER)
    dist = ("%s/gbi-%s"):format(empty, HEADER)
  end)

  teardown(function()
    must("rm -r %s", empty)
  end)

  -- A Lua that is not Debian's may have its busted only in LUA_PATH, and no
  -- LuaRocks.
  local function need_busted()
    local _, busted = sh("%s -e 'require [[busted]]'", LUA)
    if not busted then pending "this Lua has no busted" end
  end

  it("makes a tarball that builds and passes its tests", function()
    need_busted()
    local out = must("cd %s && make test LUA=%s CFLAGS=-O0 "
      .. "ARGS='spec/capi_spec.lua spec/source_spec.lua'", dist, LUA)
    assert.truthy(out:find(" 0 failures / 0 errors", 1, true), out)
  end)

  -- LuaRocks does not know Debian's busted as a rock.
  local CONFIG = 'rocks_provided = { busted = "2.0.0-1" }\n'

  local function need_luarocks()
    local _, rocks = sh("luarocks --lua-version %s config variables.LUA_INCDIR",
      VERSION)
    if not rocks then pending "LuaRocks does not know this Lua" end
  end

  it("makes a tarball that works with `luarocks make` and `luarocks test`",
    function()
      need_luarocks()
      local rocks = ("luarocks --lua-version %s --tree %s/tree"):format(VERSION,
        empty)
      must("cd %s && %s make", dist, rocks)
      example(empty, ('eval "$(%s path)"'):format(rocks))
      local rock = must("%s show --rock-dir gbi", rocks):match("[^\n]+")
      assert.truthy(read(rock .. "/conf/gbi.h"))
      need_busted()
      write(empty .. "/config.lua", CONFIG)
      local out = must("cd %s && LUAROCKS_CONFIG=%s/config.lua "
        .. "%s test -- spec/source_spec.lua", dist, empty, rocks)
      assert.truthy(out:find(" 0 failures / 0 errors", 1, true), out)
    end)

  it("makes a tarball that the release rockspec builds", function()
    need_luarocks()
    local _, path = rockspec(HEADER .. "-1")
    local text = read(path):gsub("url = .-,\n",
      ('url = "file://%s/build/gbi-%s.tar.gz",\n'):format(empty, HEADER), 1)
    local file = ("%s/gbi-%s-1.rockspec"):format(empty, HEADER)
    write(file, text)
    local rocks = ("luarocks --lua-version %s --tree %s/released"):format(
      VERSION, empty)
    must("cd %s && %s build %s", empty, rocks, file)
    example(empty, ('eval "$(%s path)"'):format(rocks))
  end)
end)

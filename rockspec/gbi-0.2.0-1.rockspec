-- to be set when the project has one: docs/releasing.md
local address = "github.com/OWNER/gbi"

rockspec_format = "3.0"
package = "gbi"
version = "0.2.0-1"
source = {
  url = "https://" .. address
    .. "/releases/download/v0.2.0/gbi-0.2.0.tar.gz",
}
description = {
  summary = "Compiled code refers to live Lua objects by number",
  detailed = [[
    Numbers for live Lua objects. Indices are for compiled code: a weak side
    table, and the generated prologue that refills it before every run. Handles
    are for queues and C libraries, and are never given out twice. The design of
    PyTorch's graph_bytecode_inputs, for Lua.
  ]],
  homepage = "https://" .. address,
  issues_url = "https://" .. address .. "/issues",
  license = "MIT",
  labels = { "compiler", "weak", "handles" },
}
dependencies = { "lua >= 5.1" }
test_dependencies = { "busted" }
-- builds first, which `type = "busted"` does not
test = { type = "command", script = "rockspec/test.lua" }
build = {
  type = "builtin",
  install = { conf = { "csrc/gbi.h" } }, -- for C modules
  copy_directories = { "docs", "library" },
  modules = {
    ["gbi"] = "lua/gbi/init.lua",
    ["gbi.chain"] = "lua/gbi/chain.lua",
    ["gbi.change"] = "lua/gbi/change.lua",
    ["gbi.codegen"] = "lua/gbi/codegen.lua",
    ["gbi.compat"] = "lua/gbi/compat.lua",
    ["gbi.compile"] = "lua/gbi/compile.lua",
    ["gbi.control"] = "lua/gbi/control.lua",
    ["gbi.errors"] = "lua/gbi/errors.lua",
    ["gbi.graph"] = "lua/gbi/graph.lua",
    ["gbi.inspect"] = "lua/gbi/inspect.lua",
    ["gbi.interpreter"] = "lua/gbi/interpreter.lua",
    ["gbi.lint"] = "lua/gbi/lint.lua",
    ["gbi.literal"] = "lua/gbi/literal.lua",
    ["gbi.lookup"] = "lua/gbi/lookup.lua",
    ["gbi.node"] = "lua/gbi/node.lua",
    ["gbi.prologue"] = "lua/gbi/prologue.lua",
    ["gbi.saved"] = "lua/gbi/saved.lua",
    ["gbi.source"] = "lua/gbi/source.lua",
    ["gbi.tabular"] = "lua/gbi/tabular.lua",
    ["gbi.trace"] = "lua/gbi/trace.lua",
    ["gbi.traceback"] = "lua/gbi/traceback.lua",
    ["gbi.view"] = "lua/gbi/view.lua",
    ["gbi.core"] = {
      sources = {
        "csrc/api.c",
        "csrc/core.c",
        "csrc/guard.c",
        "csrc/handles.c",
        "csrc/handles_lua.c",
        "csrc/holder.c",
        "csrc/registry.c",
        "csrc/registry_lua.c",
        "csrc/run.c",
        "csrc/snapshot.c",
        "csrc/state.c",
        "csrc/unimplemented.c",
      },
    },
  },
}

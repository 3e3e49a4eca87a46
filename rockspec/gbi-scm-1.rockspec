rockspec_format = "3.0"
package = "gbi"
version = "scm-1"
source = {
  url = "git+https://github.com/gbi/gbi.git",
}
description = {
  summary = "Compiled code refers to live Lua objects by number",
  detailed = [[
    A weak side table from small integers to live objects, the generated
    prologue that refills it before every run, and a clear error when an
    object is gone. The design of PyTorch's graph_bytecode_inputs, for Lua.
  ]],
  license = "MIT",
  labels = { "compiler", "weak", "handles" },
}
dependencies = { "lua >= 5.4" }
test_dependencies = { "busted" }
test = { type = "busted" }
build = {
  type = "builtin",
  modules = {
    ["gbi"] = "lua/gbi/init.lua",
    ["gbi.codegen"] = "lua/gbi/codegen.lua",
    ["gbi.literal"] = "lua/gbi/literal.lua",
    ["gbi.prologue"] = "lua/gbi/prologue.lua",
    ["gbi.source"] = "lua/gbi/source.lua",
    ["gbi.core"] = {
      sources = {
        "csrc/core.c",
        "csrc/registry.c",
        "csrc/unimplemented.c",
      },
    },
  },
}

std = "max"
max_line_length = 80
include_files = { "lua/**/*.lua", "spec/**/*.lua", "examples/**/*.lua",
                  "bench/**/*.lua", "rockspec/*", "tools/*.lua" }
files["spec"] = { std = "+busted" }
files["spec/hosts/love"] = { globals = { "love" } }
files["spec/hosts/neovim"] = { globals = { "vim" } }
files["spec/hosts/nginx"] = { std = "+ngx_lua" }
files["rockspec"] = { std = "+rockspec" }
files["examples/c/jobs.lua"] = { globals = { "host" } }

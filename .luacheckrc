std = "lua54"
max_line_length = 80
include_files = { "lua", "spec", "examples", "bench", "*.rockspec", "rockspec" }
files["spec"] = { std = "+busted" }
files["rockspec"] = { std = "+rockspec" }

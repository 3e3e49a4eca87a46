-- A script for host.c: submits jobs, some of which outlive their objects.
local log = {}

local function job(name)
  return function() log[#log + 1] = name end
end

local kept = { job("first"), job("second") }
assert(host.submit(kept[1]))
assert(host.submit(job("nobody holds this one")))
assert(host.submit(kept[2]))
assert(host.submit(function() log[#log + 1] = "nor this" end))
collectgarbage()

print(host.run())
print(table.concat(log, ", "))

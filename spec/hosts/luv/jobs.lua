-- jobs.lua: jobs for threads. A thread has a Lua state of its own, so a job
-- itself cannot go there; its handle can.
local gbi = require "gbi"
local uv = require "luv"

local finished, late = 0, 0

-- Takes a thread's result. If the job is gone, nobody wants the result.
local function finish(handle, result)
  local job = gbi.handles:find(handle)
  if not job then
    late = late + 1
    return
  end
  job.result = result
  finished = finished + 1
end

-- The n-th job is to add up the numbers to n. The list owns the jobs.
local function new_jobs(n)
  local jobs, handles = {}, {}
  for i = 1, n do
    jobs[i] = { n = i }
    handles[i] = gbi.handles:weak(jobs[i])
  end
  return jobs, handles
end

-- Gives up every second job, then waits for the threads; at last gives up all.
local function wait(jobs)
  for i = 2, #jobs, 2 do jobs[i] = false end
  collectgarbage()
  uv.run()
  for i, job in ipairs(jobs) do
    assert(not job or job.result == job.n * (job.n + 1) / 2)
    jobs[i] = false
  end
end

-- libuv keeps threads for such work. This function runs in one of them, without
-- upvalues.
local pool = uv.new_work(function(handle, n)
  local sum = 0
  for i = 1, n do sum = sum + i end
  return handle, sum
end, finish)

local jobs, handles = new_jobs(100)
for i, job in ipairs(jobs) do pool:queue(handles[i], job.n) end
wait(jobs)
print(("pool: %d jobs finished, %d too late"):format(finished, late))

-- A thread of our own, which posts its results as lines of text. It has its own
-- gbi.handles, where these numbers mean nothing.
local function worker(list, output)
  local own = require "gbi".handles
  local thread_uv = require "luv"
  for handle, n in list:gmatch("(%d+) (%d+)\n") do
    assert(select(2, own:find(tonumber(handle))) == "unregistered")
    local sum = 0
    for i = 1, tonumber(n) do sum = sum + i end
    thread_uv.fs_write(output, ("%s %d\n"):format(handle, sum))
  end
  thread_uv.fs_close(output)
end

finished, late = 0, 0
jobs, handles = new_jobs(100)
local lines = {}
for i, job in ipairs(jobs) do
  lines[i] = ("%d %d\n"):format(handles[i], job.n)
end
local ends = uv.pipe({ nonblock = true })
local thread = uv.new_thread(worker, table.concat(lines), ends.write)

local pipe, text = uv.new_pipe(), ""
pipe:open(ends.read)
pipe:read_start(function(err, more)
  assert(not err, err)
  if not more then
    pipe:close()
    return
  end
  text = text .. more
  local rest = 1
  for handle, sum, after in text:gmatch("(%d+) (%d+)\n()") do
    finish(tonumber(handle), tonumber(sum))
    rest = after
  end
  text = text:sub(rest)
end)
wait(jobs)
thread:join()
print(("thread: %d jobs finished, %d too late"):format(finished, late))

collectgarbage()
print(gbi.handles:count() .. " handles live")

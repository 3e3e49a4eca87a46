-- examples/cuda: the module over the CUDA driver and what is built on it.
-- Everything runs with a fake driver (spec/c/fakecuda.c), which delays work as
-- long as it may; and with the real driver, if there is one.

local portable = require "spec.support.portable"
local HERE = portable.run("pwd"):match("[^\n]+")
local FAKE = ("%s/%s/fakecuda"):format(HERE, portable.build)
local run, write = portable.run, portable.write

-- Runs a script that can load examples/cuda. `setup` consists of shell
-- variables that choose the driver.
local function script(text, setup)
  local path = os.tmpname()
  write(path, text)
  local out, ok = run(("LUA_PATH='%s/examples/cuda/?.lua;%s' LUA_CPATH='%s' "
    .. "%s %s %s"):format(HERE, package.path, package.cpath, setup or "",
    portable.lua, path))
  os.remove(path)
  return out, ok
end

local function example(name, setup, arg)
  return script(("arg = { %q } dofile %q"):format(arg or "",
    ("%s/examples/cuda/%s.lua"):format(HERE, name)), setup)
end

local PRELUDE = [[
  local gbi = require "gbi"
  local cuda = require "cuda"
  local kernels = require "kernels"
  local workload = require "workload"
  local cudagraph = require "cudagraph"
  local source = gbi.source
  local main, other = cuda.stream(), cuda.stream()
  local function fails(pattern, f, ...)
    local ok, err = pcall(f, ...)
    assert(not ok, "no error")
    if not tostring(err):find(pattern) then
      error(("%q is not %q"):format(tostring(err), pattern), 2)
    end
  end
  local unpack = table.unpack or unpack
  local function same(list, ...)
    local expected = { ... }
    assert(#list == #expected, #list .. " elements")
    for i, x in ipairs(expected) do
      assert(list[i] == x, ("element %d is %g"):format(i, list[i]))
    end
  end
]]

describe("without a driver, the module cuda", function()
  local empty
  setup(function()
    empty = portable.folder()
    write(empty .. "/libcuda.so.1", "")
  end)
  teardown(function() run("rm -r " .. empty) end)

  it("loads, and says that there is no driver", function()
    local out, ok = script([[
      local cuda = require "cuda"
      local available, reason = cuda.available()
      assert(available == nil)
      print(reason)
    ]], "LD_LIBRARY_PATH=" .. empty)
    assert.is_true(ok, out)
    assert.truthy(out:find("^there is no CUDA driver: .*libcuda.so.1"), out)
  end)

  it("raises where a driver is needed, at the caller's line", function()
    local out = script([[
      local cuda = require "cuda"
      for _, name in ipairs { "stream", "pool_stream", "event", "device",
                              "memory", "synchronize" } do
        local ok, err = pcall(function() cuda[name]() end)
        assert(not ok)
        assert(err:find(":4: cuda: there is no CUDA driver", 1, true), err)
      end
      assert(cuda.type(1) == nil)
      print "all"
    ]], "LD_LIBRARY_PATH=" .. empty)
    assert.equal("all\n", out)
  end)

  it("says that a driver is too old", function()
    local folder = portable.folder()
    write(folder .. "/old.c", "int cuInit(unsigned f) { return (int)f; }\n")
    assert.is_true(portable.execute(("cc -shared -fPIC -o %s/libcuda.so.1 "
      .. "%s/old.c"):format(folder, folder)))
    local out = script("print(select(2, require 'cuda'.available()))",
      "LD_LIBRARY_PATH=" .. folder)
    run("rm -r " .. folder)
    assert.equal("the CUDA driver is too old: libcuda.so.1 has no "
      .. "cuGetErrorName\n", out)
  end)

  it("says why a driver does not start", function()
    local out = script("print(select(2, require 'cuda'.available()))",
      ("LD_LIBRARY_PATH=%s FAKECUDA_FAIL=cuInit:100"):format(FAKE))
    assert.equal("the CUDA driver does not start: cuInit: "
      .. "CUDA_ERROR_NO_DEVICE (no CUDA-capable device is detected)\n", out)
  end)

  it("make gpu says so in one line and succeeds", function()
    local out, ok = run(("LD_LIBRARY_PATH=%s make -s gpu LUA=%s"):format(empty,
      portable.lua))
    assert.is_true(ok, out)
    assert.truthy(out:find("^make gpu: nothing run: there is no CUDA driver"),
      out)
    assert.equal(1, select(2, out:gsub("\n", "\n")))
  end)
end)

-- The specs for both drivers.
local function specs(setup)
  local function passes(text)
    local out, ok = script(PRELUDE .. text, setup)
    assert.is_true(ok, out)
  end

  it("runs the examples", function()
    for name, line in pairs {
      fork_join = "replay 3: 8.0 10.0 12.0 14.0",
      diamond = "100 runs as a CUDA graph: right",
      coroutines = "400 runs, 400 of them suspended in the middle",
      proof = "without waiting: 20 of 20 runs are wrong",
    } do
      local out, ok = example(name, setup, "50")
      assert.is_true(ok, out)
      out = out:gsub("(%d) ", "%1.0 "):gsub("(%d)\n", "%1.0\n")
      line = line:gsub("(%d) ", "%1.0 "):gsub("(%d)$", "%1.0")
      out, line = out:gsub("%.0%.0", ".0"), line:gsub("%.0%.0", ".0")
      assert.truthy(out:find(line, 1, true), out)
    end
  end)

  it("copies lists and strings, and reads them back", function()
    passes [[
      local x = cuda.from(main, { 1, 2.5, -3 })
      same(x:read(main), 1, 2.5, -3)
      local y = cuda.from(other, x:string(main))
      same(y:read(other), 1, 2.5, -3)
      x:write(main, { 4, 5, 6 })
      same(x:read(main), 4, 5, 6)
      assert(x:len() == 3 and cuda.buffer(main, 0):len() == 0)
      same(cuda.from(main, {}):read(main))
      fails("3 floats expected, got 2", x.write, x, main, { 1, 2 })
      fails("element 2 is not a number", cuda.from, main, { 1, "2" })
      fails("the string is not one of floats", cuda.from, main, "abc")
      fails("out of range", cuda.buffer, main, -1)
      fails("out of range", cuda.buffer, main, 2 ^ 60)
    ]]
  end)

  it("launches kernels", function()
    passes [[
      local x, y = cuda.from(main, { 1, 2, 3 }), cuda.from(main, { 4, 5, 6 })
      same(kernels.sum:map(main, x, y):read(main), 5, 7, 9)
      local out = cuda.buffer(main, 3)
      kernels.add:launch(main, 3, out, x, 0.5, 3)
      same(out:read(main), 1.5, 2.5, 3.5)
      local list = {}
      for i = 1, 1000 do list[i] = i end
      local many = kernels.mul:map(main, cuda.from(main, list), 2):read(main)
      for i = 1, 1000 do assert(many[i] == 2 * i) end
      fails("4 arguments expected, got 2", kernels.add.launch, kernels.add,
        main, 3, out, x)
      fails("the buffers differ in length", kernels.sum.map, kernels.sum, main,
        x, cuda.buffer(main, 4))
      fails("cuda.buffer expected", kernels.add.map, kernels.add, main, main, 1)
      fails("cuModuleLoadData: CUDA_ERROR_", cuda.module, "no PTX")
      fails("cuModuleGetFunction", function()
        cuda.module(kernels.PTX):kernel("nothing", "p")
      end)
      fails("one of 'p', 'f', 'i' and 'l'", function()
        cuda.module(kernels.PTX):kernel("add", "px")
      end)
      local module = cuda.module(kernels.PTX)
      local add = module:kernel("add", "ppfi")
      module:close()
      fails("the module is closed", module.kernel, module, "add", "ppfi")
      same(add:map(main, x, 1):read(main), 2, 3, 4)
    ]]
  end)

  it("takes handles, and says what is wrong with a bad one", function()
    passes [[
      local h = gbi.handles
      local event, number = cuda.event(), h:weak(main)
      local x = cuda.from(number, { 1 })
      cuda.record_event(h:weak(event), number)
      cuda.wait_event(h:weak(event), h:weak(other))
      same(kernels.add:map(h:weak(other), h:weak(x), 1):read(other), 2)
      fails("handle " .. number .. " is not a cuda.event %(got cuda.stream%)",
        cuda.record_event, number, number)
      fails("handle 5 was never given out", cuda.fork, main, 5)
      h:release(number)
      fails("handle " .. number .. " is no longer alive", cuda.stream().query,
        number)
      fails("cuda.stream expected, got table", cuda.fork, main, {})
      fails("the event was not recorded yet", cuda.wait_event, cuda.event(),
        main)
    ]]
  end)

  it("gives a stream and an event one number each, for ever", function()
    passes [[
      local event, n = cuda.event(), cuda.number(main)
      assert(cuda.number(main) == n and cuda.number(n) == n)
      local m = cuda.number(event)
      assert(m ~= n and gbi.handles:get(m) == event)
      cuda.record_event(m, n)
      cuda.wait_event(m, cuda.number(other))
      fails("is not a cuda.stream %(got cuda.event%)", cuda.wait_event, m, m)
      fails("cuda.stream expected", cuda.number, cuda.from(main, { 1 }))
      event:close()
      fails("handle " .. m .. " is no longer alive", cuda.record_event, m, n)
      event = cuda.event()
      local k = cuda.number(event)
      assert(k ~= m)
      event = nil
      collectgarbage()
      collectgarbage()
      fails("handle " .. k .. " is no longer alive", cuda.record_event, k, n)
      local event2 = cuda.event()
      local of_closed = gbi.handles:weak(event2)
      event2:close()
      fails("the event is closed", cuda.record_event, of_closed, n)
    ]]
  end)

  it("maps by functions, too", function()
    passes [[
      local add = kernels.add:mapper()
      assert(cuda.type(add) == "mapper" and cuda.type(print) == nil)
      local x = cuda.from(main, { 1, 2 })
      same(add(main, x, 1):read(main), 2, 3)
      same(add(gbi.handles:weak(main), x, 1):read(main), 2, 3)
      fails("2 arguments expected, got 1", add, main, x)
      fails("cuda.stream expected", add, x, x, 1)
      fails("not a kernel of parameters", function()
        cuda.module(kernels.PTX):kernel("add", "pp"):mapper()
      end)
    ]]
  end)

  it("takes no other userdata for an object", function()
    passes [[
      for _, value in ipairs { io.stdout, newproxy and newproxy() or io.stderr,
          ("x"):rep(24), { main }, coroutine.create(function() end), print,
          true } do
        fails("cuda.stream expected", cuda.fork, value, main)
        fails("cuda.buffer expected", function()
          kernels.add:map(main, value, 1)
        end)
        assert(cuda.type(value) == nil)
      end
    ]]
  end)

  it("closes several at once", function()
    passes [[
      local x, event = cuda.from(main, { 1 }), cuda.event()
      cuda.close(x, event)
      cuda.close(event, x, x)
      cuda.close()
      fails("the buffer is closed", x.read, x, main)
      fails("the event is closed", cuda.record_event, event, main)
      fails("cuda.event expected", cuda.close, main)
    ]]
  end)

  it("frees objects that were collected but never closed", function()
    passes [[
      local function use()
        local stream = cuda.stream()
        local x, event = cuda.from(stream, { 1 }), cuda.event()
        cuda.record_event(event, stream)
        cuda.wait_event(event, main)
        return kernels.add:map(main, x, 1)
      end
      for i = 1, 300 do -- there are places for 64 streams
        same(use():read(main), 2)
        if i % 20 == 0 then
          collectgarbage()
          collectgarbage()
        end
      end
      collectgarbage()
      collectgarbage()
      local _, blocks, free = cuda.memory()
      assert(blocks == free and blocks < 200, blocks .. " " .. free)
    ]]
  end)

  it("notices objects that a finalizer closes during a call", function()
    passes [[
      local x = cuda.from(main, { 1, 2, 3 })
      local victim -- the object that the next finalizer closes
      local function close() if victim then victim:close() end end
      local function garbage()
        for k = 1, 5 do
          local _ = ("x"):rep(math.random(400)) .. k -- may make a step
          if newproxy then getmetatable(newproxy(true)).__gc = close
          else setmetatable({}, { __gc = close }) end
        end
      end
      local right, wrong = 0, 0
      for i = 1, 20000 do
        local y = cuda.from(main, { i })
        victim = nil
        garbage()
        victim = y
        local ok, z = pcall(kernels.maps.add, main, y, 1)
        victim = nil
        if ok then
          assert(z:read(main)[1] == i + 1)
          right = right + 1
        else
          assert(z:find "the buffer is closed", z)
          wrong = wrong + 1
        end
      end
      -- in Lua 5.2, no finalizer was ever seen to run just there
      assert(right > 0 and (wrong > 0 or _VERSION == "Lua 5.2"), right)
    ]]
  end)

  it("closes objects once, and refuses closed ones", function()
    passes [[
      local x, event = cuda.from(main, { 1 }), cuda.event()
      local stream = cuda.stream()
      event:record(stream)
      for _, object in ipairs { x, event, stream } do
        object:close()
        object:close()
      end
      fails("the buffer is closed", x.read, x, main)
      fails("the event is closed", cuda.record_event, event, main)
      fails("the stream is closed", cuda.buffer, stream, 1)
      local pooled = cuda.pool_stream()
      fails("a stream of the pool stays open", pooled.close, pooled)
      pooled:synchronize()
    ]]
  end)

  it("hands out the streams of the pool in turn", function()
    passes [[
      local first, n = cuda.pool_stream(), 1
      while cuda.pool_stream() ~= first do n = n + 1 end
      assert(n > 1 and cuda.pool_stream() ~= first)
      for _ = 1, n - 1 do cuda.pool_stream() end
      local streams = {}
      fails("all %d+ streams are open", function()
        for i = 1, 100 do streams[i] = cuda.stream() end
      end)
      streams = nil
      collectgarbage()
      collectgarbage()
      cuda.stream():close()
    ]]
  end)

  it("gives a block to another stream only when its uses are over", function()
    passes [[
      local source = cuda.from(main, { 7 })
      local slow
      for i = 1, 200 do
        slow = kernels.slow_add:map(main, source, i, 200000)
        slow:close() -- its memory is now main's
        local mine = cuda.from(other, { i })
        kernels.add:launch(other, 1, mine, mine, 1, 1)
        same(mine:read(other), i + 1)
        mine:close()
      end
    ]]
  end)

  it("makes a stream wait for what other streams did with a block", function()
    passes [[
      for i = 1, 50 do
        local x = cuda.from(main, { i })
        main:synchronize()
        -- two streams that do not know of each other use it
        local a = kernels.slow_add:map(main, x, 1, 200000)
        local b = kernels.slow_add:map(other, x, 2, 200000)
        x:close()
        local y = cuda.from(main, { -1 })
        local z = cuda.from(other, { -2 })
        same(a:read(main), i + 1)
        same(b:read(other), i + 2)
        same(y:read(main), -1)
        same(z:read(other), -2)
      end
    ]]
  end)

  it("does not grow", function()
    passes [[
      local x = cuda.from(main, { 1, 2, 3 })
      for name, f in pairs {
        plain = workload.fork_join():compile(),
        graph = cudagraph.compile(workload.fork_join(), { stream = "main" }),
        diamond = workload.diamond():compile(),
      } do
        local function runs(n)
          for _ = 1, n do f(x, main):close() end
          cuda.synchronize()
          collectgarbage()
          collectgarbage()
        end
        runs(8000)
        local bytes, blocks = cuda.memory()
        local kilobytes, handles = collectgarbage "count", gbi.handles:count()
        runs(8000)
        local bytes2, blocks2 = cuda.memory()
        assert(bytes2 <= bytes, name .. ": bytes " .. bytes2 - bytes)
        assert(blocks2 <= blocks)
        assert(gbi.handles:count() == handles)
        assert(collectgarbage "count" < kilobytes + 100, name)
      end
    ]]
  end)

  it("collects buffers when there are many bytes of them", function()
    passes [[
      collectgarbage "stop"
      local most = 0
      for _ = 1, 100 do
        cuda.buffer(main, 4 * 1024 * 1024)
        most = math.max(most, (cuda.memory()))
      end
      assert(most < 200 * 1024 * 1024, most)
      cuda.trim()
      collectgarbage()
      cuda.trim()
      assert(cuda.memory() < 1024 * 1024)
    ]]
  end)

  describe("the backend", function()
    it("moves its inputs, and takes other lengths", function()
      passes [[
        local f = cudagraph.compile(workload.diamond(), { stream = "main" })
        for i = 1, 40 do
          local xs = {}
          for k = 1, i % 3 + 1 do xs[k] = i * k end
          local stream = i % 2 == 0 and main or other
          local z = f(cuda.from(stream, xs), stream)
          assert(workload.check(z:read(stream), xs, workload.diamond_of))
          z:close()
        end
      ]]
    end)

    it("never writes to an output that is open", function()
      passes [[
        local f = cudagraph.compile(workload.fork_join(), { stream = "main" })
        local outputs = {}
        for i = 1, 30 do outputs[i] = f(cuda.from(main, { i }), main) end
        for i = 1, 30 do same(outputs[i]:read(main), (i + 1) * 2) end
        outputs = nil
        for i = 1, 100 do
          same(f(cuda.from(main, { i }), main):read(main), (i + 1) * 2)
        end
        assert(select(2, cuda.memory()) < 300)
      ]]
    end)

    it("waits for what other streams do with an output", function()
      passes [[
        local f = cudagraph.compile(workload.fork_join(), { stream = "main" })
        for i = 1, 50 do
          local x = cuda.from(main, { i })
          local z = f(x, main)
          cuda.fork(main, other)
          local later = kernels.slow_add:map(other, z, 1, 200000)
          z:close()
          local x2 = cuda.from(main, { -i })
          local z2 = f(x2, main) -- in the memory of z
          same(later:read(other), (i + 1) * 2 + 1)
          same(z2:read(main), (-i + 1) * 2)
          z2:close()
        end
      ]]
    end)

    it("names the node that it cannot capture", function()
      passes [[
        rawset(_G, "kernels", kernels)
        local function graph(add)
          local g = gbi.graph.new()
          local x, main = g:placeholder "x", g:placeholder "main"
          local kernel = g:get_attr(source.AttrSource(
            source.GlobalSource "kernels", "add"))
          local n = add(g, x, main, kernel)
          g:output(g:call_method("map", kernel, main, x, n or 1))
          return g
        end
        local printing = graph(function(g, x)
          g:call_function(source.GlobalSource "print", x)
        end)
        fails("node print cannot be captured in a CUDA graph: G%[\"print\"%]",
          cudagraph.compile, printing, { stream = "main" })
        local f, why = cudagraph.compile(printing, { stream = "main",
          fallback = true })
        assert(why:find "node print")
        local print_ = print
        print = function(x) assert(cuda.type(x) == "buffer") end
        same(f(cuda.from(main, { 1 }), main):read(main), 2)
        print = print_
        fails("node read cannot .* method read", cudagraph.compile,
          graph(function(g, x, main) g:call_method("read", x, main) end),
          { stream = "main" })
        fails("node add_%d cannot .*: add", cudagraph.compile,
          graph(function(_, x) return x + 1 end), { stream = "main" })
        fails("no input side", cudagraph.compile, graph(function() end),
          { stream = "side" })
        local number = cudagraph.compile(graph(function(g)
          return g:placeholder "n"
        end), { stream = "main" })
        fails("input n of a CUDA graph is not a buffer %(got number%)", number,
          cuda.from(main, { 1 }), main, 3)
        -- and afterwards everything is as before
        same(kernels.add:map(main, cuda.from(main, { 1 }), 1):read(main), 2)
        local again = cudagraph.compile(graph(function() end),
          { stream = "main" })
        same(again(cuda.from(main, { 1 }), main):read(main), 2)
      ]]
    end)
  end)
end

describe("with a fake driver, the module cuda", function()
  local setup = "LD_LIBRARY_PATH=" .. FAKE
  specs(setup)

  it("gives everything back when the state closes", function()
    local report = os.tmpname()
    for _, text in ipairs {
      [[ outputs = {}
         f = cudagraph.compile(workload.diamond(), { stream = "main" })
         for i = 1, 30 do outputs[i] = f(cuda.from(main, { i }), main) end ]],
      [[ g = workload.fork_join():compile()
         z = g(cuda.from(main, { 1 }), main)
         e = cuda.event("timing")
         e:record(main)
         kept = cuda.capture(cuda.stream()) ]],
      [[ pending = coroutine.wrap(function()
           local x = cuda.from(main, { 1 })
           coroutine.yield(x)
         end)
         pending() ]],
    } do
      local out, ok = script(PRELUDE .. text,
        ("%s FAKECUDA_REPORT=%s"):format(setup, report))
      assert.is_true(ok, out)
      assert.equal("left: 0 contexts, 0 streams, 0 events, 0 blocks, "
        .. "0 modules, 0 graphs, 0 execs",
        portable.read(report):match "[^\n]+")
    end
    os.remove(report)
  end)

  it("raises the driver's error, and leaves nothing half done", function()
    local report = os.tmpname()
    for call in ([[cuLaunchKernel:3 cuLaunchKernel:6 cuEventRecord:2
        cuEventRecord:5 cuStreamWaitEvent:2 cuStreamWaitEvent:5 cuEventCreate:2
        cuMemAlloc_v2:3 cuMemAlloc_v2:6 cuStreamBeginCapture_v2:1
        cuStreamEndCapture:1 cuGraphInstantiateWithFlags:1 cuGraphLaunch:2
        cuGraphExecKernelNodeSetParams:1 cuStreamGetCaptureInfo_v2:2
        cuStreamCreate:1 cuStreamCreate:5 cuStreamCreate:12 cuStreamCreate:13
        cuModuleGetFunction:2 cuMemcpyHtoDAsync_v2:1 cuMemcpyDtoHAsync_v2:2
        ]]):gmatch "%S+" do
      local name, n = call:match "(.*):(.*)"
      local out, ok = script([[
        local failed = 0
        local function try(f, ...)
          local ok, result = pcall(f, ...)
          if ok then return result end
          assert(result:find("CUDA_ERROR_ILLEGAL_ADDRESS "
            .. "(an illegal memory access was encountered)", 1, true), result)
          failed = failed + 1
          package.loaded.kernels = nil -- before Lua 5.2, `require` had begun
          return f(...)
        end
        local cuda = require "cuda"
        local kernels = try(require, "kernels")
        local workload = require "workload"
        local cudagraph = require "cudagraph"
        local main = try(cuda.stream)
        local f = try(function() return workload.diamond():compile() end)
        local c = try(function()
          return cudagraph.compile(workload.diamond(), { stream = "main" })
        end)
        for i = 1, 3 do
          for _, g in ipairs { f, c } do
            local x = try(cuda.from, main, { i })
            local z = try(g, x, main)
            local numbers = try(z.read, z, main)
            assert(workload.check(numbers, { i }, workload.diamond_of))
            z:close()
          end
        end
        assert(failed == 1, failed)
      ]], ("%s FAKECUDA_REPORT=%s FAKECUDA_FAIL=%s:700:%s"):format(setup,
        report, name, n))
      assert.is_true(ok, call .. ": " .. out)
      assert.equal("left: 0 contexts, 0 streams, 0 events, 0 blocks, "
        .. "0 modules, 0 graphs, 0 execs",
        portable.read(report):match "[^\n]+", call)
    end
    os.remove(report)
  end)
end)

if script "io.write(tostring(require 'cuda'.available()))" == "true" then
  describe("with a GPU, the module cuda", function() specs "" end)
end

-- The kernels of the examples, as PTX text: the driver compiles it for the
-- installed GPU.
local cuda = require "cuda"

-- One thread for each element; %r4 is its number, %rd1 the address of the
-- output's element, and %rd2 of the input's.
local function elementwise(name, params, body)
  local text = [[
.visible .entry NAME(.param .u64 out, .param .u64 in, PARAMS, .param .u32 n)
{
  .reg .pred %p<3>;
  .reg .f32 %f<4>;
  .reg .b32 %r<6>;
  .reg .b64 %rd<9>;
  ld.param.u32 %r5, [n];
  mov.u32 %r1, %ctaid.x;
  mov.u32 %r2, %ntid.x;
  mov.u32 %r3, %tid.x;
  mad.lo.s32 %r4, %r1, %r2, %r3;
  setp.ge.u32 %p1, %r4, %r5;
  @%p1 bra END;
  ld.param.u64 %rd1, [out];
  ld.param.u64 %rd2, [in];
  cvta.to.global.u64 %rd1, %rd1;
  cvta.to.global.u64 %rd2, %rd2;
  mul.wide.u32 %rd3, %r4, 4;
  add.s64 %rd1, %rd1, %rd3;
  add.s64 %rd2, %rd2, %rd3;
BODY
  st.global.f32 [%rd1], %f3;
END:
  ret;
}
]]
  return (text:gsub("%u+", { NAME = name, PARAMS = params, BODY = body }))
end

local function with_constant(operation)
  return "  ld.global.f32 %f1, [%rd2];\n  ld.param.f32 %f2, [c];\n  "
    .. operation .. ".f32 %f3, %f1, %f2;"
end

local SPIN = [[
  mov.u64 %rd5, %globaltimer;
  ld.param.u64 %rd6, [ns];
WAIT:
  mov.u64 %rd7, %globaltimer;
  sub.u64 %rd8, %rd7, %rd5;
  setp.lt.u64 %p2, %rd8, %rd6;
  @%p2 bra WAIT;
]]

local PTX = table.concat {
  ".version 6.3\n.target sm_75\n.address_size 64\n",
  elementwise("add", ".param .f32 c", with_constant "add.rn"),
  elementwise("mul", ".param .f32 c", with_constant "mul.rn"),
  elementwise("sum", ".param .u64 other", [[
  ld.param.u64 %rd4, [other];
  cvta.to.global.u64 %rd4, %rd4;
  add.s64 %rd4, %rd4, %rd3;
  ld.global.f32 %f1, [%rd2];
  ld.global.f32 %f2, [%rd4];
  add.rn.f32 %f3, %f1, %f2;]]),
  elementwise("slow_add", ".param .f32 c, .param .u64 ns",
    SPIN .. with_constant "add.rn"),
}

local module = cuda.module(PTX)

local kernels = {
  PTX = PTX,
  add = module:kernel("add", "ppfi"), -- x + c
  mul = module:kernel("mul", "ppfi"), -- x * c
  sum = module:kernel("sum", "pppi"), -- x + y
  -- x + c, but takes this many nanoseconds
  slow_add = module:kernel("slow_add", "ppfli"),
  maps = {}, -- functions (stream, x, ...) -> the kernel's result for x
}
for _, name in ipairs { "add", "mul", "sum", "slow_add" } do
  kernels.maps[name] = kernels[name]:mapper()
end
return kernels

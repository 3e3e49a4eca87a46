/*
** kernel.c - modules of PTX text, kernels, and launching them
**
** A kernel is told what its parameters are by a letter for each: `p` a buffer,
** `f` a float, `i` and `l` integers of 32 and 64 bits.
*/
#include "gpu.h"

#include <stdlib.h>
#include <string.h>

#define GPU(L) ((Gpu *)lua_touserdata(L, lua_upvalueindex(1)))


/* {==================================================================
** Modules
** =================================================================== */

static void releasecode (Gpu *gpu, Code *code) {
  if (code == NULL || --code->refs > 0) return;
  if (gpu->open) gpu->cu.ModuleUnload(code->module);
  free(code);
}


/* module(ptx) -> module */
static int cuda_module (lua_State *L) {
  const char *ptx = luaL_checkstring(L, 1);
  Gpu *gpu = gpu_get(L);
  CodeBox *box = (CodeBox *)gpu_new(L, gpu, MODULE, sizeof(CodeBox));
  Code *code = (Code *)malloc(sizeof(Code));
  Result error;
  if (code == NULL) return luaL_error(L, "not enough memory");
  error = gpu->cu.ModuleLoadData(&code->module, ptx);
  if (error != 0) free(code);
  gpu_check(L, gpu, error, "cuModuleLoadData");
  code->refs = 1;
  box->code = code;
  return 1;
}


/* module:close(). Its kernels stay. */
static int module_close (lua_State *L) {
  CodeBox *box = (CodeBox *)gpu_arg(L, 1, MODULE);
  Code *code = box->code;
  box->code = NULL;
  releasecode(box->gpu, code);
  return 0;
}


/* module:kernel(name, params) -> kernel */
static int module_kernel (lua_State *L) {
  Gpu *gpu = GPU(L);
  CodeBox *box = (CodeBox *)gpu_arg(L, 1, MODULE);
  const char *name = luaL_checkstring(L, 2);
  size_t n;
  const char *params = luaL_checklstring(L, 3, &n);
  Function function;
  Kernel *kernel;
  luaL_argcheck(L, box->code != NULL, 1, "the module is closed");
  luaL_argcheck(L, n <= MAXPARAMS && strspn(params, "pfil") == n, 3,
                "one of 'p', 'f', 'i' and 'l' for each parameter expected");
  gpu_check(L, gpu, gpu->cu.ModuleGetFunction(&function, box->code->module,
                                              name), "cuModuleGetFunction");
  kernel = (Kernel *)gpu_new(L, gpu, KERNEL, sizeof(Kernel));
  luaL_argcheck(L, box->code != NULL, 1, "the module is closed");
  kernel->function = function;
  kernel->nparams = (int)n;
  memcpy(kernel->params, params, n + 1);
  kernel->code = box->code;
  kernel->code->refs++;
  return 1;
}


static int kernel_gc (lua_State *L) {
  Kernel *kernel = (Kernel *)gpu_arg(L, 1, KERNEL);
  Code *code = kernel->code;
  kernel->code = NULL;
  releasecode(kernel->gpu, code);
  return 0;
}

/* }================================================================== */


/* {==================================================================
** Launching
** =================================================================== */

static const Kernel *argkernel (lua_State *L) {
  const Kernel *kernel = (const Kernel *)gpu_arg(L, 1, KERNEL);
  luaL_argcheck(L, kernel->code != NULL, 1, "the kernel is closed");
  return kernel;
}


/* Sets a buffer as parameter `i`. */
static void setbuffer (Launch *launch, int i, const Buffer *buffer) {
  launch->blocks[i] = buffer->block;
  launch->values[i].address = buffer->block->at;
}


/* Sets argument `arg` as parameter `i`. */
static void setparam (lua_State *L, const Kernel *kernel, Launch *launch, int i,
                      int arg) {
  launch->blocks[i] = NULL;
  switch (kernel->params[i]) {
    case 'p': setbuffer(launch, i, gpu_argbuffer(L, arg)); break;
    case 'f':
      launch->values[i].number = (float)luaL_checknumber(L, arg);
      break;
    case 'i':
      launch->values[i].integer = (int)luaL_checkinteger(L, arg);
      break;
    default: launch->values[i].large = (long long)luaL_checkinteger(L, arg);
  }
}


/* Launches a kernel for `n` threads, if there are any. */
static void start (lua_State *L, Gpu *gpu, const Kernel *kernel,
                   const Stream *stream, size_t n, Launch *launch) {
  Place *place = &gpu->places[stream->place];
  void *params[MAXPARAMS];
  int i;
  if (n == 0) return;
  launch->function = kernel->function;
  launch->nparams = kernel->nparams;
  launch->grid = (unsigned int)((n + THREADS - 1) / THREADS);
  for (i = 0; i < kernel->nparams; i++) params[i] = &launch->values[i];
  gpu_check(L, gpu, gpu->cu.LaunchKernel(kernel->function, launch->grid, 1, 1,
                                         THREADS, 1, 1, 0, place->queue,
                                         params, NULL), "cuLaunchKernel");
  if (place->capturing) {
    gpu_captured(L, gpu, stream, launch);
    return;
  }
  place->number++;
  for (i = 0; i < kernel->nparams; i++)
    if (launch->blocks[i] != NULL)
      gpu_use(gpu, launch->blocks[i], stream->place);
}


static void checkcount (lua_State *L, const Kernel *kernel, int first,
                        int expected) {
  int n = lua_gettop(L) - first + 1;
  if (n != expected)
    luaL_error(L, "the kernel has the parameters '%s': %d arguments expected, "
               "got %d", kernel->params, expected, n);
}


/* kernel:launch(stream, n, ...): on `n` threads, with all its arguments */
static int kernel_launch (lua_State *L) {
  const Kernel *kernel = argkernel(L);
  const Stream *stream = gpu_argstream(L, 2);
  lua_Number n = luaL_checknumber(L, 3);
  Launch launch;
  int i;
  luaL_argcheck(L, n >= 0 && n <= 2147483647.0, 3, "out of range");
  checkcount(L, kernel, 4, kernel->nparams);
  for (i = 0; i < kernel->nparams; i++) setparam(L, kernel, &launch, i, i + 4);
  start(L, GPU(L), kernel, stream, (size_t)n, &launch);
  return 0;
}


/* kernel:map(stream, buffer, ...) -> a new buffer. The kernel's first parameter
** is the new buffer, as long as the argument, and its last that length; between
** them are the arguments. All buffers have one length. */
static int kernel_map (lua_State *L) {
  Gpu *gpu = GPU(L);
  const Kernel *kernel = argkernel(L);
  const Stream *stream = gpu_argstream(L, 2);
  Buffer *made, *buffer = gpu_argbuffer(L, 3);
  size_t n = buffer->n;
  Launch launch;
  int i, last = kernel->nparams - 1;
  luaL_argcheck(L, last >= 2 && kernel->params[0] == 'p'
                   && kernel->params[1] == 'p' && kernel->params[last] == 'i',
                1, "not a kernel of parameters 'pp...i'");
  checkcount(L, kernel, 3, last - 1);
  luaL_argcheck(L, n <= 2147483647, 3, "too long");
  made = gpu_newbuffer(L, gpu, stream->place, n);
  /* from here on nothing runs that may close a buffer or the stream */
  for (i = 1; i < last; i++) {
    setparam(L, kernel, &launch, i, i + 2);
    if (launch.blocks[i] != NULL
        && ((Buffer *)lua_touserdata(L, i + 2))->n != n)
      luaL_argerror(L, i + 2, "the buffers differ in length");
  }
  luaL_argcheck(L, stream->place >= 0, 2, "the stream is closed");
  setbuffer(&launch, 0, made);
  launch.blocks[last] = NULL;
  launch.values[last].integer = (int)n;
  start(L, gpu, kernel, stream, n, &launch);
  return 1;
}

/* }================================================================== */


static const luaL_Reg functions[] = {
  {"module", cuda_module},
  {NULL, NULL}
};

static const luaL_Reg module_methods[] = {
  {"kernel", module_kernel},
  {NULL, NULL}
};

static const luaL_Reg kernel_methods[] = {
  {"launch", kernel_launch},
  {"map", kernel_map},
  {NULL, NULL}
};


void gpu_openkernels (lua_State *L) {
  gpu_kind(L, MODULE, module_methods, module_close, NULL);
  gpu_kind(L, KERNEL, kernel_methods, kernel_gc, NULL);
  gpu_functions(L, functions);
}

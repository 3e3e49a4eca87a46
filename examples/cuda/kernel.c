/*
** kernel.c - modules of PTX text, kernels, and launching them
**
** A kernel is told what its parameters are by a letter for each: `p` a buffer,
** `f` a float, `i` and `l` integers of 32 and 64 bits.
*/
#include "gpu.h"

#include <stdlib.h>
#include <string.h>

#define KERNEL_OF lua_upvalueindex(UPVALUES + 1)  /* a mapper's */



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
  if (error != 0) {
    free(code);
    return gpu_error(L, gpu, error, "cuModuleLoadData");
  }
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
  kernel->maps = n >= 3 && params[0] == 'p' && params[1] == 'p'
                 && params[n - 1] == 'i';
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


/* Sets argument `arg` as parameter `i`. Returns the argument's buffer, or
** NULL. */
static const Buffer *setparam (lua_State *L, const Gpu *gpu,
                               const Kernel *kernel, Launch *launch, int i,
                               int arg) {
  Value *value = &launch->values[i];
  launch->blocks[i] = NULL;
  switch (kernel->params[i]) {
    case 'p': {
      const Buffer *buffer = gpu_argbuffer(L, gpu, arg);
      launch->blocks[i] = buffer->block;
      value->address = buffer->block->at;
      return buffer;
    }
    case 'f': value->number = (float)luaL_checknumber(L, arg); break;
    case 'i': value->integer = (int)luaL_checkinteger(L, arg); break;
    default: value->large = (long long)luaL_checkinteger(L, arg);
  }
  return NULL;
}


/* Launches a kernel for `n` threads, if there are any. */
static void start (lua_State *L, Gpu *gpu, const Kernel *kernel, int at,
                   size_t n, Launch *launch) {
  Place *place = &gpu->places[at];
  void *params[MAXPARAMS];
  unsigned int grid = (unsigned int)((n + THREADS - 1) / THREADS);
  int i, nparams = kernel->nparams;
  if (n == 0) return;
  for (i = 0; i < nparams; i++) params[i] = &launch->values[i];
  gpu_check(L, gpu, gpu->cu.LaunchKernel(kernel->function, grid, 1, 1, THREADS,
                                         1, 1, 0, place->queue, params, NULL),
            "cuLaunchKernel");
  if (place->capturing) {
    launch->function = kernel->function;
    launch->nparams = nparams;
    launch->grid = grid;
    gpu_captured(L, gpu, at, launch);
    return;
  }
  place->number++;
  for (i = 0; i < nparams; i++)
    if (launch->blocks[i] != NULL) gpu_use(gpu, launch->blocks[i], at);
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
  Gpu *gpu = GPU(L);
  const Kernel *kernel = argkernel(L);
  const Stream *stream = gpu_argstream(L, gpu, 2);
  lua_Number n = luaL_checknumber(L, 3);
  Launch launch;
  int i;
  luaL_argcheck(L, n >= 0 && n <= 2147483647.0, 3, "out of range");
  checkcount(L, kernel, 4, kernel->nparams);
  for (i = 0; i < kernel->nparams; i++)
    setparam(L, gpu, kernel, &launch, i, i + 4);
  start(L, gpu, kernel, stream->place, (size_t)n, &launch);
  return 0;
}


/* Maps by a kernel. The stream is argument `at`, the buffer to map follows. */
static int map (lua_State *L, Gpu *gpu, const Kernel *kernel, int at) {
  const Stream *stream = gpu_argstream(L, gpu, at);
  const Buffer *made;
  Number closings = gpu->closings;
  size_t n = 0;
  Launch launch;
  int i, last = kernel->nparams - 1;
  checkcount(L, kernel, at + 1, last - 1);
  for (i = 1; i < last; i++) {
    const Buffer *buffer = setparam(L, gpu, kernel, &launch, i, at + i);
    if (buffer == NULL) continue;  /* not the first: see module_kernel */
    if (i == 1) n = buffer->n;
    else if (buffer->n != n)
      luaL_argerror(L, at + i, "the buffers differ in length");
  }
  luaL_argcheck(L, n <= 2147483647, at + 1, "too long");
  made = gpu_newbuffer(L, gpu, stream->place, n);
  if (gpu->closings != closings) {  /* a finalizer may have closed them */
    gpu_argstream(L, gpu, at);
    for (i = 1; i < last; i++) setparam(L, gpu, kernel, &launch, i, at + i);
  }
  if (kernel->code == NULL) luaL_error(L, "the kernel is closed");
  launch.blocks[0] = made->block;
  launch.values[0].address = made->block->at;
  launch.blocks[last] = NULL;
  launch.values[last].integer = (int)n;
  start(L, gpu, kernel, stream->place, n, &launch);
  return 1;
}


static const Kernel *argmapping (lua_State *L) {
  const Kernel *kernel = argkernel(L);
  luaL_argcheck(L, kernel->maps, 1, "not a kernel of parameters 'pp...i'");
  return kernel;
}


/* kernel:map(stream, buffer, ...) -> a new buffer. The kernel's first parameter
** is the new buffer, as long as the argument, and its last is that length; the
** arguments come between them. All buffers have one length. */
static int kernel_map (lua_State *L) {
  Gpu *gpu = GPU(L);
  return map(L, gpu, argmapping(L), 2);
}


static int callmapper (lua_State *L) {
  const Kernel *kernel = (const Kernel *)lua_touserdata(L, KERNEL_OF);
  return map(L, kernel->gpu, kernel, 1);
}


/* kernel:mapper() -> a function that maps by this kernel. */
static int kernel_mapper (lua_State *L) {
  int i;
  argmapping(L);
  for (i = 1; i <= UPVALUES; i++) lua_pushvalue(L, lua_upvalueindex(i));
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, callmapper, UPVALUES + 1);
  return 1;
}


int gpu_ismapper (lua_State *L, int i) {
  return lua_tocfunction(L, i) == callmapper;
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
  {"mapper", kernel_mapper},
  {NULL, NULL}
};


void gpu_openkernels (lua_State *L) {
  gpu_kind(L, MODULE, module_methods, module_close, NULL);
  gpu_kind(L, KERNEL, kernel_methods, kernel_gc, NULL);
  gpu_functions(L, functions);
}

/*
** cuda.c - the module `cuda`: streams, events, buffers and kernels of a GPU
**
**     local cuda = require "cuda"
**     local stream = cuda.stream()
**     local x = cuda.from(stream, { 1, 2, 3 })
**     local y = add:map(stream, x, 1)      -- add: a kernel, see kernels.lua
**     print(table.concat(y:read(stream), " "))
**
** Where a function takes a stream, an event or a buffer it also takes a handle
** of one, a number that it looks up through gbi.h. It raises an error for
** anything else, and for what is dead or closed.
**
** The driver is opened when the first object is made; cuda.available() tells
** whether it can be.
*/
#define _POSIX_C_SOURCE 199309L

#include "gpu.h"

#include <string.h>
#include <time.h>

static const char *const names[KINDS] = {
  "cuda.stream", "cuda.event", "cuda.buffer", "cuda.module", "cuda.kernel",
  "cuda.graph"
};

#define GPU(L) ((Gpu *)lua_touserdata(L, lua_upvalueindex(1)))


/* {==================================================================
** Errors
** =================================================================== */

void gpu_check (lua_State *L, const Gpu *gpu, Result error,
                const char *function) {
  char text[200];
  if (error == 0) return;
  luaL_error(L, "%s: %s", function,
             driver_error(&gpu->cu, error, text, sizeof(text)));
}

/* }================================================================== */


/* {==================================================================
** The device
** =================================================================== */

/* Opens the driver and the first GPU. Returns NULL, or why not. */
static const char *opengpu (Gpu *gpu, char *reason, size_t size) {
  Result error;
  if (gpu->closed) return "the Lua state is closing";
  if (driver_open(&gpu->cu, reason, size) != NULL) return reason;
  error = gpu->cu.DeviceGet(&gpu->device, 0);
  if (error == 0) {
    error = gpu->cu.PrimaryCtxRetain(&gpu->context, gpu->device);
    if (error == 0) {
      error = gpu->cu.CtxSetCurrent(gpu->context);
      if (error != 0) gpu->cu.PrimaryCtxRelease(gpu->device);
    }
  }
  if (error != 0) return driver_error(&gpu->cu, error, reason, size);
  gpu->open = 1;
  return NULL;
}


Gpu *gpu_get (lua_State *L) {
  Gpu *gpu = GPU(L);
  if (!gpu->open) {
    char text[300];
    const char *reason = opengpu(gpu, text, sizeof(text));
    if (reason != NULL) luaL_error(L, "cuda: %s", reason);
  }
  return gpu;
}


/* available() -> true | nil, why not */
static int cuda_available (lua_State *L) {
  Gpu *gpu = GPU(L);
  char text[300];
  const char *reason = gpu->open ? NULL : opengpu(gpu, text, sizeof(text));
  if (reason == NULL) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, reason);
  return 2;
}


/* device() -> its name, and the driver's version */
static int cuda_device (lua_State *L) {
  Gpu *gpu = gpu_get(L);
  char name[200];
  int version;
  gpu_check(L, gpu, gpu->cu.DeviceGetName(name, sizeof(name), gpu->device),
            "cuDeviceGetName");
  gpu_check(L, gpu, gpu->cu.DriverGetVersion(&version), "cuDriverGetVersion");
  lua_pushstring(L, name);
  lua_pushfstring(L, "%d.%d", version / 1000, version % 1000 / 10);
  return 2;
}


/* synchronize(): waits for all streams */
static int cuda_synchronize (lua_State *L) {
  Gpu *gpu = gpu_get(L);
  int i;
  gpu_check(L, gpu, gpu->cu.CtxSynchronize(), "cuCtxSynchronize");
  for (i = 0; i < MAXSTREAMS; i++) gpu_ended(gpu, i);
  return 0;
}


/* memory() -> bytes that the blocks have, how many blocks, how many of them are
** free, and the bytes of the GPU that nobody uses */
static int cuda_memory (lua_State *L) {
  Gpu *gpu = gpu_get(L);
  size_t unused, total;
  gpu_check(L, gpu, gpu->cu.MemGetInfo(&unused, &total), "cuMemGetInfo");
  lua_pushinteger(L, (lua_Integer)gpu->bytes);
  lua_pushinteger(L, gpu->blocks);
  lua_pushinteger(L, gpu->free);
  lua_pushinteger(L, (lua_Integer)unused);
  return 4;
}


/* trim(): waits, and gives back the blocks that are free */
static int cuda_trim (lua_State *L) {
  cuda_synchronize(L);
  gpu_trim(GPU(L));
  return 0;
}


/* The last finalizer of the module, since its metatable was the first to get
** one. Buffers that are still there lose their memory. */
static int gpu_gc (lua_State *L) {
  Gpu *gpu = (Gpu *)lua_touserdata(L, 1);
  int i;
  if (gpu->open) {
    gpu->cu.CtxSynchronize();
    for (i = 0; i < MAXSTREAMS; i++) {
      gpu_ended(gpu, i);
      if (gpu->places[i].probe != NULL)
        gpu->cu.EventDestroy(gpu->places[i].probe);
      gpu->places[i].probe = NULL;
    }
    gpu_trim(gpu);
    while (gpu->nmarks > 0) gpu->cu.EventDestroy(gpu->marks[--gpu->nmarks]);
    gpu->cu.PrimaryCtxRelease(gpu->device);
  }
  gpu->open = 0;
  gpu->closed = 1;
  return 0;
}

/* }================================================================== */


/* {==================================================================
** Objects
** =================================================================== */

void *gpu_new (lua_State *L, Gpu *gpu, int kind, size_t size) {
  void *object = lua_newuserdata(L, size);
  memset(object, 0, size);
  *(Gpu **)object = gpu;  /* the first field of each */
  luaL_getmetatable(L, names[kind]);
  lua_setmetatable(L, -2);
  return object;
}


int gpu_is (lua_State *L, const Gpu *gpu, int i, int kind) {
  int is;
  if (lua_type(L, i) != LUA_TUSERDATA || !lua_getmetatable(L, i)) return 0;
  is = lua_topointer(L, -1) == gpu->metatables[kind];
  lua_pop(L, 1);
  return is;
}


void *gpu_arg (lua_State *L, int arg, int kind) {
  const Gpu *gpu = GPU(L);
  if (gpu_is(L, gpu, arg, kind)) return lua_touserdata(L, arg);
  if (lua_type(L, arg) == LUA_TNUMBER) {
    lua_Integer handle = luaL_checkinteger(L, arg);
    luaL_checkstack(L, GBI_STACK, NULL);
    if (gpu->gbi->find_handle(L, 0, handle) != GBI_LIVE
        || !gpu_is(L, gpu, -1, kind)) {
      lua_pop(L, 1);  /* this raises the error */
      gpu->gbi->get_handle_udata(L, 0, handle, names[kind]);
    }
    lua_replace(L, arg);
    return lua_touserdata(L, arg);
  }
  return luaL_checkudata(L, arg, names[kind]);
}


Stream *gpu_argstream (lua_State *L, int arg) {
  Stream *stream = (Stream *)gpu_arg(L, arg, STREAM);
  luaL_argcheck(L, stream->place >= 0, arg, "the stream is closed");
  return stream;
}


Buffer *gpu_argbuffer (lua_State *L, int arg) {
  Buffer *buffer = (Buffer *)gpu_arg(L, arg, BUFFER);
  luaL_argcheck(L, buffer->block != NULL, arg, "the buffer is closed");
  return buffer;
}


void gpu_functions (lua_State *L, const luaL_Reg *functions) {
  for (; functions->name != NULL; functions++) {
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushcclosure(L, functions->func, 1);
    lua_setfield(L, -2, functions->name);
  }
}


void gpu_kind (lua_State *L, int kind, const luaL_Reg *methods,
               lua_CFunction close, lua_CFunction length) {
  luaL_Reg events[] = {
    {"__gc", NULL}, {"__close", NULL}, {"__len", NULL}, {NULL, NULL}
  };
  luaL_Reg closer[] = {{"close", NULL}, {NULL, NULL}};
  if (!luaL_newmetatable(L, names[kind])) {
    lua_pop(L, 1);
    luaL_error(L, "there is another module with objects '%s'", names[kind]);
  }
  GPU(L)->metatables[kind] = lua_topointer(L, -1);
  events[0].func = events[1].func = closer[0].func = close;
  events[2].func = length;
  if (length == NULL) events[2].name = NULL;
  gpu_functions(L, events);
  lua_newtable(L);
  gpu_functions(L, closer);
  gpu_functions(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pushstring(L, names[kind]);
  lua_setfield(L, -2, "__name");  /* Lua 5.1 and 5.2 do not set it */
  lua_pop(L, 1);
}

/* }================================================================== */


/* type(value) -> "stream", "event", "buffer", "module", "kernel", "graph", or
** nil for what is no object of this module */
static int cuda_type (lua_State *L) {
  int kind;
  luaL_checkany(L, 1);
  for (kind = 0; kind < KINDS; kind++)
    if (gpu_is(L, GPU(L), 1, kind)) {
      lua_pushstring(L, names[kind] + sizeof("cuda.") - 1);
      return 1;
    }
  lua_pushnil(L);
  return 1;
}


/* clock() -> seconds since some moment, for measuring */
static int cuda_clock (lua_State *L) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  lua_pushnumber(L, (lua_Number)t.tv_sec + (lua_Number)t.tv_nsec / 1e9);
  return 1;
}


static const luaL_Reg functions[] = {
  {"type", cuda_type},
  {"clock", cuda_clock},
  {"available", cuda_available},
  {"device", cuda_device},
  {"synchronize", cuda_synchronize},
  {"memory", cuda_memory},
  {"trim", cuda_trim},
  {NULL, NULL}
};


/* Fills the module, at 1, with the Gpu as upvalue. */
static int openall (lua_State *L) {
  gpu_functions(L, functions);
  gpu_openstreams(L);
  gpu_openbuffers(L);
  gpu_openkernels(L);
  gpu_opengraphs(L);
  return 1;
}


int luaopen_cuda (lua_State *L);

int luaopen_cuda (lua_State *L) {
  Gpu *gpu;
  lua_settop(L, 0);
  gpu = (Gpu *)lua_newuserdata(L, sizeof(Gpu));
  memset(gpu, 0, sizeof(*gpu));
  gpu->gbi = gbi_open(L);
  lua_newtable(L);
  lua_pushcfunction(L, gpu_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, 1);
  /* objects may outlive the module and its functions */
  lua_pushvalue(L, 1);
  lua_setfield(L, LUA_REGISTRYINDEX, "cuda.gpu");
  lua_pushcclosure(L, openall, 1);
  lua_newtable(L);
  lua_call(L, 1, 1);
  return 1;
}

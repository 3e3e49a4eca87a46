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

#define WATCH "cuda.watch"

static const char *const names[KINDS] = {
  "cuda.stream", "cuda.event", "cuda.buffer", "cuda.module", "cuda.kernel",
  "cuda.graph"
};


/* {==================================================================
** Errors
** =================================================================== */

int gpu_error (lua_State *L, const Gpu *gpu, Result error,
               const char *function) {
  char text[200];
  return luaL_error(L, "%s: %s", function,
                    driver_error(&gpu->cu, error, text, sizeof(text)));
}

/* }================================================================== */


/* {==================================================================
** The device
** =================================================================== */

/* Opens the driver and the first GPU. Returns NULL, or the reason why it
** cannot. */
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


/* available() -> true | nil, reason */
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


/* memory() -> the bytes of all blocks, the number of blocks, the number of free
** blocks, and the free bytes of the GPU */
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


/* trim(): waits, and returns the free blocks to the driver */
static int cuda_trim (lua_State *L) {
  cuda_synchronize(L);
  gpu_trim(GPU(L));
  return 0;
}


/* }================================================================== */


/* {==================================================================
** Objects
** =================================================================== */

static void *newuserdata (lua_State *L, size_t size) {
#if LUA_VERSION_NUM >= 504
  return lua_newuserdatauv(L, size, 0);
#else
  return lua_newuserdata(L, size);
#endif
}


/* Makes the object whose finalizer looks for collected objects. [-0, +0, m] */
static void watch (lua_State *L, Gpu *gpu) {
  newuserdata(L, 0);
  luaL_getmetatable(L, WATCH);
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
  gpu->watched = 1;
}

void *gpu_new (lua_State *L, Gpu *gpu, int kind, size_t size) {
  void *object = newuserdata(L, size);
  memset(object, 0, size);
  *(Gpu **)object = gpu;  /* the first field of each object */
  lua_pushvalue(L, METATABLE(kind));
  lua_setmetatable(L, -2);
  return object;
}


/* Makes more slots. May run finalizers. [-0, +0, m] */
static void moreslots (lua_State *L, Gpu *gpu) {
  int i;
  Chunk *chunk = (Chunk *)newuserdata(L, sizeof(Chunk));
  luaL_ref(L, LUA_REGISTRYINDEX);  /* it exists until the state closes */
  memset(chunk, 0, sizeof(*chunk));
  for (i = CHUNK - 1; i >= 0; i--) {
    chunk->slots[i].next = gpu->freeslot;
    chunk->slots[i].number = gpu->nslots + i + 1;
    gpu->freeslot = &chunk->slots[i];
  }
  gpu->nslots += CHUNK;
  chunk->next = gpu->chunks;
  gpu->chunks = chunk;
}


Slot *gpu_newslot (lua_State *L, Gpu *gpu, int kind) {
  Object *object;
  Slot *slot;
  if (!gpu->watched) watch(L, gpu);
  object = (Object *)newuserdata(L, sizeof(Object));
  object->gpu = NULL;
  lua_pushvalue(L, METATABLE(kind));
  lua_setmetatable(L, -2);
  while (gpu->freeslot == NULL) moreslots(L, gpu);
  slot = gpu->freeslot;
  lua_pushvalue(L, -1);
  lua_rawseti(L, SLOTTED, slot->number);
  gpu->freeslot = slot->next;
  object->gpu = gpu;
  object->slot = slot;
  object->serial = slot->serial = ++gpu->serial;
  slot->object = object;
  slot->kind = kind;
  slot->place = -1;
  slot->pooled = 0;
  slot->handle = 0;
  slot->mark = NULL;
  slot->block = NULL;
  return slot;
}


void gpu_close (Gpu *gpu, Slot *slot) {
  gpu->closings++;
  slot->serial = 0;
  slot->next = gpu->freeslot;
  gpu->freeslot = slot;
  switch (slot->kind) {
    case STREAM:
      if (slot->place >= 0) gpu_closeplace(gpu, slot->place);
      break;
    case EVENT:
      if (slot->mark == NULL) break;
      if (slot->pooled) gpu_givemark(gpu, slot->mark);
      else gpu->cu.EventDestroy(slot->mark);
      break;
    default: if (slot->block != NULL) gpu_release(gpu, slot->block);
  }
}


/* Closes every object that is not in the weak table at stack index `slotted`;
** all objects, if that is 0. */
static void sweep (lua_State *L, Gpu *gpu, int slotted) {
  Chunk *chunk;
  for (chunk = gpu->chunks; chunk != NULL; chunk = chunk->next) {
    int i;
    for (i = 0; i < CHUNK; i++) {
      Slot *slot = &chunk->slots[i];
      int gone = 1;
      if (slot->serial == 0) continue;
      if (slotted != 0) {
        lua_rawgeti(L, slotted, slot->number);
        gone = lua_isnil(L, -1);
        lua_pop(L, 1);
      }
      if (gone) gpu_close(gpu, slot);
    }
  }
}


void gpu_sweep (lua_State *L, Gpu *gpu) {
  sweep(L, gpu, SLOTTED);
}


/* The finalizer of the object that is made in each cycle of the collector. */
static int watch_gc (lua_State *L) {
  Gpu *gpu = GPU(L);
  if (!gpu->open) return 0;
  gpu->watched = 0;
  sweep(L, gpu, lua_upvalueindex(2));
  watch(L, gpu);
  return 0;
}


void *gpu_arg (lua_State *L, int arg, int kind) {
  return luaL_checkudata(L, arg, names[kind]);
}


/* Is the value at stack index `i` an object of this kind, open or not? */
static int isobject (lua_State *L, const Gpu *gpu, int i, int kind) {
  int is;
  if (lua_touserdata(L, i) == NULL || !lua_getmetatable(L, i)) return 0;
  is = lua_topointer(L, -1) == gpu->metatables[kind];
  lua_pop(L, 1);
  return is;
}


/* At most GBI_STACK free slots of the stack are needed, and no function here
** that gets a handle has pushed anything before. */
Slot *gpu_argother (lua_State *L, const Gpu *gpu, int arg, int kind,
                    int closed) {
  if (lua_type(L, arg) == LUA_TNUMBER) {
    lua_Integer handle = lua_tointeger(L, arg);
    Slot *slot = NULL;
    int status = gbi_find_handle_in(L, gpu->gbi, HANDLES, OBJECTS, handle);
    if (status == GBI_LIVE) slot = gpu_slot(L, gpu, -1, kind);
    if (slot == NULL && !isobject(L, gpu, -1, kind)) {
      lua_pop(L, 1);  /* this raises the error */
      gpu->gbi->get_handle_udata(L, HANDLES, handle, names[kind]);
    }
    lua_replace(L, arg);
    if (slot != NULL) return slot;
  }
  else luaL_checkudata(L, arg, names[kind]);
  if (!closed)
    luaL_argerror(L, arg, lua_pushfstring(L, "the %s is closed",
                                          names[kind] + sizeof("cuda.") - 1));
  return NULL;
}


/* Closes an object; its handle becomes dead. [-0, +0, e] */
static void closeslot (lua_State *L, Gpu *gpu, Slot *slot) {
  lua_Integer handle = slot->handle;
  if (handle != 0) gpu->gbi->release(L, HANDLES, handle);
  gpu_close(gpu, slot);
}


void gpu_closearg (lua_State *L, Gpu *gpu, int arg, int kind) {
  Slot *slot = gpu_slot(L, gpu, arg, kind);
  if (slot == NULL) slot = gpu_argother(L, gpu, arg, kind, 1);
  if (slot != NULL) closeslot(L, gpu, slot);
}


void gpu_functions (lua_State *L, const luaL_Reg *functions) {
  for (; functions->name != NULL; functions++) {
    int i;
    for (i = 1; i <= UPVALUES; i++) lua_pushvalue(L, lua_upvalueindex(i));
    lua_pushcclosure(L, functions->func, UPVALUES);
    lua_setfield(L, -2, functions->name);
  }
}


void gpu_kind (lua_State *L, int kind, const luaL_Reg *methods,
               lua_CFunction close, lua_CFunction length) {
  const luaL_Reg events[] = {
    {"__close", close},
    {kind > BUFFER ? "__gc" : length != NULL ? "__len" : NULL,
     kind > BUFFER ? close : length},
    {NULL, NULL}
  };
  const luaL_Reg closer[] = {{"close", close}, {NULL, NULL}};
  lua_pushvalue(L, METATABLE(kind));
  gpu_functions(L, events);
  lua_newtable(L);
  gpu_functions(L, closer);
  gpu_functions(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pushstring(L, names[kind]);
  lua_setfield(L, -2, "__name");  /* Lua 5.1 and 5.2 do not set it */
  lua_pop(L, 1);
}

/* The last finalizer of the module, because its metatable was the first to get
** one. Buffers that still exist lose their memory. */
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
    sweep(L, gpu, 0);
    gpu_trim(gpu);
    while (gpu->nmarks > 0) gpu->cu.EventDestroy(gpu->marks[--gpu->nmarks]);
    gpu->cu.PrimaryCtxRelease(gpu->device);
  }
  gpu->open = 0;
  gpu->closed = 1;
  /* LuaJIT would call it when this library is gone */
  luaL_getmetatable(L, WATCH);
  lua_pushnil(L);
  lua_setfield(L, -2, "__gc");
  return 0;
}

/* }================================================================== */


/* type(value) -> "stream", "event", "buffer", "module", "kernel", "graph",
** "mapper", or nil for any other value */
static int cuda_type (lua_State *L) {
  int kind;
  luaL_checkany(L, 1);
  for (kind = 0; kind < KINDS; kind++)
    if (isobject(L, GPU(L), 1, kind)) {
      lua_pushstring(L, names[kind] + sizeof("cuda.") - 1);
      return 1;
    }
  if (gpu_ismapper(L, 1)) lua_pushliteral(L, "mapper");
  else lua_pushnil(L);
  return 1;
}


/* close(...): closes buffers and events, like `close` for each, but in one
** call. */
static int cuda_close (lua_State *L) {
  Gpu *gpu = GPU(L);
  int i, n = lua_gettop(L);
  for (i = 1; i <= n; i++) {
    Slot *slot = gpu_anyslot(L, gpu, i);
    if (slot != NULL && slot->kind != STREAM) closeslot(L, gpu, slot);
    else gpu_closearg(L, gpu, i, isobject(L, gpu, i, BUFFER) ? BUFFER : EVENT);
  }
  return 0;
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
  {"close", cuda_close},
  {"clock", cuda_clock},
  {"available", cuda_available},
  {"device", cuda_device},
  {"synchronize", cuda_synchronize},
  {"memory", cuda_memory},
  {"trim", cuda_trim},
  {NULL, NULL}
};


/* Fills the module, at 1. All functions share its upvalues. */
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
  int kind;
  lua_settop(L, 0);
  gpu = (Gpu *)newuserdata(L, sizeof(Gpu));
  memset(gpu, 0, sizeof(*gpu));
  gpu->gbi = gbi_open(L);
  lua_newtable(L);
  lua_pushcfunction(L, gpu_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, 1);
  /* objects may outlive the module and its functions */
  lua_pushvalue(L, 1);
  lua_setfield(L, LUA_REGISTRYINDEX, "cuda.gpu");
  for (kind = 0; kind < KINDS; kind++) {
    if (!luaL_newmetatable(L, names[kind]))
      return luaL_error(L, "there is another module with objects '%s'",
                        names[kind]);
    gpu->metatables[kind] = lua_topointer(L, -1);
  }
  lua_createtable(L, CHUNK, 0);
  lua_newtable(L);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  luaL_newmetatable(L, WATCH);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, -3);
  lua_pushcclosure(L, watch_gc, 2);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  gpu->gbi->state_handles(L);
  gpu->gbi->push_objects(L, -1);
  lua_pushcclosure(L, openall, UPVALUES);
  lua_newtable(L);
  lua_call(L, 1, 1);
  return 1;
}

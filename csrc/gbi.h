/*
** gbi.h - live Lua objects by number, for C
**
** A *handle* stands for one Lua value in a C structure, a queue or a library's
** `void *`. No handle is given out twice: once its object has died or the
** handle was released, it is dead for ever and finds nothing.
**
**     const gbi_API *gbi = gbi_open(L);
**     void *userdata = GBI_TOPOINTER(gbi->weak(L, 0, 1));   // argument 1
**     ...
**     if (gbi->find_handle(L, 0, GBI_TOHANDLE(userdata)) == GBI_LIVE) ...
**
** An *index*, for code generators, stands for an external object of a graph,
** in a registry whose side table is refilled before each run. Indices and
** handles never overlap: indices count from 1, handles from GBI_HANDLE0 + 1.
**
** A C module needs only this header and links with nothing of gbi. A host
** that embeds Lua can compile csrc/ into itself instead; it calls
**
**     luaL_requiref(L, "gbi.core", luaopen_gbi_core, 0);
**
** and then gbi_open, as modules do. In Lua 5.1, which lacks luaL_requiref, it
** sets the field "gbi.core" of `package.preload` to luaopen_gbi_core.
**
** In the comments, [-o, +p, x] tells how many values a function pops and
** pushes, and whether it may raise an error: '-' never, 'm' only when out of
** memory, 'e' any. A call that raises an error changes nothing. `reg` is the
** stack index of a registry. `handles` is the stack index of a handle table,
** or 0 for the state's own table, the Lua module's `gbi.handles`. As in Lua's
** own API these are not checked; use check_registry and check_handles. A
** function needs at most GBI_STACK free stack slots.
**
** Each function does the same as the Lua method of that name, on the same
** tables.
*/
#ifndef GBI_H
#define GBI_H

#include <stdint.h>

#include <lua.h>
#include <lauxlib.h>

#ifdef __cplusplus
extern "C" {
#endif

/* the version of the rock that this header came with */
#define GBI_VERSION "0.2.0"

/* Changes when a function of the table is changed or removed; new functions
** are added at the end and leave it unchanged. */
#define GBI_API_VERSION 2

#define GBI_STACK 16

/* status of an index or a handle */
#define GBI_LIVE 0
#define GBI_DEAD 1          /* an object that was collected or released */
#define GBI_UNREGISTERED 2  /* never given out, or left out by `store` */

/* Handles are greater than this, indices are not. */
#define GBI_HANDLE0 1000000000

/* A handle as a library's `void *`, and back. NULL is no handle. */
#define GBI_TOPOINTER(h) ((void *)(uintptr_t)(h))
#define GBI_TOHANDLE(p) ((lua_Integer)(uintptr_t)(p))

typedef struct gbi_API {
  int version;

  /* {Registries and their indices */

  /* [-0, +1, m] Pushes a new registry. */
  void (*new_registry) (lua_State *L);

  /* [-0, +1, e] Pushes `gbi.default`, the registry that the Lua module's
  ** functions use. Raises an error if gbi.core was never loaded in this Lua
  ** state. */
  void (*default_registry) (lua_State *L);

  /* [-0, +0, e] Raises an argument error if argument `arg` of the running
  ** function is not a registry. */
  void (*check_registry) (lua_State *L, int arg);

  /* [-1, +0, e] Registers the object on the top; `source` is the stack index
  ** of its source. The registry does not keep the object alive. Returns the
  ** object's index. Raises gbi's `unimplemented` error for a value that cannot
  ** be held weakly. */
  lua_Integer (*register_object) (lua_State *L, int reg, int source);

  /* [-2, +0, e] Registers an object that the prologue creates. Takes an
  ** example, kept alive until reset, and above it a function that is called
  ** with (index, cg) and emits the code that creates such an object. Returns
  ** the object's index. */
  lua_Integer (*register_created) (lua_State *L, int reg);

  /* [-0, +1, e] Pushes the object at index `i`. Raises an error if there is
  ** no such object. */
  void (*get) (lua_State *L, int reg, lua_Integer i);

  /* [-0, +1, e] Like get, for a full userdata with the metatable that
  ** luaL_newmetatable(L, tname) made. Returns its address. */
  void *(*get_udata) (lua_State *L, int reg, lua_Integer i,
                      const char *tname);

  /* [-0, +1, -] Pushes the object at index `i`, or nil. Returns GBI_LIVE,
  ** GBI_DEAD or GBI_UNREGISTERED. */
  int (*find) (lua_State *L, int reg, lua_Integer i);

  /* [-n, +0, e] Replaces the whole side table with the `n` objects on the top,
  ** the lowest at index 1. Raises an error, and pops nothing, if one of them
  ** cannot be held weakly. */
  void (*store) (lua_State *L, int reg, int n);

  /* [-1, +0, e] Puts the object on the top at index `i` and keeps it alive
  ** until the next set of that index or reset. Raises an error if `i` is not
  ** between 1 and the index after the last. */
  void (*set) (lua_State *L, int reg, lua_Integer i);

  /* [-1, +0, e] Keeps the object on the top alive through the next store,
  ** until the one after it or reset; in a backend's function, as long as its
  ** run lasts. */
  void (*stash) (lua_State *L, int reg);

  /* [-0, +0, m] Forgets everything; indices start at 1 again. */
  void (*reset) (lua_State *L, int reg);

  /* [-0, +1, m] Pushes a snapshot, which holds the side table strongly. */
  void (*snapshot) (lua_State *L, int reg);

  /* [-0, +0, e] Restores the side table of the snapshot at stack index
  ** `snap`. Raises an error if that is not a snapshot of this registry. */
  void (*restore) (lua_State *L, int reg, int snap);

  /* [-0, +0, -] Counts the entries of the side table. */
  void (*count) (lua_State *L, int reg, lua_Integer *live,
                 lua_Integer *dead);

  /* [-0, +1, -] Pushes the side table, for gbi_find_in. It is valid until
  ** other code runs that may change the registry; then push it again. Never
  ** write to it. */
  void (*push_side) (lua_State *L, int reg);

  /* } */

  /* {Handle tables and their handles */

  /* [-0, +1, m] Pushes a new handle table. */
  void (*new_handles) (lua_State *L);

  /* [-0, +1, e] Pushes the state's own handle table, `gbi.handles`. Raises an
  ** error if gbi.core was never loaded in this Lua state. */
  void (*state_handles) (lua_State *L);

  /* [-0, +0, e] Raises an argument error if argument `arg` of the running
  ** function is not a handle table. */
  void (*check_handles) (lua_State *L, int arg);

  /* [-0, +0, e] Returns a new handle of the object at stack index `value`,
  ** which the handle does not keep alive. Raises gbi's `unimplemented` error
  ** for a value that cannot be held weakly. */
  lua_Integer (*weak) (lua_State *L, int handles, int value);

  /* [-0, +0, e] Returns a new handle of the value at stack index `value`, any
  ** but nil, which is kept alive until release. */
  lua_Integer (*strong) (lua_State *L, int handles, int value);

  /* [-0, +1, e] Pushes the value of handle `h`, or nil. Returns GBI_LIVE,
  ** GBI_DEAD or GBI_UNREGISTERED. Raises an error only for the state's own
  ** table, as state_handles does. */
  int (*find_handle) (lua_State *L, int handles, lua_Integer h);

  /* [-0, +1, e] Pushes the value of handle `h`. Raises an error if it is dead
  ** or was never given out. */
  void (*get_handle) (lua_State *L, int handles, lua_Integer h);

  /* [-0, +1, e] Like get_handle, for a full userdata with the metatable that
  ** luaL_newmetatable(L, tname) made. Returns its address. */
  void *(*get_handle_udata) (lua_State *L, int handles, lua_Integer h,
                             const char *tname);

  /* [-0, +0, e] Makes handle `h` dead. Returns the status of `h` before the
  ** call. Raises an error only as find_handle does. */
  int (*release) (lua_State *L, int handles, lua_Integer h);

  /* [-1, +0, e] Sets the function on the top as the callback of handle `h`:
  ** the first sweep after its object was collected calls it with `h`, once.
  ** Pass nil to remove the callback. Returns the status of `h`; only if that
  ** is GBI_LIVE was the callback set. */
  int (*on_collect) (lua_State *L, int handles, lua_Integer h);

  /* [-0, +0, e] Calls the callbacks of the handles whose objects were
  ** collected, in the order of the handles. An error in a callback is raised;
  ** the next sweep continues after that callback. Returns how many were
  ** called. */
  lua_Integer (*sweep) (lua_State *L, int handles);

  /* [-0, +0, e] Returns how many handles are live. */
  lua_Integer (*count_handles) (lua_State *L, int handles);

  /* [-0, +1, e] Pushes the table of objects, for gbi_find_handle_in. It is the
  ** same for as long as the handle table lives. Never write to it. */
  void (*push_objects) (lua_State *L, int handles);

  /* } */
} gbi_API;


/* [-0, +0, e] Returns gbi's functions. Loads gbi.core if this Lua state does
** not have it yet. */
static inline const gbi_API *gbi_open (lua_State *L) {
  const gbi_API *api;
  lua_getfield(L, LUA_REGISTRYINDEX, "gbi.api");
  if (lua_isnil(L, -1)) {
    lua_getglobal(L, "require");
    lua_pushliteral(L, "gbi.core");
    lua_call(L, 1, 0);
    lua_pop(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, "gbi.api");
  }
  api = (const gbi_API *)lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (api == NULL || api->version != GBI_API_VERSION)
    luaL_error(L, "gbi's C functions have version %d, not %d",
               api == NULL ? 0 : api->version, GBI_API_VERSION);
  return api;
}


/* [-0, +1, -] Pushes element `i` of the table at `t`; returns its type. */
static inline int gbi_rawgeti (lua_State *L, int t, lua_Integer i) {
#if LUA_VERSION_NUM >= 503
  return lua_rawgeti(L, t, i);
#else  /* before 5.3, lua_rawgeti takes an int and returns nothing */
  if (i == (int)i) lua_rawgeti(L, t, (int)i);
  else lua_pushnil(L);
  return lua_type(L, -1);
#endif
}


/* [-0, +1, -] Like gbi->find, for many look-ups in a row: `side` is the stack
** index of the table that gbi->push_side pushed. Costs little more than a
** lua_rawgeti. */
static inline int gbi_find_in (lua_State *L, const gbi_API *gbi, int reg,
                               int side, lua_Integer i) {
  if (gbi_rawgeti(L, side, i) >= LUA_TTABLE) return GBI_LIVE;
  lua_pop(L, 1);
  return gbi->find(L, reg, i);
}


/* [-0, +1, e] Like gbi->find_handle, for many look-ups in a row: `objects` is
** the stack index of the table that gbi->push_objects pushed. */
static inline int gbi_find_handle_in (lua_State *L, const gbi_API *gbi,
                                      int handles, int objects,
                                      lua_Integer h) {
  if (h > GBI_HANDLE0) {
    if (gbi_rawgeti(L, objects, h - GBI_HANDLE0) != LUA_TNIL) return GBI_LIVE;
    lua_pop(L, 1);
  }
  return gbi->find_handle(L, handles, h);
}


/* [-0, +1, e] Opens module gbi.core, for a host that has csrc/ compiled in. */
LUALIB_API int luaopen_gbi_core (lua_State *L);

#ifdef __cplusplus
}
#endif

#endif

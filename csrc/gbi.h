/*
** gbi.h - live Lua objects by number, for C
**
** A registry gives Lua objects small integers without keeping them alive: put
** the integer where a library has a `void *`, and ask for the object later.
**
** This header is all that a C module needs; it links with nothing of gbi:
**
**     const gbi_API *gbi = gbi_open(L);
**     gbi->new_registry(L);
**
** A host that embeds Lua can compile csrc/ into itself instead; it calls
**
**     luaL_requiref(L, "gbi.core", luaopen_gbi_core, 0);
**
** and then gbi_open, as modules do. In Lua 5.1, which does not have that, it
** makes luaopen_gbi_core the field "gbi.core" of `package.preload`.
**
** In the comments, [-o, +p, x] tells how many values a function pops and
** pushes, and whether it may raise an error: '-' never, 'm' only for want of
** memory, 'e' any. An error leaves the registry as it was. `reg` is the stack
** index of a registry; as in Lua's own API nothing checks that it is one, but
** for check_registry. A function needs no more than GBI_STACK free slots on
** the stack. Indices are those of the Lua functions of the same names, and
** mean the same: both faces work on the same tables.
*/
#ifndef GBI_H
#define GBI_H

#include <stdint.h>

#include <lua.h>
#include <lauxlib.h>

#ifdef __cplusplus
extern "C" {
#endif

/* of the rock that this header came with */
#define GBI_VERSION "0.1.0"

/* Changes when a function of the table changes or goes; new ones come at the
** end and leave it. */
#define GBI_API_VERSION 1

#define GBI_STACK 16

/* what an index finds */
#define GBI_LIVE 0
#define GBI_DEAD 1          /* the collector took the object */
#define GBI_UNREGISTERED 2  /* never registered, left out by store, released */

/* An index as a library's `void *`, and back. */
#define GBI_TOPOINTER(i) ((void *)(intptr_t)(i))
#define GBI_TOINDEX(p) ((lua_Integer)(intptr_t)(p))

typedef struct gbi_API {
  int version;

  /* [-0, +1, m] Pushes a new registry. */
  void (*new_registry) (lua_State *L);

  /* [-0, +1, -] Pushes the registry of the Lua module's functions. */
  void (*default_registry) (lua_State *L);

  /* [-0, +0, e] Raises an argument error if argument `arg` of the running
  ** function is not a registry. */
  void (*check_registry) (lua_State *L, int arg);

  /* [-1, +0, e] Registers the object on the top, weakly. `source` is the
  ** stack index of its source, or 0 for none: it is a handle then, and the
  ** prologue cannot obtain it. Returns its index. Raises gbi's `unimplemented`
  ** error for a value, which nothing holds weakly. */
  lua_Integer (*register_object) (lua_State *L, int reg, int source);

  /* [-2, +0, e] Registers an object that the prologue creates: an example,
  ** kept alive until reset, and above it the function that is called with
  ** (index, cg) and emits the code creating one; a C function is pushed with
  ** lua_pushcfunction. Returns its index. */
  lua_Integer (*register_created) (lua_State *L, int reg);

  /* [-0, +1, e] Pushes the object at index `i`. Raises an error when it is
  ** dead or was never registered. */
  void (*get) (lua_State *L, int reg, lua_Integer i);

  /* [-0, +1, e] The same for a full userdata with the metatable that
  ** luaL_newmetatable(L, tname) made, whose address it returns. */
  void *(*get_udata) (lua_State *L, int reg, lua_Integer i,
                      const char *tname);

  /* [-0, +1, -] Pushes the object at index `i`, or nil. Returns GBI_LIVE,
  ** GBI_DEAD or GBI_UNREGISTERED. */
  int (*find) (lua_State *L, int reg, lua_Integer i);

  /* [-n, +0, e] Replaces the whole side table by the `n` objects on the top,
  ** the lowest at index 1. Raises an error, and pops nothing, if one cannot
  ** be held weakly. */
  void (*store) (lua_State *L, int reg, int n);

  /* [-1, +0, e] Puts the object on the top at index `i` and keeps it alive,
  ** until the next set of that index or reset. Raises an error if `i` is past
  ** the index after the last, or was released. */
  void (*set) (lua_State *L, int reg, lua_Integer i);

  /* [-1, +0, e] Keeps the object on the top alive through the next store,
  ** until the one after it or reset. */
  void (*stash) (lua_State *L, int reg);

  /* [-0, +0, m] Forgets index `i`; it is not given out again before reset.
  ** Returns 0 if there was nothing to forget. */
  int (*release) (lua_State *L, int reg, lua_Integer i);

  /* [-0, +0, m] Forgets everything; indices start at 1 again. */
  void (*reset) (lua_State *L, int reg);

  /* [-0, +1, m] Pushes an object that holds the side table strongly. */
  void (*snapshot) (lua_State *L, int reg);

  /* [-0, +0, e] Puts the side table of the snapshot at stack index `snap`
  ** back. Raises an error if it is no snapshot of this registry. */
  void (*restore) (lua_State *L, int reg, int snap);

  /* [-0, +0, -] Counts the entries of the side table. */
  void (*count) (lua_State *L, int reg, lua_Integer *live,
                 lua_Integer *dead);

  /* [-1, +0, e] Has the function on the top called with `i`, once, by the
  ** first sweep that finds the object at index `i` dead; nil has none called.
  ** Returns 0 if `i` is unregistered. */
  int (*on_collect) (lua_State *L, int reg, lua_Integer i);

  /* [-0, +0, e] Releases the handles whose objects died, in the order of
  ** their indices, and calls the on_collect functions of all that died; what
  ** has a source stays, for the next run may store it anew. An error of such
  ** a function is raised; the next sweep goes on after it. Returns how many
  ** were released. */
  lua_Integer (*sweep) (lua_State *L, int reg);

  /* [-0, +1, -] Pushes the side table, for gbi_find_in. It serves until
  ** other code runs that may change the registry or yield; then push it
  ** again. Never write to it. */
  void (*push_side) (lua_State *L, int reg);
} gbi_API;


/* [-0, +0, e] gbi's functions in this Lua state. Loads gbi.core if nobody has
** yet. The table is constant and the same for all states; fetch it once. */
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
    luaL_error(L, "gbi's C functions have version %d, version %d is needed",
               api == NULL ? 0 : api->version, GBI_API_VERSION);
  return api;
}


/* [-0, +1, -] gbi->find for many look-ups in a row: `side` is the stack index
** of what gbi->push_side pushed. Costs a lua_rawgeti and a lua_type. */
static inline int gbi_find_in (lua_State *L, const gbi_API *gbi, int reg,
                               int side, lua_Integer i) {
  if (i == (int)i) {  /* before Lua 5.3, lua_rawgeti takes an int */
    lua_rawgeti(L, side, (int)i);
    if (lua_type(L, -1) >= LUA_TTABLE) return GBI_LIVE;
    lua_pop(L, 1);
  }
  return gbi->find(L, reg, i);
}


/* [-0, +1, e] Opens module gbi.core, for a host that has csrc/ compiled in. */
LUALIB_API int luaopen_gbi_core (lua_State *L);

#ifdef __cplusplus
}
#endif

#endif

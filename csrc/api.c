/*
** api.c - the registry for C: the function table of gbi.h
**
** The same operations as core.c's, with the stack for arguments. What may
** raise does so before it changes anything or pops its arguments.
*/
#include "api.h"
#include "registry.h"
#include "unimplemented.h"

#include <lauxlib.h>


/* The registry's index once things are pushed, its run's side table in
** place. */
static int self (lua_State *L, int reg) {
  reg = lua_absindex(L, reg);
  gbiR_switch(L, reg);
  return reg;
}


/* Raises an error for a value that cannot be held weakly. */
static void checkheld (lua_State *L, int value) {
  if (lua_type(L, value) < GBI_HELD)
    luaL_error(L, "a %s cannot be held weakly", luaL_typename(L, value));
}


static void api_new (lua_State *L) {
  gbiR_new(L, 0);
}


static void api_check (lua_State *L, int arg) {
  luaL_checkudata(L, arg, GBI_REGISTRY);
}


static lua_Integer api_register (lua_State *L, int reg, int source) {
  lua_Integer i;
  int value = lua_gettop(L);
  reg = self(L, reg);
  if (source != 0) source = lua_absindex(L, source);
  gbi_checkweak(L, value, 0);
  if (source != 0) lua_pushvalue(L, source);
  else lua_pushnil(L);
  i = gbiR_register(L, reg, value, 0);
  lua_settop(L, value - 1);
  return i;
}


static lua_Integer api_register_created (lua_State *L, int reg) {
  lua_Integer i;
  int construct_fn = lua_gettop(L);
  reg = self(L, reg);
  if (!lua_isfunction(L, construct_fn))
    luaL_error(L, "construct_fn is not a function");
  gbi_checkweak(L, construct_fn - 1, 1);
  lua_pushvalue(L, construct_fn);
  i = gbiR_register(L, reg, construct_fn - 1, 1);
  lua_settop(L, construct_fn - 2);
  return i;
}


static void api_get (lua_State *L, int reg, lua_Integer i) {
  reg = self(L, reg);
  if (gbiR_find(L, reg, i) != GBI_LIVE) gbiR_error(L, reg, i);
}


static void *api_get_udata (lua_State *L, int reg, lua_Integer i,
                            const char *tname) {
  void *p;
  reg = lua_absindex(L, reg);
  api_get(L, reg, i);
  p = luaL_testudata(L, -1, tname);
  if (p == NULL) gbiR_typeerror(L, reg, i, tname);
  return p;
}


static int api_find (lua_State *L, int reg, lua_Integer i) {
  reg = self(L, reg);
  return gbiR_find(L, reg, i);
}


static void api_store (lua_State *L, int reg, int n) {
  int k, first = lua_gettop(L) - n + 1;
  reg = self(L, reg);
  for (k = 0; k < n; k++) {
    if (lua_type(L, first + k) < GBI_HELD && !gbiR_released(L, reg, k + 1))
      luaL_error(L, "%s cannot be held weakly: got %s",
                 gbiR_name(L, reg, k + 1), luaL_typename(L, first + k));
  }
  gbiR_store(L, reg, first, n);
  lua_settop(L, first - 1);
}


static void api_set (lua_State *L, int reg, lua_Integer i) {
  const char *why;
  reg = self(L, reg);
  checkheld(L, -1);
  why = gbiR_set(L, reg, i, lua_gettop(L));
  if (why != NULL) luaL_error(L, "external object %I: %s", (LUAI_UACINT)i, why);
  lua_pop(L, 1);
}


static void api_stash (lua_State *L, int reg) {
  reg = self(L, reg);
  checkheld(L, -1);
  gbiR_stash(L, reg, lua_gettop(L));
  lua_pop(L, 1);
}


static int api_release (lua_State *L, int reg, lua_Integer i) {
  reg = self(L, reg);
  return gbiR_release(L, reg, i);
}


static void api_reset (lua_State *L, int reg) {
  gbiR_reset(L, lua_absindex(L, reg));
}


static void api_snapshot (lua_State *L, int reg) {
  reg = self(L, reg);
  gbiR_snapshot(L, reg);
}


static void api_restore (lua_State *L, int reg, int snap) {
  reg = self(L, reg);
  snap = lua_absindex(L, snap);
  if (!gbiR_issnapshot(L, reg, snap))
    luaL_error(L, "not a snapshot of this registry");
  gbiR_restore(L, reg, snap);
}


static void api_count (lua_State *L, int reg, lua_Integer *live,
                       lua_Integer *dead) {
  reg = self(L, reg);
  gbiR_count(L, reg, live, dead);
}


static int api_on_collect (lua_State *L, int reg, lua_Integer i) {
  int done;
  reg = self(L, reg);
  if (!lua_isnil(L, -1) && !lua_isfunction(L, -1))
    luaL_error(L, "callback is not a function");
  done = gbiR_on_collect(L, reg, i, lua_gettop(L));
  lua_pop(L, 1);
  return done;
}


static lua_Integer api_sweep (lua_State *L, int reg) {
  reg = self(L, reg);
  return gbiR_sweep(L, reg);
}


static void api_push_side (lua_State *L, int reg) {
  reg = self(L, reg);
  lua_getiuservalue(L, reg, GBI_OBJECTS);
}


static const gbi_API api = {
  GBI_API_VERSION,
  api_new,
  gbiR_default,
  api_check,
  api_register,
  api_register_created,
  api_get,
  api_get_udata,
  api_find,
  api_store,
  api_set,
  api_stash,
  api_release,
  api_reset,
  api_snapshot,
  api_restore,
  api_count,
  api_on_collect,
  api_sweep,
  api_push_side
};


/* Publishes the table in this Lua state, for gbi_open. [-0, +0, m] */
void gbi_openapi (lua_State *L) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&api);
  lua_setfield(L, LUA_REGISTRYINDEX, "gbi.api");
}

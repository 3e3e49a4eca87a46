/*
** api.c - the function table of gbi.h
**
** The operations of registry_lua.c and handles_lua.c, with stack indices for
** arguments. A function that raises an error does so before it changes
** anything or pops its arguments.
*/
#include "internal.h"

#include <lauxlib.h>


/* {==================================================================
** Registries
** =================================================================== */

/* Raises an error for a value that cannot be held weakly. [-0, +0, e] */
static void api_checkheld (lua_State *L, int value) {
  if (lua_type(L, value) < GBI_HELD)
    luaL_error(L, "a %s cannot be held weakly", luaL_typename(L, value));
}


/* Raises an error if gbi.core was never loaded in this Lua state.
** [-0, +0, e] */
static void checkloaded (lua_State *L, int loaded) {
  if (!loaded)
    luaL_error(L, "gbi.core is not loaded in this Lua state (call gbi_open)");
}


static void api_new (lua_State *L) {
  checkloaded(L, gbiS_get(L) != NULL);
  gbiR_new(L, 0);
}


static void api_default (lua_State *L) {
  checkloaded(L, gbiS_get(L) != NULL);
  gbiR_default(L);
}


static void api_check (lua_State *L, int arg) {
  luaL_checkudata(L, arg, GBI_REGISTRY);
}


static lua_Integer api_register (lua_State *L, int reg, int source) {
  lua_Integer i;
  int value = lua_gettop(L);
  reg = lua_absindex(L, reg);
  gbi_checkweak(L, value, GBI_FORUSER);
  lua_pushvalue(L, source);
  i = gbiR_register(L, reg, value, 0);
  lua_settop(L, value - 1);
  return i;
}


static lua_Integer api_register_created (lua_State *L, int reg) {
  lua_Integer i;
  int construct_fn = lua_gettop(L);
  reg = lua_absindex(L, reg);
  if (!lua_isfunction(L, construct_fn))
    luaL_error(L, "construct_fn is not a function");
  gbi_checkweak(L, construct_fn - 1, GBI_FORCREATED);
  lua_pushvalue(L, construct_fn);
  i = gbiR_register(L, reg, construct_fn - 1, 1);
  lua_settop(L, construct_fn - 2);
  return i;
}


static int api_find (lua_State *L, int reg, lua_Integer i) {
  return gbiR_find(L, lua_absindex(L, reg), i);
}


static void api_get (lua_State *L, int reg, lua_Integer i) {
  reg = lua_absindex(L, reg);
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


static void api_store (lua_State *L, int reg, int n) {
  gbi_Values v = {0, 0, 0}, none = {0, 0, 0};
  lua_Integer i;
  reg = lua_absindex(L, reg);
  v.first = lua_gettop(L) - n + 1;
  v.n = n;
  i = gbiR_unheld(L, &v);
  if (i != 0) luaL_error(L, "%s", gbiR_whyunheld(L, reg, i));
  gbiR_store(L, reg, &v, &none);
  lua_settop(L, v.first - 1);
}


static void api_set (lua_State *L, int reg, lua_Integer i) {
  reg = lua_absindex(L, reg);
  api_checkheld(L, -1);
  if (!gbiR_set(L, reg, i, lua_gettop(L)))
    luaL_error(L, "external object %I: index out of range", (LUAI_UACINT)i);
  lua_pop(L, 1);
}


static void api_stash (lua_State *L, int reg) {
  reg = lua_absindex(L, reg);
  api_checkheld(L, -1);
  gbiR_stash(L, reg, lua_gettop(L));
  lua_pop(L, 1);
}


static void api_reset (lua_State *L, int reg) {
  gbiR_reset(L, lua_absindex(L, reg));
}


static void api_snapshot (lua_State *L, int reg) {
  gbiR_snapshot(L, lua_absindex(L, reg));
}


static void api_restore (lua_State *L, int reg, int snap) {
  reg = lua_absindex(L, reg);
  snap = lua_absindex(L, snap);
  if (!gbiR_issnapshot(L, reg, snap))
    luaL_error(L, "not a snapshot of this registry");
  gbiR_restore(L, reg, snap);
}


static void api_count (lua_State *L, int reg, lua_Integer *live,
                       lua_Integer *dead) {
  gbiR_count(L, lua_absindex(L, reg), live, dead);
}


static void api_push_side (lua_State *L, int reg) {
  lua_getiuservalue(L, reg, GBI_OBJECTS);
}

/* }================================================================== */


/* {==================================================================
** Handle tables
** =================================================================== */

static void api_new_handles (lua_State *L) {
  checkloaded(L, gbiS_get(L) != NULL);
  gbiH_new(L);
}


static void api_state_handles (lua_State *L) {
  checkloaded(L, gbiH_getdefault(L));
}


/* Pushes the handle table at `handles`, or the state's own if `handles` is 0.
** Returns its index. [-0, +1, e] */
static int pushhandles (lua_State *L, int handles) {
  if (handles != 0) lua_pushvalue(L, handles);
  else checkloaded(L, gbiH_getdefault(L));
  return lua_gettop(L);
}


static void api_check_handles (lua_State *L, int arg) {
  luaL_checkudata(L, arg, GBI_HANDLES);
}


static lua_Integer api_weak (lua_State *L, int handles, int value) {
  lua_Integer h;
  value = lua_absindex(L, value);
  handles = pushhandles(L, handles);
  gbi_checkweak(L, value, GBI_FORHANDLE);
  h = gbiH_weak(L, handles, value);
  lua_settop(L, handles - 1);
  return h;
}


static lua_Integer api_strong (lua_State *L, int handles, int value) {
  lua_Integer h;
  value = lua_absindex(L, value);
  handles = pushhandles(L, handles);
  if (lua_isnil(L, value)) luaL_error(L, "nil cannot have a handle");
  h = gbiH_strong(L, handles, value);
  lua_settop(L, handles - 1);
  return h;
}


static int api_find_handle (lua_State *L, int handles, lua_Integer h) {
  int status;
  handles = pushhandles(L, handles);
  status = gbiH_find(L, handles, h);
  lua_remove(L, handles);
  return status;
}


static void api_get_handle (lua_State *L, int handles, lua_Integer h) {
  handles = pushhandles(L, handles);
  if (gbiH_find(L, handles, h) != GBI_LIVE) gbiH_error(L, handles, h);
  lua_remove(L, handles);
}


static void *api_get_handle_udata (lua_State *L, int handles, lua_Integer h,
                                   const char *tname) {
  void *p;
  api_get_handle(L, handles, h);
  p = luaL_testudata(L, -1, tname);
  if (p == NULL) gbiH_typeerror(L, h, tname);
  return p;
}


static int api_release (lua_State *L, int handles, lua_Integer h) {
  int status;
  handles = pushhandles(L, handles);
  status = gbiH_release(L, handles, h);
  lua_pop(L, 1);
  return status;
}


static int api_on_collect (lua_State *L, int handles, lua_Integer h) {
  int status, callback = lua_gettop(L);
  handles = pushhandles(L, handles);
  if (!lua_isnil(L, callback) && !lua_isfunction(L, callback))
    luaL_error(L, "callback is not a function");
  status = gbiH_on_collect(L, handles, h, callback);
  lua_pop(L, 2);
  return status;
}


static lua_Integer api_sweep (lua_State *L, int handles) {
  lua_Integer called = gbiH_sweep(L, pushhandles(L, handles));
  lua_pop(L, 1);
  return called;
}


static lua_Integer api_count_handles (lua_State *L, int handles) {
  lua_Integer live = gbiH_count(L, pushhandles(L, handles));
  lua_pop(L, 1);
  return live;
}


static void api_push_objects (lua_State *L, int handles) {
  handles = pushhandles(L, handles);
  lua_getiuservalue(L, handles, GBI_OBJECTS);
  lua_remove(L, handles);
}

/* }================================================================== */


static const gbi_API api = {
  GBI_API_VERSION,
  api_new,
  api_default,
  api_check,
  api_register,
  api_register_created,
  api_get,
  api_get_udata,
  api_find,
  api_store,
  api_set,
  api_stash,
  api_reset,
  api_snapshot,
  api_restore,
  api_count,
  api_push_side,
  api_new_handles,
  api_state_handles,
  api_check_handles,
  api_weak,
  api_strong,
  api_find_handle,
  api_get_handle,
  api_get_handle_udata,
  api_release,
  api_on_collect,
  api_sweep,
  api_count_handles,
  api_push_objects
};


/* Publishes the table in this Lua state, for gbi_open. [-0, +0, m] */
void gbi_openapi (lua_State *L) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&api);
  lua_setfield(L, LUA_REGISTRYINDEX, "gbi.api");
}

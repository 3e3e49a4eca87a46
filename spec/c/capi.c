/*
** capi.c - module capi: gbi.h's functions for the specs, one Lua function
** each. The first argument is the registry, or the handle table: nil for the
** state's own.
*/
#include "compat.h"
#include "gbi.h"

#define API ((const gbi_API *)lua_touserdata(L, lua_upvalueindex(1)))

static const char *const statuses[] = {"live", "dead", "unregistered"};


/* Returns `n`, the number of results on the top of the stack, if the stack
** holds `top` values, as it should. */
static int results (lua_State *L, int n, int top) {
  return lua_gettop(L) == top ? n : luaL_error(L, "stack");
}


/* {==================================================================
** Registries
** =================================================================== */

static int capi_new (lua_State *L) {
  API->new_registry(L);
  return 1;
}


static int capi_default (lua_State *L) {
  API->default_registry(L);
  return 1;
}


static int capi_check (lua_State *L) {
  API->check_registry(L, 1);
  return 0;
}


/* (registry, value, source) -> index; the registry by a negative index */
static int capi_register (lua_State *L) {
  lua_settop(L, 3);
  lua_insert(L, 2);  /* registry, source, value */
  lua_pushinteger(L, API->register_object(L, -3, -2));
  return results(L, 1, 3);
}


/* (registry, example, construct_fn) -> index */
static int capi_register_created (lua_State *L) {
  lua_settop(L, 3);
  lua_pushinteger(L, API->register_created(L, 1));
  return results(L, 1, 2);
}


/* A constructor in C: emits what creates an empty table. (index, cg) */
static int construct (lua_State *L) {
  lua_getfield(L, 2, "load_import");
  lua_pushvalue(L, 2);
  lua_pushliteral(L, "gbi.compat");
  lua_pushliteral(L, "pack");
  lua_call(L, 3, 0);
  lua_getfield(L, 2, "call_function");
  lua_pushvalue(L, 2);
  lua_pushinteger(L, 0);
  lua_call(L, 2, 0);
  return 0;
}


/* (registry, example) -> index */
static int capi_register_c_created (lua_State *L) {
  lua_settop(L, 2);
  lua_pushcfunction(L, construct);
  lua_pushinteger(L, API->register_created(L, 1));
  return 1;
}


/* (registry, index) -> object */
static int capi_get (lua_State *L) {
  API->get(L, 1, luaL_checkinteger(L, 2));
  return results(L, 1, 3);
}


/* (registry, index, tname) -> object, is its address the one returned? */
static int capi_get_udata (lua_State *L) {
  void *p = API->get_udata(L, 1, luaL_checkinteger(L, 2),
                           luaL_checkstring(L, 3));
  lua_pushboolean(L, p == lua_touserdata(L, -1));
  return 2;
}


/* (registry, index) -> object, status */
static int capi_find (lua_State *L) {
  int status = API->find(L, 1, luaL_checkinteger(L, 2));
  lua_pushstring(L, statuses[status]);
  return results(L, 2, 4);
}


/* (registry, index) -> object, status */
static int capi_find_in (lua_State *L) {
  int side, status;
  lua_settop(L, 2);
  API->push_side(L, 1);
  side = lua_gettop(L);
  status = gbi_find_in(L, API, 1, side, luaL_checkinteger(L, 2));
  lua_pushstring(L, statuses[status]);
  return results(L, 2, 5);
}


/* (registry, ...) */
static int capi_store (lua_State *L) {
  API->store(L, 1, lua_gettop(L) - 1);
  return results(L, 0, 1);
}


/* (registry, index, object) */
static int capi_set (lua_State *L) {
  lua_settop(L, 3);
  API->set(L, 1, luaL_checkinteger(L, 2));
  return results(L, 0, 2);
}


/* (registry, object) */
static int capi_stash (lua_State *L) {
  lua_settop(L, 2);
  API->stash(L, -2);
  return results(L, 0, 1);
}


static int capi_reset (lua_State *L) {
  API->reset(L, 1);
  return results(L, 0, 1);
}


static int capi_snapshot (lua_State *L) {
  lua_settop(L, 1);
  API->snapshot(L, 1);
  return results(L, 1, 2);
}


static int capi_restore (lua_State *L) {
  lua_settop(L, 2);
  API->restore(L, -2, -1);
  return results(L, 0, 2);
}


/* (registry) -> live, dead */
static int capi_count (lua_State *L) {
  lua_Integer live, dead;
  lua_settop(L, 1);
  API->count(L, -1, &live, &dead);
  lua_pushinteger(L, live);
  lua_pushinteger(L, dead);
  return results(L, 2, 3);
}


/* }================================================================== */


/* {==================================================================
** Handle tables
** =================================================================== */

/* The handle table: argument 1, or 0 for the state's own. */
#define HANDLES (lua_isnoneornil(L, 1) ? 0 : 1)


static int capi_new_handles (lua_State *L) {
  API->new_handles(L);
  return 1;
}


static int capi_state_handles (lua_State *L) {
  API->state_handles(L);
  return 1;
}


static int capi_check_handles (lua_State *L) {
  API->check_handles(L, 1);
  return 0;
}


/* (handles, value) -> handle; both by a negative index */
static int capi_weak (lua_State *L) {
  lua_settop(L, 2);
  lua_pushinteger(L, API->weak(L, HANDLES == 0 ? 0 : -2, -1));
  return results(L, 1, 3);
}


/* (handles, value) -> handle */
static int capi_strong (lua_State *L) {
  lua_settop(L, 2);
  lua_pushinteger(L, API->strong(L, HANDLES, 2));
  return results(L, 1, 3);
}


/* (handles, handle) -> value, status; the table by a negative index */
static int capi_find_handle (lua_State *L) {
  int status;
  lua_settop(L, 2);
  status = API->find_handle(L, HANDLES == 0 ? 0 : -2,
                            luaL_checkinteger(L, 2));
  lua_pushstring(L, statuses[status]);
  return results(L, 2, 4);
}


/* (handles, handle) -> value, status */
static int capi_find_handle_in (lua_State *L) {
  int objects, status;
  lua_settop(L, 2);
  API->push_objects(L, HANDLES);
  objects = lua_gettop(L);
  status = gbi_find_handle_in(L, API, HANDLES, objects,
                              luaL_checkinteger(L, 2));
  lua_pushstring(L, statuses[status]);
  return results(L, 2, 5);
}


/* (handles, handle) -> value */
static int capi_get_handle (lua_State *L) {
  lua_settop(L, 2);
  API->get_handle(L, HANDLES, luaL_checkinteger(L, 2));
  return results(L, 1, 3);
}


/* (handles, handle, tname) -> object, is its address the one returned? */
static int capi_get_handle_udata (lua_State *L) {
  void *p;
  lua_settop(L, 3);
  p = API->get_handle_udata(L, HANDLES, luaL_checkinteger(L, 2),
                            luaL_checkstring(L, 3));
  lua_pushboolean(L, p == lua_touserdata(L, -1));
  return results(L, 2, 5);
}


/* (handles, handle) -> previous status */
static int capi_release (lua_State *L) {
  lua_settop(L, 2);
  lua_pushstring(L, statuses[API->release(L, HANDLES,
                                          luaL_checkinteger(L, 2))]);
  return results(L, 1, 3);
}


/* (handles, handle, callback) -> status */
static int capi_on_collect (lua_State *L) {
  lua_settop(L, 3);
  lua_pushstring(L, statuses[API->on_collect(L, HANDLES,
                                             luaL_checkinteger(L, 2))]);
  return results(L, 1, 3);
}


/* (handles) -> the number of callbacks called */
static int capi_sweep (lua_State *L) {
  lua_settop(L, 1);
  lua_pushinteger(L, API->sweep(L, HANDLES));
  return results(L, 1, 2);
}


/* (handles) -> the number of live handles */
static int capi_count_handles (lua_State *L) {
  lua_settop(L, 1);
  lua_pushinteger(L, API->count_handles(L, HANDLES));
  return results(L, 1, 2);
}

/* }================================================================== */


/* (integer) -> the integer that comes back from a `void *`, which has
** `pointer_bits` bits */
static int capi_pointer (lua_State *L) {
  void *p = GBI_TOPOINTER(luaL_checkinteger(L, 1));
  lua_pushinteger(L, GBI_TOHANDLE(p));
  return 1;
}


/* () -> light userdata */
static int capi_light (lua_State *L) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)API);
  return 1;
}


/* {==================================================================
** A Lua state that never loaded gbi.core. Each of these functions calls one of
** gbi's, the table of which another state has opened, with a string at 1.
** =================================================================== */

static int bare_new (lua_State *L) {
  API->new_registry(L);
  return 0;
}


static int bare_default (lua_State *L) {
  API->default_registry(L);
  return 0;
}


static int bare_check (lua_State *L) {
  API->check_registry(L, 1);
  return 0;
}


static int bare_new_handles (lua_State *L) {
  API->new_handles(L);
  return 0;
}


static int bare_state_handles (lua_State *L) {
  API->state_handles(L);
  return 0;
}


static int bare_check_handles (lua_State *L) {
  API->check_handles(L, 1);
  return 0;
}


static int bare_weak (lua_State *L) {
  lua_newtable(L);
  API->weak(L, 0, -1);
  return 0;
}


static int bare_weak_value (lua_State *L) {
  API->weak(L, 0, 1);
  return 0;
}


static int bare_strong (lua_State *L) {
  API->strong(L, 0, 1);
  return 0;
}


static int bare_find_handle (lua_State *L) {
  API->find_handle(L, 0, GBI_HANDLE0 + 1);
  return 0;
}


static int bare_get_handle (lua_State *L) {
  API->get_handle(L, 0, GBI_HANDLE0 + 1);
  return 0;
}


static int bare_get_handle_udata (lua_State *L) {
  API->get_handle_udata(L, 0, GBI_HANDLE0 + 1, "FILE*");
  return 0;
}


static int bare_release (lua_State *L) {
  API->release(L, 0, GBI_HANDLE0 + 1);
  return 0;
}


static int bare_on_collect (lua_State *L) {
  lua_pushnil(L);
  API->on_collect(L, 0, GBI_HANDLE0 + 1);
  return 0;
}


static int bare_sweep (lua_State *L) {
  API->sweep(L, 0);
  return 0;
}


static int bare_count_handles (lua_State *L) {
  API->count_handles(L, 0);
  return 0;
}


static int bare_push_objects (lua_State *L) {
  API->push_objects(L, 0);
  return 0;
}


static const luaL_Reg bare[] = {
  {"new_registry", bare_new},
  {"default_registry", bare_default},
  {"check_registry", bare_check},
  {"new_handles", bare_new_handles},
  {"state_handles", bare_state_handles},
  {"check_handles", bare_check_handles},
  {"weak", bare_weak},
  {"weak of a value", bare_weak_value},
  {"strong", bare_strong},
  {"find_handle", bare_find_handle},
  {"get_handle", bare_get_handle},
  {"get_handle_udata", bare_get_handle_udata},
  {"release", bare_release},
  {"on_collect", bare_on_collect},
  {"sweep", bare_sweep},
  {"count_handles", bare_count_handles},
  {"push_objects", bare_push_objects},
  {NULL, NULL}
};


/* (core) -> a table of name -> error of the functions above. Each is called in
** a new state; with `core`, the function luaopen_gbi_core, in one that has
** opened gbi.core. */
static int capi_bare (lua_State *L) {
  const luaL_Reg *l;
  lua_CFunction core = lua_tocfunction(L, 1);
  lua_settop(L, 0);
  lua_newtable(L);
  for (l = bare; l->name != NULL; l++) {
    lua_State *new = luaL_newstate();
    if (new == NULL) return luaL_error(L, "no memory");
    if (core != NULL) {
      lua_pushcfunction(new, core);
      lua_call(new, 0, 0);
    }
    lua_pushlightuserdata(new, (void *)(uintptr_t)API);
    lua_pushcclosure(new, l->func, 1);
    lua_pushliteral(new, "text");
    if (lua_pcall(new, 1, 0, 0) == LUA_OK) lua_pushliteral(L, "no error");
    else {
      luaL_tolstring(new, -1, NULL);
      lua_pushstring(L, lua_tostring(new, -1));
    }
    lua_close(new);
    lua_setfield(L, 1, l->name);
  }
  return 1;
}

/* }================================================================== */


/* () -> version that gbi_open found in this state */
static int capi_open (lua_State *L) {
  lua_pushinteger(L, gbi_open(L)->version);
  return 1;
}


static const luaL_Reg functions[] = {
  {"new", capi_new},
  {"default", capi_default},
  {"check", capi_check},
  {"register", capi_register},
  {"register_created", capi_register_created},
  {"register_c_created", capi_register_c_created},
  {"get", capi_get},
  {"get_udata", capi_get_udata},
  {"find", capi_find},
  {"find_in", capi_find_in},
  {"store", capi_store},
  {"set", capi_set},
  {"stash", capi_stash},
  {"reset", capi_reset},
  {"snapshot", capi_snapshot},
  {"restore", capi_restore},
  {"count", capi_count},
  {"new_handles", capi_new_handles},
  {"state_handles", capi_state_handles},
  {"check_handles", capi_check_handles},
  {"weak", capi_weak},
  {"strong", capi_strong},
  {"find_handle", capi_find_handle},
  {"find_handle_in", capi_find_handle_in},
  {"get_handle", capi_get_handle},
  {"get_handle_udata", capi_get_handle_udata},
  {"release", capi_release},
  {"on_collect", capi_on_collect},
  {"sweep", capi_sweep},
  {"count_handles", capi_count_handles},
  {"pointer", capi_pointer},
  {"light", capi_light},
  {"bare", capi_bare},
  {"open", capi_open},
  {NULL, NULL}
};


int luaopen_capi (lua_State *L);

int luaopen_capi (lua_State *L) {
  int i;
  for (i = 0; i < 3; i++) {  /* so that pushing them later cannot fail */
    lua_pushstring(L, statuses[i]);
    luaL_ref(L, LUA_REGISTRYINDEX);
  }
  luaL_newlibtable(L, functions);
  lua_pushlightuserdata(L, (void *)(uintptr_t)gbi_open(L));
  luaL_setfuncs(L, functions, 1);
  lua_pushinteger(L, 8 * (lua_Integer)sizeof(void *));
  lua_setfield(L, -2, "pointer_bits");
  lua_pushinteger(L, 8 * (lua_Integer)sizeof(lua_Integer));
  lua_setfield(L, -2, "integer_bits");
  return 1;
}

/*
** handles_lua.c - handle tables for Lua
*/
#include "internal.h"

#include <lauxlib.h>

/***
Numbers for single values, never given out twice. `tostring` of a handle table
tells how many of its handles are live.

A handle is *live* as long as its object is; after that it is *dead* for ever,
because no handle table of the Lua state gives out the same number again. A dead
handle takes no memory. Handles are greater than 1,000,000,000, so they never
equal an index, and they fit a C pointer. A handle of another table finds
nothing.

A C library can keep a handle in its `void *`: see `gbi.h`.
@classmod gbi.handles
*/

#define METATABLE lua_upvalueindex(1)


/* Checks that argument 1 is a handle table. (lua_rawequal takes longer than
** both calls of lua_topointer.) [-0, +0, e] */
static void checkself (lua_State *L) {
  if (lua_touserdata(L, 1) == NULL || !lua_getmetatable(L, 1)
      || lua_topointer(L, -1) != lua_topointer(L, METATABLE))
    luaL_typeerror(L, 1, GBI_HANDLES);
  lua_pop(L, 1);
}


/* Checks that argument 1 is a handle table and argument 2 an integer; returns
** that integer. [-0, +0, e] */
static lua_Integer checkhandle (lua_State *L) {
  checkself(L);
  return luaL_checkinteger(L, 2);
}


/* Pushes nil and the reason. */
static int pushwhy (lua_State *L, int status) {
  lua_pushnil(L);
  lua_pushstring(L, status == GBI_DEAD ? "dead" : "unregistered");
  return 2;
}


/* Pushes true for a handle that was live, otherwise nil and the reason. */
static int pushdone (lua_State *L, int status) {
  if (status != GBI_LIVE) return pushwhy(L, status);
  lua_pushboolean(L, 1);
  return 1;
}


/***
Creates a handle table.
@function gbi.new_handles
@treturn gbi.handles
*/
static int core_new_handles (lua_State *L) {
  gbiH_new(L);
  return 1;
}


/***
Creates a handle of an object. The handle does not keep the object alive.
@function weak
@tparam gbi.object object
@treturn integer the handle
@raise the error @{gbi.registry.unimplemented} for a value that cannot be held
weakly
*/
static int handles_weak (lua_State *L) {
  checkself(L);
  if (lua_type(L, 2) < GBI_HELD) {
    luaL_checkany(L, 2);
    gbi_checkweak(L, 2, GBI_FORHANDLE);
  }
  lua_pushinteger(L, gbiH_weak(L, 1, 2));
  return 1;
}


/***
Creates a handle of a value and keeps the value alive until `release`.
@function strong
@tparam any value any but nil
@treturn integer the handle
*/
static int handles_strong (lua_State *L) {
  checkself(L);
  luaL_checkany(L, 2);
  luaL_argcheck(L, !lua_isnil(L, 2), 2, "value expected, got nil");
  lua_pushinteger(L, gbiH_strong(L, 1, 2));
  return 1;
}


/***
Returns the value of a handle.
@function get
@tparam integer handle
@tparam ?string tname the type it must have: a basic type, or the name in a
metatable (`"FILE*"`)
@treturn any the value
@raise `handle 1000000007 is no longer alive`, `… was never given out` or `… is
not a FILE* (got table)`, at the caller's position
*/
static int handles_get (lua_State *L) {
  lua_Integer h = checkhandle(L);
  const char *tname = luaL_optstring(L, 3, NULL);
  if (gbiH_find(L, 1, h) != GBI_LIVE) return gbiH_error(L, 1, h);
  if (tname != NULL && !gbi_hastype(L, -1, tname))
    return gbiH_typeerror(L, h, tname);
  return 1;
}


/***
Like `get`, but never raises an error for a handle that has no value.
@function find
@tparam integer handle
@treturn any the value, or nil
@treturn ?string why it has no value: `"dead"` (collected, released, or possibly
another table's) or `"unregistered"` (never given out by this handle table)
*/
static int handles_find (lua_State *L) {
  int status = gbiH_find(L, 1, checkhandle(L));
  return status == GBI_LIVE ? 1 : pushwhy(L, status);
}


/***
Makes a handle dead. Its callback, if it has one, is not called.
@function release
@tparam integer handle
@treturn ?boolean true, or nil
@treturn ?string why it was not live: `"dead"` or `"unregistered"`
*/
static int handles_release (lua_State *L) {
  return pushdone(L, gbiH_release(L, 1, checkhandle(L)));
}


/***
Sets a callback. The first `sweep` after the object was collected calls it once,
with the handle.
@function on_collect
@tparam integer handle
@tparam ?fun(handle:integer) callback pass nil to remove it
@treturn ?boolean true, or nil
@treturn ?string why no callback was set: `"dead"` or `"unregistered"`
*/
static int handles_on_collect (lua_State *L) {
  lua_Integer h = checkhandle(L);
  lua_settop(L, 3);
  if (!lua_isnil(L, 3)) luaL_checktype(L, 3, LUA_TFUNCTION);
  return pushdone(L, gbiH_on_collect(L, 1, h, 3));
}


/***
Calls the callbacks of the handles whose objects were collected since the last
sweep, in the order of the handles.
@function sweep
@treturn integer how many were called
@raise the error of a callback; the next sweep continues after that callback
*/
static int handles_sweep (lua_State *L) {
  checkself(L);
  lua_pushinteger(L, gbiH_sweep(L, 1));
  return 1;
}


/***
Counts the live handles.
@function count
@treturn integer
*/
static int handles_count (lua_State *L) {
  checkself(L);
  lua_pushinteger(L, gbiH_count(L, 1));
  return 1;
}


/* The iterator of `entries`. Upvalues: the handle table, its handles in order,
** their number, and the number of those visited.
** [] -> handle, value, kind */
static int nexthandle (lua_State *L) {
  int handles = lua_upvalueindex(1);
  const lua_Integer *list =
    (const lua_Integer *)lua_touserdata(L, lua_upvalueindex(2));
  lua_Integer n = lua_tointeger(L, lua_upvalueindex(3));
  lua_Integer i = lua_tointeger(L, lua_upvalueindex(4));
  while (i < n) {
    lua_Integer h = list[i++];
    lua_pushinteger(L, h);
    if (gbiH_find(L, handles, h) == GBI_LIVE) {
      lua_pushstring(L, gbiH_kind(L, handles, h));
      lua_pushinteger(L, i);
      lua_replace(L, lua_upvalueindex(4));
      return 3;
    }
    lua_settop(L, 0);
  }
  return 0;
}


/***
Iterates over the live handles, in their order. The table may change during the
iteration: handles that have died are skipped, new ones are not visited.
@function entries
@treturn fun():integer,any,string iterator of handle, value and kind: `"weak"`,
`"strong"`, or `"run"` for one that belongs to a run
*/
static int handles_entries (lua_State *L) {
  size_t n;
  checkself(L);
  lua_settop(L, 1);
  gbiH_list(L, 1, &n);
  lua_pushinteger(L, (lua_Integer)n);
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, nexthandle, 4);
  return 1;
}


/* tostring(handles) */
static int handles_tostring (lua_State *L) {
  checkself(L);
  lua_pushfstring(L, "%s (%I live): %p", GBI_HANDLES,
                  (LUAI_UACINT)gbiH_count(L, 1), lua_topointer(L, 1));
  return 1;
}


static const luaL_Reg handles_methods[] = {
  {"weak", handles_weak},
  {"strong", handles_strong},
  {"get", handles_get},
  {"find", handles_find},
  {"release", handles_release},
  {"on_collect", handles_on_collect},
  {"sweep", handles_sweep},
  {"entries", handles_entries},
  {"count", handles_count},
  {NULL, NULL}
};

static const luaL_Reg handles_metamethods[] = {
  {"__tostring", handles_tostring},
  {NULL, NULL}
};


/* Sets `new_handles`, `handles` and `objects` in the module at `core`.
** [-0, +0, m] */
void gbi_openhandles (lua_State *L, int core) {
  int mt = lua_gettop(L) + 1;
  luaL_newmetatable(L, GBI_HANDLES);
  lua_pushvalue(L, mt);
  luaL_setfuncs(L, handles_metamethods, 1);
  lua_newtable(L);
  lua_pushvalue(L, mt);
  luaL_setfuncs(L, handles_methods, 1);
  lua_setfield(L, mt, "__index");
  lua_pop(L, 1);
  gbiH_default(L);
  lua_setfield(L, core, "handles");
  gbi_lookups(L, 1);
  lua_setfield(L, core, "objects");
  lua_pushcfunction(L, core_new_handles);
  lua_setfield(L, core, "new_handles");
}

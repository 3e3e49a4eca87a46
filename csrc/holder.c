/*
** holder.c - tables of objects, and the names of types
**
** Code shared by registries and handle tables.
*/
#include "internal.h"

#include <string.h>

#include <lauxlib.h>

/* The addresses of these characters are keys in the Lua registry: see
** gbi_lookups. */
static const char lookupkeys[] = "gbi look-ups";


/* Pushes a new holder of `size` bytes, all 0 after its head, with `nvalues`
** unset user values. [-0, +1, m] */
void *gbi_newholder (lua_State *L, size_t size, int nvalues) {
  gbi_Holder *h = (gbi_Holder *)lua_newuserdatauv(L, size, nvalues);
  memset(h, 0, size);
  h->state = gbiS_get(L);
  return h;
}


/* Pushes the table in which look-ups in Lua (lua/gbi/lookup.lua) find the table
** of objects of a registry (`handles` is 0) or a handle table (1); the keys are
** weak. [-0, +1, m] */
void gbi_lookups (lua_State *L, int handles) {
  const void *key = &lookupkeys[handles];
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, key) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushliteral(L, "k");
  gbiS_metatable(L, "gbi.weakkeys", "__mode");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}


/* Makes look-ups for the holder at `at` find the table on the top. Allocates
** only the first time. [-1, +0, m] */
void gbi_publish (lua_State *L, int at, int handles) {
  int objects = lua_gettop(L);
  at = lua_absindex(L, at);
  gbi_lookups(L, handles);
  lua_pushvalue(L, at);
  lua_pushvalue(L, objects);
  lua_rawset(L, -3);
  lua_settop(L, objects - 1);
}


/* Makes sure that a later write to slot `i` of the table at `t` cannot fail:
** an empty slot gets `false`. Returns whether it was empty. [-0, +0, m] */
int gbi_reserve (lua_State *L, int t, lua_Integer i) {
  int empty;
  t = lua_absindex(L, t);
  empty = (lua_rawgeti(L, t, i) == LUA_TNIL);
  if (empty) {
    lua_pushboolean(L, 0);
    lua_rawseti(L, t, i);
  }
  lua_pop(L, 1);
  return empty;
}


/* Empties slot `i` of user value `which`. Returns 0 if it was empty.
** [-0, +0, -] */
int gbi_forget (lua_State *L, int at, int which, lua_Integer i) {
  int there;
  lua_getiuservalue(L, at, which);
  there = (lua_rawgeti(L, -1, i) != LUA_TNIL);
  if (there) {
    lua_pushnil(L);
    lua_rawseti(L, -3, i);
  }
  lua_pop(L, 2);
  return there;
}


/* Puts the value at `value` into slot `i` (not nil) of user value `which`.
** [-0, +0, -] */
void gbi_keep (lua_State *L, int at, int which, lua_Integer i, int value) {
  lua_getiuservalue(L, at, which);
  lua_pushvalue(L, value);
  lua_rawseti(L, -2, i);
  lua_pop(L, 1);
}


/* Does the value at `value` have the type `tname`: a basic type, or the name
** in its metatable? [-0, +0, m] */
int gbi_hastype (lua_State *L, int value, const char *tname) {
  int same;
  if (strcmp(luaL_typename(L, value), tname) == 0
      || luaL_testudata(L, value, tname) != NULL)
    return 1;
  if (luaL_getmetafield(L, value, "__name") == LUA_TNIL) return 0;
  same = (lua_type(L, -1) == LUA_TSTRING
          && strcmp(lua_tostring(L, -1), tname) == 0);
  lua_pop(L, 1);
  return same;
}


/* Returns the name of the type of the value at `value` for error messages: the
** name in its metatable, which then stays on the stack, or its basic type.
** [-0, +(0|1), m] */
const char *gbi_typename (lua_State *L, int value) {
  const char *basic = luaL_typename(L, value);
  int t = luaL_getmetafield(L, value, "__name");
  if (t == LUA_TSTRING) return lua_tostring(L, -1);
  if (t != LUA_TNIL) lua_pop(L, 1);
  return basic;
}

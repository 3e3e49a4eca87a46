/*
** find.c - look-ups from C against lua_rawgeti
**
** Each function makes `n` look-ups of three numbers that follow one another,
** again and again, and returns how many found an object.
*/
#include "gbi.h"

LUALIB_API int luaopen_find (lua_State *L);

/* The number after `i` among `first` and the two after it. */
static lua_Integer next (lua_Integer i, lua_Integer first) {
  return i == first + 2 ? first : i + 1;
}


/* gbi(registry, n) -> found */
static int find_gbi (lua_State *L) {
  const gbi_API *gbi = gbi_open(L);
  lua_Integer k, i = 1, found = 0, n = luaL_checkinteger(L, 2);
  gbi->check_registry(L, 1);
  gbi->push_side(L, 1);
  for (k = 0; k < n; k++, i = next(i, 1)) {
    if (gbi_find_in(L, gbi, 1, 3, i) == GBI_LIVE) found++;
    lua_pop(L, 1);
  }
  lua_pushinteger(L, found);
  return 1;
}


/* handle(handles, n, first) -> found */
static int find_handle (lua_State *L) {
  const gbi_API *gbi = gbi_open(L);
  lua_Integer first = luaL_checkinteger(L, 3);
  lua_Integer k, i = first, found = 0, n = luaL_checkinteger(L, 2);
  gbi->check_handles(L, 1);
  gbi->push_objects(L, 1);
  for (k = 0; k < n; k++, i = next(i, first)) {
    if (gbi_find_handle_in(L, gbi, 1, 4, i) == GBI_LIVE) found++;
    lua_pop(L, 1);
  }
  lua_pushinteger(L, found);
  return 1;
}


/* own_handle(n, first) -> found; a single call, on the state's own table */
static int find_own_handle (lua_State *L) {
  const gbi_API *gbi = gbi_open(L);
  lua_Integer first = luaL_checkinteger(L, 2);
  lua_Integer k, i = first, found = 0, n = luaL_checkinteger(L, 1);
  for (k = 0; k < n; k++, i = next(i, first)) {
    if (gbi->find_handle(L, 0, i) == GBI_LIVE) found++;
    lua_pop(L, 1);
  }
  lua_pushinteger(L, found);
  return 1;
}


/* rawgeti(table, n) -> found */
static int find_rawgeti (lua_State *L) {
  lua_Integer k, i = 1, found = 0, n = luaL_checkinteger(L, 2);
  luaL_checktype(L, 1, LUA_TTABLE);
  for (k = 0; k < n; k++, i = next(i, 1)) {
    if (lua_rawgeti(L, 1, i) != LUA_TNIL) found++;
    lua_pop(L, 1);
  }
  lua_pushinteger(L, found);
  return 1;
}


LUALIB_API int luaopen_find (lua_State *L) {
  static const luaL_Reg functions[] = {
    {"gbi", find_gbi}, {"handle", find_handle},
    {"own_handle", find_own_handle}, {"rawgeti", find_rawgeti}, {NULL, NULL}
  };
  luaL_newlib(L, functions);
  return 1;
}

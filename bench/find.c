/*
** find.c - look-ups from C: gbi_find_in against lua_rawgeti
**
** Each function makes `n` look-ups of the numbers 1, 2, 3, 1 ... and returns
** how many found an object.
*/
#include "gbi.h"

LUALIB_API int luaopen_find (lua_State *L);

static lua_Integer next (lua_Integer i) {
  return i == 3 ? 1 : i + 1;
}


/* gbi(registry, n) -> found */
static int find_gbi (lua_State *L) {
  const gbi_API *gbi = gbi_open(L);
  lua_Integer k, i = 1, found = 0, n = luaL_checkinteger(L, 2);
  gbi->check_registry(L, 1);
  gbi->push_side(L, 1);
  for (k = 0; k < n; k++, i = next(i)) {
    if (gbi_find_in(L, gbi, 1, 3, i) == GBI_LIVE) found++;
    lua_pop(L, 1);
  }
  lua_pushinteger(L, found);
  return 1;
}


/* rawgeti(table, n) -> found */
static int find_rawgeti (lua_State *L) {
  lua_Integer k, i = 1, found = 0, n = luaL_checkinteger(L, 2);
  luaL_checktype(L, 1, LUA_TTABLE);
  for (k = 0; k < n; k++, i = next(i)) {
    if (lua_rawgeti(L, 1, i) != LUA_TNIL) found++;
    lua_pop(L, 1);
  }
  lua_pushinteger(L, found);
  return 1;
}


LUALIB_API int luaopen_find (lua_State *L) {
  static const luaL_Reg functions[] =
    {{"gbi", find_gbi}, {"rawgeti", find_rawgeti}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}

/*
** lines.c - module `lines`: which lines of some Lua files are executed
*/
#include <string.h>

#include "compat.h"

/* Its address is the key of {[source]={[line]=true}} in the Lua registry. */
static const char key = 0;


/* Is this file watched? */
static int watched (const char *source) {
  return source[0] == '@' && strstr(source, "lua/gbi/") != NULL;
}


/* A lua_Hook: remembers the line. */
static void hook (lua_State *L, lua_Debug *ar) {
  if (!lua_getinfo(L, "S", ar) || !watched(ar->source)) return;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &key);
  lua_getfield(L, -1, ar->source);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, ar->source);
  }
  lua_pushboolean(L, 1);
  lua_rawseti(L, -2, ar->currentline);
  lua_pop(L, 2);
}


/* watch() -> {[source]={[line]=true}}: from here on, in this coroutine and in
** those that are made under it, until another hook is set. */
static int lines_watch (lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) == LUA_TNIL) {
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
  }
  lua_sethook(L, hook, LUA_MASKLINE, 0);
  return 1;
}


static const luaL_Reg functions[] = {
  {"watch", lines_watch},
  {NULL, NULL}
};


int luaopen_lines (lua_State *L);

int luaopen_lines (lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}

/*
** ref.c - luaL_ref for ref.lua: what a C library does that keeps a callback
*/
#include <lua.h>
#include <lauxlib.h>


/* ref(f) -> n: keeps f */
static int ref (lua_State *L) {
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  lua_pushinteger(L, luaL_ref(L, LUA_REGISTRYINDEX));
  return 1;
}


/* call(n) -> what the function returns */
static int call (lua_State *L) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, (int)luaL_checkinteger(L, 1));
  lua_call(L, 0, 1);
  return 1;
}


/* unref(n): stops keeping it */
static int unref (lua_State *L) {
  luaL_unref(L, LUA_REGISTRYINDEX, (int)luaL_checkinteger(L, 1));
  return 0;
}


int luaopen_ref (lua_State *L);

int luaopen_ref (lua_State *L) {
  lua_newtable(L);
  lua_pushcfunction(L, ref);
  lua_setfield(L, -2, "ref");
  lua_pushcfunction(L, call);
  lua_setfield(L, -2, "call");
  lua_pushcfunction(L, unref);
  lua_setfield(L, -2, "unref");
  return 1;
}

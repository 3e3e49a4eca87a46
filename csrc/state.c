/*
** state.c - data that all of gbi shares in one Lua state
**
** Everything is anchored in the Lua registry; there is no mutable static data.
*/
#include "internal.h"

#include <string.h>

#include <lauxlib.h>

#define WEAK "gbi.weak"

/* Their addresses are keys in the Lua registry: of the gbi_State, and of the
** prefix of the names of gbi's own chunks. The keys differ in content, too, so
** that no compiler merges them. */
static const char statekey[] = "gbi state", ownkey[] = "gbi's own chunks";


/* Replaces the value on the top by the metatable `name`; if it does not exist,
** creates it with the value as its `event`. Registers the metatable as the last
** step, when it is complete. [-1, +1, m] */
void gbiS_metatable (lua_State *L, const char *name, const char *event) {
  if (luaL_getmetatable(L, name) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_createtable(L, 0, 2);
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__name");
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, event);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, name);
  }
  lua_remove(L, -2);
}


/* Pushes a new table with weak values and room for `room` elements.
** [-0, +1, m] */
void gbi_newweak (lua_State *L, int room) {
  lua_createtable(L, room, 0);
  luaL_setmetatable(L, WEAK);
}


/* Creates the gbi_State and the metatable of weak tables, unless they exist.
** [-0, +0, m] */
void gbiS_open (lua_State *L) {
  static const gbi_State none = {0, 0, NULL, 0};
  gbi_State *state;
  lua_pushliteral(L, "v");
  gbiS_metatable(L, WEAK, "__mode");
  lua_pop(L, 1);
  if (gbiS_get(L) != NULL) return;
  state = (gbi_State *)lua_newuserdatauv(L, sizeof(*state), 0);
  *state = none;
  luaL_newmetatable(L, GBI_SOURCE);
  state->sources = lua_topointer(L, -1);
  lua_pop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, statekey);
}


/* Returns the gbi_State, or NULL if gbi.core was never opened. [-0, +0, -] */
gbi_State *gbiS_get (lua_State *L) {
  gbi_State *state;
  lua_rawgetp(L, LUA_REGISTRYINDEX, statekey);
  state = (gbi_State *)lua_touserdata(L, -1);
  lua_pop(L, 1);
  return state;
}


/* Turns recording of call sites on or off; chunks whose names begin with the
** string at `own` are gbi's. Returns the previous setting. [-0, +0, m] */
int gbiS_record (lua_State *L, int on, int own) {
  gbi_State *state = gbiS_get(L);
  int before = state->recording;
  lua_pushvalue(L, own);
  lua_rawsetp(L, LUA_REGISTRYINDEX, ownkey);
  state->recording = on;
  return before;
}


/* Pushes the call site of the running call: the current line of the innermost
** Lua function that is not gbi's own, or "?". [-0, +1, m] */
void gbiS_place (lua_State *L) {
  lua_Debug ar;
  const char *own;
  size_t n;
  int level;
  lua_rawgetp(L, LUA_REGISTRYINDEX, ownkey);
  own = lua_tolstring(L, -1, &n);
  for (level = 0; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline > 0 && strncmp(ar.source, own, n) != 0) {
      lua_pushfstring(L, "%s:%d", ar.short_src, ar.currentline);
      lua_replace(L, -2);
      return;
    }
  }
  lua_pop(L, 1);
  lua_pushliteral(L, "?");
}

/*
** snapshot.c - copies of a side table that hold its objects strongly
**
** A snapshot is a userdata that contains the size of the side table; its user
** values are the registry and a copy of the side table.
*/
#include "internal.h"

#include <lauxlib.h>

enum { REGISTRY = 1, COPY };


/* Pushes a snapshot of the registry's side table. [-0, +1, m] */
void gbiR_snapshot (lua_State *L, int at) {
  int copy = lua_gettop(L) + 2;
  lua_Integer *size;
  size = (lua_Integer *)lua_newuserdatauv(L, sizeof(lua_Integer), COPY);
  lua_newtable(L);
  *size = ((gbi_Registry *)lua_touserdata(L, at))->size;
  lua_getiuservalue(L, at, GBI_OBJECTS);
  lua_pushnil(L);
  while (lua_next(L, copy + 1)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, copy);
  }
  lua_settop(L, copy);
  lua_setiuservalue(L, -2, COPY);
  lua_pushvalue(L, at);
  lua_setiuservalue(L, -2, REGISTRY);
  luaL_setmetatable(L, GBI_SNAPSHOT);
}


/* Is the value at `value` a snapshot of this registry? [-0, +0, -] */
int gbiR_issnapshot (lua_State *L, int at, int value) {
  int same;
  if (luaL_testudata(L, value, GBI_SNAPSHOT) == NULL) return 0;
  lua_getiuservalue(L, value, REGISTRY);
  same = lua_rawequal(L, -1, at);
  lua_pop(L, 1);
  return same;
}


/* Restores the side table of the snapshot. [-0, +0, m] */
void gbiR_restore (lua_State *L, int at, int snapshot) {
  gbi_Values v;
  lua_getiuservalue(L, snapshot, COPY);
  v.list = lua_gettop(L);
  v.first = 0;
  v.n = *(lua_Integer *)lua_touserdata(L, snapshot);
  gbiR_replace(L, at, &v);
  lua_pop(L, 1);
}

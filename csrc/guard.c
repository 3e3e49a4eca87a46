/*
** guard.c - dead objects stay dead while a Lua state closes
**
** When a state closes, finalizers run from the youngest object to the oldest,
** and weak tables are not cleared first. A finalizer could therefore be given
** an object that has already been finalized. The guard of a holder is an
** object younger than all finalizable objects in the holder; its finalizer
** removes them, and from then on they are dead.
**
** A guard is also finalized in a normal collection, because it was replaced by
** a younger one or because its holder is garbage. To tell these cases apart,
** guards are in a weak table: in a normal collection the collector clears it
** before finalizers run, but not when the state closes.
*/
#include "internal.h"

#include <lauxlib.h>

#define GUARD "gbi.guard"
#define LIBRARY "gbi.library"

#define HOLDER(L, at) ((gbi_Holder *)lua_touserdata(L, at))

/* Keys in the Lua registry: the weak table of guards, and an object older than
** all guards. */
static const char watchkey[] = "gbi guards", librarykey[] = "gbi library";


/* Does the value at `value` have a finalizer? [-0, +0, m] */
int gbiG_finalizable (lua_State *L, int value) {
  int there, t = lua_type(L, value);
  if (!lua_getmetatable(L, value)) return 0;  /* the usual case */
  lua_pushliteral(L, "__gc");
  there = (lua_rawget(L, -2) != LUA_TNIL);
  lua_pop(L, 2);
  return there && (t == LUA_TTABLE || t == LUA_TUSERDATA);
}


/* Removes the objects with a finalizer from the holder's table of objects.
** [-0, +0, m] */
static void drop (lua_State *L, int at) {
  int value, t = lua_getiuservalue(L, at, GBI_OBJECTS);
  if (t == LUA_TTABLE) lua_pushnil(L);
  while (t == LUA_TTABLE && lua_next(L, -2)) {
    value = lua_gettop(L);
    if (gbiG_finalizable(L, value)) {
      lua_pushvalue(L, value - 1);
      lua_pushnil(L);
      lua_rawset(L, value - 2);
    }
    lua_settop(L, value - 1);
  }
  lua_pop(L, 1);
}


/* If the state is closing, removes finalizable objects from the holder. Call
** it after one may have been added. [-0, +0, m] */
void gbiG_dropfinalizable (lua_State *L, int at) {
  if (HOLDER(L, at)->state->closing) drop(L, at);
}


/* The finalizer of a guard. If its holder has another guard by now and the
** state is not closing, there is nothing to do. [guard] -> [] */
static int guard_gc (lua_State *L) {
  int closing, mine;
  lua_settop(L, 1);
  if (lua_getiuservalue(L, 1, 1) != LUA_TUSERDATA) return 0;
  lua_rawgetp(L, LUA_REGISTRYINDEX, watchkey);
  lua_rawgetp(L, 3, lua_touserdata(L, 2));
  lua_rawgetp(L, 3, lua_touserdata(L, 1));
  closing = lua_rawequal(L, 4, 1) || lua_rawequal(L, 5, 1);
  lua_getiuservalue(L, 2, GBI_GUARD);
  mine = lua_rawequal(L, -1, 1);
  lua_settop(L, 2);
  if (mine) HOLDER(L, 2)->guarded = 0;
  if (closing) HOLDER(L, 2)->state->closing = 1;
  if (closing || mine) drop(L, 2);
  return 0;
}


/* Removes the finalizer of the guards: the library is about to be unloaded.
** (LuaJIT would run the finalizers of guards made while the state closed after
** the library is gone.) [older than all guards] -> [] */
static int library_gc (lua_State *L) {
  luaL_getmetatable(L, GUARD);
  lua_pushnil(L);
  lua_setfield(L, -2, "__gc");
  return 0;
}


/* Gives the holder a new guard. May run finalizers. [-0, +0, m]
**
** The new guard replaces the previous one in the table of guards. In a
** finalizer, where the collector does not run, it is added beside it: the
** state could be closing, and then the new guard is never finalized. */
void gbiG_guard (lua_State *L, int at) {
  void *key = lua_newuserdatauv(L, 1, 1);
  lua_pushvalue(L, at);
  lua_setiuservalue(L, -2, 1);
  luaL_setmetatable(L, GUARD);
  lua_rawgetp(L, LUA_REGISTRYINDEX, watchkey);
  if (lua_gc(L, LUA_GCISRUNNING, 0) == 1) key = lua_touserdata(L, at);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, key);
  lua_pop(L, 1);
  lua_setiuservalue(L, at, GBI_GUARD);
  HOLDER(L, at)->guarded = 1;
}


/* Creates the metatables and tables that guards need, unless they exist.
** [-0, +0, m] */
void gbiG_open (lua_State *L) {
  lua_pushcfunction(L, guard_gc);
  gbiS_metatable(L, GUARD, "__gc");
  lua_pushcfunction(L, library_gc);
  gbiS_metatable(L, LIBRARY, "__gc");
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, librarykey) == LUA_TNIL) {
    lua_newuserdatauv(L, 1, 0);
    luaL_setmetatable(L, LIBRARY);
    lua_rawsetp(L, LUA_REGISTRYINDEX, librarykey);
  }
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, watchkey) == LUA_TNIL) {
    gbi_newweak(L, 0);
    lua_rawsetp(L, LUA_REGISTRYINDEX, watchkey);
  }
  lua_pop(L, 4);
}

/*
** run.c - runs, and the handles that belong to them
**
** A run is a table of the external objects of one call, for the function that a
** backend made: run[i] is external object i. Only the call holds it. Code that
** gbi generates keeps the objects in locals and needs no run; it has a list for
** each object that it passes on by handle. It uses runs and lists once more at
** the end of the call, because LuaJIT does not keep a local alive after its
** last use.
*/
#include "internal.h"

#include <lauxlib.h>

/* upvalues of the functions here */
#define METATABLE lua_upvalueindex(1)
#define OVER lua_upvalueindex(2)  /* metatable of a run that is over */
#define HANDLES lua_upvalueindex(3)

/***
The external objects of one call of a compiled graph. A backend's function gets
the run before the inputs. `run[index]` is the object at that index, or nil if
the graph does not use it. Read-only.
@classmod gbi.run
*/


/* Raises an argument error if argument 1 is not a run in progress.
** [-0, +0, e] */
static void checkrun (lua_State *L) {
  if (!lua_istable(L, 1) || !lua_getmetatable(L, 1))
    luaL_typeerror(L, 1, GBI_RUN);
  luaL_argcheck(L, !lua_rawequal(L, -1, OVER), 1, "the run is over");
  if (!lua_rawequal(L, -1, METATABLE)) luaL_typeerror(L, 1, GBI_RUN);
  lua_pop(L, 1);
}


/* enter(registry, list, n) -> run, stash: for the code that gbi generates.
** Turns the list into a run; it has `false` where this run has no object. The
** call holds the list of what is stashed, too. */
static int core_enter (lua_State *L) {
  lua_Integer i, n = luaL_checkinteger(L, 3);
  luaL_checkudata(L, 1, GBI_REGISTRY);
  luaL_checktype(L, 2, LUA_TTABLE);
  for (i = 1; i <= n; i++) {
    int t = lua_rawgeti(L, 2, i);
    if (t == LUA_TBOOLEAN && !lua_toboolean(L, -1)) {
      lua_pushnil(L);
      lua_rawseti(L, 2, i);
    }
    else if (t < GBI_HELD) return gbi_argunheld(L, 1, 2, i);
    lua_pop(L, 1);
  }
  lua_settop(L, 2);
  lua_pushvalue(L, METATABLE);
  lua_setmetatable(L, 2);
  gbiR_pushstash(L, 1);
  return 2;
}


/* leave(run, stash, ...) -> ...: for the code that gbi generates. Ends the
** run. */
static int core_leave (lua_State *L) {
  int top = lua_gettop(L);
  checkrun(L);
  luaL_checkany(L, 2);
  lua_pushnil(L);
  while (lua_next(L, 1)) {
    if (lua_tointeger(L, -2) < 0 && lua_istable(L, -1))
      gbiH_handback(L, HANDLES, top + 2);
    lua_settop(L, top + 1);
  }
  lua_pushvalue(L, OVER);
  lua_setmetatable(L, 1);
  return top - 2;
}


/* check(registry, index, value, ...): for the code that gbi generates. Raises
** an error if, in any pair, the value obtained for external object `index`
** cannot be held weakly. */
static int core_check (lua_State *L) {
  int i, top = lua_gettop(L);
  for (i = 3; i <= top; i += 2) {
    if (lua_type(L, i) < GBI_HELD) {
      lua_settop(L, i);
      luaL_checkudata(L, 1, GBI_REGISTRY);
      return gbi_argunheld(L, 1, i, luaL_checkinteger(L, i - 1));
    }
  }
  return 0;
}


/* hand_on(registry, list, index) -> handle: for the code that gbi generates.
** Gives out a handle of external object `index`; the list is { object, 0 }. */
static int core_hand_on (lua_State *L) {
  luaL_checktype(L, 2, LUA_TTABLE);
  if (lua_rawgeti(L, 2, 1) < GBI_HELD) {
    luaL_checkudata(L, 1, GBI_REGISTRY);
    return gbi_argunheld(L, 1, 2, luaL_checkinteger(L, 3));
  }
  lua_pushinteger(L, gbiH_handon(L, HANDLES, 2));
  return 1;
}


/* hand_back(list, ...): for the code that gbi generates. Makes the handles of
** these lists dead. */
static int core_hand_back (lua_State *L) {
  int i, top = lua_gettop(L);
  for (i = 1; i <= top; i++) {
    luaL_checktype(L, i, LUA_TTABLE);
    gbiH_handback(L, HANDLES, i);
  }
  return 0;
}


/***
Returns a number for one of the run's objects, for code outside the run: a
handle of `gbi.handles` that belongs to the run and dies when the run is over.
@function handle
@tparam integer index
@treturn integer the handle, the same each time
@raise an argument error if the run has no object at that index
*/
static int run_handle (lua_State *L) {
  lua_Integer i;
  checkrun(L);
  i = gbi_checkindex(L, 2);
  lua_settop(L, 2);
  if (i < 1 || lua_rawgeti(L, 1, i) < GBI_HELD)  /* see gbiH_ofrun */
    return luaL_argerror(L, 2, lua_pushfstring(L, "the run has no external "
                         "object %I", (LUAI_UACINT)i));
  lua_pushinteger(L, gbiH_ofrun(L, HANDLES, 1, i));
  return 1;
}


/* Sets the functions of runs in the module at `core`. [-0, +0, m] */
void gbi_openrun (lua_State *L, int core) {
  static const luaL_Reg methods[] = {{"handle", run_handle}, {NULL, NULL}};
  static const luaL_Reg functions[] = {
    {"enter", core_enter},
    {"leave", core_leave},
    {"check", core_check},
    {"hand_on", core_hand_on},
    {"hand_back", core_hand_back},
    {NULL, NULL}
  };
  int metatable = lua_gettop(L) + 1;
  const luaL_Reg *l;
  luaL_newmetatable(L, GBI_RUN);
  luaL_newmetatable(L, GBI_RUN " that is over");
  gbiH_default(L);
  lua_newtable(L);
  for (l = methods; l != NULL; l = l == methods ? functions : NULL) {
    lua_pushvalue(L, l == methods ? -1 : core);
    lua_pushvalue(L, metatable);
    lua_pushvalue(L, metatable + 1);
    lua_pushvalue(L, metatable + 2);
    luaL_setfuncs(L, l, 3);
    lua_pop(L, 1);
  }
  lua_pushvalue(L, -1);
  lua_setfield(L, metatable, "__index");
  lua_setfield(L, metatable + 1, "__index");
  lua_settop(L, metatable - 1);
}

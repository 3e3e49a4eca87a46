/*
** run.c - the external objects of one call of a compiled graph
**
** A run is a table that only its call holds: run[i] is external object i. The
** code that gbi generates makes one when a backend's function or `node:handle`
** needs it, and uses it again when the call is over, so that it is held for as
** long.
*/
#include "internal.h"

#include <lauxlib.h>

/* upvalues of the functions here */
#define METATABLE lua_upvalueindex(1)
#define OVER lua_upvalueindex(2)  /* metatable of a run that is over */
#define HANDLES lua_upvalueindex(3)

/***
The external objects of one call of a compiled graph, which a backend's function
is given in front of the inputs. `run[index]` is the object at that index, or
nil for one that the graph never asks for. To be read only.
@classmod gbi.run
*/


/* Raises an argument error if argument 1 is not a run that is under way.
** [-0, +0, e] */
static void checkrun (lua_State *L) {
  if (!lua_istable(L, 1) || !lua_getmetatable(L, 1))
    luaL_typeerror(L, 1, GBI_RUN);
  luaL_argcheck(L, !lua_rawequal(L, -1, OVER), 1, "the run is over");
  if (!lua_rawequal(L, -1, METATABLE)) luaL_typeerror(L, 1, GBI_RUN);
  lua_pop(L, 1);
}


/* enter(registry, list, n) -> run: for the code that gbi generates. Makes a run
** of the list, which has `false` where this run has no object. */
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
  return 1;
}


/* leave(run, ...) -> ...: for the code that gbi generates. The call is over. */
static int core_leave (lua_State *L) {
  checkrun(L);
  gbiH_endrun(L, HANDLES, 1);
  lua_pushvalue(L, OVER);
  lua_setmetatable(L, 1);
  return lua_gettop(L) - 1;
}


/***
A number for one of the run's objects, to be handed to code that is not part of
the run: a handle of `gbi.handles`, which belongs to the run and is dead when
the run is over.
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
  if (lua_rawgeti(L, 1, i) < GBI_HELD)
    return luaL_argerror(L, 2, lua_pushfstring(L, "the run has no external "
                         "object %I", (LUAI_UACINT)i));
  lua_pushinteger(L, gbiH_ofrun(L, HANDLES, 1, i));
  return 1;
}


/* Sets the functions of runs in the module at `core`. [-0, +0, m] */
void gbi_openrun (lua_State *L, int core) {
  static const luaL_Reg methods[] = {{"handle", run_handle}, {NULL, NULL}};
  static const luaL_Reg functions[] =
    {{"enter", core_enter}, {"leave", core_leave}, {NULL, NULL}};
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

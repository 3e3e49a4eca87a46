/*
** floor.c - what gbi is measured against: C functions that do the least a C
** programmer would have them do, and luaL_ref
**
** Each says what it checks. They have two upvalues: 1 is a table with the
** values, 2 the metatable of the userdata. That table is weak in the methods
** `ref` and `unref`.
*/
#include <lua.h>
#include <lauxlib.h>

#define TABLE lua_upvalueindex(1)
#define METATABLE lua_upvalueindex(2)

LUALIB_API int luaopen_floor (lua_State *L);


/* {==================================================================
** Floors
** =================================================================== */

/* integer(i) -> i; checks that it is an integer */
static int floor_integer (lua_State *L) {
  lua_pushinteger(L, luaL_checkinteger(L, 1));
  return 1;
}


/* Checks that argument 1 is an object, by its metatable and not by name. That
** stays on the stack. (A macro, because a function would make floors higher.) */
#define checkself(L) \
  if (!lua_getmetatable(L, 1) || !lua_rawequal(L, -1, METATABLE)) \
    return luaL_typeerror(L, 1, "floor.object")


/* object:integer(i) -> i; checks its self, and that i is an integer */
static int object_integer (lua_State *L) {
  checkself(L);
  lua_pushinteger(L, luaL_checkinteger(L, 2));
  return 1;
}


/* Sets slots 1, 2, 3 of the table in the upvalue. */
static void setslots (lua_State *L) {
  lua_rawseti(L, TABLE, 3);
  lua_rawseti(L, TABLE, 2);
  lua_rawseti(L, TABLE, 1);
}


/* store(a, b, c); checks that there are three values */
static int floor_store (lua_State *L) {
  luaL_checkany(L, 3);
  lua_settop(L, 3);
  setslots(L);
  return 0;
}


/* object:store(a, b, c); checks its self, and that there are three values */
static int object_store (lua_State *L) {
  luaL_checkany(L, 4);
  lua_settop(L, 4);
  checkself(L);
  lua_pop(L, 1);
  setslots(L);
  return 0;
}


/* object:ref(value) -> number; checks its self, and that there is a value */
static int object_ref (lua_State *L) {
  checkself(L);
  luaL_checkany(L, 2);
  lua_settop(L, 2);
  lua_pushinteger(L, luaL_ref(L, TABLE));
  return 1;
}


/* object:unref(number); checks its self, and that number is an integer */
static int object_unref (lua_State *L) {
  checkself(L);
  luaL_unref(L, TABLE, (int)luaL_checkinteger(L, 2));
  return 0;
}

/* }================================================================== */


/* {==================================================================
** luaL_ref: keeps its objects alive, and gives a number out again
** =================================================================== */

/* register(value) -> number */
static int ref_register (lua_State *L) {
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  lua_pushinteger(L, luaL_ref(L, TABLE));
  return 1;
}


/* get(number) -> value; nil, or a value left by luaL_ref, for a stale one */
static int ref_get (lua_State *L) {
  lua_rawgeti(L, TABLE, luaL_checkinteger(L, 1));
  return 1;
}

/* }================================================================== */


/* measured(f, ...): calls f(...). Callgrind counts the instructions in here. */
static int measured (lua_State *L) {
  lua_call(L, lua_gettop(L) - 1, 0);
  return 0;
}


static const luaL_Reg methods[] = {
  {"integer", object_integer},
  {"store", object_store},
  {NULL, NULL}
};

static const luaL_Reg weak_methods[] = {
  {"ref", object_ref},
  {"unref", object_unref},
  {NULL, NULL}
};

static const luaL_Reg functions[] = {
  {"integer", floor_integer},
  {"store", floor_store},
  {"measured", measured},
  {NULL, NULL}
};

static const luaL_Reg refs[] = {
  {"register", ref_register},
  {"get", ref_get},
  {NULL, NULL}
};


/* object() -> a userdata with the methods above */
static int floor_object (lua_State *L) {
  lua_newuserdatauv(L, 0, 0);
  lua_pushvalue(L, METATABLE);
  lua_setmetatable(L, -2);
  return 1;
}


/* refs() -> functions on a new table, as luaL_ref uses it */
static int floor_refs (lua_State *L) {
  luaL_newlibtable(L, refs);
  lua_newtable(L);
  luaL_setfuncs(L, refs, 1);
  return 1;
}


LUALIB_API int luaopen_floor (lua_State *L) {
  luaL_checkversion(L);
  luaL_newlibtable(L, functions);
  lua_newtable(L);
  lua_newtable(L);  /* the metatable */
  luaL_newlibtable(L, methods);
  lua_pushvalue(L, -3);
  lua_pushvalue(L, -3);
  luaL_setfuncs(L, methods, 2);
  lua_newtable(L);  /* the weak table, its own metatable */
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_pushvalue(L, -1);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -3);
  luaL_setfuncs(L, weak_methods, 2);
  lua_setfield(L, -2, "__index");
  lua_pushvalue(L, -2);
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, floor_object, 2);
  lua_setfield(L, -4, "object");
  luaL_setfuncs(L, functions, 2);
  lua_pushcfunction(L, floor_refs);
  lua_setfield(L, -2, "refs");
  return 1;
}

/*
** lookup.c - what look-ups in Lua need of C
**
** The fast path of `get` and `find` is Lua (lua/gbi/lookup.lua), because a C
** function ends a trace of LuaJIT's compiler. It has the tables of objects of
** all holders, and tail-calls the C function of the same name for everything
** else.
**
** After a tail call Lua does not know any more how the function was called. So
** argument errors of look-ups are raised here, for a function of a given name
** and with arguments counted from the first one after self.
*/
#include "internal.h"

#include <lauxlib.h>

/* Keys in the Lua registry: tables from registries and from handle tables to
** their tables of objects, with weak keys. */
static const char sideskey[] = "gbi side tables",
                  objectskey[] = "gbi handles' objects";


/* Raises an argument error. [-0, +0, e] */
static int argerror (lua_State *L, const char *fname, int arg,
                     const char *message) {
  return luaL_error(L, "bad argument #%d to '%s' (%s)", arg, fname, message);
}


/* Raises the error for argument `arg`, the value at `value`, which is not a
** `tname`. [-0, +0, e] */
int gbi_lookuperror (lua_State *L, const char *fname, int arg, int value,
                     const char *tname) {
  const char *got = lua_isnoneornil(L, value) ? "no value"
                                              : gbi_typename(L, value);
  return argerror(L, fname, arg, lua_pushfstring(L, "%s expected, got %s",
                                                 tname, got));
}


/* Returns argument `arg`, the value at `value`, which must be an integer.
** [-0, +0, e] */
lua_Integer gbi_lookupinteger (lua_State *L, const char *fname, int arg,
                               int value) {
  int isint;
  lua_Integer i = lua_tointegerx(L, value, &isint);
  if (!isint && lua_isnumber(L, value))
    argerror(L, fname, arg, "number has no integer representation");
  else if (!isint) gbi_lookuperror(L, fname, arg, value, "number");
  return i;
}


/* The same for an index. [-0, +0, e] */
lua_Integer gbi_lookupindex (lua_State *L, const char *fname, int arg,
                             int value) {
  lua_Integer i = gbi_lookupinteger(L, fname, arg, value);
  if (i > GBI_HANDLE0) argerror(L, fname, arg, GBI_NOTINDEX);
  return i;
}


/* Returns the type name at `value`, argument 2, or NULL if there is none.
** [-0, +0, e] */
const char *gbi_lookuptname (lua_State *L, const char *fname, int value) {
  if (lua_isnoneornil(L, value)) return NULL;
  if (!lua_isstring(L, value))
    gbi_lookuperror(L, fname, 2, value, "string");
  return lua_tostring(L, value);
}


/* Tells the look-ups that the table on the top is the table of objects of the
** holder at `at`. Only the first time may allocate. [-1, +0, m] */
void gbi_publish (lua_State *L, int at, int ishandles) {
  at = lua_absindex(L, at);
  lua_rawgetp(L, LUA_REGISTRYINDEX, ishandles ? objectskey : sideskey);
  lua_pushvalue(L, at);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 2);
}


/* Creates what look-ups need and sets it in the module at `core`.
** [-0, +0, m] */
void gbi_openlookup (lua_State *L, int core) {
  static const char *const keys[] = {sideskey, objectskey};
  static const char *const names[] = {"sides", "objects"};
  int i;
  for (i = 0; i < 2; i++) {
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, keys[i]) == LUA_TNIL) {
      lua_pop(L, 1);
      lua_newtable(L);
      lua_pushliteral(L, "k");
      gbiS_metatable(L, "gbi.weakkeys", "__mode");
      lua_setmetatable(L, -2);
      lua_pushvalue(L, -1);
      lua_rawsetp(L, LUA_REGISTRYINDEX, keys[i]);
    }
    lua_setfield(L, core, names[i]);
  }
}

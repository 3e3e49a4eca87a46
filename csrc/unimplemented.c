/*
** unimplemented.c - the error object for values that cannot be held weakly
**
** A table with the fields gb_type, context, explanation, hints, from_exc and
** `where` (the position of the call, "file:line: "); `tostring` formats it as
** PyTorch formats its graph-break messages.
*/
#include "internal.h"

#include <lauxlib.h>

#define UNIMPLEMENTED "gbi.unimplemented"


/* Replaces the value on the top by "<label><value>"; indents further lines of
** the value by four spaces. [-1, +1, e] */
static void indent (lua_State *L, const char *label) {
  luaL_tolstring(L, -1, NULL);
  lua_pushstring(L, label);
  luaL_gsub(L, lua_tostring(L, -2), "\n", "\n    ");
  lua_concat(L, 2);
  lua_replace(L, -3);
  lua_pop(L, 1);
}


/* [unimplemented] -> [string] */
static int unimplemented_tostring (lua_State *L) {
  lua_Integer i;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_getfield(L, 1, "gb_type");
  luaL_tolstring(L, -1, NULL);
  lua_getfield(L, 1, "explanation");
  indent(L, "\n  Explanation: ");
  lua_concat(L, 2);
  if (lua_getfield(L, 1, "hints") == LUA_TTABLE) {
    for (i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++) {
      indent(L, "\n  Hint: ");
      lua_pushvalue(L, 3);
      lua_insert(L, -2);
      lua_concat(L, 2);
      lua_replace(L, 3);
    }
  }
  lua_settop(L, 3);
  lua_getfield(L, 1, "context");
  indent(L, "\n\n  Developer debug context: ");
  lua_concat(L, 2);
  if (lua_getfield(L, 1, "where") == LUA_TSTRING) {
    indent(L, "\n\nfrom user code: ");
    lua_concat(L, 2);
  }
  else lua_pop(L, 1);
  return 1;
}


/* Raises the error if the value at `value` cannot be held weakly. `purpose` is
** one of GBI_FORUSER, GBI_FORCREATED, GBI_FORHANDLE. [-0, +0, e] */
void gbi_checkweak (lua_State *L, int value, int purpose) {
  if (lua_type(L, value) >= GBI_HELD) return;
  lua_createtable(L, 0, 6);
  lua_pushcfunction(L, unimplemented_tostring);
  gbiS_metatable(L, UNIMPLEMENTED, "__tostring");
  lua_setmetatable(L, -2);
  lua_pushstring(L, purpose == GBI_FORCREATED
    ? "Failed to make weakref to graph-created external object"
    : "Failed to make weakref to User Object");
  lua_setfield(L, -2, "gb_type");
  luaL_tolstring(L, value, NULL);
  lua_pushfstring(L, "user_object: %s", lua_tostring(L, -1));
  lua_setfield(L, -3, "context");
  lua_pop(L, 1);
  lua_pushliteral(L, "Object does not allow us to make a weakref to it");
  lua_setfield(L, -2, "explanation");
  lua_createtable(L, 1, 0);
  lua_pushstring(L, purpose == GBI_FORHANDLE
    ? "Use the method 'strong', which keeps any value but nil alive, or wrap "
      "the value in a table."
    : "Pass the value to the graph as a constant, or wrap it in a table.");
  lua_rawseti(L, -2, 1);
  lua_setfield(L, -2, "hints");
  lua_pushfstring(L, "cannot create weak reference to a %s",
                  luaL_typename(L, value));
  lua_setfield(L, -2, "from_exc");
  luaL_where(L, 1);
  lua_setfield(L, -2, "where");
  lua_error(L);
}

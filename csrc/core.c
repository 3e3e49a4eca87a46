/*
** core.c - module gbi.core
**
** There is one in a Lua state, whoever opens it, however often: what another
** copy of this library has opened is this one's, too, if it is of the same
** version. (Two would overwrite each other's metatables, and know each other's
** functions only by address.)
*/
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <lauxlib.h>


/* record(on, own) -> previous setting: for gbi.debug */
static int core_record (lua_State *L) {
  luaL_checktype(L, 1, LUA_TBOOLEAN);
  luaL_checkstring(L, 2);
  lua_pushboolean(L, gbiS_record(L, lua_toboolean(L, 1), 2));
  return 1;
}


/* place() -> call site of the running call; nil if these are not recorded */
static int core_place (lua_State *L) {
  if (!gbiS_get(L)->recording) return 0;
  gbiS_place(L);
  return 1;
}


/* typename(object) -> name of its type in error messages */
static int core_typename (lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushstring(L, gbi_typename(L, 1));
  return 1;
}


/* create(path, text) -> true; or nil, the reason, and whether the file exists.
** Writes a new file; fails if `path` exists. */
static int core_create (lua_State *L) {
  size_t size;
  const char *path = luaL_checkstring(L, 1);
  const char *text = luaL_checklstring(L, 2, &size);
  int why, written;
  FILE *f;
  errno = 0;
  f = fopen(path, "wbx");  /* "x" is C11, but C libraries had it before */
  why = errno;
  if (f != NULL) {
    written = fwrite(text, 1, size, f) == size;
    why = errno;
    if (fclose(f) == 0 && written) {
      lua_pushboolean(L, 1);
      return 1;
    }
    if (written) why = errno;
    remove(path);
  }
  lua_pushnil(L);
  lua_pushfstring(L, "%s: %s", path, strerror(why));
  lua_pushboolean(L, f == NULL && why == EEXIST);
  return 3;
}


static const luaL_Reg module[] = {
  {"create", core_create},
  {"record", core_record},
  {"place", core_place},
  {"typename", core_typename},
  {NULL, NULL}
};


/* What the table of the module is called in the Lua registry. */
#define MODULE "gbi.core"

#define VERSION "gbi " GBI_VERSION


/* Refuses to be opened in a Lua state that has the version `other`.
** [-0, +0, e] */
static void checkversion (lua_State *L, const char *other) {
  if (strcmp(other, VERSION) != 0)
    luaL_error(L, "%s cannot be opened in a Lua state that has %s", VERSION,
               other);
}


/* Pushes the table of the module, new, or as far as it was filled when memory
** ran out. Returns whether it is complete. [-0, +1, e] */
static int pushmodule (lua_State *L) {
  int opened = lua_getfield(L, LUA_REGISTRYINDEX, "gbi.api") != LUA_TNIL;
  lua_pop(L, 1);
  if (lua_getfield(L, LUA_REGISTRYINDEX, MODULE) == LUA_TTABLE) {
    lua_getfield(L, -1, "_VERSION");
    checkversion(L, lua_tostring(L, -1));
    lua_pop(L, 1);
  }
  else {
    lua_pop(L, 1);
    if (opened) checkversion(L, "gbi 0.1.0");  /* which has no MODULE */
    luaL_newlib(L, module);
    lua_pushliteral(L, VERSION);
    lua_setfield(L, -2, "_VERSION");
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, MODULE);
  }
  return opened;
}


LUALIB_API int luaopen_gbi_core (lua_State *L) {
  luaL_checkversion(L);
  lua_settop(L, 0);
  if (pushmodule(L)) return 1;
  gbiS_open(L);
  gbiG_open(L);
  gbi_openregistry(L, 1);
  gbi_openhandles(L, 1);
  gbi_openrun(L, 1);
  luaL_newmetatable(L, GBI_SOURCE);
  lua_setfield(L, 1, "source_metatable");
  gbi_openapi(L);  /* the last: it is open */
  return 1;
}

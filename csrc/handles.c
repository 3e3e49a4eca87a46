/*
** handles.c - numbers for single values, never given out twice
**
** A handle table is at heart a table with weak values; all handle tables of a
** Lua state share one counter. Because no number is given out twice, an absent
** key between the first and the last that a table gave out is dead, and a dead
** handle takes no memory. Three more tables belong to a handle table: the
** values that strong handles keep alive, the callbacks, and the handles that
** belong to a run.
**
** A handle of a run is not a key of the table of objects. It refers weakly to a
** list that contains the object, and only the run holds that list. Once the run
** is over, however it ended, nothing holds the list, so the handle dies with
** the next collection; `gbiH_handback` makes it die at once.
*/
#include "internal.h"

#include <stdlib.h>

#include <lauxlib.h>

#define H(L, at) ((gbi_Handles *)lua_touserdata(L, at))

/* Key in the Lua registry of the state's own handle table. */
static const char defaultkey[] = "gbi handles";


/* Pushes a new handle table. [-0, +1, m] */
void gbiH_new (lua_State *L) {
  int at = lua_gettop(L) + 1;
  gbi_Handles *handles =
      (gbi_Handles *)gbi_newholder(L, sizeof(*handles), GBI_NHANDLES);
  gbi_newweak(L, 0);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, at, GBI_OBJECTS);
  gbi_publish(L, at, 1);
  lua_newtable(L);
  lua_setiuservalue(L, at, GBI_HOLDS);
  lua_newtable(L);
  lua_setiuservalue(L, at, GBI_CALLBACKS);
  gbi_newweak(L, 0);
  lua_setiuservalue(L, at, GBI_LISTS);
  /* finalizers may have given out handles until here */
  handles->last = handles->holder.state->given;
  handles->first = handles->last + 1;
  luaL_setmetatable(L, GBI_HANDLES);
}


/* Pushes the state's own handle table, or nil if gbi.core was never opened.
** Returns whether it exists. [-0, +1, -] */
int gbiH_getdefault (lua_State *L) {
  return lua_rawgetp(L, LUA_REGISTRYINDEX, defaultkey) != LUA_TNIL;
}


/* Pushes the state's own handle table, creating it if needed. [-0, +1, m] */
void gbiH_default (lua_State *L) {
  if (gbiH_getdefault(L)) return;
  lua_pop(L, 1);
  gbiH_new(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, defaultkey);
}


/* {==================================================================
** Giving handles out
** =================================================================== */

/* Returns the key of the next handle. [-0, +0, e] */
static lua_Integer nextkey (lua_State *L, const gbi_Handles *handles) {
  /* exact in a double, and positive in a pointer's integer */
  const double max = sizeof(void *) < 8 ? 2147483647.0 : 9007199254740992.0;
  lua_Integer given = handles->holder.state->given;
  if ((double)given >= max - GBI_HANDLE0)
    luaL_error(L, "all handles that fit a pointer have been given out");
  return given + 1;
}


/* Puts the value at `value` into slot `key` of user value `which`, the last
** step of giving out a handle. Returns the handle. [-0, +0, m] */
static lua_Integer giveout (lua_State *L, int at, gbi_Handles *handles,
                            int which, lua_Integer key, int value) {
  gbi_keep(L, at, which, key, value);
  handles->holder.state->given = handles->last = key;
  if (handles->holder.state->closing) gbiG_dropfinalizable(L, at);
  return GBI_HANDLE0 + key;
}


/* Returns a new handle of the object at `value`. [-0, +0, e] */
lua_Integer gbiH_weak (lua_State *L, int at, int value) {
  gbi_Handles *handles = H(L, at);
  if (gbiG_finalizable(L, value)) gbiG_guard(L, at);
  return giveout(L, at, handles, GBI_OBJECTS, nextkey(L, handles), value);
}


/* Returns a new handle of the value at `value`, which is not nil, and keeps the
** value alive. [-0, +0, e] */
lua_Integer gbiH_strong (lua_State *L, int at, int value) {
  gbi_Handles *handles = H(L, at);
  lua_Integer key, h;
  if (gbiG_finalizable(L, value)) gbiG_guard(L, at);
  key = nextkey(L, handles);
  lua_getiuservalue(L, at, GBI_HOLDS);
  handles->held += gbi_reserve(L, -1, key);
  lua_pop(L, 1);
  h = giveout(L, at, handles, GBI_OBJECTS, key, value);
  if (lua_toboolean(L, value)) gbi_keep(L, at, GBI_HOLDS, key, value);
  else {  /* `false` marks a slot that is only reserved */
    lua_pushboolean(L, 1);
    gbi_keep(L, at, GBI_HOLDS, key, lua_gettop(L));
    lua_pop(L, 1);
  }
  return h;
}


/* Returns a new handle of the object that is element 1 of the list at `list`;
** the handle lives as long as the list. Replaces element 2, which is not nil,
** by the handle. [-0, +0, e] */
static lua_Integer handon (lua_State *L, int at, gbi_Handles *handles,
                           int list) {
  lua_Integer h = giveout(L, at, handles, GBI_LISTS, nextkey(L, handles), list);
  lua_pushinteger(L, h);
  lua_rawseti(L, list, 2);
  return h;
}


/* Gives the handle table a guard for the object in the list at `list`.
** [-0, +0, m] */
static void guardlist (lua_State *L, int at, int list) {
  lua_rawgeti(L, list, 1);
  if (gbiG_finalizable(L, lua_gettop(L))) gbiG_guard(L, at);
  lua_pop(L, 1);
}


/* Like handon, also for an object with a finalizer. [-0, +0, e] */
lua_Integer gbiH_handon (lua_State *L, int at, int list) {
  guardlist(L, at, list);
  return handon(L, at, H(L, at), list);
}


/* Returns the handle of object `i` of the run at `run`, creating it the first
** time. The run keeps the handle's list under -i. [-0, +0, e] */
lua_Integer gbiH_ofrun (lua_State *L, int at, int run, lua_Integer i) {
  int list = lua_gettop(L) + 1;
  lua_Integer h;
  if (lua_rawgeti(L, run, -i) != LUA_TTABLE) {
    lua_settop(L, list - 1);
    lua_createtable(L, 2, 0);
    lua_rawgeti(L, run, i);
    lua_rawseti(L, list, 1);
    lua_pushinteger(L, 0);
    lua_rawseti(L, list, 2);
    guardlist(L, at, list);
    if (lua_rawgeti(L, run, -i) == LUA_TTABLE)
      lua_replace(L, list);  /* a finalizer was faster */
    else {
      gbi_reserve(L, run, -i);
      handon(L, at, H(L, at), list);
      lua_pushvalue(L, list);
      lua_rawseti(L, run, -i);
    }
  }
  lua_rawgeti(L, list, 2);
  h = lua_tointeger(L, -1);
  lua_settop(L, list - 1);
  return h;
}

/* }================================================================== */


/* {==================================================================
** Looking up
** =================================================================== */

/* Pushes the value of a `key` that is not in the table of objects: the object
** of a run's handle; or, before Lua 5.2, a userdata that a finalizer
** resurrected, which weak tables no longer hold; or nil. [-0, +1, -] */
static void elsewhere (lua_State *L, int at, lua_Integer key) {
  int top = lua_gettop(L);
  lua_getiuservalue(L, at, GBI_LISTS);
  if (lua_rawgeti(L, -1, key) != LUA_TNIL) lua_rawgeti(L, -1, 1);
  else if (H(L, at)->held > 0) {
    lua_getiuservalue(L, at, GBI_HOLDS);
    lua_rawgeti(L, -1, key);
    if (!lua_toboolean(L, -1)) lua_pushnil(L);
  }
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
}


/* Returns the key of handle `h`, or 0 if the table cannot have given it out. */
static lua_Integer keyof (const gbi_Handles *handles, lua_Integer h) {
  lua_Integer key = h > GBI_HANDLE0 ? h - GBI_HANDLE0 : 0;
  return key >= handles->first && key <= handles->last ? key : 0;
}


/* Pushes the value of handle `h`, or nil; returns its status. [-0, +1, m] */
int gbiH_find (lua_State *L, int at, lua_Integer h) {
  lua_Integer key = keyof(H(L, at), h);
  if (key == 0) {
    lua_pushnil(L);
    return GBI_UNREGISTERED;
  }
  lua_getiuservalue(L, at, GBI_OBJECTS);
  lua_rawgeti(L, -1, key);
  lua_remove(L, -2);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    elsewhere(L, at, key);
    if (H(L, at)->holder.state->closing
        && gbiG_finalizable(L, lua_gettop(L))) {
      lua_pop(L, 1);
      lua_pushnil(L);
    }
  }
  return lua_isnil(L, -1) ? GBI_DEAD : GBI_LIVE;
}


/* Raises the error for a handle without a value. [-0, +0, e] */
int gbiH_error (lua_State *L, int at, lua_Integer h) {
  int status = gbiH_find(L, at, h);
  return luaL_error(L, status == GBI_DEAD ? "handle %I is no longer alive"
                                          : "handle %I was never given out",
                    (LUAI_UACINT)h);
}


/* Raises the error for the value on the top, found by `h`, that is not a
** `tname`. [-0, +0, e] */
int gbiH_typeerror (lua_State *L, lua_Integer h, const char *tname) {
  return luaL_error(L, "handle %I is not a %s (got %s)", (LUAI_UACINT)h, tname,
                    gbi_typename(L, -1));
}


/* Returns the kind of the live handle `h`. [-0, +0, -] */
const char *gbiH_kind (lua_State *L, int at, lua_Integer h) {
  int top = lua_gettop(L);
  lua_Integer key = h - GBI_HANDLE0;
  const char *kind = "weak";
  lua_getiuservalue(L, at, GBI_LISTS);
  lua_getiuservalue(L, at, GBI_HOLDS);
  if (lua_rawgeti(L, -2, key) != LUA_TNIL) kind = "run";
  else if (lua_rawgeti(L, -2, key) != LUA_TNIL && lua_toboolean(L, -1))
    kind = "strong";
  lua_settop(L, top);
  return kind;
}


/* The user values whose keys may be live, and those whose keys have callbacks;
** each list ends with 0. */
static const int livekeys[] = {GBI_OBJECTS, GBI_HOLDS, GBI_LISTS, 0};
static const int awaited[] = {GBI_CALLBACKS, 0};


/* Appends the keys of user value `which`, as handles, to the `n` handles at
** `handles`, up to `room`; from GBI_HOLDS only keys that are neither in the
** table of objects nor merely reserved. Returns the number of handles with
** unlimited room. [-0, +0, -] */
static size_t collect (lua_State *L, int at, int which, lua_Integer *handles,
                       size_t n, size_t room) {
  int objects = lua_gettop(L) + 1;
  lua_getiuservalue(L, at, GBI_OBJECTS);
  lua_getiuservalue(L, at, which);
  lua_pushnil(L);
  while (lua_next(L, objects + 1)) {
    lua_Integer key = lua_tointeger(L, -2);
    if (which != GBI_HOLDS
        || (lua_toboolean(L, -1)
            && lua_rawgeti(L, objects, key) == LUA_TNIL)) {
      if (n < room) handles[n] = GBI_HANDLE0 + key;
      n++;
    }
    lua_settop(L, objects + 2);
  }
  lua_settop(L, objects - 1);
  return n;
}


static int inorder (const void *a, const void *b) {
  lua_Integer g = *(const lua_Integer *)a, h = *(const lua_Integer *)b;
  return (g > h) - (g < h);
}


/* Calls `collect` for all of these user values. [-0, +0, -] */
static size_t collectall (lua_State *L, int at, const int *which,
                          lua_Integer *handles, size_t room) {
  size_t n = 0;
  for (; *which != 0; which++) n = collect(L, at, *which, handles, n, room);
  return n;
}


/* Pushes a userdata with the keys of these user values, as handles in order.
** Returns the handles, and in `n` their number. May run finalizers first.
** [-0, +1, m] */
static lua_Integer *list (lua_State *L, int at, const int *which, size_t *n) {
  lua_Integer *handles;
  size_t room;
  int top = lua_gettop(L);
  do {
    lua_settop(L, top);
    room = collectall(L, at, which, NULL, 0);
    handles = (lua_Integer *)lua_newuserdatauv(L,
                                               (room + 1) * sizeof(*handles),
                                               0);
    *n = collectall(L, at, which, handles, room);
  } while (*n > room);  /* finalizers have added some */
  qsort(handles, *n, sizeof(*handles), inorder);
  return handles;
}


/* Pushes a userdata with the handles that may be live, in order. Returns the
** handles, and in `n` their number. [-0, +1, m] */
lua_Integer *gbiH_list (lua_State *L, int at, size_t *n) {
  return list(L, at, livekeys, n);
}


/* Returns how many handles are live. [-0, +0, m] */
lua_Integer gbiH_count (lua_State *L, int at) {
  size_t n;
  lua_Integer count = 0;
  const lua_Integer *handles = gbiH_list(L, at, &n);
  while (n > 0) {
    count += (gbiH_find(L, at, handles[--n]) == GBI_LIVE);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return count;
}

/* }================================================================== */


/* {==================================================================
** Death
** =================================================================== */

/* Removes the callback of `key`, if there is one. [-0, +0, -] */
static void forgetcallback (lua_State *L, int at, lua_Integer key) {
  if (gbi_forget(L, at, GBI_CALLBACKS, key)) H(L, at)->waiting--;
}


/* Makes `h` dead and drops its callback. Returns its status before.
** [-0, +0, m] */
int gbiH_release (lua_State *L, int at, lua_Integer h) {
  gbi_Handles *handles = H(L, at);
  lua_Integer key = keyof(handles, h);
  int status = GBI_LIVE;
  if (key == 0) return GBI_UNREGISTERED;
  if (handles->waiting > 0) forgetcallback(L, at, key);
  if (!gbi_forget(L, at, GBI_OBJECTS, key)) {
    status = gbiH_find(L, at, h);
    lua_pop(L, 1);
    gbi_forget(L, at, GBI_LISTS, key);
  }
  if (handles->held > 0 && gbi_forget(L, at, GBI_HOLDS, key)) handles->held--;
  return status;
}


/* Makes the handle of the list at `list` dead. [-0, +0, -] */
void gbiH_handback (lua_State *L, int at, int list) {
  lua_rawgeti(L, list, 2);
  gbi_forget(L, at, GBI_LISTS, lua_tointeger(L, -1) - GBI_HANDLE0);
  lua_pop(L, 1);
}


/* If `h` is live, sets its callback to the function at `callback`, or removes
** it if that is nil. Returns the status of `h`. [-0, +0, m] */
int gbiH_on_collect (lua_State *L, int at, lua_Integer h, int callback) {
  int status = gbiH_find(L, at, h);
  lua_pop(L, 1);
  if (status == GBI_LIVE) {
    lua_Integer key = h - GBI_HANDLE0;
    if (lua_isnil(L, callback)) forgetcallback(L, at, key);
    else {
      int more;
      lua_getiuservalue(L, at, GBI_CALLBACKS);
      more = (lua_rawgeti(L, -1, key) == LUA_TNIL);
      lua_pushvalue(L, callback);
      lua_rawseti(L, -3, key);
      lua_pop(L, 2);
      H(L, at)->waiting += more;
    }
  }
  return status;
}


/* Calls the callbacks of dead handles, in the order of the handles. After an
** error in a callback, the next sweep calls the rest. Returns how many were
** called. [-0, +0, e] */
lua_Integer gbiH_sweep (lua_State *L, int at) {
  lua_Integer *handles, called = 0;
  size_t k, n;
  int top = lua_gettop(L);
  if (H(L, at)->waiting == 0) return 0;
  /* while the state closes nothing is collected, only finalized */
  if (H(L, at)->holder.state->closing) return 0;
  handles = list(L, at, awaited, &n);
  for (k = 0; k < n; k++) {
    lua_Integer h = handles[k];
    int dead = (gbiH_find(L, at, h) == GBI_DEAD);
    lua_getiuservalue(L, at, GBI_CALLBACKS);
    if (dead && lua_rawgeti(L, -1, h - GBI_HANDLE0) == LUA_TFUNCTION) {
      forgetcallback(L, at, h - GBI_HANDLE0);
      lua_pushinteger(L, h);
      called++;
      lua_call(L, 1, 0);
    }
    lua_settop(L, top + 1);
  }
  lua_settop(L, top);
  return called;
}

/* }================================================================== */

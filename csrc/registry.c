/*
** registry.c - the registry and its side table
**
** An index i is, in the side table,
**   live          its slot holds an object;
**   dead          i <= size and the slot is empty: the collector took it;
**   unregistered  i > size, or the slot holds `false` (a hole: registered,
**                 but left out by the last store), or i was released, which
**                 shows as i <= last without a constructor.  A released index
**                 takes no memory, however many there are.
** CONSTRUCTORS[i] == false (i <= last) says that i never had a constructor
** and yet is not released.
**
** Nothing half done: a call first does what may run other code (allocating a
** new object may start the collector, and that finalizers), then reads the
** registry, then makes room (lua_rawseti may still want memory), and writes
** what others can see only when nothing can fail any more.  lua_rawseti on a
** slot that is not nil never allocates and never collects. Code that ran may
** have put the side table of another coroutine's run in place: gbiR_switch
** brings back the right one.
*/
#include "registry.h"

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#define WEAK "gbi.weak"
#define GUARD "gbi.guard"
#define FRAME "gbi.frame"
#define FRAMES "gbi.frames"
#define LIBRARY "gbi.library"

/* Keys in the Lua registry under which the default registry's three tables
** are anchored, and number 0 itself; only their addresses count. */
static const char anchors[GBI_EXAMPLES + 1] = {0};
#define DEFAULTKEY (&anchors[0])

/* The guards of the state, in a weak table; whether it closes; and what is
** older than all of them. */
static const char watchkey = 0, closingkey = 0, librarykey = 0;

/* The gbi_State of the state; and what gbi's own chunks are called. */
static const char statekey = 0, ownkey = 0;

#define R(L, at) ((gbi_Registry *)lua_touserdata(L, at))

/* The user values of a frame. */
enum { F_REGISTRY = 1, F_SIDE, F_OUTER, F_NVALUES = F_OUTER };

static int frame_close (lua_State *L);


/* {==================================================================
** Slots
** =================================================================== */

/* Makes sure that a later write to slot `i` of the table at `t` cannot fail:
** an empty slot gets `false`. [-0, +0, m] */
static void reserve (lua_State *L, int t, lua_Integer i) {
  t = lua_absindex(L, t);
  if (lua_rawgeti(L, t, i) == LUA_TNIL) {
    lua_pushboolean(L, 0);
    lua_rawseti(L, t, i);
  }
  lua_pop(L, 1);
}


/* Empties slot `i` of user value `which`. [-0, +0, -] */
static void forget (lua_State *L, int at, int which, lua_Integer i) {
  lua_getiuservalue(L, at, which);
  if (lua_rawgeti(L, -1, i) != LUA_TNIL) {
    lua_pushnil(L);
    lua_rawseti(L, -3, i);
  }
  lua_pop(L, 2);
}


/* Empties the table that is user value `which`, if there is one.
** [-0, +0, -] */
static void clear (lua_State *L, int at, int which) {
  int t = lua_getiuservalue(L, at, which);
  if (t == LUA_TTABLE) lua_pushnil(L);
  while (t == LUA_TTABLE && lua_next(L, -2)) {
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_pushnil(L);
    lua_rawset(L, -4);
  }
  lua_pop(L, 1);
}


/* Puts a copy of the value at `value` into slot `i` of the side table. This
** is the last step of an operation that may fail. [-0, +0, m] */
static void put (lua_State *L, int at, lua_Integer i, int value) {
  gbi_Registry *r = R(L, at);
  if (i > r->room) r->room = 0;  /* a rehash may take empty slots away */
  lua_getiuservalue(L, at, GBI_OBJECTS);
  lua_pushvalue(L, value);
  lua_rawseti(L, -2, i);
  lua_pop(L, 1);
}


/* Gives a strong reference to the value at `value` to slot `i` (not nil) of
** user value `which`. [-0, +0, -] */
static void keep (lua_State *L, int at, int which, lua_Integer i, int value) {
  lua_getiuservalue(L, at, which);
  lua_pushvalue(L, value);
  lua_rawseti(L, -2, i);
  lua_pop(L, 1);
}


/* Was `i` given out and then released? [-0, +0, -] */
int gbiR_released (lua_State *L, int at, lua_Integer i) {
  gbi_Registry *r = R(L, at);
  int gone;
  if (r->count == r->last || i < 1 || i > r->last) return 0;
  lua_getiuservalue(L, at, GBI_CONSTRUCTORS);
  gone = (lua_rawgeti(L, -1, i) == LUA_TNIL);
  lua_pop(L, 2);
  return gone;
}


/* The highest index that is registered, stored or released. [-0, +0, -] */
lua_Integer gbiR_top (lua_State *L, int at) {
  gbi_Registry *r = R(L, at);
  return r->last > r->size ? r->last : r->size;
}

/* }================================================================== */


/* {==================================================================
** Tables and their guard
** =================================================================== */

/* Makes holes of the slots between the last one and slot `i`. A run's side
** table lacks what was registered in another's. [-0, +0, m] */
static void skip (lua_State *L, int at, lua_Integer i) {
  gbi_Registry *r = R(L, at);
  lua_Integer k;
  if (!r->framed) return;  /* store has made them already */
  lua_getiuservalue(L, at, GBI_OBJECTS);
  for (k = r->size + 1; k < i; k++)
    if (!gbiR_released(L, at, k)) reserve(L, -1, k);
  lua_pop(L, 1);
}


/* Makes the table on the top user value `which` of the registry.
** [-1, +0, -] */
static void adopt (lua_State *L, int at, int which) {
  gbi_Registry *r = R(L, at);
  r->changes++;
  if (r->is_default && which <= GBI_EXAMPLES) {
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &anchors[which]);
    if (which == GBI_OBJECTS
        && lua_getiuservalue(L, at, GBI_HOT) == LUA_TTABLE) {
      int i;
      for (i = 1; lua_rawgeti(L, -1, i) == LUA_TFUNCTION; i++) {
        lua_pushvalue(L, -3);
        lua_setupvalue(L, -2, 1);
        lua_pop(L, 1);
      }
      lua_pop(L, 1);
    }
    if (which == GBI_OBJECTS) lua_pop(L, 1);
  }
  lua_setiuservalue(L, at, which);
}


/* Pushes a new weak table with `room` slots. [-0, +1, m] */
static void newweak (lua_State *L, int room) {
  lua_createtable(L, room, 0);
  luaL_setmetatable(L, WEAK);
}


/* Does the value at `value` have a finalizer? [-0, +0, m] */
static int finalizable (lua_State *L, int value) {
  int t;
  if (!lua_getmetatable(L, value)) return 0;  /* as most have not */
  lua_pop(L, 1);
  t = lua_type(L, value);
  if ((t != LUA_TTABLE && t != LUA_TUSERDATA)
      || luaL_getmetafield(L, value, "__gc") == LUA_TNIL)
    return 0;
  lua_pop(L, 1);
  return 1;
}


/* Takes the objects with a finalizer out of user value `which`, a table or
** nothing yet. [-0, +0, m] */
static void emptytable (lua_State *L, int at, int which) {
  int value, t = lua_getiuservalue(L, at, which);
  if (t == LUA_TTABLE) lua_pushnil(L);
  while (t == LUA_TTABLE && lua_next(L, -2)) {
    value = lua_gettop(L);
    if (finalizable(L, value)) {
      lua_pushvalue(L, value - 1);
      lua_pushnil(L);
      lua_rawset(L, value - 2);
    }
    lua_settop(L, value - 1);
  }
  lua_pop(L, 1);
}


/* Takes the objects with a finalizer out of the side table, and the numbers
** of runs from them: they are dead. [-0, +0, m] */
static void empty (lua_State *L, int at) {
  emptytable(L, at, GBI_OBJECTS);
  emptytable(L, at, GBI_NUMBERED);
}


/* Guard of a side table: an object whose finalizer empties it.
**
** When a state closes, finalizers run from the youngest object to the oldest
** and weak tables are not cleared, so a finalizer could be handed an object
** that has been finalized before it. The guard is younger than the
** finalizable objects in its side table: once it has run they are dead, and
** so are those that come later.
**
** In a normal cycle the collector clears a guard from the weak table of
** guards before its finalizer runs. Then it is an old guard, with nothing to
** do, or its registry is garbage, too, with objects that may be finalized.
** [guard] -> [] */
static int guard_gc (lua_State *L) {
  int closing, mine;
  lua_settop(L, 1);
  if (lua_getiuservalue(L, 1, 1) != LUA_TUSERDATA) return 0;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &watchkey);
  lua_rawgetp(L, 3, lua_touserdata(L, 2));
  lua_rawgetp(L, 3, lua_touserdata(L, 1));
  closing = lua_rawequal(L, 4, 1) || lua_rawequal(L, 5, 1);
  lua_getiuservalue(L, 2, GBI_GUARD);
  mine = lua_rawequal(L, -1, 1);
  lua_settop(L, 2);
  if (mine) R(L, 2)->guarded = 0;
  if (closing) {
    lua_pushboolean(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &closingkey);
    R(L, 2)->closed = 1;
  }
  if (closing || mine) empty(L, 2);
  return 0;
}


/* The library goes after this: no guard has a finalizer any more. LuaJIT also
** finalizes what was made while the state closed, when the library is gone.
** [older than all guards] -> [] */
static int library_gc (lua_State *L) {
  luaL_getmetatable(L, GUARD);
  lua_pushnil(L);
  lua_setfield(L, -2, "__gc");
  return 0;
}


/* Gives the side table a new guard, or learns that the state closes. May run
** finalizers. [-0, +0, m]
**
** The new guard is watched in place of the one before. Not so if this may run
** in a finalizer, where the collector does not: the state could be closing,
** and an object made then is never finalized. Both are watched then. */
static void guard (lua_State *L, int at) {
  void *key = lua_newuserdatauv(L, 1, 1);
  lua_pushvalue(L, at);
  lua_setiuservalue(L, -2, 1);
  luaL_setmetatable(L, GUARD);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &closingkey);
  if (lua_toboolean(L, -1)) R(L, at)->closed = 1;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &watchkey);
  if (lua_gc(L, LUA_GCISRUNNING, 0) == 1) key = lua_touserdata(L, at);
  lua_pushvalue(L, -3);
  lua_rawsetp(L, -2, key);
  lua_pop(L, 2);
  lua_setiuservalue(L, at, GBI_GUARD);
  R(L, at)->guarded = 1;
}


/* Takes finalizable objects out again if the state closes. To be called when
** one may have come in. [-0, +0, m] */
static void checkclosed (lua_State *L, int at) {
  if (R(L, at)->closed) empty(L, at);
}


/* Pushes a new registry. [-0, +1, m] */
void gbiR_new (lua_State *L, int is_default) {
  static const gbi_Registry empty = {0};
  int at = lua_gettop(L) + 1;
  *(gbi_Registry *)lua_newuserdatauv(L, sizeof(gbi_Registry), GBI_NVALUES)
    = empty;
  R(L, at)->is_default = (unsigned char)is_default;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &statekey);
  R(L, at)->state = (const gbi_State *)lua_touserdata(L, -1);
  lua_pop(L, 1);
  gbiR_reset(L, at);
  luaL_setmetatable(L, GBI_REGISTRY);
}


/* Pushes the default registry, the one of each Lua state. [-0, +1, m] */
void gbiR_default (lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, DEFAULTKEY) == LUA_TNIL) {
    lua_pop(L, 1);  /* gbi is loaded for the first time */
    gbiR_new(L, 1);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, DEFAULTKEY);
  }
}


/* Pushes the metatable `name` with the value on the top as its `event`. The
** state comes to know it when nothing can fail any more. [-1, +1, m] */
void gbiR_metatable (lua_State *L, const char *name, const char *event) {
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


/* Creates what all registries of the state share. [-0, +0, m] */
void gbiR_openlib (lua_State *L) {
  lua_pushliteral(L, "v");
  gbiR_metatable(L, WEAK, "__mode");
  lua_pushcfunction(L, guard_gc);
  gbiR_metatable(L, GUARD, "__gc");
  lua_pushcfunction(L, frame_close);
  gbiR_metatable(L, FRAME, "__close");
  lua_pushliteral(L, "k");
  gbiR_metatable(L, FRAMES, "__mode");
  luaL_newmetatable(L, GBI_SNAPSHOT);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &statekey) == LUA_TNIL) {
    gbi_State *state = (gbi_State *)lua_newuserdatauv(L, sizeof(*state), 0);
    state->recording = 0;
    luaL_newmetatable(L, GBI_SOURCE);
    state->sources = lua_topointer(L, -1);
    lua_pop(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &statekey);
  }
  lua_pop(L, 1);
  lua_pushcfunction(L, library_gc);
  gbiR_metatable(L, LIBRARY, "__gc");
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &librarykey) == LUA_TNIL) {
    lua_newuserdatauv(L, 1, 0);
    luaL_setmetatable(L, LIBRARY);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &librarykey);
  }
  lua_pop(L, 2);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &watchkey) == LUA_TNIL) {
    lua_pushboolean(L, 0);  /* so that a finalizer can set it for sure */
    lua_rawsetp(L, LUA_REGISTRYINDEX, &closingkey);
    newweak(L, 0);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &watchkey);
  }
  lua_pop(L, 6);
}


/* Empties the registry. New tables, so that the memory goes back, too; all
** made before the first is adopted. [-0, +0, m] */
void gbiR_reset (lua_State *L, int at) {
  gbi_Registry *r = R(L, at);
  int which;
  luaL_checkstack(L, GBI_STACK, NULL);
  newweak(L, 0);
  for (which = GBI_CONSTRUCTORS; which <= GBI_STASH2; which++)
    lua_newtable(L);
  if (r->is_default) {  /* reserve the anchors; only the first time fails */
    for (which = GBI_OBJECTS; which <= GBI_EXAMPLES; which++) {
      if (lua_rawgetp(L, LUA_REGISTRYINDEX, &anchors[which]) == LUA_TNIL) {
        lua_pushboolean(L, 0);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &anchors[which]);
      }
      lua_pop(L, 1);
    }
  }
  for (which = GBI_STASH2; which >= GBI_OBJECTS; which--)
    adopt(L, at, which);
  clear(L, at, GBI_FRAMES);
  lua_pushnil(L);
  lua_setiuservalue(L, at, GBI_PLACES);
  lua_pushnil(L);
  lua_setiuservalue(L, at, GBI_RUNNING);
  r->running = NULL;
  r->framed = 0;
  r->last = r->count = r->size = r->room = 0;
  r->stashed[0] = r->stashed[1] = 0;
}

/* }================================================================== */


/* {==================================================================
** Constructors
** =================================================================== */

/* Constructor of a user object: cg(source). Upvalues: the source, or nil and
** the index of an object that was registered without one. [cg] -> [] */
int gbiR_userconstructor (lua_State *L) {
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  if (lua_isnil(L, -1))
    return luaL_error(L, "external object %I has no source, so it cannot be "
                         "obtained again",
                      (LUAI_UACINT)lua_tointeger(L, lua_upvalueindex(2)));
  lua_call(L, 1, 0);
  return 0;
}


/* Constructor of a graph-created object: construct_fn(index, cg), its
** upvalues. [cg] -> [] */
static int created_constructor (lua_State *L) {
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_pushvalue(L, 1);
  lua_call(L, 2, 0);
  return 0;
}


/* Makes the constructor of an object out of its origin on the top: the
** function that constructs a `created` one, the source of any other, nil if it
** has none. Returns whether its second upvalue is to be the index.
** [-1, +1, m] */
static int construct (lua_State *L, int created) {
  if (!created && !lua_isnil(L, -1)) {
    lua_pushcclosure(L, gbiR_userconstructor, 1);
    return 0;
  }
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, created ? created_constructor : gbiR_userconstructor, 2);
  return 1;
}


/* Pushes the source of `i`, nil if it has none; returns its kind.
** [-0, +1, -] */
int gbiR_source (lua_State *L, int at, lua_Integer i) {
  lua_CFunction f = NULL;
  gbi_Registry *r = R(L, at);
  if (i >= 1 && i <= r->last) {
    lua_getiuservalue(L, at, GBI_CONSTRUCTORS);
    lua_rawgeti(L, -1, i);
    lua_remove(L, -2);
    f = lua_tocfunction(L, -1);
    if (f == gbiR_userconstructor) {
      lua_getupvalue(L, -1, 1);
      lua_remove(L, -2);
      return GBI_USER;
    }
    lua_pop(L, 1);
  }
  lua_pushnil(L);
  return f == created_constructor ? GBI_CREATED : GBI_STORED;
}

/* }================================================================== */


/* {==================================================================
** Registering
** =================================================================== */

/* Has registrations of this state note where they come from, or no more;
** chunks whose names begin with the string at `own` are gbi's. Returns what it
** was before. [-0, +0, m] */
int gbiR_record (lua_State *L, int on, int own) {
  gbi_State *state;
  int before;
  lua_pushvalue(L, own);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &ownkey);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &statekey);
  state = (gbi_State *)lua_touserdata(L, -1);
  lua_pop(L, 1);
  before = state->recording;
  state->recording = on;
  return before;
}


/* Pushes the place that the running registration comes from: the line under
** way of the innermost Lua function that is not gbi's own, or "?".
** [-0, +1, m] */
static void pushplace (lua_State *L) {
  lua_Debug ar;
  const char *own;
  size_t n;
  int level;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &ownkey);
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


/* Makes sure that there is a table of places. May run finalizers, which may
** have made it meanwhile. [-0, +0, m] */
static void needplaces (lua_State *L, int at) {
  if (lua_getiuservalue(L, at, GBI_PLACES) != LUA_TTABLE) {
    lua_newtable(L);
    if (lua_getiuservalue(L, at, GBI_PLACES) != LUA_TTABLE) {
      lua_pushvalue(L, -2);
      lua_setiuservalue(L, at, GBI_PLACES);
    }
    lua_pop(L, 2);
  }
  lua_pop(L, 1);
}


/* Pushes where `i` was registered, or nil if that was not recorded.
** [-0, +1, -] */
void gbiR_place (lua_State *L, int at, lua_Integer i) {
  int known = (lua_getiuservalue(L, at, GBI_PLACES) == LUA_TTABLE);
  if (known && lua_rawgeti(L, -1, i) == LUA_TSTRING) lua_remove(L, -2);
  else {
    lua_pop(L, 1 + known);
    lua_pushnil(L);
  }
}


/* Registers the value at `value`, its origin on the top: see `construct`. A
** `created` example is kept alive. Returns the index. [-1, +0, m] */
lua_Integer gbiR_register (lua_State *L, int at, int value, int created) {
  gbi_Registry *r = R(L, at);
  lua_Integer i;
  int indexed, recording = r->state->recording;
  int constructor = lua_gettop(L) + recording, place = constructor - 1;
  if (recording) {
    pushplace(L);
    lua_insert(L, place);
  }
  if (finalizable(L, value)) guard(L, at);
  indexed = construct(L, created);
  if (recording) needplaces(L, at);
  gbiR_switch(L, at);
  if (indexed) {
    lua_pushinteger(L, r->last + 1);
    lua_setupvalue(L, constructor, 2);
  }
  if (created) {
    lua_getiuservalue(L, at, GBI_EXAMPLES);
    reserve(L, -1, r->last + 1);
    lua_pop(L, 1);
  }
  if (recording) {
    lua_getiuservalue(L, at, GBI_PLACES);
    reserve(L, -1, r->last + 1);
    lua_pop(L, 1);
  }
  skip(L, at, r->last + 1);
  lua_getiuservalue(L, at, GBI_CONSTRUCTORS);
  lua_getiuservalue(L, at, GBI_OBJECTS);
  lua_pushvalue(L, constructor);
  i = gbiR_add(L, r, constructor + 1, constructor + 2, value);
  if (created) keep(L, at, GBI_EXAMPLES, i, value);
  if (recording) keep(L, at, GBI_PLACES, i, place);
  lua_settop(L, constructor - 1 - recording);
  checkclosed(L, at);
  return i;
}


/* Takes `i` out of the side tables of all runs. [-0, +0, -] */
static void forgetruns (lua_State *L, int at, lua_Integer i) {
  int top = lua_gettop(L);
  if (!R(L, at)->framed) return;
  lua_getiuservalue(L, at, GBI_FRAMES);
  lua_pushnil(L);
  while (lua_next(L, top + 1)) {
    while (lua_isuserdata(L, -1)) {  /* a frame, and those around it */
      if (lua_getiuservalue(L, -1, F_SIDE) == LUA_TTABLE
          && lua_rawgeti(L, -1, i) != LUA_TNIL) {
        lua_pushnil(L);
        lua_rawseti(L, top + 4, i);
      }
      lua_settop(L, top + 3);
      lua_getiuservalue(L, -1, F_OUTER);
      lua_replace(L, top + 3);
    }
    lua_settop(L, top + 2);
  }
  lua_settop(L, top);
}


/* Forgets `i`, for good: no later call gives it out or stores under it until
** `reset`. Returns 0 when there was nothing to forget. [-0, +0, m] */
int gbiR_release (lua_State *L, int at, lua_Integer i) {
  gbi_Registry *r = R(L, at);
  int kind = gbiR_source(L, at, i);
  int status = gbiR_find(L, at, i);
  lua_pop(L, 2);
  if (kind != GBI_STORED) r->count--;
  else if (status == GBI_UNREGISTERED || i > r->size) return 0;  /* a number */
  if (i > r->last) {
    lua_Integer k;
    lua_getiuservalue(L, at, GBI_CONSTRUCTORS);
    for (k = r->last + 1; k < i; k++)  /* these are not released */
      reserve(L, -1, k);
    lua_pop(L, 1);
    r->last = i;
  }
  forget(L, at, GBI_CONSTRUCTORS, i);
  forget(L, at, GBI_OBJECTS, i);
  forgetruns(L, at, i);
  forget(L, at, GBI_EXAMPLES, i);
  forget(L, at, GBI_UPDATES, i);
  forget(L, at, GBI_CALLBACKS, i);
  if (lua_getiuservalue(L, at, GBI_PLACES) == LUA_TTABLE)
    forget(L, at, GBI_PLACES, i);
  lua_pop(L, 1);
  return 1;
}

/* }================================================================== */


/* {==================================================================
** Looking up
** =================================================================== */

/* Pushes the object at index `i`, or nil; returns its status.
** [-0, +1, -] */
int gbiR_find (lua_State *L, int at, lua_Integer i) {
  gbi_Registry *r = R(L, at);
  int t;
  lua_getiuservalue(L, at, GBI_OBJECTS);
  t = lua_rawgeti(L, -1, i);
  lua_remove(L, -2);
  if (t >= GBI_HELD) return GBI_LIVE;
  lua_pop(L, 1);
  if (i > GBI_NUMBER0 && i - GBI_NUMBER0 <= r->numbers) {
    lua_getiuservalue(L, at, GBI_NUMBERED);
    t = lua_rawgeti(L, -1, i);
    lua_remove(L, -2);
    return t == LUA_TNIL ? GBI_UNREGISTERED : GBI_LIVE;
  }
  lua_pushnil(L);
  if (t == LUA_TNIL && i >= 1 && i <= r->size && !gbiR_released(L, at, i))
    return GBI_DEAD;
  return GBI_UNREGISTERED;
}


/* [source] -> [string]; may raise whatever __tostring raises */
static int describe (lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  return 1;
}


/* Pushes what the source of `i` is called, if it has a name of its own
** (__tostring), else nothing and returns NULL. A __tostring that fails names
** nothing; only an error for want of memory goes on. [-0, +(0|1), m] */
const char *gbiR_describe (lua_State *L, int at, lua_Integer i) {
  gbiR_source(L, at, i);
  if (luaL_getmetafield(L, -1, "__tostring") == LUA_TNIL) {
    lua_pop(L, 1);
    return NULL;
  }
  lua_pushcfunction(L, describe);
  lua_replace(L, -2);
  lua_insert(L, -2);
  switch (lua_pcall(L, 1, 1, 0)) {
    case LUA_OK: return lua_tostring(L, -1);
    case LUA_ERRMEM: lua_error(L);
  }
  lua_pop(L, 1);
  return NULL;
}


/* Pushes the name of `i` in messages: external object 2 (G["x"]).
** [-0, +1, m] */
const char *gbiR_name (lua_State *L, int at, lua_Integer i) {
  const char *source = gbiR_describe(L, at, i);
  if (source == NULL)
    return lua_pushfstring(L, "external object %I", (LUAI_UACINT)i);
  lua_pushfstring(L, "external object %I (%s)", (LUAI_UACINT)i, source);
  lua_remove(L, -2);
  return lua_tostring(L, -1);
}


/* Raises the error for an index without an object. [-0, +0, e] */
int gbiR_error (lua_State *L, int at, lua_Integer i) {
  int status = gbiR_find(L, at, i);
  if (status == GBI_UNREGISTERED) {
    lua_Integer live, dead;
    gbiR_count(L, at, &live, &dead);
    return luaL_error(L, "external object %I is not registered (the registry "
                         "holds %I)",
                      (LUAI_UACINT)i, (LUAI_UACINT)(live + dead));
  }
  return luaL_error(L, "%s is no longer alive", gbiR_name(L, at, i));
}


/* Raises the error for the object on the top, found at `i`, that is not a
** `tname`. [-0, +0, e] */
int gbiR_typeerror (lua_State *L, int at, lua_Integer i, const char *tname) {
  const char *got = luaL_typename(L, -1), *name;
  if (luaL_getmetafield(L, -1, "__name") == LUA_TSTRING)
    got = lua_tostring(L, -1);
  name = gbiR_name(L, at, i);
  return luaL_error(L, "%s is not a %s (got %s)", name, tname, got);
}


/* Counts the entries of the side table, in time that follows the memory they
** take and not the highest index. [-0, +0, -] */
void gbiR_count (lua_State *L, int at, lua_Integer *live, lua_Integer *dead) {
  gbi_Registry *r = R(L, at);
  lua_Integer present = r->size;
  *live = 0;
  lua_getiuservalue(L, at, GBI_OBJECTS);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    if (lua_type(L, -1) >= GBI_HELD) (*live)++;
    else if (lua_tointeger(L, -2) <= r->size) present--;  /* a hole */
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  if (r->count != r->last) {  /* take the released ones off */
    lua_Integer known = r->size < r->last ? r->size : r->last;
    present -= known;
    lua_getiuservalue(L, at, GBI_CONSTRUCTORS);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
      if (lua_tointeger(L, -2) <= known) present++;
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
  *dead = present - *live;
}

/* }================================================================== */


/* {==================================================================
** Storing
** =================================================================== */

/* Pushes value `i` of those to be stored: from the list at `list`, or when
** that is 0 from the stack. [-0, +1, -] */
static int pushvalue (lua_State *L, int first, int list, lua_Integer i) {
  if (list != 0) return lua_rawgeti(L, list, i);
  lua_pushvalue(L, first + (int)(i - 1));
  return lua_type(L, -1);
}


/* Pushes a new side table of `n` values: objects, nil for a dead one, `false`
** for a hole. Returns how many slots it has room for. [-0, +1, m] */
static int build (lua_State *L, int at, int first, int list,
                  lua_Integer n) {
  gbi_Registry *r = R(L, at);
  int side = lua_gettop(L) + 1;
  lua_Integer i;
  int room = (r->count == r->last && n < 0x7fffffff) ? (int)n : 0;
  newweak(L, room);
  for (i = 1; i <= n; i++) {
    if (gbiR_released(L, at, i)) continue;
    if (pushvalue(L, first, list, i) == LUA_TNIL) lua_pop(L, 1);
    else lua_rawseti(L, side, i);
  }
  if (n < r->last) {  /* registered, but left out */
    lua_getiuservalue(L, at, GBI_CONSTRUCTORS);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
      lua_pop(L, 1);
      i = lua_tointeger(L, -1);
      if (i > n && i <= r->last) {
        lua_pushboolean(L, 0);
        lua_rawseti(L, side, i);
      }
    }
  }
  lua_settop(L, side);
  return room;
}


/* Puts the side table on the top, built of `n` values, in place of the
** present one. [-1, +0, -] */
static void install (lua_State *L, int at, lua_Integer n, int room) {
  adopt(L, at, GBI_OBJECTS);
  R(L, at)->size = n;
  R(L, at)->room = room;
}


/* Makes a new side table of `n` values the registry's. [-0, +0, m] */
static void rebuild (lua_State *L, int at, int first, int list,
                     lua_Integer n) {
  int room = build(L, at, first, list, n);
  gbiR_switch(L, at);
  install(L, at, n, room);
}


/* Gives the side table a new guard if one of the values to be stored may be
** younger than the present one: it has a finalizer and is not there yet.
** May run finalizers. [-0, +0, m] */
static void guardvalues (lua_State *L, int at, int first, int list,
                         lua_Integer n) {
  gbi_Registry *r = R(L, at);
  int side = lua_gettop(L) + 1;
  lua_Integer i;
  lua_getiuservalue(L, at, GBI_OBJECTS);
  for (i = 1; i <= n; i++) {
    pushvalue(L, first, list, i);
    if (lua_getmetatable(L, -1)) {
      int known;
      lua_rawgeti(L, side, i);
      known = r->guarded && lua_rawequal(L, -1, -3);
      lua_settop(L, side + 1);
      if (!known && finalizable(L, side + 1)) {
        guard(L, at);
        break;
      }
    }
    lua_settop(L, side);
  }
  lua_settop(L, side - 1);
}


/* Makes room for `n` objects in the stash that is the present run's after a
** store. Returns which that is. [-0, +0, m] */
static int stashroom (lua_State *L, int at, lua_Integer n) {
  gbi_Registry *r = R(L, at);
  int next = gbiR_unstashed(r) ? r->fresh : !r->fresh;
  lua_Integer i;
  lua_getiuservalue(L, at, GBI_STASH + next);
  for (i = r->stashed[next] + 1; i <= n; i++) reserve(L, -1, i);
  lua_pop(L, 1);
  return next;
}


/* Begins the next run: the stash `next` lets go what it has and gets the `n`
** objects of the list at `created`. [-0, +0, -] */
static void newrun (lua_State *L, int at, int next, int created,
                    lua_Integer n) {
  gbi_Registry *r = R(L, at);
  lua_Integer i;
  lua_getiuservalue(L, at, GBI_STASH + next);
  for (i = 1; i <= n; i++) {
    lua_rawgeti(L, created, i);
    lua_rawseti(L, -2, i);
  }
  for (; i <= r->stashed[next]; i++) {
    lua_pushnil(L);
    lua_rawseti(L, -2, i);
  }
  lua_pop(L, 1);
  r->stashed[next] = n;
  r->fresh = (unsigned char)next;
}


/* Stores `n` objects: those of the list at `list`, or when that is 0 those on
** the stack from `first` on. In place when every slot is there already.
** Stashes the `stash` objects of the list at `created`. [-0, +0, m] */
static void storefrom (lua_State *L, int at, int first, int list,
                       lua_Integer n, int created, lua_Integer stash) {
  gbi_Registry *r = R(L, at);
  lua_Integer i;
  int next;
  guardvalues(L, at, first, list, n);
  gbiR_switch(L, at);
  if (gbiR_inplace(r, n)) {
    int side = lua_gettop(L) + 1;
    next = stashroom(L, at, stash);
    lua_getiuservalue(L, at, GBI_OBJECTS);
    for (i = 1; i <= n; i++) {
      pushvalue(L, first, list, i);
      lua_rawseti(L, side, i);
    }
    lua_pop(L, 1);
  }
  else {
    int room = build(L, at, first, list, n);
    gbiR_switch(L, at);
    next = stashroom(L, at, stash);
    install(L, at, n, room);
  }
  if (stash > 0 || !gbiR_unstashed(r)) newrun(L, at, next, created, stash);
  checkclosed(L, at);
}


/* Replaces the side table by the `n` objects on the stack from `first` on;
** what stands at a released index does not count. [-0, +0, m] */
void gbiR_store (lua_State *L, int at, int first, lua_Integer n) {
  storefrom(L, at, first, 0, n, 0, 0);
}


/* Replaces the side table by list[1] ... list[n], and stashes created[1] ...
** created[stash]: all of it or nothing. [-0, +0, m] */
void gbiR_storelist (lua_State *L, int at, int list, lua_Integer n,
                     int created, lua_Integer stash) {
  storefrom(L, at, 0, list, n, created, stash);
}


/* Puts the value at `value` into slot `i` and keeps it, alone, alive there.
** Returns NULL, or why it cannot. [-0, +0, m] */
const char *gbiR_set (lua_State *L, int at, lua_Integer i, int value) {
  gbi_Registry *r = R(L, at);
  if (finalizable(L, value)) guard(L, at);
  gbiR_switch(L, at);
  if (i < 1 || i > gbiR_top(L, at) + 1) return "index out of range";
  if (gbiR_released(L, at, i)) return "index was released";
  lua_getiuservalue(L, at, GBI_UPDATES);
  reserve(L, -1, i);
  lua_pop(L, 1);
  skip(L, at, i);
  put(L, at, i, value);
  keep(L, at, GBI_UPDATES, i, value);
  if (i > r->size) r->size = i;
  checkclosed(L, at);
  return NULL;
}


/* Keeps the value at `value` alive until the store after the next.
** [-0, +0, m] */
void gbiR_stash (lua_State *L, int at, int value) {
  gbi_Registry *r = R(L, at);
  lua_getiuservalue(L, at, GBI_STASH + r->fresh);
  lua_pushvalue(L, value);
  lua_rawseti(L, -2, r->stashed[r->fresh] + 1);
  lua_pop(L, 1);
  r->stashed[r->fresh]++;
}

/* }================================================================== */


/* {==================================================================
** Snapshots: a userdata with the registry and a strong copy of its side
** table as user values, and its size. As there, nil is dead and `false`
** unregistered.
** =================================================================== */

/* Pushes a snapshot of the side table. [-0, +1, m] */
void gbiR_snapshot (lua_State *L, int at) {
  gbi_Registry *r = R(L, at);
  lua_Integer i, known, *size;
  int copy = lua_gettop(L) + 2;
  size = (lua_Integer *)lua_newuserdatauv(L, sizeof(lua_Integer), 2);
  lua_newtable(L);
  gbiR_switch(L, at);
  *size = r->size;
  lua_getiuservalue(L, at, GBI_OBJECTS);
  lua_pushnil(L);
  while (lua_next(L, copy + 1)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, copy);
  }
  if (r->count != r->last) {
    known = r->size < r->last ? r->size : r->last;
    for (i = 1; i <= known; i++)
      if (gbiR_released(L, at, i)) {
        lua_pushboolean(L, 0);
        lua_rawseti(L, copy, i);
      }
  }
  lua_settop(L, copy);
  lua_setiuservalue(L, -2, 2);
  lua_pushvalue(L, at);
  lua_setiuservalue(L, -2, 1);
  luaL_setmetatable(L, GBI_SNAPSHOT);
}


/* Is the value at `value` a snapshot of this registry? [-0, +0, -] */
int gbiR_issnapshot (lua_State *L, int at, int value) {
  int same;
  if (luaL_testudata(L, value, GBI_SNAPSHOT) == NULL) return 0;
  lua_getiuservalue(L, value, 1);
  same = lua_rawequal(L, -1, at);
  lua_pop(L, 1);
  return same;
}


/* Makes the side table what it was when the snapshot was taken, but for what
** has been released since. [-0, +0, m] */
void gbiR_restore (lua_State *L, int at, int snapshot) {
  lua_Integer size = *(lua_Integer *)lua_touserdata(L, snapshot);
  int list = lua_gettop(L) + 1;
  lua_getiuservalue(L, snapshot, 2);
  guardvalues(L, at, 0, list, size);
  rebuild(L, at, 0, list, size);
  lua_pop(L, 1);
  checkclosed(L, at);
}

/* }================================================================== */


/* {==================================================================
** Sweeping: the safe moment, which the host picks, to hear of the dead. A
** handle is an object registered without a source: nobody can obtain it
** again, so it is released when it is dead.
** =================================================================== */

/* Is there something to do about `i`: is it dead, and a handle or awaited by
** a callback? In `handle`, is it one? [-0, +0, -] */
static int sweepable (lua_State *L, int at, lua_Integer i, int *handle) {
  int awaited, dead = (gbiR_find(L, at, i) == GBI_DEAD);
  int kind = gbiR_source(L, at, i);
  *handle = (kind == GBI_USER && lua_isnil(L, -1));
  lua_getiuservalue(L, at, GBI_CALLBACKS);
  awaited = (lua_rawgeti(L, -1, i) != LUA_TNIL);
  lua_pop(L, 4);
  return dead && (*handle || awaited);
}


/* Puts up to `room` indices to be swept into `indices`; returns how many
** there are. [-0, +0, -] */
static size_t collect (lua_State *L, int at, lua_Integer *indices,
                       size_t room) {
  size_t n = 0;
  int handle;
  lua_getiuservalue(L, at, GBI_CONSTRUCTORS);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    lua_Integer i = lua_tointeger(L, -2);
    lua_pop(L, 1);
    if (sweepable(L, at, i, &handle)) {
      if (n < room) indices[n] = i;
      n++;
    }
  }
  lua_pop(L, 1);
  return n < room || room == 0 ? n : room;
}


static int byindex (const void *a, const void *b) {
  lua_Integer i = *(const lua_Integer *)a, k = *(const lua_Integer *)b;
  return (i > k) - (i < k);
}


/* Releases the dead handles and calls the callbacks of the dead, in the order
** of their indices; an error of a callback leaves those after it to the next
** sweep. Returns how many handles were released. [-0, +0, e] */
lua_Integer gbiR_sweep (lua_State *L, int at) {
  lua_Integer *indices, released = 0;
  size_t k, n;
  int top = lua_gettop(L);
  if (R(L, at)->closed) return 0;  /* nobody died, the state goes */
  n = collect(L, at, NULL, 0);
  indices = (lua_Integer *)lua_newuserdatauv(L, (n + 1) * sizeof(*indices), 0);
  gbiR_switch(L, at);
  n = n == 0 ? 0 : collect(L, at, indices, n);
  qsort(indices, n, sizeof(*indices), byindex);
  for (k = 0; k < n; k++) {
    lua_Integer i = indices[k];
    int handle;
    gbiR_switch(L, at);
    if (!sweepable(L, at, i, &handle)) continue;  /* a callback was there */
    lua_getiuservalue(L, at, GBI_CALLBACKS);
    lua_rawgeti(L, -1, i);
    if (handle) {
      gbiR_release(L, at, i);
      released++;
    }
    else forget(L, at, GBI_CALLBACKS, i);
    if (lua_isfunction(L, -1)) {
      lua_pushinteger(L, i);
      lua_call(L, 1, 0);
    }
    lua_settop(L, top + 1);
  }
  lua_settop(L, top);
  return released;
}


/* Has the sweep that finds `i` dead call the function at `callback`, or none
** if that is nil. Returns 0 if `i` is not registered. [-0, +0, m] */
int gbiR_on_collect (lua_State *L, int at, lua_Integer i, int callback) {
  int kind = gbiR_source(L, at, i);
  lua_pop(L, 1);
  if (kind == GBI_STORED) return 0;
  if (lua_isnil(L, callback)) forget(L, at, GBI_CALLBACKS, i);
  else {
    lua_getiuservalue(L, at, GBI_CALLBACKS);
    lua_pushvalue(L, callback);
    lua_rawseti(L, -2, i);
    lua_pop(L, 1);
  }
  return 1;
}

/* }================================================================== */


/* {==================================================================
** Numbers for one run of a compiled function: whoever looks one up, in this
** coroutine or another, finds the object of the run that gave it out, until
** that ends. What a run leaves behind that did not come to its end goes with
** its object. No side table knows of numbers.
** =================================================================== */

/* Gives the object at `value` a number of its own. [-0, +0, m] */
lua_Integer gbiR_number (lua_State *L, int at, int value) {
  gbi_Registry *r = R(L, at);
  int top = lua_gettop(L);
  if (finalizable(L, value)) guard(L, at);
  if (lua_getiuservalue(L, at, GBI_NUMBERED) != LUA_TTABLE) {
    newweak(L, 0);
    if (lua_getiuservalue(L, at, GBI_NUMBERED) != LUA_TTABLE) {
      lua_pop(L, 1);  /* nor has a finalizer made one just now */
      lua_pushvalue(L, -1);
      lua_setiuservalue(L, at, GBI_NUMBERED);
    }
  }
  lua_pushvalue(L, value);
  lua_rawseti(L, -2, GBI_NUMBER0 + r->numbers + 1);
  lua_settop(L, top);
  r->numbers++;
  checkclosed(L, at);
  return GBI_NUMBER0 + r->numbers;
}


/* Takes number `i` back. [-0, +0, -] */
void gbiR_unnumber (lua_State *L, int at, lua_Integer i) {
  if (i > GBI_NUMBER0 && i - GBI_NUMBER0 <= R(L, at)->numbers)
    forget(L, at, GBI_NUMBERED, i);
}

/* }================================================================== */


/* {==================================================================
** Frames: a side table for one run of a compiled function. It is in place
** while the coroutine that entered it looks things up: when another one
** does, gbiR_switch exchanges them, and when the run is over the frame around
** it comes back. The last one stays in place when it ends. A coroutine without
** a frame sees the run under way if there is only one, and nothing if it could
** be meant to see several.
** User values of a frame: the registry, its side table while it is not in
** place, the frame around it.
** =================================================================== */

typedef struct Frame {
  lua_Integer size, room;
  lua_State *thread;  /* NULL once it has ended */
  int activation;     /* whose it is, see compat.h */
} Frame;

/* Saves the side table in place in its frame, if it has one, and puts that
** of the frame at `frame` there; 0 is nobody's. [-0, +0, -] */
static void exchange (lua_State *L, int at, int frame) {
  gbi_Registry *r = R(L, at);
  int top = lua_gettop(L);
  if (frame != 0) frame = lua_absindex(L, frame);
  if (lua_getiuservalue(L, at, GBI_RUNNING) == LUA_TUSERDATA) {
    Frame *old = (Frame *)lua_touserdata(L, -1);
    old->size = r->size;
    old->room = r->room;
    lua_getiuservalue(L, at, GBI_OBJECTS);
    lua_setiuservalue(L, -2, F_SIDE);
  }
  if (frame != 0) {
    Frame *f = (Frame *)lua_touserdata(L, frame);
    lua_getiuservalue(L, frame, F_SIDE);
    install(L, at, f->size, (int)f->room);
    lua_pushvalue(L, frame);
    r->running = f->thread;
  }
  else {
    clear(L, at, GBI_NOBODY);  /* of what such a coroutine has stored */
    lua_getiuservalue(L, at, GBI_NOBODY);
    install(L, at, 0, 0);
    lua_pushnil(L);
    r->running = NULL;
  }
  lua_setiuservalue(L, at, GBI_RUNNING);
  lua_settop(L, top);
  checkclosed(L, at);
}


/* Ends the frame at `frame`: a later look-up of its coroutine finds the one
** around it. Nothing is left to do if that was done before. [-0, +0, -] */
static void endframe (lua_State *L, int frame) {
  int reg = lua_gettop(L) + 1, outer = reg + 1, frames = reg + 2;
  ((Frame *)lua_touserdata(L, frame))->thread = NULL;
  lua_getiuservalue(L, frame, F_REGISTRY);
  lua_getiuservalue(L, frame, F_OUTER);
  if (lua_getiuservalue(L, reg, GBI_FRAMES) == LUA_TTABLE) {
    lua_pushthread(L);
    lua_rawget(L, frames);
    if (lua_rawequal(L, -1, frame)) {  /* else a reset forgot it */
      lua_pushthread(L);
      lua_pushvalue(L, outer);
      lua_rawset(L, frames);
    }
  }
  lua_getiuservalue(L, reg, GBI_RUNNING);
  if (lua_rawequal(L, -1, frame)) {
    if (lua_isuserdata(L, outer)) exchange(L, reg, outer);
    else {
      lua_pushnil(L);
      lua_setiuservalue(L, reg, GBI_RUNNING);
      R(L, reg)->running = NULL;
    }
  }
  lua_settop(L, reg - 1);
}


/* Ends the frames of this coroutine whose functions an error has left without
** anybody noticing. [-0, +0, -] */
static void endleft (lua_State *L, int at) {
  int frame = lua_gettop(L) + 2;
  int framed = (lua_getiuservalue(L, at, GBI_FRAMES) == LUA_TTABLE);
  while (framed) {
    Frame *f;
    lua_pushthread(L);
    if (lua_rawget(L, frame - 1) != LUA_TUSERDATA) break;
    f = (Frame *)lua_touserdata(L, frame);
    if (!compat_left(L, f->activation, f)) break;
    endframe(L, frame);
    lua_settop(L, frame - 1);
  }
  lua_settop(L, frame - 2);
}


/* Replaces the frame on the top by the innermost around it, or itself, whose
** function has not been left. Returns 0 if there is none. [-0, +0, -] */
static int underway (lua_State *L) {
  while (lua_isuserdata(L, -1)) {
    Frame *f = (Frame *)lua_touserdata(L, -1);
    if (f->thread != NULL && !compat_left(f->thread, f->activation, f))
      return 1;
    lua_getiuservalue(L, -1, F_OUTER);
    lua_remove(L, -2);
  }
  return 0;
}


/* Puts the side table in place that the running coroutine is to see. The
** first thing to do with a registry. [-0, +0, -] */
void gbiR_switch (lua_State *L, int at) {
  gbi_Registry *r = R(L, at);
  int top = lua_gettop(L);
  if (!r->framed) return;
  if (COMPAT_UNNOTICED) endleft(L, at);
  lua_getiuservalue(L, at, GBI_FRAMES);
  lua_pushthread(L);
  if (lua_rawget(L, -2) == LUA_TUSERDATA) {
    if (r->running != L) exchange(L, at, -1);
  }
  else {  /* which run could it belong to? */
    int runs = 0;
    while (runs < 2 && lua_next(L, top + 1)) {
      if (underway(L)) {
        runs++;
        lua_insert(L, top + 2);  /* the frame; its coroutine stays on the top */
      }
      else lua_pop(L, 1);
    }
    while (COMPAT_UNNOTICED && runs == 0
           && lua_getiuservalue(L, at, GBI_RUNNING) == LUA_TUSERDATA) {
      endframe(L, lua_gettop(L));  /* the last to end stays in place */
      lua_settop(L, top + 1);
    }
    if (runs > 1) exchange(L, at, 0);
    else if (runs == 1) {
      lua_getiuservalue(L, at, GBI_RUNNING);
      if (!lua_rawequal(L, -1, top + 2)) exchange(L, at, top + 2);
    }
  }
  lua_settop(L, top);
}


/* Ends a frame, once, whoever calls it and however often. [frame] -> [] */
static int frame_close (lua_State *L) {
  luaL_checkudata(L, 1, FRAME);
  lua_settop(L, 1);
  if (COMPAT_UNNOTICED && lua_getiuservalue(L, 1, F_REGISTRY) == LUA_TUSERDATA)
    endleft(L, 2);  /* those in it first */
  endframe(L, 1);
  return 0;
}


/* Pushes a frame whose side table holds list[1] ... list[n], `false` where no
** object is registered in this run, and puts it in place. Its __close
** ends it. [-0, +1, m] */
void gbiR_enter (lua_State *L, int at, int list, lua_Integer n) {
  gbi_Registry *r = R(L, at);
  int frame = lua_gettop(L) + 1;
  Frame *f;
  guardvalues(L, at, 0, list, n);
  f = (Frame *)lua_newuserdatauv(L, sizeof(Frame), F_NVALUES);
  f->thread = NULL;
  luaL_setmetatable(L, FRAME);
  if (lua_getiuservalue(L, at, GBI_FRAMES) != LUA_TTABLE) {
    lua_newtable(L);
    luaL_setmetatable(L, FRAMES);
    newweak(L, 0);
    if (lua_getiuservalue(L, at, GBI_FRAMES) != LUA_TTABLE) {
      lua_pop(L, 1);  /* nor has a finalizer made them just now */
      lua_setiuservalue(L, at, GBI_NOBODY);
      lua_pushvalue(L, -1);
      lua_setiuservalue(L, at, GBI_FRAMES);
    }
  }
  f->room = build(L, at, 0, list, n);
  lua_setiuservalue(L, frame, F_SIDE);
  lua_pushvalue(L, at);
  lua_setiuservalue(L, frame, F_REGISTRY);
  lua_pushthread(L);
  lua_rawget(L, -2);
  lua_setiuservalue(L, frame, F_OUTER);
  lua_pushthread(L);
  lua_pushvalue(L, frame);
  lua_rawset(L, -3);  /* the last step that may fail */
  lua_settop(L, frame);
  f->size = n;
  f->thread = L;
  f->activation = compat_activation(L);
  r->framed = 1;
  exchange(L, at, frame);
}

/* }================================================================== */

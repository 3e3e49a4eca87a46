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
** slot that is not nil never allocates and never collects.
*/
#include "registry.h"

#include <lauxlib.h>

#define WEAK "gbi.weak"
#define GUARD "gbi.guard"

/* Keys in the Lua registry under which the default registry's three tables
** are anchored; only their addresses count.  Number 0 is the guard's key in
** every side table. */
static const char anchors[GBI_EXAMPLES + 1] = {0};

#define GUARDKEY ((const void *)&anchors[0])

#define R(L, at) ((gbi_Registry *)lua_touserdata(L, at))


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

/* Makes the table on the top user value `which` of the registry.
** [-1, +0, -] */
static void adopt (lua_State *L, int at, int which) {
  if (R(L, at)->is_default && which <= GBI_EXAMPLES) {
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


/* Pushes a new side table with `room` slots. It has a place for the guard,
** so that storing one cannot fail. [-0, +1, m] */
static void newside (lua_State *L, int room) {
  lua_createtable(L, room, 1);
  luaL_setmetatable(L, WEAK);
  lua_pushboolean(L, 0);
  lua_rawsetp(L, -2, GUARDKEY);
}


/* Guard of a side table: an object whose finalizer empties it.
**
** When a state closes, finalizers run from the youngest object to the oldest
** and weak tables are not cleared, so a finalizer could be handed an object
** that has been finalized before it. The guard is always younger than every
** finalizable object in its side table: once it has run they are all dead.
**
** In a normal cycle an old guard, no longer in the table, has nothing to do;
** neither has a guard that the collector took out of the weak table first.
** A guard that is still there is being closed with its state, or collected
** together with its registry, whose objects may be finalized, too.
** [guard] -> [] */
static int guard_gc (lua_State *L) {
  gbi_Registry *r;
  lua_settop(L, 1);
  if (lua_getiuservalue(L, 1, 1) != LUA_TUSERDATA) return 0;
  r = R(L, 2);
  lua_getiuservalue(L, 2, GBI_OBJECTS);
  lua_getiuservalue(L, 2, GBI_GUARD);
  if (lua_rawequal(L, -1, 1)) r->guarded = 0;
  lua_rawgetp(L, 3, GUARDKEY);
  if (!lua_rawequal(L, -1, 1)) return 0;
  r->closed = 1;
  lua_settop(L, 3);
  lua_pushnil(L);
  while (lua_next(L, 3)) {
    if (lua_type(L, -1) >= GBI_HELD) {
      lua_pushvalue(L, -2);
      lua_pushnil(L);
      lua_rawset(L, 3);
    }
    lua_pop(L, 1);
  }
  return 0;
}


/* Does the value at `value` have a finalizer? [-0, +0, m] */
static int finalizable (lua_State *L, int value) {
  int t = lua_type(L, value);
  if ((t != LUA_TTABLE && t != LUA_TUSERDATA)
      || luaL_getmetafield(L, value, "__gc") == LUA_TNIL)
    return 0;
  lua_pop(L, 1);
  return 1;
}


/* Gives the side table a new guard. May run finalizers. [-0, +0, m] */
static void guard (lua_State *L, int at) {
  lua_newuserdatauv(L, 0, 1);
  lua_pushvalue(L, at);
  lua_setiuservalue(L, -2, 1);
  luaL_setmetatable(L, GUARD);
  lua_getiuservalue(L, at, GBI_OBJECTS);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, GUARDKEY);
  lua_pop(L, 1);
  lua_setiuservalue(L, at, GBI_GUARD);
  R(L, at)->guarded = 1;
}


/* Pushes a new registry. [-0, +1, m] */
void gbiR_new (lua_State *L, int is_default) {
  static const gbi_Registry empty = {0};
  int at = lua_gettop(L) + 1;
  *(gbi_Registry *)lua_newuserdatauv(L, sizeof(gbi_Registry), GBI_NVALUES)
    = empty;
  R(L, at)->is_default = (unsigned char)is_default;
  gbiR_reset(L, at);
  luaL_setmetatable(L, GBI_REGISTRY);
}


/* Creates the metatables that have no methods. [-0, +0, m] */
void gbiR_openlib (lua_State *L) {
  if (luaL_newmetatable(L, WEAK)) {
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
  }
  if (luaL_newmetatable(L, GUARD)) {
    lua_pushcfunction(L, guard_gc);
    lua_setfield(L, -2, "__gc");
  }
  luaL_newmetatable(L, GBI_SNAPSHOT);
  lua_pop(L, 3);
}


/* Empties the registry. New tables, so that the memory goes back, too; all
** made before the first is adopted. [-0, +0, m] */
void gbiR_reset (lua_State *L, int at) {
  gbi_Registry *r = R(L, at);
  int which;
  luaL_checkstack(L, GBI_STASH2 + LUA_MINSTACK, NULL);
  newside(L, 0);
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
  lua_getiuservalue(L, at, GBI_OBJECTS);
  lua_getiuservalue(L, at, GBI_GUARD);
  if (lua_isnil(L, -1)) lua_pop(L, 1);
  else lua_rawsetp(L, -2, GUARDKEY);
  lua_pop(L, 1);
  r->last = r->count = r->size = r->room = 0;
  r->stashed[0] = r->stashed[1] = 0;
}

/* }================================================================== */


/* {==================================================================
** Constructors
** =================================================================== */

/* Constructor of a user object: cg(source). Upvalues: the source, or nil and
** the index of an object that was registered without one. [cg] -> [] */
static int user_constructor (lua_State *L) {
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


/* Pushes the constructor of a user object whose source is at `source`, 0 or
** nil if it has none. gbiR_register fills in the index. [-0, +1, m] */
void gbiR_sourced (lua_State *L, int source) {
  if (source != 0 && !lua_isnil(L, source)) {
    lua_pushvalue(L, source);
    lua_pushcclosure(L, user_constructor, 1);
  }
  else {
    lua_pushnil(L);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, user_constructor, 2);
  }
}


/* Pushes the constructor of a graph-created object. gbiR_register fills in
** the index. [-0, +1, m] */
void gbiR_constructed (lua_State *L, int construct_fn) {
  lua_pushvalue(L, construct_fn);
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, created_constructor, 2);
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
    if (f == user_constructor) {
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

/* Registers the value at `value` under the constructor on the top; a
** `created` example is kept alive. Returns the index. [-1, +0, m] */
lua_Integer gbiR_register (lua_State *L, int at, int value, int created) {
  gbi_Registry *r = R(L, at);
  lua_Integer i;
  int constructor = lua_gettop(L);
  if (finalizable(L, value)) guard(L, at);
  i = r->last + 1;
  lua_pushinteger(L, i);
  if (lua_setupvalue(L, constructor, 2) == NULL) lua_pop(L, 1);
  lua_getiuservalue(L, at, GBI_CONSTRUCTORS);
  reserve(L, -1, i);
  if (created) {
    lua_getiuservalue(L, at, GBI_EXAMPLES);
    reserve(L, -1, i);
    lua_pop(L, 1);
  }
  put(L, at, i, value);
  if (created) keep(L, at, GBI_EXAMPLES, i, value);
  lua_pushvalue(L, constructor);
  lua_rawseti(L, -2, i);
  lua_settop(L, constructor - 1);
  r->last = i;
  r->count++;
  if (i > r->size) r->size = i;
  return i;
}


/* Forgets `i`, for good: no later call gives it out or stores under it until
** `reset`. Returns 0 when there was nothing to forget. [-0, +0, m] */
int gbiR_release (lua_State *L, int at, lua_Integer i) {
  gbi_Registry *r = R(L, at);
  int kind = gbiR_source(L, at, i);
  int status = gbiR_find(L, at, i);
  lua_pop(L, 2);
  if (kind != GBI_STORED) r->count--;
  else if (status == GBI_UNREGISTERED) return 0;
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
  forget(L, at, GBI_EXAMPLES, i);
  forget(L, at, GBI_UPDATES, i);
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


/* Counts the entries of the side table, in time that follows the memory they
** take and not the highest index. [-0, +0, -] */
void gbiR_count (lua_State *L, int at, lua_Integer *live, lua_Integer *dead) {
  gbi_Registry *r = R(L, at);
  lua_Integer present = r->size;
  *live = 0;
  lua_getiuservalue(L, at, GBI_OBJECTS);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    if (lua_isinteger(L, -2)) {
      if (lua_type(L, -1) >= GBI_HELD) (*live)++;
      else if (lua_tointeger(L, -2) <= r->size) present--;  /* a hole */
    }
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


/* Builds the side table anew from `n` values, aside, and puts it in place of
** the old one. [-0, +0, m] */
static void rebuild (lua_State *L, int at, int first, int list,
                     lua_Integer n) {
  gbi_Registry *r = R(L, at);
  int old, side = lua_gettop(L) + 1;
  lua_Integer i;
  int room = (r->count == r->last && n < 0x7fffffff) ? (int)n : 0;
  newside(L, room);
  lua_getiuservalue(L, at, GBI_OBJECTS);
  old = lua_gettop(L);
  lua_rawgetp(L, old, GUARDKEY);
  lua_rawsetp(L, side, GUARDKEY);
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
  adopt(L, at, GBI_OBJECTS);
  r->size = n;
  r->room = room;
}


/* Stores `n` objects: those of the list at `list`, or when that is 0 those on
** the stack from `first` on. In place when every slot is there already.
** [-0, +0, m] */
static void storefrom (lua_State *L, int at, int first, int list,
                       lua_Integer n) {
  gbi_Registry *r = R(L, at);
  lua_Integer i;
  int side;
  lua_getiuservalue(L, at, GBI_OBJECTS);
  side = lua_gettop(L);
  for (i = 1; i <= n; i++) {  /* does one need a younger guard? */
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
  if (n == r->size && n <= r->room && r->count == r->last) {
    lua_getiuservalue(L, at, GBI_OBJECTS);
    for (i = 1; i <= n; i++) {
      pushvalue(L, first, list, i);
      lua_rawseti(L, side, i);
    }
    lua_pop(L, 1);
  }
  else rebuild(L, at, first, list, n);
  if (r->stashed[0] || r->stashed[1]) {  /* the next run begins */
    int past = !r->fresh;
    lua_getiuservalue(L, at, GBI_STASH + past);
    for (i = 1; i <= r->stashed[past]; i++) {
      lua_pushnil(L);
      lua_rawseti(L, -2, i);
    }
    lua_pop(L, 1);
    r->stashed[past] = 0;
    r->fresh = (unsigned char)past;
  }
}


/* Replaces the side table by the `n` objects on the stack from `first` on;
** what stands at a released index does not count. [-0, +0, m] */
void gbiR_store (lua_State *L, int at, int first, lua_Integer n) {
  storefrom(L, at, first, 0, n);
}


/* Replaces the side table by list[1] ... list[n]. [-0, +0, m] */
void gbiR_storelist (lua_State *L, int at, int list, lua_Integer n) {
  storefrom(L, at, 0, list, n);
}


/* Puts the value at `value` into slot `i` and keeps it, alone, alive there.
** Returns NULL, or why it cannot. [-0, +0, m] */
const char *gbiR_set (lua_State *L, int at, lua_Integer i, int value) {
  gbi_Registry *r = R(L, at);
  if (finalizable(L, value)) guard(L, at);
  if (i < 1 || i > gbiR_top(L, at) + 1) return "index out of range";
  if (gbiR_released(L, at, i)) return "index was released";
  lua_getiuservalue(L, at, GBI_UPDATES);
  reserve(L, -1, i);
  lua_pop(L, 1);
  put(L, at, i, value);
  keep(L, at, GBI_UPDATES, i, value);
  if (i > r->size) r->size = i;
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
  *size = r->size;
  lua_getiuservalue(L, at, GBI_OBJECTS);
  lua_pushnil(L);
  while (lua_next(L, copy + 1)) {
    if (lua_isinteger(L, -2)) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, copy);
    }
    else lua_pop(L, 1);
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


/* Makes the side table what it was when the snapshot was taken, but for what
** has been released since. Once the state closes, no object in it can be
** trusted to be unfinalized: all are dead. [-0, +0, m] */
void gbiR_restore (lua_State *L, int at, int snapshot) {
  lua_Integer size = *(lua_Integer *)lua_touserdata(L, snapshot);
  lua_getiuservalue(L, snapshot, 2);
  if (R(L, at)->closed) {
    lua_newtable(L);
    lua_replace(L, -2);
  }
  rebuild(L, at, 0, lua_gettop(L), size);
  lua_pop(L, 1);
}

/* }================================================================== */

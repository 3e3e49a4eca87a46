/*
** registry.c - the constructors and the side table of one graph
**
** An index i is, in the side table,
**   live          its slot holds an object;
**   dead          i <= size and the slot is empty: the object was collected;
**   unregistered  i > size, or the slot holds `false`: a shorter `store` left
**                 the index out, and then a higher index was registered or
**                 set.
*/
#include "internal.h"

#include <lauxlib.h>

/* Keys in the Lua registry: the address of the first character stands for the
** default registry, the ones after it for its user values of these numbers. */
static const char anchors[] = "gbi default registry";

#define R(L, at) ((gbi_Registry *)lua_touserdata(L, at))


/* {==================================================================
** Tables
** =================================================================== */

/* Makes the table on the top user value `which` of the registry.
** [-1, +0, -] */
static void adopt (lua_State *L, int at, int which) {
  if (which == GBI_OBJECTS) {
    int hot;
    lua_pushvalue(L, -1);
    gbi_publish(L, at, 0);
    for (hot = GBI_HOTGET; hot <= GBI_HOTSTORE; hot++) {
      if (lua_getiuservalue(L, at, hot) == LUA_TFUNCTION) {
        lua_pushvalue(L, -2);
        lua_setupvalue(L, -2, 1);
      }
      lua_pop(L, 1);
    }
  }
  if (R(L, at)->is_default && which <= GBI_EXAMPLES) {
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &anchors[which]);
  }
  lua_setiuservalue(L, at, which);
}


/* Empties the registry. Gives it new tables, to free the memory of the old
** ones; creates all of them before it adopts the first. [-0, +0, m] */
void gbiR_reset (lua_State *L, int at) {
  gbi_Registry *r = R(L, at);
  int which;
  luaL_checkstack(L, GBI_STACK, NULL);
  gbi_newweak(L, 0);
  for (which = GBI_CONSTRUCTORS; which <= GBI_BEFORE; which++)
    lua_newtable(L);
  for (which = GBI_BEFORE; which >= GBI_CONSTRUCTORS; which--)
    adopt(L, at, which);
  adopt(L, at, GBI_OBJECTS);
  r->count = r->size = r->room = 0;
  r->stashed = r->before = 0;
}


/* Pushes a new registry. [-0, +1, m] */
void gbiR_new (lua_State *L, int is_default) {
  gbi_Registry *r = (gbi_Registry *)gbi_newholder(L, sizeof(*r),
                                                  GBI_NREGISTRY);
  r->is_default = is_default;
  lua_pushboolean(L, 0);
  gbi_publish(L, -2, 0);  /* so that `adopt` only replaces */
  gbiR_reset(L, lua_gettop(L));
  luaL_setmetatable(L, GBI_REGISTRY);
}


/* Pushes the default registry of the Lua state. [-0, +1, m] */
void gbiR_default (lua_State *L) {
  int key;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, anchors) == LUA_TUSERDATA) return;
  lua_pop(L, 1);  /* gbi is loaded for the first time */
  for (key = 0; key <= GBI_EXAMPLES; key++) {  /* reserve the anchors */
    lua_pushboolean(L, 0);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &anchors[key]);
  }
  gbiR_new(L, 1);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, anchors);
}

/* }================================================================== */


/* {==================================================================
** Constructors
** =================================================================== */

/* Constructor of a user object: cg(source). Upvalues: the source, and the call
** site that registered the object, if recorded. [cg] -> [] */
static int user_constructor (lua_State *L) {
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_call(L, 1, 0);
  return 0;
}


/* Constructor of a graph-created object: construct_fn(index, cg). Upvalues:
** construct_fn, the index, and the call site, if recorded. [cg] -> [] */
static int created_constructor (lua_State *L) {
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_pushvalue(L, 1);
  lua_call(L, 2, 0);
  return 0;
}


/* Pushes an upvalue of the constructor of `i`, or nil: number `user` for a user
** object, number `created` for a created one. Returns the kind of `i`.
** [-0, +1, -] */
static int upvalue (lua_State *L, int at, lua_Integer i, int user,
                    int created) {
  lua_CFunction f = NULL;
  int kind = GBI_STORED, n = 0;
  if (i >= 1 && i <= R(L, at)->count) {
    lua_getiuservalue(L, at, GBI_CONSTRUCTORS);
    lua_rawgeti(L, -1, i);
    lua_remove(L, -2);
    f = lua_tocfunction(L, -1);
  }
  else lua_pushnil(L);
  if (f == user_constructor) {
    kind = GBI_USER;
    n = user;
  }
  else if (f == created_constructor) {
    kind = GBI_CREATED;
    n = created;
  }
  if (n == 0 || lua_getupvalue(L, -1, n) == NULL) lua_pushnil(L);
  lua_remove(L, -2);
  return kind;
}


/* Pushes the source of `i`, or nil if it has none; returns its kind.
** [-0, +1, -] */
int gbiR_source (lua_State *L, int at, lua_Integer i) {
  return upvalue(L, at, i, 1, 0);
}


/* Pushes the call site that registered `i`, or nil if it was not recorded.
** [-0, +1, -] */
void gbiR_place (lua_State *L, int at, lua_Integer i) {
  upvalue(L, at, i, 2, 3);
}

/* }================================================================== */


/* {==================================================================
** Looking up
** =================================================================== */

/* Returns the highest index that has a constructor or was stored.
** [-0, +0, -] */
lua_Integer gbiR_top (lua_State *L, int at) {
  gbi_Registry *r = R(L, at);
  return r->count > r->size ? r->count : r->size;
}


/* Pushes the object at index `i`, or nil; returns its status.
** [-0, +1, -] */
int gbiR_find (lua_State *L, int at, lua_Integer i) {
  int t;
  lua_getiuservalue(L, at, GBI_OBJECTS);
  t = lua_rawgeti(L, -1, i);
  lua_remove(L, -2);
  if (t >= GBI_HELD) return GBI_LIVE;
  lua_pop(L, 1);
  lua_pushnil(L);
  return t == LUA_TNIL && i >= 1 && i <= R(L, at)->size ? GBI_DEAD
                                                        : GBI_UNREGISTERED;
}


/* Counts the entries of the side table. [-0, +0, -] */
void gbiR_count (lua_State *L, int at, lua_Integer *live, lua_Integer *dead) {
  lua_Integer size = R(L, at)->size;
  *live = 0;
  *dead = size;
  lua_getiuservalue(L, at, GBI_OBJECTS);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    if (lua_tointeger(L, -2) <= size) {
      if (lua_type(L, -1) >= GBI_HELD) (*live)++;
      (*dead)--;
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}


/* [source] -> [string]; may raise whatever __tostring raises */
static int describe (lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  return 1;
}


/* Pushes and returns the name of the source of `i`, if it has one
** (__tostring); otherwise, or if __tostring fails, pushes nothing and returns
** NULL. Raises an out-of-memory error of __tostring.
** [-0, +(0|1), m] */
static const char *sourcename (lua_State *L, int at, lua_Integer i) {
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
  const char *source = sourcename(L, at, i);
  if (source == NULL)
    return lua_pushfstring(L, "external object %I", (LUAI_UACINT)i);
  lua_pushfstring(L, "external object %I (%s)", (LUAI_UACINT)i, source);
  lua_remove(L, -2);
  return lua_tostring(L, -1);
}


/* Raises the error for an index without an object. [-0, +0, e] */
int gbiR_error (lua_State *L, int at, lua_Integer i) {
  if (gbiR_find(L, at, i) == GBI_UNREGISTERED) {
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
  const char *got = gbi_typename(L, -1);
  return luaL_error(L, "%s is not a %s (got %s)", gbiR_name(L, at, i), tname,
                    got);
}

/* }================================================================== */


/* {==================================================================
** Writing to the side table. As long as `room` is not 0, the table was created
** with `room` slots and nothing was written beyond them; so it was never
** resized, and a write to one of these slots cannot fail, even if the slot is
** empty.
** =================================================================== */

/* Puts a copy of the value at `value` into slot `i` of the side table. This
** is the last step of an operation that may fail. [-0, +0, m] */
static void put (lua_State *L, int at, lua_Integer i, int value) {
  gbi_Registry *r = R(L, at);
  if (i > r->room) r->room = 0;
  lua_getiuservalue(L, at, GBI_OBJECTS);
  lua_pushvalue(L, value);
  lua_rawseti(L, -2, i);
  lua_pop(L, 1);
  if (i > r->size) r->size = i;
}


/* Marks the slots between the last one and slot `i`, which is about to be
** written, as left out. [-0, +0, m] */
static void leaveout (lua_State *L, int at, lua_Integer i) {
  gbi_Registry *r = R(L, at);
  lua_Integer k;
  if (r->size + 1 >= i) return;
  r->room = 0;
  lua_getiuservalue(L, at, GBI_OBJECTS);
  for (k = r->size + 1; k < i; k++) gbi_reserve(L, -1, k);
  lua_pop(L, 1);
}


/* Registers the value at `value`. On the top is its source or, if it is
** `created`, its construct_fn; a created value is also kept alive. Returns the
** index. [-1, +0, m] */
lua_Integer gbiR_register (lua_State *L, int at, int value, int created) {
  gbi_Registry *r = R(L, at);
  int constructor = lua_gettop(L), recording = r->holder.state->recording;
  lua_Integer i;
  if (gbiG_finalizable(L, value)) gbiG_guard(L, at);
  if (created) lua_pushinteger(L, 0);  /* to be replaced by the index */
  if (recording) gbiS_place(L);
  lua_pushcclosure(L, created ? created_constructor : user_constructor,
                   1 + created + recording);
  i = r->count + 1;
  if (created) {
    lua_pushinteger(L, i);
    lua_setupvalue(L, constructor, 2);
    lua_getiuservalue(L, at, GBI_EXAMPLES);
    gbi_reserve(L, -1, i);
    lua_pop(L, 1);
  }
  leaveout(L, at, i);
  lua_getiuservalue(L, at, GBI_CONSTRUCTORS);
  lua_pushboolean(L, 0);  /* reserves the slot */
  lua_rawseti(L, -2, i);
  put(L, at, i, value);
  lua_pushvalue(L, constructor);
  gbiR_seti(L, -2, i);
  r->count = i;
  if (created) gbi_keep(L, at, GBI_EXAMPLES, i, value);
  lua_settop(L, constructor - 1);
  gbiG_dropfinalizable(L, at);
  return i;
}


/* Puts the value at `value` into slot `i` and keeps it alive, in place of the
** value set there before. Returns 0 if `i` is out of range. [-0, +0, m] */
int gbiR_set (lua_State *L, int at, lua_Integer i, int value) {
  if (gbiG_finalizable(L, value)) gbiG_guard(L, at);
  if (i < 1 || i > gbiR_top(L, at) + 1) return 0;
  lua_getiuservalue(L, at, GBI_UPDATES);
  gbi_reserve(L, -1, i);
  lua_pop(L, 1);
  leaveout(L, at, i);
  put(L, at, i, value);
  gbi_keep(L, at, GBI_UPDATES, i, value);
  gbiG_dropfinalizable(L, at);
  return 1;
}

/* }================================================================== */


/* {==================================================================
** Storing
** =================================================================== */

/* Pushes the `i`-th of the values to be stored; returns its type.
** [-0, +1, -] */
int gbiR_pushvalue (lua_State *L, const gbi_Values *v, lua_Integer i) {
  if (v->list != 0) return lua_rawgeti(L, v->list, i);
  lua_pushvalue(L, v->first + (int)(i - 1));
  return lua_type(L, -1);
}


/* Pushes the first value that cannot be held weakly and returns its number; or
** returns 0. [-0, +(0|1), -] */
lua_Integer gbiR_unheld (lua_State *L, const gbi_Values *v) {
  lua_Integer i;
  for (i = 1; i <= v->n; i++) {
    if (gbiR_pushvalue(L, v, i) < GBI_HELD) return i;
    lua_pop(L, 1);
  }
  return 0;
}


/* Pushes the reason why the value on the top cannot be stored at index `i`.
** [-0, +1, m] */
const char *gbiR_whyunheld (lua_State *L, int at, lua_Integer i) {
  const char *got = luaL_typename(L, -1);
  const char *name = gbiR_name(L, at, i);
  lua_pushfstring(L, "%s cannot be held weakly: got %s", name, got);
  lua_remove(L, -2);
  return lua_tostring(L, -1);
}


/* Gives the registry a new guard if one of the values to be stored may be
** younger than the present guard: it has a finalizer and is not stored yet.
** May run finalizers. [-0, +0, m] */
static void guardvalues (lua_State *L, int at, const gbi_Values *v) {
  int side = lua_gettop(L) + 1;
  lua_Integer i;
  lua_getiuservalue(L, at, GBI_OBJECTS);
  for (i = 1; i <= v->n; i++) {
    gbiR_pushvalue(L, v, i);
    if (lua_getmetatable(L, -1)) {
      int known;
      lua_rawgeti(L, side, i);
      known = R(L, at)->holder.guarded && lua_rawequal(L, -1, -3);
      lua_settop(L, side + 1);
      if (!known && gbiG_finalizable(L, side + 1)) {
        gbiG_guard(L, at);
        break;
      }
    }
    lua_settop(L, side);
  }
  lua_settop(L, side - 1);
}


/* Writes these values to the slots 1 ... n of the table on the top.
** [-0, +0, m] */
static void writevalues (lua_State *L, const gbi_Values *v) {
  lua_Integer i;
  for (i = 1; i <= v->n; i++) {
    gbiR_pushvalue(L, v, i);
    lua_rawseti(L, -2, i);
  }
}


/* Pushes a new side table of these values: objects, nil for a dead object,
** `false` for an index that is left out. Returns how many slots it has room
** for. [-0, +1, m] */
static int build (lua_State *L, const gbi_Values *v) {
  int room = v->n < 0x7fffffff ? (int)v->n : 0;
  gbi_newweak(L, room);
  writevalues(L, v);
  return room;
}


/* Installs the table on the top, built of `n` values, as the side table.
** [-1, +0, -] */
static void install (lua_State *L, int at, lua_Integer n, int room) {
  adopt(L, at, GBI_OBJECTS);
  R(L, at)->size = n;
  R(L, at)->room = room;
}


/* Replaces the side table with a new one, built of these values.
** [-0, +0, m] */
void gbiR_replace (lua_State *L, int at, const gbi_Values *v) {
  int room;
  guardvalues(L, at, v);
  room = build(L, v);
  install(L, at, v->n, room);
  gbiG_dropfinalizable(L, at);
}


/* Replaces the side table with these objects; lets go of what was stashed
** before the last store, and stashes the `created` ones. Or changes nothing.
** [-0, +0, m] */
void gbiR_store (lua_State *L, int at, const gbi_Values *v,
                 const gbi_Values *created) {
  gbi_Registry *r = R(L, at);
  int stash = created->n > 0 || !gbiR_unstashed(r);
  guardvalues(L, at, v);
  if (stash) {
    lua_newtable(L);
    writevalues(L, created);
  }
  if (gbiR_inplace(r, v->n)) {
    lua_getiuservalue(L, at, GBI_OBJECTS);
    writevalues(L, v);
    lua_pop(L, 1);
  }
  else {
    int room = build(L, v);
    install(L, at, v->n, room);
  }
  if (stash) {
    lua_getiuservalue(L, at, GBI_STASH);
    lua_setiuservalue(L, at, GBI_BEFORE);
    lua_setiuservalue(L, at, GBI_STASH);
    r->before = r->stashed;
    r->stashed = created->n;
  }
  gbiG_dropfinalizable(L, at);
}


/* Keeps the value at `value` alive until the store after the next, and as long
** as a run is in progress. [-0, +0, m] */
void gbiR_stash (lua_State *L, int at, int value) {
  gbi_Registry *r = R(L, at);
  lua_getiuservalue(L, at, GBI_STASH);
  lua_pushvalue(L, value);
  lua_rawseti(L, -2, r->stashed + 1);
  lua_pop(L, 1);
  r->stashed++;
}


/* Lets go of what was stashed, for a run that begins, and pushes the list of
** what will be; the run holds it. Each list holds the next one at 0, so that a
** run in progress holds what is stashed later, too. [-0, +1, m] */
void gbiR_pushstash (lua_State *L, int at) {
  gbi_Registry *r = R(L, at);
  lua_getiuservalue(L, at, GBI_STASH);
  if (r->stashed == 0) return;
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_rawseti(L, -3, 0);
  lua_remove(L, -2);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, at, GBI_STASH);
  r->stashed = 0;
}

/* }================================================================== */

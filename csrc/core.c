/*
** core.c - module gbi.core: the registry for Lua
**
** A module function is the same C function as the method beside it: both are
** closures that differ in upvalue 2 only, the registry to work on (gbi.default)
** or nil when it comes as first argument. Upvalue 1 is the side table of that
** registry, for the functions where every nanosecond counts; an empty table in
** methods. Upvalue 3 is the registry's metatable, to be compared raw; nil in
** module functions, whose first argument is never the registry to work on.
*/
#include "api.h"
#include "registry.h"
#include "unimplemented.h"

#include <string.h>

#include <lauxlib.h>

/***
The constructors and the side table of one graph. `#registry` is the number of
constructors; as a string it tells how many entries are live and dead.

A `gbi.object` is what can be held weakly: a table, full userdata, function or
coroutine. All else is a value.

The functions of the module @{gbi} that are named here do the same on
`gbi.default`. An argument of another type than is said here is an argument
error, at the caller's position. A call that fails leaves the registry as it was.
@classmod gbi.registry
*/

#define SIDE lua_upvalueindex(1)
#define DEFAULT lua_upvalueindex(2)
#define METATABLE lua_upvalueindex(3)


/* {==================================================================
** Arguments
** =================================================================== */

/* Is the metatable on the top that of a method's registry? (lua_rawequal takes
** longer than both calls.) */
#define ismine(L) (lua_topointer(L, -1) == lua_topointer(L, METATABLE))

/* Is argument 1 the registry of a method? Its metatable stays on the stack.
** [-0, +(0|1), -] */
static int ismethod (lua_State *L) {
  return lua_getmetatable(L, 1) && ismine(L);
}


/* Returns the registry to work on, with the side table of this coroutine's
** run in place (the default registry has no runs); in `at` its index, in `arg`
** that of the first argument after it. [-0, +0, e] */
static gbi_Registry *myself (lua_State *L, int *at, int *arg) {
  gbi_Registry *r = (gbi_Registry *)lua_touserdata(L, 1);
  if (r != NULL) {
    int top = lua_gettop(L), same = ismethod(L);
    lua_settop(L, top);
    if (same) {
      if (r->framed) gbiR_switch(L, 1);
      *at = 1;
      *arg = 2;
      return r;
    }
  }
  r = (gbi_Registry *)lua_touserdata(L, DEFAULT);
  if (r == NULL) luaL_typeerror(L, 1, GBI_REGISTRY);
  *at = DEFAULT;
  *arg = 1;
  return r;
}


/* The same, for those who do not look into it: returns its index.
** [-0, +0, e] */
static int self (lua_State *L, int *arg) {
  int at;
  myself(L, &at, arg);
  return at;
}


/* Is the value at `value` a source of gbi's own, of which `reconstruct` is never
** taken away? Its metatable may stay on the stack. [-0, +(0|1), -] */
static int isown (lua_State *L, const gbi_Registry *r, int value) {
  return lua_getmetatable(L, value)
      && lua_topointer(L, -1) == r->state->sources;
}


/* Checks that argument `arg` is nothing, nil or a source: anything with a
** method `reconstruct`. [-0, +0, e] */
static void checksource (lua_State *L, int arg) {
  int top = lua_gettop(L), t = lua_type(L, arg);
  if (t == LUA_TNONE || t == LUA_TNIL) return;
  if (t == LUA_TTABLE
      || (t == LUA_TUSERDATA && luaL_getmetafield(L, arg, "__index"))) {
    t = lua_getfield(L, arg, "reconstruct");
    lua_settop(L, top);
    if (t == LUA_TFUNCTION || t == LUA_TTABLE || t == LUA_TUSERDATA) return;
  }
  luaL_argerror(L, arg, "source expected (an object with a method "
                        "'reconstruct')");
}


/* Raises the error for a value that cannot be stored at index `i`: an argument
** error, but in a function that gbi made, for it was not its user who passed
** the argument. [-0, +0, e] */
static int unstorable (lua_State *L, int at, int arg, int value,
                       lua_Integer i) {
  lua_Debug ar;
  const char *why = lua_pushfstring(L, "%s cannot be held weakly: got %s",
    gbiR_name(L, at, i), luaL_typename(L, value));
  if (lua_getstack(L, 1, &ar) && lua_getinfo(L, "S", &ar)
      && strncmp(ar.source, "=gbi ", 5) == 0)
    return lua_error(L);
  return luaL_argerror(L, arg, why);
}


/* Checks that argument `arg` can be held weakly. [-0, +0, e] */
static void checkheld (lua_State *L, int arg) {
  if (lua_type(L, arg) < GBI_HELD)
    luaL_typeerror(L, arg, "table, function, userdata or thread");
}

/***
The error for a value that cannot be held weakly: nil, a boolean, a number, a
string or a light userdata. As a string it is laid out as PyTorch's.
@table unimplemented
@tfield string gb_type what failed, in the seed's words
@tfield string context the value
@tfield string explanation
@tfield table hints a list of strings
@tfield string from_exc the reason
@tfield string where the caller's position
*/

/* }================================================================== */


/* {==================================================================
** The seed's functions
** =================================================================== */

/* Registers register(value, source) or registry:register(value, source) when
** the value has no metatable, so no finalizer, the source is gbi's own and no
** place is to be noted.
** Pushes the index; returns 0 where there is more to it, and then has changed
** nothing but the stack. [-n, +m, m] */
static int registerplain (lua_State *L, int top) {
  int constructors, at = top == 3 ? 1 : DEFAULT, value = top - 1;
  gbi_Registry *r;
  lua_Integer changes;
  if (top != 2 && top != 3) return 0;
  r = (gbi_Registry *)lua_touserdata(L, at);
  if (r == NULL || (top == 3 && !ismethod(L)) || r->framed
      || r->state->recording || lua_type(L, value) < GBI_HELD
      || lua_getmetatable(L, value) || !isown(L, r, top))
    return 0;
  changes = r->changes;
  lua_getiuservalue(L, at, GBI_CONSTRUCTORS);
  constructors = lua_gettop(L);
  if (top == 3) lua_getiuservalue(L, 1, GBI_OBJECTS);
  lua_pushvalue(L, top);
  lua_pushcclosure(L, gbiR_userconstructor, 1);
  if (r->changes != changes) return 0;  /* a finalizer has run */
  lua_pushinteger(L, gbiR_add(L, r, constructors,
                              top == 3 ? constructors + 1 : SIDE, value));
  return 1;
}


/***
Registers an object that the graph needs and does not take as an input, under
the next index. The registry does not keep it alive.
@function register
@tparam gbi.object value the object, an example for the
runs to come
@tparam ?gbi.source source where it came from; without one it is a handle, which
no prologue can obtain again
@treturn integer its index, from 1 on
@raise the error @{gbi.registry.unimplemented} for a value that cannot be held
weakly; an argument error for a source that is none
@see gbi.source
@also register_user_object
@seed register_user_object(value, source)
*/
static int registry_register (lua_State *L) {
  int arg, at, top = lua_gettop(L);
  if (registerplain(L, top)) return 1;
  lua_settop(L, top);
  at = self(L, &arg);
  luaL_checkany(L, arg);
  checksource(L, arg + 1);
  gbi_checkweak(L, arg, 0);
  lua_settop(L, arg + 1);
  lua_pushinteger(L, gbiR_register(L, at, arg, 0));
  return 1;
}


/***
Registers an object that the prologue creates in every run, under the next
index. Until the first run, the index finds the example, which is kept alive
until `reset`.
@function register_created
@tparam gbi.object example_value one such object
@tparam fun(index:integer,cg:gbi.codegen) construct_fn emits the code that
creates one: it leaves one value on the codegen's stack
@treturn integer its index, from 1 on
@raise the error @{gbi.registry.unimplemented} for a value that cannot be held
weakly; an argument error for a `construct_fn` that is no function
@also register_graph_created_object
@seed register_graph_created_object(example_value, construct_fn)
*/
static int registry_register_created (lua_State *L) {
  int arg, at = self(L, &arg);
  luaL_checkany(L, arg);
  luaL_checktype(L, arg + 1, LUA_TFUNCTION);
  gbi_checkweak(L, arg, 1);
  lua_settop(L, arg + 1);
  lua_pushinteger(L, gbiR_register(L, at, arg, 1));
  return 1;
}


/* Is the value at `value` of the type `tname`, a basic type or the name in a
** metatable? [-0, +0, m] */
static int hastype (lua_State *L, int value, const char *tname) {
  int same;
  if (strcmp(luaL_typename(L, value), tname) == 0
      || luaL_testudata(L, value, tname) != NULL)
    return 1;
  if (luaL_getmetafield(L, value, "__name") == LUA_TNIL) return 0;
  same = (lua_type(L, -1) == LUA_TSTRING
          && strcmp(lua_tostring(L, -1), tname) == 0);
  lua_pop(L, 1);
  return same;
}


/* Pushes the object that get(index) or registry:get(index) finds; returns 0
** where there is more to it. [-0, +n, -] */
static int getplain (lua_State *L, int top) {
  int isint, side = SIDE;
  lua_Integer i = lua_tointegerx(L, top, &isint);
  if (!isint) return 0;
  if (top == 2) {
    gbi_Registry *r = (gbi_Registry *)lua_touserdata(L, 1);
    if (r == NULL || !ismethod(L) || r->framed) return 0;
    lua_getiuservalue(L, 1, GBI_OBJECTS);
    side = -1;
  }
  return gbiR_geti(L, side, i) >= GBI_HELD;
}


/***
The object at an index.
@function get
@tparam integer index
@tparam ?string tname the type it must have: a basic type, or the name in a
metatable (`"FILE*"`)
@treturn any the object
@raise `external object 2 (G["x"]) is no longer alive`, `… is not registered (the
registry holds 3)` or `… is not a FILE* (got table)`, at the caller's position
@also get_external_object_by_index
@seed get_external_object_by_index(index)
*/
static int registry_get (lua_State *L) {
  int arg, at, top = lua_gettop(L);
  lua_Integer i;
  const char *tname;
  if (top == 1 || top == 2) {
    if (getplain(L, top)) return 1;
    lua_settop(L, top);
  }
  at = self(L, &arg);
  i = luaL_checkinteger(L, arg);
  tname = luaL_optstring(L, arg + 1, NULL);
  lua_getiuservalue(L, at, GBI_OBJECTS);
  if (lua_rawgeti(L, -1, i) < GBI_HELD && gbiR_find(L, at, i) != GBI_LIVE)
    return gbiR_error(L, at, i);
  if (tname != NULL && !hastype(L, -1, tname))
    return gbiR_typeerror(L, at, i, tname);
  return 1;
}


/* Is argument `arg`, whose metatable is on the top, in slot `i` of the table at
** `side` already? An object without a metatable has no finalizer, so the guard
** need not know of it; nor need it of one that is there. [-1, +0, -] */
static int isknown (lua_State *L, gbi_Registry *r, int arg, int side,
                    lua_Integer i) {
  int known;
  gbiR_geti(L, side, i);
  known = r->guarded && !r->closed && lua_rawequal(L, -1, arg);
  lua_pop(L, 2);
  return known;
}


/* Stores the arguments where each is plain and has its slot; returns 0 where
** there is more to it, and then has changed nothing but the stack.
** [-n, +m, -] */
static int storeplain (lua_State *L, int top) {
  gbi_Registry *r;
  int i, n, first = 1, side = SIDE, meta = lua_getmetatable(L, 1);
  if (meta && ismine(L)) {
    r = (gbi_Registry *)lua_touserdata(L, 1);
    if (r == NULL) return 0;  /* another value with this metatable */
    lua_getiuservalue(L, 1, GBI_OBJECTS);
    side = top + 2;  /* above the metatable */
    first = 2;
  }
  else r = (gbi_Registry *)lua_touserdata(L, DEFAULT);
  n = top - first + 1;
  if (r == NULL || r->framed || !gbiR_inplace(r, n) || !gbiR_unstashed(r))
    return 0;
  for (i = first; i <= top; i++) {
    if (lua_type(L, i) < GBI_HELD) return 0;
    if ((i == 1 ? meta : lua_getmetatable(L, i))
        && !isknown(L, r, i, side, i - first + 1))
      return 0;
  }
  if (first == 2) {
    lua_copy(L, side, 1);
    lua_settop(L, top);
    side = 1;
  }
  for (i = n; i > 0; i--) gbiR_seti(L, side, i);
  return 1;
}


/***
Replaces the whole side table by the arguments, the first at index 1, and lets
go what was stashed before the last `store`. An argument for a released index is
not stored, and may be anything.
@function store
@tparam gbi.object ... the objects of this run
@raise an argument error when one cannot be held weakly; the side table is as
it was then
@also store_user_object_weakrefs
@seed store_user_object_weakrefs(*args)
*/
static int registry_store (lua_State *L) {
  int arg, at, i, top = lua_gettop(L);
  if (storeplain(L, top)) return 0;
  lua_settop(L, top);
  at = self(L, &arg);
  for (i = arg; i <= top; i++)
    if (lua_type(L, i) < GBI_HELD && !gbiR_released(L, at, i - arg + 1))
      return unstorable(L, at, i, i, i - arg + 1);
  gbiR_store(L, at, arg, top - arg + 1);
  return 0;
}


/***
Forgets everything; indices start at 1 again.
@function reset
@also reset_user_object_tracking
@seed reset_user_object_tracking()
*/
static int registry_reset (lua_State *L) {
  int arg, at = self(L, &arg);
  gbiR_reset(L, at);
  return 0;
}


/***
Is there a constructor? The side table does not count.
@function has_objects
@treturn boolean
@also has_user_objects
@seed has_user_objects()
*/
static int registry_has_objects (lua_State *L) {
  int at, arg;
  lua_pushboolean(L, myself(L, &at, &arg)->count > 0);
  return 1;
}


/***
Replaces one object, and keeps the new one alive until the next `set` of that
index or `reset`.
@function set
@tparam integer index that of an entry or of a constructor, or the one after the
last of these; `register` may come to it later, and then replaces it
@tparam gbi.object value
@raise an argument error for another index, a released one, or a value that
cannot be held weakly
@also set_external_object_by_index
@seed set_external_object_by_index(index, value), of later PyTorch
*/
static int registry_set (lua_State *L) {
  int arg, at = self(L, &arg);
  lua_Integer i = luaL_checkinteger(L, arg);
  const char *why;
  checkheld(L, arg + 1);
  why = gbiR_set(L, at, i, arg + 1);
  if (why != NULL)
    return luaL_argerror(L, arg, lua_pushfstring(L, "%s (the registry holds "
                         "%I)", why, (LUAI_UACINT)gbiR_top(L, at)));
  return 0;
}


/***
Keeps an object alive for the run that it was made for: through the next
`store`, until the one after it or `reset`.
@function stash
@tparam gbi.object object
@treturn gbi.object the object
@raise an argument error for a value that cannot be held weakly
@also stash_graph_created_object
@seed stash_graph_created_object(obj), of later PyTorch
*/
static int registry_stash (lua_State *L) {
  int arg, at = self(L, &arg);
  checkheld(L, arg);
  gbiR_stash(L, at, arg);
  lua_settop(L, arg);
  return 1;
}

/* }================================================================== */


/* {==================================================================
** Beyond the seed
** =================================================================== */

/***
A registry of its own.
@function gbi.new
@treturn gbi.registry
*/
static int core_new (lua_State *L) {
  gbiR_new(L, 0);
  return 1;
}


/***
`store` for more objects than a call takes arguments.
@function store_list
@tparam table list the objects of this run
@tparam ?integer n how many they are; the list's length otherwise
@tparam ?table created objects to be stashed with it, in the same step
@raise an argument error when one cannot be held weakly; the side table is as
it was then
*/
static int registry_store_list (lua_State *L) {
  int arg, at = self(L, &arg);
  lua_Integer i, n, stash = 0;
  luaL_checktype(L, arg, LUA_TTABLE);
  n = luaL_opt(L, luaL_checkinteger, arg + 1,
               (lua_Integer)lua_rawlen(L, arg));
  luaL_argcheck(L, n >= 0, arg + 1, "negative count");
  for (i = 1; i <= n; i++) {
    int t = lua_rawgeti(L, arg, i);
    if (t < GBI_HELD && !gbiR_released(L, at, i))
      return unstorable(L, at, arg, -1, i);
    lua_pop(L, 1);
  }
  if (!lua_isnoneornil(L, arg + 2)) {
    luaL_checktype(L, arg + 2, LUA_TTABLE);
    stash = (lua_Integer)lua_rawlen(L, arg + 2);
    for (i = 1; i <= stash; i++) {
      if (lua_rawgeti(L, arg + 2, i) < GBI_HELD)
        return unstorable(L, at, arg + 2, -1, i);
      lua_pop(L, 1);
    }
  }
  gbiR_storelist(L, at, arg, n, arg + 2, stash);
  return 0;
}


/* (registry, list, n) -> frame: for the code that gbi generates. Where the
** list holds `false` this run has not obtained an object. */
static int core_enter (lua_State *L) {
  gbi_Registry *r = (gbi_Registry *)luaL_checkudata(L, 1, GBI_REGISTRY);
  lua_Integer i, n = luaL_checkinteger(L, 3);
  luaL_argcheck(L, !r->is_default, 1, "the default registry has no frames");
  luaL_checktype(L, 2, LUA_TTABLE);
  gbiR_switch(L, 1);
  for (i = 1; i <= n; i++) {
    if (lua_rawgeti(L, 2, i) < GBI_HELD
        && !(lua_isboolean(L, -1) && !lua_toboolean(L, -1)))
      return unstorable(L, 1, 2, -1, i);
    lua_pop(L, 1);
  }
  gbiR_enter(L, 1, 2, n);
  return 1;
}


/* (registry, object, index) -> number: for the code that gbi generates.
** External object `index` of this run gets a number of its own. */
static int core_number (lua_State *L) {
  luaL_checkudata(L, 1, GBI_REGISTRY);
  if (lua_type(L, 2) < GBI_HELD)
    return unstorable(L, 1, 2, 2, luaL_checkinteger(L, 3));
  lua_pushinteger(L, gbiR_number(L, 1, 2));
  return 1;
}


/* (registry, number, ...): for the code that gbi generates. The run is over
** that gave these out. */
static int core_unnumber (lua_State *L) {
  int i, top = lua_gettop(L);
  luaL_checkudata(L, 1, GBI_REGISTRY);
  for (i = 2; i <= top; i++)
    gbiR_unnumber(L, 1, luaL_checkinteger(L, i));
  return 0;
}


/* Pushes what `find` answers: an object, or nil and why. */
static int pushfound (lua_State *L, int at, lua_Integer i) {
  int status = gbiR_find(L, at, i);
  if (status == GBI_LIVE) return 1;
  lua_pushstring(L, status == GBI_DEAD ? "dead" : "unregistered");
  return 2;
}


/***
The object at an index. Never raises an error for one that has none.
@function find
@tparam integer index any
@treturn any the object, or nil
@treturn ?string why there is none: `"dead"` or `"unregistered"`
@raise an argument error for what is no integer
*/
static int registry_find (lua_State *L) {
  int arg, at = self(L, &arg);
  return pushfound(L, at, luaL_checkinteger(L, arg));
}


/* Pushes true, or nil and that the index is unregistered. */
static int pushdone (lua_State *L, int done) {
  if (done) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushnil(L);
  lua_pushliteral(L, "unregistered");
  return 2;
}


/***
Forgets one index. It is not given out or stored under again before `reset`, so
whoever still has the number can fail, but never reach another object.
@function release
@tparam integer index
@treturn ?boolean true, or nil
@treturn ?string `"unregistered"` when there was nothing to forget
@raise an argument error for what is no integer
*/
static int registry_release (lua_State *L) {
  int arg, at = self(L, &arg);
  return pushdone(L, gbiR_release(L, at, luaL_checkinteger(L, arg)));
}


/***
Has the first sweep that finds an index dead call a function, once.
@function on_collect
@tparam integer index
@tparam ?fun(index:integer) callback nil takes it back
@treturn ?boolean true, or nil
@treturn ?string `"unregistered"` when there is no such constructor
@raise an argument error for what is no integer, or no function
*/
static int registry_on_collect (lua_State *L) {
  int arg, at = self(L, &arg);
  lua_Integer i = luaL_checkinteger(L, arg);
  if (!lua_isnil(L, arg + 1)) luaL_checktype(L, arg + 1, LUA_TFUNCTION);
  return pushdone(L, gbiR_on_collect(L, at, i, arg + 1));
}


/***
Releases the handles whose objects died, in the order of their indices, and
calls what `on_collect` was given for any object that died. What has a source or
is created stays registered: the next run stores another object there.
@function sweep
@treturn integer how many were released
@raise the error of a callback; the next sweep goes on after it
*/
static int registry_sweep (lua_State *L) {
  int arg, at = self(L, &arg);
  lua_pushinteger(L, gbiR_sweep(L, at));
  return 1;
}


/***
Counts the entries of the side table.
@function count
@treturn integer how many are live
@treturn integer how many are dead
*/
static int registry_count (lua_State *L) {
  int arg, at = self(L, &arg);
  lua_Integer live, dead;
  gbiR_count(L, at, &live, &dead);
  lua_pushinteger(L, live);
  lua_pushinteger(L, dead);
  return 2;
}


/***
The side table as it is, held strongly: for work that runs later than the call
that stored it.
@function snapshot
@treturn gbi.snapshot for `restore`
*/
static int registry_snapshot (lua_State *L) {
  int arg, at = self(L, &arg);
  gbiR_snapshot(L, at);
  return 1;
}


/***
Puts the side table back that a snapshot holds, but for what was released since.
@function restore
@tparam gbi.snapshot snapshot of this registry
@raise an argument error when it is of another one
*/
static int registry_restore (lua_State *L) {
  int arg, at = self(L, &arg);
  luaL_checkudata(L, arg, GBI_SNAPSHOT);
  luaL_argcheck(L, gbiR_issnapshot(L, at, arg), arg,
                "snapshot of another registry");
  gbiR_restore(L, at, arg);
  return 0;
}


/***
What `entries` tells of an index.
@table entry
@tfield string kind `"user"`, `"graph_created"`, or `"stored"`: without a
constructor
@tfield string status `"live"` or `"dead"`
@tfield ?any object nil when it is dead
@tfield ?gbi.source source
*/
static const char *const kinds[] = {"stored", "user", "graph_created"};


/* Pushes an iterator: `step`, the registry at 1, and 0. [-0, +3, m] */
static int iterate (lua_State *L, lua_CFunction step) {
  int arg;
  self(L, &arg);
  lua_pushvalue(L, SIDE);
  lua_pushvalue(L, DEFAULT);
  lua_pushvalue(L, METATABLE);
  lua_pushcclosure(L, step, 3);
  lua_pushvalue(L, 1);
  lua_pushinteger(L, 0);
  return 3;
}


/* (index) -> index, entry */
static int nextentry (lua_State *L) {
  int at, arg, status;
  gbi_Registry *r = myself(L, &at, &arg);
  lua_Integer i = luaL_checkinteger(L, arg);
  luaL_argcheck(L, i >= 0, arg, "index out of range");
  do {
    if (i >= r->size) return 0;
    lua_settop(L, arg);
    i++;
    status = gbiR_find(L, at, i);
  } while (status == GBI_UNREGISTERED);
  lua_pushinteger(L, i);
  lua_createtable(L, 0, 4);
  lua_pushvalue(L, arg + 1);
  lua_setfield(L, -2, "object");
  lua_pushstring(L, status == GBI_LIVE ? "live" : "dead");
  lua_setfield(L, -2, "status");
  lua_pushstring(L, kinds[gbiR_source(L, at, i)]);
  lua_setfield(L, -3, "kind");
  lua_setfield(L, -2, "source");
  return 2;
}


/***
Iterates over the side table, in the order of the indices.
@function entries
@treturn fun():integer,gbi.entry iterator of index and
@{gbi.registry.entry}; takes the next two results as a generic `for` does
@treturn gbi.registry
@treturn integer
*/
static int registry_entries (lua_State *L) {
  return iterate(L, nextentry);
}


/* (index) -> index, constructor, kind, source */
static int nextconstructor (lua_State *L) {
  int at, arg;
  gbi_Registry *r = myself(L, &at, &arg);
  lua_Integer i = luaL_checkinteger(L, arg);
  luaL_argcheck(L, i >= 0, arg, "index out of range");
  lua_getiuservalue(L, at, GBI_CONSTRUCTORS);
  while (i < r->last) {
    if (lua_rawgeti(L, -1, ++i) == LUA_TFUNCTION) {
      lua_pushinteger(L, i);
      lua_insert(L, -2);
      lua_pushstring(L, kinds[gbiR_source(L, at, i)]);
      lua_insert(L, -2);
      return 4;
    }
    lua_pop(L, 1);
  }
  return 0;
}


/***
Iterates over the constructors, in the order of the indices.
@function constructors
@treturn fun():integer,function,string,gbi.source iterator of index,
constructor, kind (`"user"` or `"graph_created"`) and source; takes the next two
results as a generic `for` does
@treturn gbi.registry
@treturn integer
*/
static int registry_constructors (lua_State *L) {
  return iterate(L, nextconstructor);
}


/***
What messages call an index.
@function name
@tparam integer index
@treturn string `external object 2 (G["io"].stdout)`
@raise an argument error for what is no integer
*/
static int registry_name (lua_State *L) {
  int arg, at = self(L, &arg);
  gbiR_name(L, at, luaL_checkinteger(L, arg));
  return 1;
}


/***
Where an index was registered, if that was noted.
@function place
@tparam integer index
@treturn ?string file and line, `main.lua:12`
@raise an argument error for what is no integer
@see gbi.debug
*/
static int registry_place (lua_State *L) {
  int arg, at = self(L, &arg);
  gbiR_place(L, at, luaL_checkinteger(L, arg));
  return 1;
}


/* (on, own) -> boolean: for gbi.debug */
static int core_record (lua_State *L) {
  luaL_checktype(L, 1, LUA_TBOOLEAN);
  luaL_checkstring(L, 2);
  lua_pushboolean(L, gbiR_record(L, lua_toboolean(L, 1), 2));
  return 1;
}


/* typename(object) -> what `get` calls it: the name in its metatable, or its
** type */
static int core_typename (lua_State *L) {
  luaL_checkany(L, 1);
  if (luaL_getmetafield(L, 1, "__name") != LUA_TSTRING)
    lua_pushstring(L, luaL_typename(L, 1));
  return 1;
}


/* #registry */
static int registry_len (lua_State *L) {
  int at, arg;
  lua_pushinteger(L, myself(L, &at, &arg)->count);
  return 1;
}


/* tostring(registry) */
static int registry_tostring (lua_State *L) {
  int arg, at = self(L, &arg);
  lua_Integer live, dead;
  gbiR_count(L, at, &live, &dead);
  lua_pushfstring(L, "%s (%I live, %I dead): %p", GBI_REGISTRY,
                  (LUAI_UACINT)live, (LUAI_UACINT)dead,
                  lua_topointer(L, at));
  return 1;
}

/* }================================================================== */


static const luaL_Reg methods[] = {
  {"register", registry_register},
  {"register_created", registry_register_created},
  {"get", registry_get},
  {"store", registry_store},
  {"reset", registry_reset},
  {"has_objects", registry_has_objects},
  {"set", registry_set},
  {"stash", registry_stash},
  {"store_list", registry_store_list},
  {"find", registry_find},
  {"release", registry_release},
  {"on_collect", registry_on_collect},
  {"sweep", registry_sweep},
  {"count", registry_count},
  {"snapshot", registry_snapshot},
  {"restore", registry_restore},
  {"entries", registry_entries},
  {"constructors", registry_constructors},
  {"name", registry_name},
  {"place", registry_place},
  {NULL, NULL}
};

static const luaL_Reg metamethods[] = {
  {"__len", registry_len},
  {"__tostring", registry_tostring},
  {NULL, NULL}
};

/* the seed's functions, on the default registry */
static const luaL_Reg functions[] = {
  {"get_external_object_by_index", registry_get},
  {"store_user_object_weakrefs", registry_store},
  {"register_user_object", registry_register},
  {"register_graph_created_object", registry_register_created},
  {"reset_user_object_tracking", registry_reset},
  {"has_user_objects", registry_has_objects},
  {"set_external_object_by_index", registry_set},
  {"stash_graph_created_object", registry_stash},
  {NULL, NULL}
};

/* what gbi.core has beside these, for its Lua files */
static const luaL_Reg module[] = {
  {"new", core_new},
  {"enter", core_enter},
  {"number", core_number},
  {"unnumber", core_unnumber},
  {"record", core_record},
  {"typename", core_typename},
  {NULL, NULL}
};


/* Sets the functions of `l` in the table at `t` as closures over an empty
** table, the registry at `def` and the metatable at `mt` (0: none).
** [-0, +0, m] */
static void setfuncs (lua_State *L, int t, const luaL_Reg *l, int def,
                      int mt) {
  lua_pushvalue(L, t);
  lua_newtable(L);
  if (def != 0) lua_pushvalue(L, def);
  else lua_pushnil(L);
  if (mt != 0) lua_pushvalue(L, mt);
  else lua_pushnil(L);
  luaL_setfuncs(L, l, 3);
  lua_pop(L, 1);
}


/* Gives the side table of the default registry at `def` to the function
** `name` at `t`, now and after every reset. Not the constructors: setting an
** upvalue marks, and what is reset in a collection would live to the next.
** [-0, +0, m] */
static void makehot (lua_State *L, int t, const char *name, int def) {
  if (lua_getiuservalue(L, def, GBI_HOT) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, def, GBI_HOT);
  }
  lua_getfield(L, t, name);
  lua_pushvalue(L, -1);
  lua_rawseti(L, -3, (lua_Integer)lua_rawlen(L, -3) + 1);
  lua_getiuservalue(L, def, GBI_OBJECTS);
  lua_setupvalue(L, -2, 1);
  lua_pop(L, 2);
}


LUALIB_API int luaopen_gbi_core (lua_State *L) {
  enum {CORE = 1, MT, INDEX, FUNCTIONS, DEF};
  luaL_checkversion(L);
  lua_settop(L, 0);
  gbiR_openlib(L);
  gbi_openapi(L);
  lua_newtable(L);
  luaL_newmetatable(L, GBI_REGISTRY);
  lua_newtable(L);
  lua_newtable(L);
  setfuncs(L, INDEX, methods, 0, MT);
  setfuncs(L, MT, metamethods, 0, MT);
  lua_pushvalue(L, INDEX);
  lua_setfield(L, MT, "__index");
  gbiR_default(L);
  setfuncs(L, FUNCTIONS, functions, DEF, 0);
  makehot(L, FUNCTIONS, "get_external_object_by_index", DEF);
  makehot(L, FUNCTIONS, "store_user_object_weakrefs", DEF);
  makehot(L, FUNCTIONS, "register_user_object", DEF);
  lua_setfield(L, CORE, "default");
  /* in a table of their own: Lua's argument errors name a function as they
  ** find it in a loaded module, and it is to be gbi.f, not gbi.core.f */
  lua_setfield(L, CORE, "functions");
  lua_pushliteral(L, "gbi " GBI_VERSION);
  lua_setfield(L, CORE, "_VERSION");
  luaL_newmetatable(L, GBI_SOURCE);
  lua_setfield(L, CORE, "source_metatable");
  lua_settop(L, CORE);
  luaL_setfuncs(L, module, 0);
  return 1;
}

/*
** registry_lua.c - registries for Lua
**
** A module function is the same C function as the method beside it: both are
** closures that differ in upvalue 2 only, the registry to work on (gbi.default)
** or nil when it comes as first argument. Upvalue 1 is the side table of that
** registry, for the functions where every nanosecond counts; an empty table in
** methods. Upvalue 3 is the registry's metatable, to be compared raw; nil in
** module functions, whose first argument is never the registry to work on.
**
** In LuaJIT `get` and `find` are wrapped by lua/gbi/lookup.lua.
*/
#include "internal.h"

#include <string.h>

#include <lauxlib.h>

/***
The constructors and the side table of one graph. `#registry` is the number of
constructors; as a string it tells how many entries are live and dead.

A `gbi.object` is what can be held weakly: a table, full userdata, function or
coroutine. Everything else is a value.

The functions of the module @{gbi} that are named here do the same on
`gbi.default`. An argument of another type than given here is an argument
error, at the caller's position; so is a handle where an index is meant. A call
that fails leaves the registry as it was.
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


/* Returns the index of the registry to work on, and in `arg` that of the first
** argument after it. [-0, +0, e] */
static int self (lua_State *L, int *arg) {
  int top = lua_gettop(L);
  int method = lua_touserdata(L, 1) != NULL && ismethod(L);
  lua_settop(L, top);
  *arg = 1 + method;
  if (method) return 1;
  if (lua_touserdata(L, DEFAULT) == NULL) luaL_typeerror(L, 1, GBI_REGISTRY);
  return DEFAULT;
}


/* Checks that argument 1 is a registry, in what is only a method.
** [-0, +0, e] */
static gbi_Registry *checkregistry (lua_State *L) {
  return (gbi_Registry *)luaL_checkudata(L, 1, GBI_REGISTRY);
}


/* Checks that argument `arg` is an integer and not a handle. [-0, +0, e] */
lua_Integer gbi_checkindex (lua_State *L, int arg) {
  lua_Integer i = luaL_checkinteger(L, arg);
  luaL_argcheck(L, i <= GBI_HANDLE0, arg, "index expected, got a handle");
  return i;
}


/* Is the value at `value` a source of gbi's own, of which `reconstruct` is never
** taken away? Its metatable may stay on the stack. [-0, +(0|1), -] */
static int isown (lua_State *L, const gbi_Registry *r, int value) {
  return lua_getmetatable(L, value)
      && lua_topointer(L, -1) == r->holder.state->sources;
}


/* Checks that argument `arg` is a source: anything with a method
** `reconstruct`. [-0, +0, e] */
static void checksource (lua_State *L, int arg) {
  int top = lua_gettop(L), t = lua_type(L, arg);
  if (t == LUA_TTABLE
      || (t == LUA_TUSERDATA && luaL_getmetafield(L, arg, "__index"))) {
    t = lua_getfield(L, arg, "reconstruct");
    lua_settop(L, top);
    if (t == LUA_TFUNCTION || t == LUA_TTABLE || t == LUA_TUSERDATA) return;
  }
  luaL_argerror(L, arg, "source expected (an object with a method "
                        "'reconstruct')");
}


/* Raises the error for the value on the top, which cannot be stored at index
** `i`: an argument error, except in a function that gbi generated, whose user
** did not pass the argument. [-0, +0, e] */
int gbi_argunheld (lua_State *L, int at, int arg, lua_Integer i) {
  lua_Debug ar;
  const char *why = gbiR_whyunheld(L, at, i);
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

/* Does register(value, source) or registry:register(value, source) when the
** value has no metatable, so no finalizer, the source is gbi's own and no
** place is to be recorded. Pushes the index; or returns 0, with the registry
** untouched, if the general path is needed. [-n, +m, m] */
static int registerplain (lua_State *L, int top) {
  int constructors, at = top == 3 ? 1 : DEFAULT, value = top - 1;
  gbi_Registry *r;
  lua_Integer changes;
  if (top != 2 && top != 3) return 0;
  r = (gbi_Registry *)lua_touserdata(L, at);
  if (r == NULL || (top == 3 && !ismethod(L)) || r->size < r->count
      || r->holder.state->recording || lua_type(L, value) < GBI_HELD
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
@tparam gbi.object value the object, an example for the runs to come
@tparam gbi.source source where it came from
@treturn integer its index; the first is 1
@raise the error @{gbi.registry.unimplemented} for a value that cannot be held
weakly; an argument error if `source` is not a source
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
  gbi_checkweak(L, arg, GBI_FORUSER);
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
@treturn integer its index; the first is 1
@raise the error @{gbi.registry.unimplemented} for a value that cannot be held
weakly; an argument error if `construct_fn` is not a function
@also register_graph_created_object
@seed register_graph_created_object(example_value, construct_fn)
*/
static int registry_register_created (lua_State *L) {
  int arg, at = self(L, &arg);
  luaL_checkany(L, arg);
  luaL_checktype(L, arg + 1, LUA_TFUNCTION);
  gbi_checkweak(L, arg, GBI_FORCREATED);
  lua_settop(L, arg + 1);
  lua_pushinteger(L, gbiR_register(L, at, arg, 1));
  return 1;
}


/* Pushes the object that get(index) or registry:get(index) finds; or returns 0
** if the general path is needed. [-0, +n, -] */
static int getplain (lua_State *L, int top) {
  int isint, side = SIDE;
  lua_Integer i = lua_tointegerx(L, top, &isint);
  if (!isint) return 0;
  if (top == 2) {
    if (lua_touserdata(L, 1) == NULL || !ismethod(L)) return 0;
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
  i = gbi_checkindex(L, arg);
  tname = luaL_optstring(L, arg + 1, NULL);
  if (gbiR_find(L, at, i) != GBI_LIVE) return gbiR_error(L, at, i);
  if (tname != NULL && !gbi_hastype(L, -1, tname))
    return gbiR_typeerror(L, at, i, tname);
  return 1;
}


/* Is argument `arg`, whose metatable is on the top, in slot `i` of the table at
** `side` already? An object without a metatable has no finalizer, so the guard
** need not know of it; nor need it of one that is there. [-1, +0, -] */
static int isknown (lua_State *L, const gbi_Holder *holder, int arg, int side,
                    lua_Integer i) {
  int known;
  gbiR_geti(L, side, i);
  known = holder->guarded && !holder->state->closing
          && lua_rawequal(L, -1, arg);
  lua_pop(L, 2);
  return known;
}


/* Stores the arguments if each is plain and has its slot; or returns 0, with
** the registry untouched, if the general path is needed. [-n, +m, -] */
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
  if (r == NULL || !gbiR_inplace(r, n) || !gbiR_unstashed(r)) return 0;
  for (i = first; i <= top; i++) {
    if (lua_type(L, i) < GBI_HELD) return 0;
    if ((i == 1 ? meta : lua_getmetatable(L, i))
        && !isknown(L, &r->holder, i, side, i - first + 1))
      return 0;
  }
  if (first == 2) {
    lua_replace(L, 1);
    lua_settop(L, top);
    side = 1;
  }
  for (i = n; i > 0; i--) gbiR_seti(L, side, i);
  return 1;
}


/***
Replaces the whole side table by the arguments, the first at index 1, and lets
go what was stashed before the last `store`.
@function store
@tparam gbi.object ... the objects of this run
@raise an argument error if one cannot be held weakly; the side table is then
as it was
@also store_user_object_weakrefs
@seed store_user_object_weakrefs(*args)
*/
static int registry_store (lua_State *L) {
  int arg, at, top = lua_gettop(L);
  lua_Integer i;
  gbi_Values v = {0, 0, 0}, none = {0, 0, 0};
  if (storeplain(L, top)) return 0;
  lua_settop(L, top);
  at = self(L, &arg);
  v.first = arg;
  v.n = top - arg + 1;
  i = gbiR_unheld(L, &v);
  if (i != 0) return gbi_argunheld(L, at, arg + (int)i - 1, i);
  gbiR_store(L, at, &v, &none);
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
  int arg, at = self(L, &arg);
  lua_pushboolean(L, ((gbi_Registry *)lua_touserdata(L, at))->count > 0);
  return 1;
}


/***
Replaces one object, and keeps the new one alive until the next `set` of that
index or `reset`.
@function set
@tparam integer index that of an entry or a constructor, or the one after the
last of these; `register` may come to it later, and then replaces it
@tparam gbi.object value
@raise an argument error for another index, or a value that cannot be held
weakly
@also set_external_object_by_index
@seed set_external_object_by_index(index, value), of later PyTorch
*/
static int registry_set (lua_State *L) {
  int arg, at = self(L, &arg);
  lua_Integer i = gbi_checkindex(L, arg);
  checkheld(L, arg + 1);
  if (!gbiR_set(L, at, i, arg + 1))
    return luaL_argerror(L, arg, lua_pushfstring(L, "index out of range (the "
                         "registry holds %I)",
                         (LUAI_UACINT)gbiR_top(L, at)));
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
Creates a registry.
@function gbi.new
@treturn gbi.registry
*/
static int core_new (lua_State *L) {
  gbiR_new(L, 0);
  return 1;
}


/***
Like `store`, for more objects than a call takes arguments.
@function store_list
@tparam table list the objects of this run
@tparam ?integer n how many they are; default: the list's length
@tparam ?table created objects to be stashed with it, in the same step
@raise an argument error if one cannot be held weakly; the side table is then
as it was
*/
static int registry_store_list (lua_State *L) {
  lua_Integer i;
  gbi_Values v = {2, 0, 0}, created = {4, 0, 0};
  checkregistry(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  v.n = luaL_opt(L, luaL_checkinteger, 3, (lua_Integer)lua_rawlen(L, 2));
  luaL_argcheck(L, v.n >= 0, 3, "negative count");
  i = gbiR_unheld(L, &v);
  if (i != 0) return gbi_argunheld(L, 1, 2, i);
  if (!lua_isnoneornil(L, 4)) {
    luaL_checktype(L, 4, LUA_TTABLE);
    created.n = (lua_Integer)lua_rawlen(L, 4);
    i = gbiR_unheld(L, &created);
    if (i != 0) return gbi_argunheld(L, 1, 4, i);
  }
  gbiR_store(L, 1, &v, &created);
  return 0;
}


/***
Like `get`, but never raises an error for an index that has no object.
@function find
@tparam integer index
@treturn any the object, or nil
@treturn ?string why there is none: `"dead"` or `"unregistered"`
*/
static int registry_find (lua_State *L) {
  int status;
  checkregistry(L);
  status = gbiR_find(L, 1, gbi_checkindex(L, 2));
  if (status == GBI_LIVE) return 1;
  lua_pushstring(L, status == GBI_DEAD ? "dead" : "unregistered");
  return 2;
}


/***
Counts the entries of the side table.
@function count
@treturn integer how many are live
@treturn integer how many are dead
*/
static int registry_count (lua_State *L) {
  lua_Integer live, dead;
  checkregistry(L);
  gbiR_count(L, 1, &live, &dead);
  lua_pushinteger(L, live);
  lua_pushinteger(L, dead);
  return 2;
}


/***
Takes a snapshot of the side table. It holds the objects strongly, for work that
runs later than the call that stored them.
@function snapshot
@treturn gbi.snapshot for `restore`
*/
static int registry_snapshot (lua_State *L) {
  checkregistry(L);
  gbiR_snapshot(L, 1);
  return 1;
}


/***
Restores a snapshot's side table.
@function restore
@tparam gbi.snapshot snapshot of this registry
@raise an argument error if it is another registry's
*/
static int registry_restore (lua_State *L) {
  checkregistry(L);
  luaL_checkudata(L, 2, GBI_SNAPSHOT);
  luaL_argcheck(L, gbiR_issnapshot(L, 1, 2), 2, "snapshot of another registry");
  gbiR_restore(L, 1, 2);
  return 0;
}


/***
An entry, as `entries` yields it.
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
  checkregistry(L);
  lua_pushcfunction(L, step);
  lua_pushvalue(L, 1);
  lua_pushinteger(L, 0);
  return 3;
}


/* Returns the index that argument 2 of an iterator stands for. [-0, +0, e] */
static lua_Integer checkposition (lua_State *L) {
  lua_Integer i = luaL_checkinteger(L, 2);
  luaL_argcheck(L, i >= 0, 2, "index out of range");
  return i;
}


/* (registry, index) -> index, entry */
static int nextentry (lua_State *L) {
  int status;
  gbi_Registry *r = checkregistry(L);
  lua_Integer i = checkposition(L);
  do {
    if (i >= r->size) return 0;
    lua_settop(L, 2);
    status = gbiR_find(L, 1, ++i);
  } while (status == GBI_UNREGISTERED);
  lua_pushinteger(L, i);
  lua_createtable(L, 0, 4);
  lua_pushvalue(L, 3);
  lua_setfield(L, -2, "object");
  lua_pushstring(L, status == GBI_LIVE ? "live" : "dead");
  lua_setfield(L, -2, "status");
  lua_pushstring(L, kinds[gbiR_source(L, 1, i)]);
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


/* (registry, index) -> index, constructor, kind, source */
static int nextconstructor (lua_State *L) {
  gbi_Registry *r = checkregistry(L);
  lua_Integer i = checkposition(L);
  if (i >= r->count) return 0;
  lua_pushinteger(L, ++i);
  lua_getiuservalue(L, 1, GBI_CONSTRUCTORS);
  lua_rawgeti(L, -1, i);
  lua_remove(L, -2);
  lua_pushstring(L, kinds[gbiR_source(L, 1, i)]);
  lua_insert(L, -2);
  return 4;
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
What error messages call an index.
@function name
@tparam integer index
@treturn string `external object 2 (G["io"].stdout)`
*/
static int registry_name (lua_State *L) {
  checkregistry(L);
  gbiR_name(L, 1, gbi_checkindex(L, 2));
  return 1;
}


/***
Where an index was registered, if that was recorded.
@function place
@tparam integer index
@treturn ?string file and line, `main.lua:12`
@see gbi.debug
*/
static int registry_place (lua_State *L) {
  checkregistry(L);
  gbiR_place(L, 1, gbi_checkindex(L, 2));
  return 1;
}


/* #registry */
static int registry_len (lua_State *L) {
  lua_pushinteger(L, checkregistry(L)->count);
  return 1;
}


/* tostring(registry) */
static int registry_tostring (lua_State *L) {
  lua_Integer live, dead;
  checkregistry(L);
  gbiR_count(L, 1, &live, &dead);
  lua_pushfstring(L, "%s (%I live, %I dead): %p", GBI_REGISTRY,
                  (LUAI_UACINT)live, (LUAI_UACINT)dead, lua_topointer(L, 1));
  return 1;
}

/* }================================================================== */


static const luaL_Reg registry_methods[] = {
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
  {"count", registry_count},
  {"snapshot", registry_snapshot},
  {"restore", registry_restore},
  {"entries", registry_entries},
  {"constructors", registry_constructors},
  {"name", registry_name},
  {"place", registry_place},
  {NULL, NULL}
};

static const luaL_Reg registry_metamethods[] = {
  {"__len", registry_len},
  {"__tostring", registry_tostring},
  {NULL, NULL}
};

/* the seed's functions, on the default registry */
static const luaL_Reg registry_functions[] = {
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
** `name` at `t`, now and after every change. Not the constructors: setting an
** upvalue marks it, and what is reset in a collection would live to the next.
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


/* Sets `new`, `default`, `functions` and `sides` in the module at `core`.
** [-0, +0, m] */
void gbi_openregistry (lua_State *L, int core) {
  int mt = lua_gettop(L) + 1, index = mt + 1, fs = mt + 2, def = mt + 3;
  luaL_newmetatable(L, GBI_SNAPSHOT);
  lua_pop(L, 1);
  luaL_newmetatable(L, GBI_REGISTRY);
  lua_newtable(L);
  lua_newtable(L);
  setfuncs(L, index, registry_methods, 0, mt);
  setfuncs(L, mt, registry_metamethods, 0, mt);
  lua_pushvalue(L, index);
  lua_setfield(L, mt, "__index");
  gbiR_default(L);
  setfuncs(L, fs, registry_functions, def, 0);
  makehot(L, fs, "get_external_object_by_index", def);
  makehot(L, fs, "store_user_object_weakrefs", def);
  makehot(L, fs, "register_user_object", def);
  lua_setfield(L, core, "default");
  /* in a table of their own: Lua's argument errors name a function as they
  ** find it in a loaded module, and it is to be gbi.f, not gbi.core.f */
  lua_setfield(L, core, "functions");
  lua_settop(L, mt - 1);
  lua_pushcfunction(L, core_new);
  lua_setfield(L, core, "new");
  gbi_lookups(L, 0);
  lua_setfield(L, core, "sides");
}

/*
** internal.h - types and functions shared by the files of csrc/
**
** A *holder* is a registry or a handle table: a full userdata whose user
** values are Lua tables, the first of them a table of objects with weak
** values. The functions here take a holder by its stack (or upvalue) index
** `at` and trust their arguments. The public interfaces check them:
** registry_lua.c and handles_lua.c for Lua, api.c for C. As in Lua's manual,
** [-o, +p, x] tells how many values a function pops and pushes, and whether it
** may raise an error: '-' never, 'm' only when out of memory, 'e' any.
**
** No call leaves its work half done. It first does everything that may run
** other code (allocating an object may start the collector, which may run
** finalizers), then reads the holder, then makes room (lua_rawseti may still
** allocate). It makes changes that others can see only after the last step
** that can fail. lua_rawseti on a slot that is not nil never allocates, and
** never starts a collection.
*/
#ifndef GBI_INTERNAL_H
#define GBI_INTERNAL_H

#include <lua.h>

#include "compat.h"
#include "gbi.h"

#if defined(GBI_INTERN)  /* static, in one file: see tools/amalgamate.lua */
#elif defined(__GNUC__)
#define GBI_INTERN extern __attribute__((visibility("hidden")))
#else
#define GBI_INTERN extern
#endif

/* metatable names */
#define GBI_REGISTRY "gbi.registry"
#define GBI_SNAPSHOT "gbi.snapshot"
#define GBI_HANDLES "gbi.handles"
#define GBI_RUN "gbi.run"
#define GBI_SOURCE "gbi.source"

/* The lowest type that weak tables hold weakly: in Lua's numbering, tables,
** functions, userdata and threads come after all other types. */
#define GBI_HELD LUA_TTABLE


/* {==================================================================
** The Lua state: state.c
** =================================================================== */

/* Data shared by all holders of a Lua state. */
typedef struct gbi_State {
  int recording;        /* do registrations record their call sites? */
  int closing;          /* is the Lua state known to be closing? */
  const void *sources;  /* the metatable of gbi's own sources */
  lua_Integer given;    /* the key of the handle given out last */
} gbi_State;

GBI_INTERN void gbiS_open (lua_State *L);
GBI_INTERN gbi_State *gbiS_get (lua_State *L);
GBI_INTERN void gbiS_metatable (lua_State *L, const char *name,
                                const char *event);
GBI_INTERN void gbi_newweak (lua_State *L, int room);
GBI_INTERN int gbiS_record (lua_State *L, int on, int own);
GBI_INTERN void gbiS_place (lua_State *L);

/* }================================================================== */


/* {==================================================================
** Holders and their guard: holder.c, guard.c
** =================================================================== */

/* The first user values of every holder. */
enum {
  GBI_OBJECTS = 1,  /* number -> object, weak values */
  GBI_GUARD,        /* empties that table when the state closes */
  GBI_NHOLDER = GBI_GUARD
};

/* The head of every holder. */
typedef struct gbi_Holder {
  gbi_State *state;
  int guarded;  /* is there a guard that has not run? */
} gbi_Holder;

GBI_INTERN void *gbi_newholder (lua_State *L, size_t size, int nvalues);
GBI_INTERN void gbi_lookups (lua_State *L, int handles);
GBI_INTERN void gbi_publish (lua_State *L, int at, int handles);
GBI_INTERN int gbi_reserve (lua_State *L, int t, lua_Integer i);
GBI_INTERN int gbi_forget (lua_State *L, int at, int which, lua_Integer i);
GBI_INTERN void gbi_keep (lua_State *L, int at, int which, lua_Integer i,
                          int value);
GBI_INTERN int gbi_hastype (lua_State *L, int value, const char *tname);
GBI_INTERN const char *gbi_typename (lua_State *L, int value);

GBI_INTERN void gbiG_open (lua_State *L);
GBI_INTERN int gbiG_finalizable (lua_State *L, int value);
GBI_INTERN void gbiG_guard (lua_State *L, int at);
GBI_INTERN void gbiG_dropfinalizable (lua_State *L, int at);

/* }================================================================== */


/* {==================================================================
** Registries: registry.c, snapshot.c
** =================================================================== */

/* The other user values of a registry. */
enum {
  GBI_CONSTRUCTORS = GBI_NHOLDER + 1,  /* index -> constructor */
  GBI_EXAMPLES,  /* index -> graph-created example, kept alive */
  GBI_UPDATES,   /* index -> object that `set` put there last, kept alive */
  GBI_STASH,     /* list of the objects stashed since the last store ... */
  GBI_BEFORE,    /* ... and of those stashed before it */
  GBI_HOTGET,    /* default registry: functions whose upvalue 1 is its ... */
  GBI_HOTSTORE,  /* ... side table */
  GBI_NREGISTRY = GBI_HOTSTORE
};

typedef struct gbi_Registry {
  gbi_Holder holder;
  lua_Integer count;  /* of constructors: the last index given out */
  lua_Integer size;   /* the last index of the side table */
  lua_Integer room;   /* writing to the first `room` slots cannot fail */
  lua_Integer stashed, before;  /* lengths of the two stash lists */
  int is_default;
} gbi_Registry;

/* The values of a `store`: list[1] ... list[n], or, if `list` is 0, the values
** on the stack from `first` on. */
typedef struct gbi_Values {
  int list, first;
  lua_Integer n;
} gbi_Values;

/* Can `n` values be stored in place of the present ones? Is the stash empty, so
** that a store has nothing to let go? */
#define gbiR_inplace(r, n) ((n) == (r)->size && (n) <= (r)->room)
#define gbiR_unstashed(r) (((r)->stashed | (r)->before) == 0)

/* The tables of a registry have neither __index nor __newindex, so these work
** like lua_rawgeti and lua_rawseti, but faster if the slot is not empty. */
#define gbiR_geti lua_geti
#define gbiR_seti lua_seti

/* kinds of entries, as gbiR_source returns them */
enum { GBI_STORED, GBI_USER, GBI_CREATED };

GBI_INTERN void gbiR_default (lua_State *L);
GBI_INTERN void gbiR_new (lua_State *L, int is_default);
GBI_INTERN lua_Integer gbiR_register (lua_State *L, int at, int value,
                                      int created);
GBI_INTERN int gbiR_find (lua_State *L, int at, lua_Integer i);
GBI_INTERN int gbiR_error (lua_State *L, int at, lua_Integer i);
GBI_INTERN int gbiR_typeerror (lua_State *L, int at, lua_Integer i,
                               const char *tname);
GBI_INTERN const char *gbiR_name (lua_State *L, int at, lua_Integer i);
GBI_INTERN int gbiR_source (lua_State *L, int at, lua_Integer i);
GBI_INTERN void gbiR_place (lua_State *L, int at, lua_Integer i);
GBI_INTERN void gbiR_count (lua_State *L, int at, lua_Integer *live,
                            lua_Integer *dead);
GBI_INTERN lua_Integer gbiR_top (lua_State *L, int at);
GBI_INTERN int gbiR_pushvalue (lua_State *L, const gbi_Values *v,
                               lua_Integer i);
GBI_INTERN lua_Integer gbiR_unheld (lua_State *L, const gbi_Values *v);
GBI_INTERN const char *gbiR_whyunheld (lua_State *L, int at, lua_Integer i);
GBI_INTERN void gbiR_store (lua_State *L, int at, const gbi_Values *v,
                            const gbi_Values *created);
GBI_INTERN void gbiR_replace (lua_State *L, int at, const gbi_Values *v);
GBI_INTERN int gbiR_set (lua_State *L, int at, lua_Integer i, int value);
GBI_INTERN void gbiR_stash (lua_State *L, int at, int value);
GBI_INTERN void gbiR_pushstash (lua_State *L, int at);
GBI_INTERN void gbiR_reset (lua_State *L, int at);

GBI_INTERN void gbiR_snapshot (lua_State *L, int at);
GBI_INTERN int gbiR_issnapshot (lua_State *L, int at, int value);
GBI_INTERN void gbiR_restore (lua_State *L, int at, int snapshot);

/* }================================================================== */


/* {==================================================================
** Handle tables and runs: handles.c, run.c
** =================================================================== */

/* The other user values of a handle table. A key is a handle minus GBI_HANDLE0;
** all handle tables of a Lua state share the keys 1, 2, 3 ... */
enum {
  GBI_HOLDS = GBI_NHOLDER + 1,  /* key -> value that a strong handle keeps */
  GBI_CALLBACKS,                /* key -> callback of on_collect */
  GBI_LISTS,  /* key -> { object, handle } of a run, weak values */
  GBI_NHANDLES = GBI_LISTS
};

typedef struct gbi_Handles {
  gbi_Holder holder;
  lua_Integer first, last;  /* all keys given out here are within these */
  lua_Integer held;     /* how many slots of GBI_HOLDS are taken */
  lua_Integer waiting;  /* how many callbacks there are */
} gbi_Handles;

GBI_INTERN void gbiH_new (lua_State *L);
GBI_INTERN void gbiH_default (lua_State *L);
GBI_INTERN int gbiH_getdefault (lua_State *L);
GBI_INTERN lua_Integer gbiH_weak (lua_State *L, int at, int value);
GBI_INTERN lua_Integer gbiH_strong (lua_State *L, int at, int value);
GBI_INTERN lua_Integer gbiH_handon (lua_State *L, int at, int list);
GBI_INTERN lua_Integer gbiH_ofrun (lua_State *L, int at, int run,
                                   lua_Integer i);
GBI_INTERN int gbiH_find (lua_State *L, int at, lua_Integer h);
GBI_INTERN int gbiH_error (lua_State *L, int at, lua_Integer h);
GBI_INTERN int gbiH_typeerror (lua_State *L, lua_Integer h,
                               const char *tname);
GBI_INTERN int gbiH_release (lua_State *L, int at, lua_Integer h);
GBI_INTERN void gbiH_handback (lua_State *L, int at, int list);
GBI_INTERN int gbiH_on_collect (lua_State *L, int at, lua_Integer h,
                                int callback);
GBI_INTERN lua_Integer gbiH_sweep (lua_State *L, int at);
GBI_INTERN lua_Integer gbiH_count (lua_State *L, int at);
GBI_INTERN lua_Integer *gbiH_list (lua_State *L, int at, size_t *n);
GBI_INTERN const char *gbiH_kind (lua_State *L, int at, lua_Integer h);

/* }================================================================== */


/* {==================================================================
** Public interfaces: registry_lua.c, handles_lua.c, run.c, api.c,
** unimplemented.c
** =================================================================== */

/* purposes of gbi_checkweak */
enum { GBI_FORUSER, GBI_FORCREATED, GBI_FORHANDLE };

GBI_INTERN void gbi_checkweak (lua_State *L, int value, int purpose);
GBI_INTERN lua_Integer gbi_checkindex (lua_State *L, int arg);
GBI_INTERN int gbi_argunheld (lua_State *L, int at, int arg, lua_Integer i);
GBI_INTERN void gbi_openregistry (lua_State *L, int core);
GBI_INTERN void gbi_openhandles (lua_State *L, int core);
GBI_INTERN void gbi_openrun (lua_State *L, int core);
GBI_INTERN void gbi_openapi (lua_State *L);

/* }================================================================== */

#endif

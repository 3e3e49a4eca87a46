/*
** registry.h - the registry and its side table (internal)
**
** Everything here works on a registry given by its stack (or upvalue)
** index `at` and trusts its arguments: checking them is the business of the
** faces, core.c for Lua and api.c for C.  As in Lua's manual, [-o, +p, x] tells how many
** values a function pops and pushes, and whether it may raise: '-' never,
** 'm' only for want of memory, 'e' any error.
*/
#ifndef GBI_REGISTRY_H
#define GBI_REGISTRY_H

#include <lua.h>

#include "compat.h"
#include "gbi.h"

#if defined(__GNUC__)
#define GBI_INTERN extern __attribute__((visibility("hidden")))
#else
#define GBI_INTERN extern
#endif

#define GBI_REGISTRY "gbi.registry"  /* metatable names */
#define GBI_SNAPSHOT "gbi.snapshot"
#define GBI_SOURCE "gbi.source"

/* The user values of a registry: the three tables of the design first, each
** anchored in the Lua registry as well for the default registry. */
enum {
  GBI_OBJECTS = 1,   /* the side table: index -> object, weak values */
  GBI_CONSTRUCTORS,  /* index -> constructor */
  GBI_EXAMPLES,      /* index -> graph-created example, kept alive */
  GBI_UPDATES,       /* index -> what `set` put there last, kept alive */
  GBI_CALLBACKS,     /* index -> function to call when it is swept */
  GBI_STASH,         /* two lists: stashed for the present run ... */
  GBI_STASH2,        /* ... and for the one before it, in turn */
  GBI_GUARD,         /* empties the side table when the state closes */
  GBI_HOT,           /* default registry: closures that hold its side table */
  GBI_PLACES,        /* index -> where it was registered; nil, or a table */
  GBI_FRAMES,        /* coroutine -> its innermost frame, weak keys */
  GBI_RUNNING,       /* the frame whose side table is in place, or nil */
  GBI_NOBODY,        /* an empty side table, for who belongs to no run */
  GBI_NUMBERED,      /* number -> object of a run, weak values */
  GBI_NVALUES = GBI_NUMBERED
};

/* What all registries of a state share, anchored in the Lua registry. */
typedef struct gbi_State {
  int recording;        /* do registrations note where they come from? */
  const void *sources;  /* the metatable of gbi's own sources */
} gbi_State;

typedef struct gbi_Registry {
  const gbi_State *state;
  lua_Integer last;   /* highest index used up: by register, or by release */
  lua_Integer count;  /* constructors held; less than `last` after a release */
  lua_Integer size;   /* highest index that is in the side table */
  lua_Integer room;   /* leading slots that a write cannot fail on */
  lua_Integer stashed[2];  /* lengths of the two stash lists */
  unsigned char fresh;     /* which of them is the present run's */
  unsigned char guarded;   /* is there a guard that has not run? */
  unsigned char closed;    /* does the state close, as far as is known? */
  unsigned char is_default;
  unsigned char framed;    /* was there ever a frame? */
  lua_State *running;      /* coroutine of the frame in place, or NULL */
  lua_Integer changes;     /* tables that were put in place, ever */
  lua_Integer numbers;     /* numbers given out to runs, ever */
} gbi_Registry;

/* Is every slot of a side table of `n` values there already? Is nothing
** stashed, which a store would have to let go? */
#define gbiR_inplace(r, n) \
  ((n) == (r)->size && (n) <= (r)->room && (r)->count == (r)->last)
#define gbiR_unstashed(r) (((r)->stashed[0] | (r)->stashed[1]) == 0)

/* The tables of a registry have neither __index nor __newindex, so these do what
** lua_rawgeti and lua_rawseti do, in less time where the slot is not empty. */
#define gbiR_geti lua_geti
#define gbiR_seti lua_seti

/* Numbers for the objects of one run follow this one: past all indices, and
** never given out twice. */
#define GBI_NUMBER0 ((lua_Integer)1 << 32)

/* Lowest type that a weak table really holds weakly: tables, functions,
** userdata and threads come last in Lua's numbering, values before them. */
#define GBI_HELD LUA_TTABLE

GBI_INTERN void gbiR_default (lua_State *L);
GBI_INTERN void gbiR_new (lua_State *L, int is_default);
GBI_INTERN void gbiR_metatable (lua_State *L, const char *name,
                                const char *event);
GBI_INTERN void gbiR_openlib (lua_State *L);
GBI_INTERN int gbiR_userconstructor (lua_State *L);
GBI_INTERN lua_Integer gbiR_register (lua_State *L, int at, int value,
                                      int created);
GBI_INTERN int gbiR_find (lua_State *L, int at, lua_Integer i);
GBI_INTERN int gbiR_error (lua_State *L, int at, lua_Integer i);
GBI_INTERN const char *gbiR_name (lua_State *L, int at, lua_Integer i);
GBI_INTERN const char *gbiR_describe (lua_State *L, int at, lua_Integer i);
GBI_INTERN int gbiR_source (lua_State *L, int at, lua_Integer i);
GBI_INTERN int gbiR_record (lua_State *L, int on, int own);
GBI_INTERN void gbiR_place (lua_State *L, int at, lua_Integer i);
GBI_INTERN int gbiR_released (lua_State *L, int at, lua_Integer i);
GBI_INTERN lua_Integer gbiR_top (lua_State *L, int at);
GBI_INTERN void gbiR_store (lua_State *L, int at, int first, lua_Integer n);
GBI_INTERN void gbiR_storelist (lua_State *L, int at, int list, lua_Integer n,
                                int created, lua_Integer stash);
GBI_INTERN const char *gbiR_set (lua_State *L, int at, lua_Integer i,
                                 int value);
GBI_INTERN void gbiR_stash (lua_State *L, int at, int value);
GBI_INTERN int gbiR_release (lua_State *L, int at, lua_Integer i);
GBI_INTERN void gbiR_reset (lua_State *L, int at);
GBI_INTERN void gbiR_snapshot (lua_State *L, int at);
GBI_INTERN void gbiR_restore (lua_State *L, int at, int snapshot);
GBI_INTERN int gbiR_issnapshot (lua_State *L, int at, int value);
GBI_INTERN int gbiR_on_collect (lua_State *L, int at, lua_Integer i,
                                int callback);
GBI_INTERN lua_Integer gbiR_sweep (lua_State *L, int at);
GBI_INTERN int gbiR_typeerror (lua_State *L, int at, lua_Integer i,
                               const char *tname);
GBI_INTERN void gbiR_enter (lua_State *L, int at, int list, lua_Integer n);
GBI_INTERN lua_Integer gbiR_number (lua_State *L, int at, int value);
GBI_INTERN void gbiR_unnumber (lua_State *L, int at, lua_Integer i);
GBI_INTERN void gbiR_switch (lua_State *L, int at);
GBI_INTERN void gbiR_count (lua_State *L, int at, lua_Integer *live,
                            lua_Integer *dead);

/* Gives the value at `value`, its constructor on the top, the next index in
** the constructors and the side table at these indices. Returns the index.
** [-1, +0, m] */
static inline lua_Integer gbiR_add (lua_State *L, gbi_Registry *r,
                                    int constructors, int side, int value) {
  lua_Integer i = r->last + 1;
  lua_pushboolean(L, 0);  /* reserves the slot */
  lua_rawseti(L, constructors, i);
  if (i > r->room) r->room = 0;  /* a rehash may take empty slots away */
  lua_pushvalue(L, value);
  lua_rawseti(L, side, i);  /* the last step that may fail */
  gbiR_seti(L, constructors, i);
  r->last = i;
  r->count++;
  if (i > r->size) r->size = i;
  return i;
}

/* kinds of entries, as gbiR_source tells them apart */
enum { GBI_STORED, GBI_USER, GBI_CREATED };

#endif

/*
** world.h - what fuzz_registry.c and the files with its steps share
**
** The program's objects, registries and so on are in variables; what they do
** not hold is garbage. A step is named by one byte; the next one says how, and
** operands follow.
*/
#ifndef WORLD_H
#define WORLD_H

#include <stddef.h>
#include <stdint.h>

#include <lauxlib.h>
#include <lua.h>

#include "compat.h"
#include "gbi.h"
#include "model.h"

#define MAX_STEPS 500
#define MAX_DEPTH 20
#define UDATA "fuzz.userdata"

/* Variables: objects; registries and handle tables, the state's own first;
** snapshots; runs. Then what the steps under way work on, and the runs that
** are under way, by depth. */
enum {
  OBJECTS = 12,
  REGS = 12, NREGS = 4,
  TABS = 16, NTABS = 3,
  SNAPS = 19, NSNAPS = 3,
  CALLS = 22, NCALLS = 3,
  NAMED = 25, BUSY = 25, UNDERWAY = 46
};

/* How a step reaches its operand. The default registry and the state's handle
** table need not be named. */
enum { C_API, METHOD, UNNAMED };

/* Is there room for a handle, and for those that finalizers make meanwhile? */
#define HASROOM(w) ((w)->m.given < HANDLES - MAX_DEPTH - 4)

/* A sweep under way: the callbacks that must come, and the number so far. */
typedef struct Sweep {
  struct Sweep *outer;
  int table, n, next, called, last;
  short found[HANDLES];
} Sweep;

typedef struct World {
  const uint8_t *at, *end;
  const gbi_API *gbi;
  const char *op;
  int steps, depth;
  unsigned epoch;     /* counts what ran in between: finalizers, callbacks */
  unsigned finalized;
  int stopped;        /* is the collector running? */
  Sweep *sweep;
  int run;            /* the variable of the innermost run under way, or 0 */
  long fail;          /* number of the allocation that fails; 0: none */
  int failed;
  Model m;
} World;

typedef struct Step {
  const char *name;
  int on;      /* REGS, TABS or 0: the kind of its operand */
  void (*run) (World *w, lua_State *L, int v, int face);
} Step;

typedef struct Call {
  int first;       /* stack index of the function, then of its results */
  unsigned epoch;  /* at its end: the number of steps that ran in between */
  int ok;
  int memory;      /* did it run out of memory? */
} Call;

extern const Step object_steps[], registry_steps[], handle_steps[],
                  run_steps[];

/* steps_runs.c */
void open_runs (lua_State *L);

/* fuzz_registry.c */
void act (World *w, lua_State *L, int n);

/* world.c */
World *world (lua_State *L);
void open_world (World *w, lua_State *L);
void trace (const char *format, ...);
void differ (World *w, const char *format, ...);
void *allocate (void *ud, void *block, size_t osize, size_t nsize);

int byte (World *w);
long read_fail (World *w, int face);
void push_var (lua_State *L, int v);
void pop_var (World *w, lua_State *L, int v, int node);
void drop_var (World *w, lua_State *L, int v);
int pin (World *w, int node);
int new_object (World *w, lua_State *L, int b);
int operand (World *w, lua_State *L);

Call begin (World *w, lua_State *L, int face, int v, const char *in_c,
            const char *method, const char *module);
void finish (World *w, lua_State *L, Call *call, long fail);
int done (World *w, const Call *call, int expected);

void compare_object (World *w, lua_State *L, int node, lua_Integer i);
void compare_registry (World *w, lua_State *L, int v);
void compare (World *w, lua_State *L);

#endif

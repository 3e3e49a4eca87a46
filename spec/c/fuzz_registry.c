/*
** fuzz_registry.c - bytes are a program that works on registries, handle
** tables and runs, compared with a model after every step
**
** The first byte says how the collector runs; each step is a byte for what it
** does, one for how, and operands (world.h). Objects may have finalizers, and
** functions and runs have bodies, that run further steps of the program: in the
** middle of a sweep, of a call of a graph, of a collection, or while the state
** closes.
**
** With FUZZ_TRACE in the environment every step is printed.
*/
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"
#include "world.h"

static unsigned long programs, operations;

static const Step *const tables[] = {
  object_steps, registry_steps, handle_steps, run_steps
};

#define NTABLES (sizeof(tables) / sizeof(*tables))


/* The step that a byte stands for. */
static const Step *find_step (int b) {
  static int n = 0;
  const Step *step = tables[0];
  size_t i;
  if (n == 0)
    for (i = 0; i < NTABLES; i++)
      for (step = tables[i]; step->name != NULL; step++) n++;
  b %= n;
  for (i = 0; b >= 0; i++)
    for (step = tables[i]; step->name != NULL && b-- > 0; step++);
  return step;
}


/* Runs a step and compares. */
static void step_one (World *w, lua_State *L, const Step *step) {
  int face = byte(w), v = step->on, top = lua_gettop(L), pins = w->m.npins;
  luaL_checkstack(L, 2 * LUA_MINSTACK, NULL);
  if (v != 0) {  /* its operands are held meanwhile */
    v += (face >> 4) % (v == REGS ? NREGS : NTABS);
    if (w->m.vars[v] == 0) v = step->on;
    push_var(L, v);
    pop_var(w, L, BUSY + w->depth, w->m.vars[v]);
    v = BUSY + w->depth;
  }
  trace("%d %s %d\n", w->steps, w->op, v == 0 ? 0 : w->m.vars[v]);
  if (w->m.closing) face &= ~4;
  step->run(w, L, v, face & 15);
  lua_settop(L, top);
  w->m.npins = pins;
  w->op = step->name;
  compare(w, L);
  if (v != 0) drop_var(w, L, v);
}


/* Runs at most `n` steps of the program, in the middle of another one. */
void act (World *w, lua_State *L, int n) {
  long fail = w->fail;
  int failed = w->failed;
  const char *op = w->op;
  w->epoch++;
  if (w->depth >= MAX_DEPTH) return;
  w->fail = 0;
  w->depth++;
  while (n-- > 0 && w->at < w->end && w->steps < MAX_STEPS) {
    const Step *step = find_step(byte(w));
    w->steps++;
    operations++;
    w->op = step->name;
    step_one(w, L, step);
  }
  w->depth--;
  w->op = op;
  w->fail = fail;
  w->failed = failed;
}


/* Makes a world and runs the program. [] -> [] */
static int run (lua_State *L) {
  World *w = world(L);
  open_world(w, L);
  act(w, L, MAX_STEPS);
  w->steps = 0;  /* finalizers run the rest of the program */
  w->op = "close";
  w->m.closing = 1;
  return 0;
}


static void summary (void) {
  printf("fuzz_registry: %lu programs, %lu operations checked\n", programs,
         operations);
}


int LLVMFuzzerInitialize (int *argc, char ***argv) {
  (void)argc, (void)argv;
  atexit(summary);
  return 0;
}


/* Collections come often: the numbers are percent and, in 5.4, the logarithm of
** a step's bytes. */
#if LUA_VERSION_NUM >= 505

static void incremental (lua_State *L) {
  lua_gc(L, LUA_GCINC);
  lua_gc(L, LUA_GCPARAM, LUA_GCPPAUSE, 20);
  lua_gc(L, LUA_GCPARAM, LUA_GCPSTEPMUL, 400);
  lua_gc(L, LUA_GCPARAM, LUA_GCPSTEPSIZE, 64);
}

static void generational (lua_State *L) {
  lua_gc(L, LUA_GCGEN);
  lua_gc(L, LUA_GCPARAM, LUA_GCPMINORMUL, 5);
  lua_gc(L, LUA_GCPARAM, LUA_GCPMINORMAJOR, 20);
}

#else

static void incremental (lua_State *L) {
  lua_gc(L, LUA_GCINC, 20, 400, 6);
}

static void generational (lua_State *L) {
  lua_gc(L, LUA_GCGEN, 5, 20);
}

#endif


int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size) {
  World *w = (World *)calloc(1, sizeof(World));
  lua_State *L = w == NULL ? NULL : compat_newstate(allocate, w);
  int i, n, mode;
  if (L == NULL) abort();
  w->at = data;
  w->end = data + size;
  w->op = "start";
  *(World **)lua_getextraspace(L) = w;
  mode = byte(w) % 4;
  w->stopped = (mode < 2);
  if (w->stopped) lua_gc(L, LUA_GCSTOP);
  else {
    if (mode == 2) incremental(L);
    else generational(L);
    w->m.loose = 1;
  }
  lua_pushcfunction(L, run);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) differ(w, "%s", lua_tostring(L, -1));
  n = w->m.nnodes;  /* later objects have no finalizer for Lua */
  lua_close(L);
  for (i = 1; i <= n; i++)
    if (w->m.nodes[i].finalizer && w->m.nodes[i].finalized != 1)
      differ(w, "object %d was not finalized", i);
  programs++;
  free(w);
  return 0;
}

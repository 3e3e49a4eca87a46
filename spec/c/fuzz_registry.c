/*
** fuzz_registry.c - bytes are a program that works on registries, compared
** with a model after every step
**
** The program has variables, which hold its objects, registries and snapshots;
** what they do not hold is garbage. Objects may have finalizers and functions
** that run further steps of the program, in the middle of a sweep, of a
** collection, or while the state closes. The first byte says how the collector
** runs; each step is a byte for what it does, one for how, and operands. One
** step in eight is compared only with the next: looking things up, too, puts
** side tables of runs in place.
**
** With FUZZ_TRACE in the environment every step is printed.
*/
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lualib.h>

#include "fuzz.h"
#include "gbi.h"
#include "model.h"

#define MAX_STEPS 500
#define MAX_DEPTH 20
#define UDATA "fuzz.userdata"

/* variables: objects, registries (the default one first), snapshots; and the
** registries that the steps under way work on */
enum { OBJECTS = 12, REGS = 12, NREGS = 4, SNAPS = 16, NSNAPS = 3,
       NAMED = 19, BUSY = 19 };

/* how a step reaches the registry */
enum { C_API, METHOD, MODULE };

int luaopen_capi (lua_State *L);

typedef struct Run {
  const uint8_t *at, *end;
  lua_State *L;
  const gbi_API *gbi;
  int steps, depth;
  const char *op;
  unsigned epoch;     /* counts what runs in between: finalizers, callbacks */
  unsigned finalized;
  int stopped;        /* is the collector? */
  struct Sweep *sweep;
  int main, thread;   /* nodes of coroutines: the main one, the step's */
  lua_State *co;      /* the step's */
  size_t thread_size;
  void *spare;        /* memory of a coroutine, to be used again */
  int recycle;
  int nframes;
  int keep;           /* values that the step leaves on its stack, or takes */
  long fail;          /* the how many-th allocation fails; 0: none */
  int failed;
  lua_Integer numbers[NUMBERS * REGISTRIES];
  int nnumbers;
  Model m;
} Run;

/* A sweep under way: what it has found, and how far it has come. */
typedef struct Sweep {
  struct Sweep *outer;
  int reg, n, next, released, sure, thread;
  short found[INDICES];
} Sweep;

typedef struct Step {
  const char *name;
  void (*run) (Run *r, lua_State *L, int reg, int face);
} Step;

static unsigned long programs, operations;
static int tracing;
static const char varskey = 0, functionskey = 0, capikey = 0, threadskey = 0;

static void steps (Run *r, int n);
static void compare (Run *r);


/* {==================================================================
** Bytes and reports
** =================================================================== */

#define RUN(L) (*(Run **)lua_getextraspace(L))


static void trace (const char *format, ...) {
  va_list args;
  if (!tracing) return;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
}


/* Ends the process: registry and model differ. */
static void differ (Run *r, const char *format, ...) {
  va_list args;
  fprintf(stderr, "fuzz_registry: step %d (%s): ", r->steps, r->op);
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
  abort();
}


/* A lua_WarnFunction: errors of finalizers. */
static void warn (void *ud, const char *message, int more) {
  (void)ud, (void)more;
  trace("  warning: %s\n", message);
}


static int byte (Run *r) {
  return r->at < r->end ? *r->at++ : 0;
}


/* An index: nearly always one that may be there; or a run's number. */
static lua_Integer read_index (Run *r, const Registry *reg) {
  static const lua_Integer odd[] = {
    -1, LLONG_MIN, LLONG_MAX, (lua_Integer)1 << 31, (lua_Integer)1 << 32,
    ((lua_Integer)1 << 32) + 1, (lua_Integer)1 << 53, INT_MIN
  };
  int b = byte(r);
  if (b >= 248) return odd[b - 248];
  if (b >= 240 && reg->nnumbers > 0)
    return r->numbers[(reg - r->m.registries) * NUMBERS + b % reg->nnumbers];
  return b % (model_top(reg) + 3);
}

/* }================================================================== */


/* {==================================================================
** Objects
** =================================================================== */

static void push_var (lua_State *L, int v) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &varskey);
  lua_rawgeti(L, -1, v + 1);
  lua_remove(L, -2);
}


/* Sets a variable to the value on the top, which is `node`. */
static void pop_var (Run *r, lua_State *L, int v, int node) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &varskey);
  lua_insert(L, -2);
  lua_rawseti(L, -2, v + 1);
  lua_pop(L, 1);
  r->m.vars[v] = (short)node;
}


static int pin (Run *r, int node) {
  if (r->m.npins >= PINS) differ(r, "too deep");
  r->m.pins[r->m.npins] = (short)node;
  return r->m.npins++;
}


/* Runs what a function or finalizer of the program does. */
static void act (Run *r, int node) {
  r->epoch++;
  steps(r, r->m.nodes[node].steps);
}


/* [object] -> [] */
static int finalize (lua_State *L) {
  Run *r = RUN(L);
  Node *node;
  int id;
  if (lua_istable(L, 1)) {
    lua_rawgeti(L, 1, 1);
    id = (int)lua_tointeger(L, -1);
  }
  else id = *(int *)lua_touserdata(L, 1);
  node = &r->m.nodes[id];
  r->finalized++;
  trace("  finalizer of %d\n", id);
  model_mark(&r->m);
  if (node->finalized++) differ(r, "object %d is finalized twice", id);
  if (!r->m.closing && r->m.held[id] && !node->pending)
    differ(r, "object %d is finalized and held", id);
  node->pending = 0;
  node->gone = (char)r->m.closing;
  if (node->revives && !r->m.closing) {
    model_back(&r->m, id);
    lua_pushvalue(L, 1);
    pop_var(r, L, id % OBJECTS, id);
  }
  act(r, id);
  return node->fails ? luaL_error(L, "finalizer") : 0;
}


/* The sweep has come to index `i`: what lies before it is done. */
static void swept_to (Run *r, Sweep *s, int i) {
  Registry *reg = model_registry(&r->m, s->reg);
  model_switch(reg, s->thread);
  while (s->next < s->n && s->found[s->next] < i) {
    int k = s->found[s->next++];
    if (!model_sweepable(reg, k)) continue;
    if (reg->constructors[k].callback != 0)
      differ(r, "the callback of %d was left out", k);
    s->released += model_sweep(reg, k);
  }
}


/* A function of the program. Upvalues: its node, what it refers to. */
static int function (lua_State *L) {
  Run *r = RUN(L);
  int id = (int)lua_tointeger(L, lua_upvalueindex(1));
  Node *node = &r->m.nodes[id];
  Sweep *s = r->sweep;
  lua_Integer i = lua_tointeger(L, 1);
  Registry *reg;
  if (s == NULL || lua_gettop(L) != 1)
    return 0;  /* a constructor's, for one */
  reg = model_registry(&r->m, s->reg);
  trace("  callback %d of %d\n", id, (int)i);
  if (i < 1 || i > INDICES || reg->constructors[i].callback != id)
    differ(r, "callback %d is called for %d", id, (int)i);
  model_switch(reg, s->thread);
  if (s->sure) swept_to(r, s, (int)i);
  if (!model_sweepable(reg, (int)i)) {
    model_mark(&r->m);
    if (s->sure || !(model_expect(&r->m, reg, i) & DEAD))
      differ(r, "callback %d is called for %d, which is not dead", id, (int)i);
    reg->side.slots[i].dead = 1;
  }
  s->released += model_sweep(reg, (int)i);
  if (s->next < s->n && s->found[s->next] == i) s->next++;
  if (!s->sure) compare(r);
  id = pin(r, id);  /* the stack holds it */
  act(r, r->m.pins[id]);
  r->m.npins = id;
  if (node->fails) return luaL_error(L, "callback");
  return 0;
}


static int light0 (lua_State *L) { (void)L; return 0; }
static int light1 (lua_State *L) { (void)L; return 0; }


/* The program does not call reconstruct. */
static void set_reconstruct (lua_State *L) {
  lua_pushcfunction(L, light0);
  lua_setfield(L, -2, "reconstruct");
}


static void set_finalizer (lua_State *L) {
  if (luaL_newmetatable(L, "fuzz.finalized")) {
    lua_pushcfunction(L, finalize);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
}


/* Pushes a new object, if there may be another one. Returns its node. */
static int new_object (Run *r, lua_State *L, int b) {
  static const Kind kinds[] = {
    TABLE, USERDATA, FUNCTION, THREAD, TABLE, USERDATA, FUNCTION,
    LIGHT_FUNCTION
  };
  Kind kind = kinds[b & 7];
  int id = model_node(&r->m, kind);
  Node *node = &r->m.nodes[id];
  if (id == 0) {
    lua_pushnil(L);
    return 0;
  }
  node->steps = (char)((b >> 4) & 3);
  node->fails = (b & 64) != 0;
  switch (kind) {
    case TABLE:
      lua_createtable(L, 2, 1);
      lua_pushinteger(L, id);
      lua_rawseti(L, -2, 1);
      set_reconstruct(L);
      break;
    case USERDATA:
      *(int *)lua_newuserdatauv(L, sizeof(int), 1) = id;
      break;
    case FUNCTION:
      lua_pushinteger(L, id);
      lua_pushnil(L);
      lua_pushcclosure(L, function, 2);
      break;
    case THREAD:
      lua_pushnil(lua_newthread(L));
      break;
    default:
      lua_pushcfunction(L, id & 1 ? light0 : light1);
  }
  if (b & 8) {
    if (kind == TABLE || kind == USERDATA) {
      node->finalizer = 1;
      node->revives = (b & 128) != 0;
      set_finalizer(L);
    }
  }
  else if (kind == USERDATA) luaL_setmetatable(L, UDATA);
  trace("  object %d: kind %d%s\n", id, kind,
        node->finalizer ? ", finalizer" : "");
  node->address = lua_topointer(L, -1);
  return id;
}


/* Pushes an operand: an object, or a value where `b` says so. Returns its
** node. */
static int operand (Run *r, lua_State *L) {
  int b = byte(r), v = b % (NAMED);
  if (b >= 240) {
    switch (b & 7) {
      case 0: lua_pushboolean(L, 0); break;
      case 1: lua_pushinteger(L, b); break;
      case 2: lua_pushliteral(L, "text"); break;
      case 3: lua_pushlightuserdata(L, r); break;
      default: lua_pushnil(L);
    }
    return 0;
  }
  if (r->m.vars[v] == 0 && v < OBJECTS) {
    int id = new_object(r, L, byte(r));
    if (id == 0) return 0;
    lua_pushvalue(L, -1);
    pop_var(r, L, v, id);
    return id;
  }
  push_var(L, v);
  return r->m.vars[v];
}


/* How many steps run in this coroutine? */
static int isbusy (const Run *r, int node) {
  int i, n = 0;
  for (i = 0; i < r->m.npins; i++) n += (r->m.pins[i] == node);
  return n;
}


/* Makes the object at `value` refer to the one on the top, or to nothing. */
static void refer (Run *r, lua_State *L, int node, int to) {
  lua_State *co;
  switch (r->m.nodes[node].kind) {
    case TABLE: lua_rawseti(L, -2, 2); break;
    case USERDATA: lua_setiuservalue(L, -2, 1); break;
    case FUNCTION: lua_setupvalue(L, -2, 2); break;
    case THREAD:
      if (isbusy(r, node)) return;
      co = lua_tothread(L, -2);
      lua_xmove(L, co, 1);
      lua_replace(co, 1);
      break;
    default: return;
  }
  r->m.nodes[node].ref = (short)to;
}

/* }================================================================== */


/* {==================================================================
** Calls
** =================================================================== */

/* A lua_Alloc whose `fail`-th growth fails. */
static void *allocate (void *ud, void *block, size_t osize, size_t nsize) {
  Run *r = (Run *)ud;
  if (nsize == 0) {
    if (block != NULL && osize == r->thread_size && r->recycle) {
      free(r->spare);
      r->spare = block;
    }
    else free(block);
    return NULL;
  }
  if (r->fail > 0 && (block == NULL || nsize > osize)) {
    if (r->failed || --r->fail == 0) {
      r->failed = 1;
      r->fail = 1;  /* the second try fails, too */
      return NULL;
    }
  }
  if (block == NULL && osize == LUA_TTHREAD && r->recycle) {
    r->thread_size = nsize;
    if (r->spare != NULL) {  /* a coroutine where a dead one was */
      block = r->spare;
      r->spare = NULL;
      return block;
    }
  }
  return realloc(block, nsize);
}


#define MODEL(r, reg) model_registry(&(r)->m, (r)->m.vars[reg])

typedef struct Call {
  int first;  /* stack index of the function */
  Registry *model;
  unsigned epoch;  /* at its end: how much ran in between */
  int ok;
  int memory;  /* did it fail for want of memory? */
} Call;


/* Learns which coroutines the collector took. */
static void see_threads (Run *r, lua_State *L) {
  int i, k;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &threadskey);
  for (k = 0; k < r->m.nregistries; k++) {
    Registry *reg = &r->m.registries[k];
    for (i = 1; i <= reg->nframes; i++) {
      if (lua_rawgeti(L, -1, reg->frames[i].thread) == LUA_TNIL)
        model_forget_run(reg, reg->frames[i].thread);
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
}


/* The step's coroutine is to work on a registry. */
static void enter_model (Run *r, lua_State *L, Registry *reg) {
  see_threads(r, L);
  model_switch(reg, r->thread);
}


/* Begins a call: pushes the function of a face, and the registry. `module` is
** its name as a module function, or NULL. */
static Call begin (Run *r, lua_State *L, int face, int reg, const char *name,
                   const char *module) {
  Call call = {0};
  luaL_checkstack(L, 200, NULL);
  call.model = MODEL(r, reg);
  call.epoch = r->epoch;
  call.first = lua_gettop(L) + 1;
  push_var(L, reg);
  if (face == MODULE && module != NULL
      && r->m.vars[reg] == r->m.vars[REGS]) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &functionskey);
    lua_getfield(L, -1, module);
    lua_replace(L, call.first);
    lua_pop(L, 1);
  }
  else {
    if (face == C_API) {
      lua_rawgetp(L, LUA_REGISTRYINDEX, &capikey);
      lua_getfield(L, -1, name);
      lua_remove(L, -2);
    }
    else lua_getfield(L, -1, name);
    lua_insert(L, -2);
  }
  if (!lua_isfunction(L, call.first)) differ(r, "there is no %s", name);
  return call;
}


/* Makes the call; its results or its error stay on the stack from first on. */
static void finish (Run *r, lua_State *L, Call *call, long fail) {
  int status;
  enter_model(r, L, call->model);
  r->failed = 0;
  r->fail = fail;
  status = lua_pcall(L, lua_gettop(L) - call->first, LUA_MULTRET, 0);
  r->fail = 0;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  enter_model(r, L, call->model);
  if (r->failed) r->m.loose++;  /* an emergency: until the next collection */
  call->ok = (status == LUA_OK);
  call->memory = (status == LUA_ERRMEM);
  if (call->memory && !r->failed) differ(r, "out of memory");
  if (!call->ok)
    trace("  failed: %s\n", lua_isstring(L, -1) ? lua_tostring(L, -1) : "?");
  call->epoch = r->epoch - call->epoch;
}


/* Compares the outcome. Returns whether the call did what it should. */
static int done (Run *r, const Call *call, int expected) {
  if (call->memory) return 0;
  if (call->ok && !expected) differ(r, "it succeeded");
  if (!call->ok && expected && call->epoch == 0) differ(r, "it failed");
  return call->ok;
}


/* Is what the call answers to be compared? When it says that there was
** nothing to do, something may have come in between, and after. */
static int answer (lua_State *L, const Call *call) {
  return call->epoch == 0 || lua_toboolean(L, call->first);
}

/* }================================================================== */


/* {==================================================================
** Comparing
** =================================================================== */

static int mask (int status) {
  return status == GBI_LIVE ? LIVE : status == GBI_DEAD ? DEAD : UNREGISTERED;
}


/* Compares the object on the top, found live, and pops it. */
static void compare_object (Run *r, lua_State *L, int node, lua_Integer i) {
  if (lua_topointer(L, -1) != r->m.nodes[node].address)
    differ(r, "index %lld finds another object than %d: %s", (long long)i,
           node, luaL_tolstring(L, -1, NULL));
}


/* Compares index `i` of a registry at stack index `at`. */
static void compare_index (Run *r, lua_State *L, int at, int side,
                           Registry *reg, lua_Integer i) {
  int got, expected = model_expect(&r->m, reg, i);
  if (i & 1) got = mask(r->gbi->find(L, at, i));
  else got = mask(gbi_find_in(L, r->gbi, at, side, i));
  if (!(got & expected)) {
    if (got == UNREGISTERED && r->sweep != NULL && !r->sweep->sure
        && (expected & DEAD) && reg->constructors[i].callback == 0
        && reg->constructors[i].kind == USER
        && reg->constructors[i].source == 0)
      model_release(reg, i);  /* by a sweep, just after it died */
    else
      differ(r, "registry %d, index %lld: got %d, expected %d", reg->node,
             (long long)i, got, expected);
  }
  else model_seen(reg, i, got);
  if (got == LIVE) compare_object(r, L, reg->side.slots[i].node, i);
  else if (!lua_isnil(L, -1)) differ(r, "index %lld: not nil", (long long)i);
  lua_pop(L, 1);
}


/* Compares a registry, in variable `v`, with its model, as a coroutine sees
** it. */
static void compare_registry (Run *r, lua_State *L, int thread, int v) {
  Registry *reg = model_registry(&r->m, r->m.vars[v]);
  lua_Integer i, live, dead;
  int at, side, model_live, model_dead;
  luaL_checkstack(L, 2 * LUA_MINSTACK, NULL);
  model_switch(reg, thread);
  push_var(L, v);
  at = lua_gettop(L);
  r->gbi->push_side(L, at);
  side = lua_gettop(L);
  for (i = -1; i <= model_top(reg) + 2; i++)
    compare_index(r, L, at, side, reg, i);
  r->gbi->count(L, at, &live, &dead);
  model_count(reg, &model_live, &model_dead);
  if (live != model_live || dead != model_dead)
    differ(r, "registry %d: %lld live, %lld dead; expected %d, %d", reg->node,
           (long long)live, (long long)dead, model_live, model_dead);
  if (luaL_len(L, at) != model_length(reg))
    differ(r, "registry %d: %lld constructors, expected %d", reg->node,
           (long long)luaL_len(L, at), model_length(reg));
  lua_settop(L, at - 1);
}


/* Compares the numbers that were given out for runs. */
static void compare_numbers (Run *r, lua_State *L, int v) {
  Registry *reg = model_registry(&r->m, r->m.vars[v]);
  int i;
  push_var(L, v);
  for (i = 0; i < reg->nnumbers; i++) {
    lua_Integer number = r->numbers[(reg - r->m.registries) * NUMBERS + i];
    Slot *slot = &reg->numbers[i];
    const Node *node = &r->m.nodes[slot->node];
    int got = mask(r->gbi->find(L, -1, number));
    int maybe = !r->m.held[slot->node] && r->m.loose;
    if (got == LIVE) {
      if (slot->node == 0) differ(r, "a number is live again");
      if (r->m.closing && node->gone && !slot->late)
        differ(r, "a number finds a finalized object");
      compare_object(r, L, slot->node, number);
    }
    else {
      if (got == DEAD
          || (slot->node != 0 && !maybe && !slot->doubt
              && !(node->finalizer && (r->m.closing || reg->back))))
        differ(r, "number %d finds nothing", i);
      slot->node = 0;
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}


/* Compares all registries of the program. */
static void compare (Run *r) {
  int v, k;
  lua_State *L = r->L;
  luaL_checkstack(L, 2 * LUA_MINSTACK, NULL);
  see_threads(r, L);
  model_mark(&r->m);
  for (v = REGS; v < VARS; v++) {
    if (r->m.nodes[r->m.vars[v]].kind != REGISTRY) continue;
    for (k = REGS; r->m.vars[k] != r->m.vars[v]; k++);
    if (k < v) continue;  /* seen already */
    if (r->thread != r->main) compare_registry(r, r->co, r->thread, v);
    compare_registry(r, L, r->main, v);
    compare_numbers(r, L, v);
  }
}

/* }================================================================== */


/* {==================================================================
** Steps
** =================================================================== */

/* The how many-th allocation of the call to come fails, if the byte says so.
** Not where it could be one for the call of a finalizer, which Lua would leave
** out then. */
static long read_fail (Run *r, int face) {
  return (face & 4) && r->stopped ? byte(r) % 16 + 1 : 0;
}


static void do_new (Run *r, lua_State *L, int reg, int face) {
  int v = byte(r) % OBJECTS;
  int id = new_object(r, L, byte(r));
  (void)reg, (void)face;
  trace("  var %d = object %d\n", v, id);
  pop_var(r, L, v, id);
}


static void do_drop (Run *r, lua_State *L, int reg, int face) {
  int v = byte(r) % (NAMED);
  (void)reg, (void)face;
  if (v == REGS) return;
  trace("  drop %d\n", v);
  lua_pushnil(L);
  pop_var(r, L, v, 0);
}


static void do_copy (Run *r, lua_State *L, int reg, int face) {
  int from = byte(r) % OBJECTS, to = byte(r) % OBJECTS;
  (void)reg, (void)face;
  push_var(L, from);
  pop_var(r, L, to, r->m.vars[from]);
}


/* One object comes to hold another, or what it holds into a variable. */
static void do_refer (Run *r, lua_State *L, int reg, int face) {
  int id = operand(r, L);
  int to = operand(r, L);
  (void)reg, (void)face;
  trace("  %d refers to %d\n", id, to);
  if (to == 0) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
  if (id != 0) refer(r, L, id, to);
}


static void do_follow (Run *r, lua_State *L, int reg, int face) {
  int v = byte(r) % OBJECTS, to = byte(r) % OBJECTS, id = r->m.vars[v];
  (void)reg, (void)face;
  if (id == 0 || r->m.nodes[id].ref == 0) return;
  push_var(L, v);
  switch (r->m.nodes[id].kind) {
    case TABLE: lua_rawgeti(L, -1, 2); break;
    case USERDATA: lua_getiuservalue(L, -1, 1); break;
    case FUNCTION: lua_getupvalue(L, -1, 2); break;
    case THREAD:
      if (isbusy(r, id)) return;
      lua_pushvalue(lua_tothread(L, -1), 1);
      lua_xmove(lua_tothread(L, -1), L, 1);
      break;
    default: return;
  }
  id = r->m.nodes[id].ref;
  if (lua_topointer(L, -1) != r->m.nodes[id].address)
    differ(r, "an object refers to another than %d", id);
  pop_var(r, L, to, id);
}


static void do_register (Run *r, lua_State *L, int reg, int face) {
  Registry *model = MODEL(r, reg);
  long fail = read_fail(r, face);
  int node, source, ok;
  Call call;
  if (model->last >= INDICES - 2) return;
  call = begin(r, L, face & 3, reg, "register", "register_user_object");
  node = operand(r, L);
  source = byte(r) & 1 ? operand(r, L) : (lua_pushnil(L), 0);
  if (source == 0) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
  ok = node != 0 && (source == 0 || (face & 3) == C_API
                     || r->m.nodes[source].kind == TABLE);
  if (!ok && node != 0 && r->m.nodes[source].kind == USERDATA) ok = 0;
  finish(r, L, &call, fail);
  if (done(r, &call, ok)) {
    int i = model_register(&r->m, model, node, USER, source);
    trace("  %d = object %d, source %d\n", i, node, source);
    if (lua_tointeger(L, -1) != i)
      differ(r, "index %d, expected %d", (int)lua_tointeger(L, -1), i);
  }
}


static void do_created (Run *r, lua_State *L, int reg, int face) {
  Registry *model = MODEL(r, reg);
  long fail = read_fail(r, face);
  int node, fn;
  Kind kind;
  Call call;
  if (model->last >= INDICES - 2) return;
  call = begin(r, L, face & 3, reg, "register_created",
               "register_graph_created_object");
  node = operand(r, L);
  fn = operand(r, L);
  kind = r->m.nodes[fn].kind;
  finish(r, L, &call, fail);
  if (done(r, &call, node != 0 && (kind == FUNCTION
                                   || kind == LIGHT_FUNCTION))) {
    int i = model_register(&r->m, model, node, CREATED, fn);
    trace("  %d = object %d, created\n", i, node);
    if (lua_tointeger(L, -1) != i)
      differ(r, "index %d, expected %d", (int)lua_tointeger(L, -1), i);
  }
}


/* Reads how many objects to store. */
static int read_n (Run *r, const Registry *model) {
  int b = byte(r);
  if (b >= 128) return model->side.size;
  return b % 14;
}


/* Reads operands for a side table of `n` values. May they be stored? */
static int read_objects (Run *r, lua_State *L, const Registry *model,
                         short *nodes, int n) {
  int i, ok = 1;
  for (i = 0; i < n; i++) {
    nodes[i] = (short)operand(r, L);
    trace("  [%d] = %d\n", i + 1, nodes[i]);
    if (nodes[i] == 0 && !model->released[i + 1]) ok = 0;
  }
  return ok;
}


/* A finalizer may have released one of the indices meanwhile. */
static int storable (const Registry *model, const short *nodes, int n) {
  int i;
  for (i = 0; i < n; i++)
    if (nodes[i] == 0 && !model->released[i + 1]) return 0;
  return 1;
}


static void do_store (Run *r, lua_State *L, int reg, int face) {
  Registry *model = MODEL(r, reg);
  long fail = read_fail(r, face);
  short nodes[INDICES];
  int n = read_n(r, model);
  Call call = begin(r, L, face & 3, reg, "store",
                    "store_user_object_weakrefs");
  read_objects(r, L, model, nodes, n);
  finish(r, L, &call, fail);
  trace("  %d objects\n", n);
  if (done(r, &call, storable(model, nodes, n)))
    model_store(&r->m, model, nodes, n, NULL, 0);
}


static void do_store_list (Run *r, lua_State *L, int reg, int face) {
  Registry *model = MODEL(r, reg);
  long fail = read_fail(r, face);
  short nodes[INDICES], created[8];
  int i, n = read_n(r, model), ncreated = byte(r) % 8, ok = 1;
  Call call = begin(r, L, METHOD, reg, "store_list", NULL);
  lua_newtable(L);
  for (i = 0; i < n; i++) {
    nodes[i] = (short)operand(r, L);
    lua_rawseti(L, -2, i + 1);
  }
  lua_pushinteger(L, n);
  lua_newtable(L);
  for (i = 0; i < ncreated; i++) {
    created[i] = (short)operand(r, L);
    if (created[i] == 0) {
      lua_pop(L, 1);
      lua_pushboolean(L, 0);  /* the list has no end in the middle */
      ok = 0;
    }
    lua_rawseti(L, -2, i + 1);
  }
  finish(r, L, &call, fail);
  trace("  %d objects, %d created\n", n, ncreated);
  if (done(r, &call, ok && storable(model, nodes, n)))
    model_store(&r->m, model, nodes, n, created, ncreated);
}


static void do_set (Run *r, lua_State *L, int reg, int face) {
  Registry *model = MODEL(r, reg);
  long fail = read_fail(r, face);
  lua_Integer i = read_index(r, model);
  int node, ok;
  Call call;
  if (i > INDICES - 4 && i <= INDICES + 4) return;
  call = begin(r, L, face & 3, reg, "set", "set_external_object_by_index");
  lua_pushinteger(L, i);
  node = operand(r, L);
  finish(r, L, &call, fail);
  trace("  %lld = object %d\n", (long long)i, node);
  ok = node != 0 && i >= 1 && i <= model_top(model) + 1 && !model->released[i];
  if (done(r, &call, ok)) model_set(&r->m, model, i, node);
}


static void do_stash (Run *r, lua_State *L, int reg, int face) {
  Registry *model = MODEL(r, reg);
  long fail = read_fail(r, face);
  int node;
  Call call;
  if (model->nstashed >= STASHES - 8) return;
  call = begin(r, L, face & 3, reg, "stash", "stash_graph_created_object");
  node = operand(r, L);
  finish(r, L, &call, fail);
  trace("  object %d\n", node);
  if (done(r, &call, node != 0)) model_stash(model, node);
}


/* get, get_udata or find; what it finds goes into a variable. */
static void do_get (Run *r, lua_State *L, int reg, int face) {
  Registry *model = MODEL(r, reg);
  lua_Integer i = read_index(r, model);
  int b = byte(r), typed = b & 16, found = b & 32, expected, node = 0;
  Call call;
  if (i >> 32 == 1) return;  /* it could be a run's number */
  compare(r);
  enter_model(r, L, model);
  expected = model_expect(&r->m, model, i);
  if (expected != UNREGISTERED) node = model->side.slots[i].node;
  if (found) {
    call = begin(r, L, face & 3, reg, "find", NULL);
    typed = 0;
  }
  else if (typed && (face & 3) == C_API)
    call = begin(r, L, face & 3, reg, "get_udata", NULL);
  else call = begin(r, L, face & 3, reg, "get",
                    "get_external_object_by_index");
  lua_pushinteger(L, i);
  if (typed) {
    lua_pushstring(L, UDATA);
    if (r->m.nodes[node].kind != USERDATA || r->m.nodes[node].finalizer)
      expected &= ~LIVE;
  }
  finish(r, L, &call, 0);
  trace("  %lld\n", (long long)i);
  if (found && !call.ok) differ(r, "find raises an error");
  if (call.ok) lua_settop(L, call.first);
  if (call.epoch > 0) return;  /* something was in between */
  if (call.ok && !(found && lua_isnil(L, -1))) {
    if (!(expected & LIVE)) differ(r, "index %lld is live", (long long)i);
    compare_object(r, L, node, i);
    if (b % 16 < OBJECTS) pop_var(r, L, b % 16, node);
    else if (r->m.nodes[node].kind == REGISTRY) pop_var(r, L, REGS + 1, node);
  }
  else if (expected == LIVE)
    differ(r, "index %lld is not live", (long long)i);
}


static void do_release (Run *r, lua_State *L, int reg, int face) {
  Registry *model = MODEL(r, reg);
  long fail = read_fail(r, face);
  lua_Integer i = read_index(r, model);
  Call call = begin(r, L, face & 3, reg, "release", NULL);
  lua_pushinteger(L, i);
  finish(r, L, &call, fail);
  trace("  %lld\n", (long long)i);
  if (done(r, &call, 1) && answer(L, &call)
      && model_release(model, i) != lua_toboolean(L, call.first))
    differ(r, "release answers %d", lua_toboolean(L, call.first));
}


static void do_on_collect (Run *r, lua_State *L, int reg, int face) {
  Registry *model = MODEL(r, reg);
  long fail = read_fail(r, face);
  lua_Integer i = read_index(r, model);
  int fn;
  Kind kind;
  Call call = begin(r, L, face & 3, reg, "on_collect", NULL);
  lua_pushinteger(L, i);
  fn = operand(r, L);
  kind = r->m.nodes[fn].kind;
  if (fn == 0) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
  finish(r, L, &call, fail);
  trace("  %lld, function %d\n", (long long)i, fn);
  if (kind == LIGHT_FUNCTION && call.ok) {  /* not one that tells of itself */
    call = begin(r, L, face & 3, reg, "on_collect", NULL);
    lua_pushinteger(L, i);
    lua_pushnil(L);
    finish(r, L, &call, 0);
    fn = 0;
    kind = NONE;
  }
  if (done(r, &call, kind == FUNCTION || kind == LIGHT_FUNCTION
                     || kind == NONE)
      && answer(L, &call)
      && model_on_collect(model, i, fn) != lua_toboolean(L, call.first))
    differ(r, "on_collect answers %d", lua_toboolean(L, call.first));
}


static void do_sweep (Run *r, lua_State *L, int reg, int face) {
  Registry *model = MODEL(r, reg);
  Sweep s = {0};
  Call call = begin(r, L, face & 3, reg, "sweep", NULL);
  int i;
  compare(r);
  enter_model(r, L, model);
  s.outer = r->sweep;
  s.thread = r->thread;
  s.reg = r->m.vars[reg];
  s.sure = (r->m.loose == 0 && !r->m.closing);
  for (i = 1; i <= model->last; i++)
    if (model_sweepable(model, i)) s.found[s.n++] = (short)i;
  r->sweep = &s;
  finish(r, L, &call, 0);
  trace("  %d found\n", s.n);
  if (!s.sure) compare(r);
  else if (call.ok) {
    swept_to(r, &s, INDICES + 1);
    if (lua_tointeger(L, -1) != s.released)
      differ(r, "sweep released %d, expected %d", (int)lua_tointeger(L, -1),
             s.released);
  }
  r->sweep = s.outer;
}


static void do_snapshot (Run *r, lua_State *L, int reg, int face) {
  Registry *model = MODEL(r, reg);
  long fail = read_fail(r, face);
  int v = SNAPS + byte(r) % NSNAPS, id;
  Call call;
  call = begin(r, L, face & 3, reg, "snapshot", NULL);
  finish(r, L, &call, fail);
  if (!done(r, &call, 1)) return;
  compare(r);
  enter_model(r, L, model);
  id = model_node(&r->m, SNAPSHOT);
  if (id == 0) return;
  r->m.nodes[id].address = lua_topointer(L, -1);
  model_take(model_snapshot(&r->m, id), model);
  trace("  %d\n", id);
  pop_var(r, L, v, id);
}


static void do_restore (Run *r, lua_State *L, int reg, int face) {
  Registry *model = MODEL(r, reg);
  long fail = read_fail(r, face);
  int v = SNAPS + byte(r) % NSNAPS, id = r->m.vars[v], ok;
  Call call;
  if (r->m.nodes[id].kind != SNAPSHOT) return;
  call = begin(r, L, face & 3, reg, "restore", NULL);
  push_var(L, v);
  ok = model_snapshot(&r->m, id)->registry == r->m.vars[reg];
  finish(r, L, &call, fail);
  trace("  %d\n", id);
  if (done(r, &call, ok))
    model_restore(&r->m, model, model_snapshot(&r->m, id));
}


static void do_reset (Run *r, lua_State *L, int reg, int face) {
  Registry *model = MODEL(r, reg);
  long fail = read_fail(r, face);
  Call call = begin(r, L, face & 3, reg, "reset",
                    "reset_user_object_tracking");
  finish(r, L, &call, fail);
  if (done(r, &call, 1)) model_reset(model);
}


/* Collects until no finalizer of the program runs: then all are gone that
** nobody holds. Twice, since a guard that is left from an emergency holds its
** registry through the first time. */
static void do_collect (Run *r, lua_State *L, int reg, int face) {
  const char *wrong;
  int tries, rc, quiet = 0;
  (void)reg, (void)face;
  for (tries = 0; tries < 10000 && quiet < 2; tries++) {
    unsigned finalized = r->finalized;
    r->m.loose++;
    rc = lua_gc(L, LUA_GCCOLLECT, 0);
    r->m.loose--;
    if (rc < 0) return;  /* in a finalizer */
    quiet = r->finalized == finalized ? quiet + 1 : 0;
  }
  if (r->finalized > NODES) differ(r, "finalizers go on and on");
  if (r->stopped) r->m.loose = 0;
  wrong = model_collected(&r->m);
  if (wrong != NULL) differ(r, "%s", wrong);
}


static void do_step (Run *r, lua_State *L, int reg, int face) {
  (void)reg, (void)face;
  r->m.loose++;
  lua_gc(L, LUA_GCSTEP, byte(r) % 8);
}


static void do_registry (Run *r, lua_State *L, int reg, int face) {
  int id, v = REGS + 1 + byte(r) % (NREGS - 1);
  (void)reg;
  if (face & 1) r->gbi->new_registry(L);
  else {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &capikey);
    lua_getfield(L, -1, "new");
    lua_call(L, 0, 1);
  }
  id = model_node(&r->m, REGISTRY);
  if (id == 0) return;
  r->m.nodes[id].address = lua_topointer(L, -1);
  trace("  var %d = registry %d\n", v, id);
  pop_var(r, L, v, id);
}


static void push_core (lua_State *L, const char *name) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "gbi.core");
  lua_getfield(L, -1, name);
}


static void do_number (Run *r, lua_State *L, int reg, int face) {
  Registry *model = MODEL(r, reg);
  long fail = read_fail(r, face);
  Call call = {0};
  int node;
  if (model->nnumbers >= NUMBERS - 1) return;
  push_core(L, "number");
  call.first = lua_gettop(L);
  push_var(L, reg);
  node = operand(r, L);
  lua_pushinteger(L, 1);
  call.epoch = r->epoch;
  call.model = model;
  finish(r, L, &call, fail);
  trace("  object %d\n", node);
  if (done(r, &call, node != 0)) {
    lua_Integer number = lua_tointeger(L, -1);
    int i = (int)(model - r->m.registries) * NUMBERS;
    if (model->nnumbers > 0
        && number <= r->numbers[i + model->nnumbers - 1])
      differ(r, "a number is given out again");
    if (number <= INT_MAX) differ(r, "a number could be an index");
    i += model_number(&r->m, model, node);
    r->numbers[i] = number;
  }
}


static void do_unnumber (Run *r, lua_State *L, int reg, int face) {
  Registry *model = MODEL(r, reg);
  int i = byte(r);
  (void)face;
  if (model->nnumbers == 0) return;
  i %= model->nnumbers;
  push_core(L, "unnumber");
  push_var(L, reg);
  lua_pushinteger(L,
    r->numbers[(model - r->m.registries) * NUMBERS + i]);
  lua_call(L, 2, 0);
  model->numbers[i].node = 0;
}


/* A coroutine begins a run: its frame stays on its stack. */
static void do_enter (Run *r, lua_State *L, int reg, int face) {
  Registry *model = MODEL(r, reg);
  long fail = read_fail(r, face);
  short nodes[INDICES];
  int i, n = read_n(r, model), first = lua_gettop(L) + 1;
  Call call = {0};
  if (r->thread == r->main || model->nframes >= FRAMES - 2
      || isbusy(r, r->thread) > 1) return;
  push_core(L, "enter");
  call.first = lua_gettop(L);
  call.model = model;
  call.epoch = r->epoch;
  push_var(L, reg);
  lua_newtable(L);
  for (i = 0; i < n; i++) {
    nodes[i] = (short)operand(r, L);
    if (nodes[i] == 0) {
      lua_pop(L, 1);
      lua_pushboolean(L, 0);
    }
    lua_rawseti(L, -2, i + 1);
  }
  lua_pushinteger(L, n);
  finish(r, L, &call, fail);
  if (!done(r, &call, r->m.vars[reg] != r->m.vars[REGS])) return;
  i = model_enter(&r->m, model, r->thread, nodes, n);
  trace("  frame %d of %d in %d, %d objects\n", i, model->node, r->thread, n);
  model->frames[i].serial = ++r->nframes;
  lua_replace(L, first);
  r->keep = 1;
  lua_rawgetp(r->L, LUA_REGISTRYINDEX, &threadskey);
  lua_pushthread(L);
  if (L != r->L) lua_xmove(L, r->L, 1);
  lua_rawseti(r->L, -2, r->thread);
  lua_pop(r->L, 1);
}


/* The coroutine's last run ends. */
static void do_leave (Run *r, lua_State *L, int reg, int face) {
  Registry *model = NULL;
  int i, k, frame = 0;
  (void)reg, (void)face;
  if (isbusy(r, r->thread) > 1) return;
  for (k = 0; k < r->m.nregistries; k++) {
    Registry *each = &r->m.registries[k];
    for (i = 1; i <= each->nframes; i++) {
      const Frame *f = &each->frames[i];
      if (f->thread == r->thread && !f->ended
          && (frame == 0 || f->serial > model->frames[frame].serial)) {
        model = each;
        frame = i;
      }
    }
  }
  if (frame == 0) return;
  see_threads(r, L);
  trace("  frame %d of %d\n", frame, model->node);
  model_leave(model, frame);
  luaL_getmetafield(L, -1, "__close");
  lua_pushvalue(L, -2);
  lua_call(L, 1, 0);
  r->keep = -1;
}


/* Compares what entries() or constructors() say. */
static void do_iterate (Run *r, lua_State *L, int reg, int face) {
  static const char *const kinds[] = {"stored", "user", "graph_created"};
  Registry *model = MODEL(r, reg);
  int last = 0, entries = face & 1, n = 0, expected = 0;
  int iterator = lua_gettop(L) + 1;
  lua_gc(L, LUA_GCSTOP);
  compare(r);
  enter_model(r, L, model);
  push_var(L, reg);
  lua_getfield(L, -1, entries ? "entries" : "constructors");
  lua_insert(L, -2);
  lua_call(L, 1, 3);
  for (;;) {
    lua_pushvalue(L, iterator);
    lua_pushvalue(L, iterator + 1);
    lua_pushinteger(L, last);
    lua_call(L, 2, 4);
    if (lua_isnil(L, iterator + 3)) break;
    n++;
    if (lua_tointeger(L, iterator + 3) <= last) differ(r, "not in order");
    last = (int)lua_tointeger(L, iterator + 3);
    if (last > INDICES) differ(r, "an index that is not there");
    if (entries) {
      const Slot *slot = &model->side.slots[last];
      lua_getfield(L, iterator + 4, "status");
      lua_getfield(L, iterator + 4, "kind");
      if (slot->node == 0
          || strcmp(lua_tostring(L, -2), slot->dead ? "dead" : "live") != 0)
        differ(r, "entry %d is %s", last, lua_tostring(L, -2));
      lua_getfield(L, iterator + 4, "object");
      if (!slot->dead) compare_object(r, L, slot->node, last);
      lua_insert(L, -2);
    }
    else lua_pushvalue(L, iterator + 5);
    if (strcmp(lua_tostring(L, -1),
               kinds[(int)model->constructors[last].kind]) != 0)
      differ(r, "%d is %s", last, lua_tostring(L, -1));
    lua_settop(L, iterator + 2);
  }
  if (entries) {
    int live, dead;
    model_count(model, &live, &dead);
    expected = live + dead;
  }
  else expected = model_length(model);
  if (n != expected) differ(r, "%d entries, expected %d", n, expected);
  lua_settop(L, iterator);
  push_var(L, reg);
  lua_getfield(L, -1, "has_objects");
  lua_insert(L, -2);
  lua_call(L, 1, 1);
  if (lua_toboolean(L, -1) != (model_length(model) > 0))
    differ(r, "has_objects");
  if (!r->stopped) lua_gc(L, LUA_GCRESTART);
}


/* The program is over; finalizers run what is left of it. */
static void do_close (Run *r, lua_State *L, int reg, int face) {
  (void)L, (void)reg, (void)face;
  if (r->depth == 1) r->steps = MAX_STEPS;
}


static const Step table[] = {
  {"new", do_new},
  {"drop", do_drop},
  {"copy", do_copy},
  {"refer", do_refer},
  {"follow", do_follow},
  {"register", do_register},
  {"register", do_register},
  {"register_created", do_created},
  {"store", do_store},
  {"store", do_store},
  {"store_list", do_store_list},
  {"set", do_set},
  {"set", do_set},
  {"stash", do_stash},
  {"get", do_get},
  {"release", do_release},
  {"on_collect", do_on_collect},
  {"on_collect", do_on_collect},
  {"sweep", do_sweep},
  {"sweep", do_sweep},
  {"snapshot", do_snapshot},
  {"restore", do_restore},
  {"reset", do_reset},
  {"collect", do_collect},
  {"collect", do_collect},
  {"gc step", do_step},
  {"new registry", do_registry},
  {"number", do_number},
  {"unnumber", do_unnumber},
  {"enter", do_enter},
  {"enter", do_enter},
  {"leave", do_leave},
  {"iterate", do_iterate},
  {"drop", do_drop},
  {"close", do_close}
};


/* Runs a step, in one of the program's coroutines if it says so, and
** compares. */
static void step_one (Run *r, const Step *step) {
  int face = byte(r), reg = REGS + ((face >> 4) & 3), where = face >> 6;
  int top, base = lua_gettop(r->L);
  lua_State *L = r->L;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  if (r->m.vars[reg] == 0) reg = REGS;
  push_var(L, reg);
  pop_var(r, L, BUSY + r->depth, r->m.vars[reg]);
  reg = BUSY + r->depth;
  if (where != 0 && r->m.nodes[r->m.vars[where - 1]].kind == THREAD) {
    push_var(L, where - 1);
    pin(r, r->m.vars[where - 1]);
    r->thread = r->m.vars[where - 1];
    r->co = L = lua_tothread(L, -1);
    luaL_checkstack(L, 2 * LUA_MINSTACK, NULL);
  }
  trace("%d %s, registry %d%s\n", r->steps, r->op, r->m.vars[reg],
        L == r->L ? "" : ", in a coroutine");
  if (r->m.closing) face &= ~4;
  r->keep = 0;
  top = lua_gettop(L);
  step->run(r, L, reg, face & 7);
  lua_settop(L, top + r->keep);
  r->op = step->name;
  if ((face & 11) != 11) compare(r);  /* else not yet: it looks things up */
  lua_settop(r->L, base);
  lua_pushnil(r->L);
  pop_var(r, r->L, reg, 0);
}


/* Runs at most `n` steps of the program. */
static void steps (Run *r, int n) {
  long fail = r->fail;
  int failed = r->failed, pins = r->m.npins;
  int thread = r->thread, keep = r->keep;
  lua_State *co = r->co;
  const char *op = r->op;
  if (r->depth >= MAX_DEPTH) return;
  r->fail = 0;
  r->depth++;
  while (n-- > 0 && r->at < r->end && r->steps < MAX_STEPS) {
    const Step *step = &table[byte(r) % (sizeof(table) / sizeof(*table))];
    r->steps++;
    operations++;
    r->op = step->name;
    r->thread = r->main;
    r->co = r->L;
    step_one(r, step);
    r->m.npins = pins;
  }
  r->depth--;
  r->thread = thread;
  r->co = co;
  r->keep = keep;
  r->op = op;
  r->fail = fail;
  r->failed = failed;
}


/* Makes a state of the world and runs the program. [] -> [] */
static int run (lua_State *L) {
  Run *r = RUN(L);
  int id, v;
  luaL_requiref(L, LUA_GNAME, luaopen_base, 0);
  luaL_requiref(L, "gbi.core", luaopen_gbi_core, 0);
  lua_getfield(L, -1, "functions");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &functionskey);
  luaL_requiref(L, "capi", luaopen_capi, 0);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &capikey);
  luaL_newmetatable(L, UDATA);
  r->gbi = gbi_open(L);
  lua_createtable(L, VARS, 0);
  for (v = 1; v <= VARS; v++) {
    lua_pushnil(L);
    lua_rawseti(L, -2, v);
  }
  lua_rawsetp(L, LUA_REGISTRYINDEX, &varskey);
  for (v = REGS; v < REGS + 2; v++) {
    if (v == REGS) r->gbi->default_registry(L);
    else r->gbi->new_registry(L);
    id = model_node(&r->m, REGISTRY);
    r->m.nodes[id].address = lua_topointer(L, -1);
    pop_var(r, L, v, id);
  }
  lua_settop(L, 0);
  lua_newtable(L);
  lua_newtable(L);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &threadskey);
  r->main = r->thread = model_node(&r->m, THREAD);
  r->m.nodes[r->main].address = L;
  r->co = L;
  pin(r, r->main);
  steps(r, MAX_STEPS);
  r->steps = 0;
  r->op = "close";
  r->m.closing = 1;
  return 0;
}

/* }================================================================== */


static void summary (void) {
  printf("fuzz_registry: %lu programs, %lu operations checked\n", programs,
         operations);
}


int LLVMFuzzerInitialize (int *argc, char ***argv) {
  (void)argc, (void)argv;
  tracing = getenv("FUZZ_TRACE") != NULL;
  atexit(summary);
  return 0;
}


int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size) {
  static Run fresh;
  Run *r = (Run *)malloc(sizeof(Run));
  int i, n, mode;
  if (r == NULL) abort();
  *r = fresh;
  r->at = data;
  r->end = data + size;
  r->op = "start";
  r->L = lua_newstate(allocate, r);
  if (r->L == NULL) abort();
  RUN(r->L) = r;
  lua_setwarnf(r->L, warn, NULL);
  mode = byte(r);
  r->recycle = (mode & 4) != 0;
  mode %= 4;
  r->stopped = (mode < 2);
  if (r->stopped) lua_gc(r->L, LUA_GCSTOP);
  else {
    if (mode == 2) lua_gc(r->L, LUA_GCINC, 20, 400, 6);
    else lua_gc(r->L, LUA_GCGEN, 5, 20);
    r->m.loose = 1;
  }
  lua_pushcfunction(r->L, run);
  if (lua_pcall(r->L, 0, 0, 0) != LUA_OK)
    differ(r, "%s", lua_tostring(r->L, -1));
  n = r->m.nnodes;
  lua_close(r->L);
  for (i = 1; i <= n; i++)
    if (r->m.nodes[i].finalizer && r->m.nodes[i].finalized != 1)
      differ(r, "object %d was not finalized", i);
  programs++;
  free(r->spare);
  free(r);
  return 0;
}

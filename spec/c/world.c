/*
** world.c - objects, calls and comparisons for the steps of a fuzzed program
*/
#include "world.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lualib.h>

static char varskey, functionskey, capikey;  /* gcc may merge constants */
static int tracing;

int luaopen_capi (lua_State *L);


/* {==================================================================
** Bytes and reports
** =================================================================== */

World *world (lua_State *L) {
  return *(World **)lua_getextraspace(L);
}


void trace (const char *format, ...) {
  va_list args;
  if (!tracing) return;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
}


/* Ends the process: gbi and model differ. */
void differ (World *w, const char *format, ...) {
  va_list args;
  fprintf(stderr, "fuzz_registry: step %d (%s): ", w->steps, w->op);
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


int byte (World *w) {
  return w->at < w->end ? *w->at++ : 0;
}


/* Chooses which allocation of the next call fails, if the byte says so. Not if
** it could be one for the call of a finalizer, which Lua would then omit. */
long read_fail (World *w, int face) {
  return (face & 4) && w->stopped ? byte(w) % 16 + 1 : 0;
}


/* A lua_Alloc whose `fail`-th growth fails, and so does the second try. */
void *allocate (void *ud, void *block, size_t osize, size_t nsize) {
  World *w = (World *)ud;
  if (nsize == 0) {
    free(block);
    return NULL;
  }
  if (w->fail > 0 && (block == NULL || nsize > osize)) {
    if (w->failed || --w->fail == 0) {
      w->failed = 1;
      w->fail = 1;
      return NULL;
    }
  }
  return realloc(block, nsize);
}

/* }================================================================== */


/* {==================================================================
** Variables
** =================================================================== */

void push_var (lua_State *L, int v) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &varskey);
  lua_rawgeti(L, -1, v + 1);
  lua_remove(L, -2);
}


/* Sets a variable to the value on the top, which is `node`. */
void pop_var (World *w, lua_State *L, int v, int node) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &varskey);
  lua_insert(L, -2);
  lua_rawseti(L, -2, v + 1);
  lua_pop(L, 1);
  w->m.vars[v] = (short)node;
}


void drop_var (World *w, lua_State *L, int v) {
  lua_pushnil(L);
  pop_var(w, L, v, 0);
}


/* Tells the model that a call has `node` on its stack, until the step ends. */
int pin (World *w, int node) {
  if (w->m.npins >= PINS) differ(w, "too deep");
  w->m.pins[w->m.npins] = (short)node;
  return w->m.npins++;
}


/* Pushes the library's and the program's tables; all variables are empty,
** except the first registries and handle tables. [] -> [] */
void open_world (World *w, lua_State *L) {
  int id, v;
  tracing = getenv("FUZZ_TRACE") != NULL;
  lua_setwarnf(L, warn, NULL);
  luaL_requiref(L, LUA_GNAME, luaopen_base, 0);
  luaL_requiref(L, "gbi.core", luaopen_gbi_core, 0);
  lua_getfield(L, -1, "functions");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &functionskey);
  luaL_requiref(L, "capi", luaopen_capi, 0);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &capikey);
  luaL_newmetatable(L, UDATA);
  w->gbi = gbi_open(L);
  lua_createtable(L, VARS, 0);
  for (v = 1; v <= VARS; v++) {
    lua_pushnil(L);
    lua_rawseti(L, -2, v);
  }
  lua_rawsetp(L, LUA_REGISTRYINDEX, &varskey);
  for (v = 1; v <= VALUES; v++) model_node(&w->m, VALUE);
  for (v = REGS; v < REGS + 2; v++) {
    if (v == REGS) w->gbi->default_registry(L);
    else w->gbi->new_registry(L);
    id = model_node(&w->m, REGISTRY);
    w->m.nodes[id].address = lua_topointer(L, -1);
    pop_var(w, L, v, id);
  }
  for (v = TABS; v < TABS + 2; v++) {
    if (v == TABS) w->gbi->state_handles(L);
    else w->gbi->new_handles(L);
    id = model_node(&w->m, HANDLE_TABLE);
    w->m.nodes[id].address = lua_topointer(L, -1);
    pop_var(w, L, v, id);
  }
  open_runs(L);
  lua_settop(L, 0);
}

/* }================================================================== */


/* {==================================================================
** Objects
** =================================================================== */

/* [object] -> [] */
static int finalize (lua_State *L) {
  World *w = world(L);
  Node *node;
  int id;
  if (lua_istable(L, 1)) {
    lua_rawgeti(L, 1, 1);
    id = (int)lua_tointeger(L, -1);
  }
  else id = *(int *)lua_touserdata(L, 1);
  node = &w->m.nodes[id];
  w->finalized++;
  trace("  finalizer of %d\n", id);
  model_mark(&w->m);
  if (node->finalized++) differ(w, "object %d is finalized twice", id);
  if (!w->m.closing && w->m.held[id] && !node->pending)
    differ(w, "object %d is finalized and held", id);
  node->pending = 0;
  node->gone = (char)w->m.closing;
  if (node->revives && !w->m.closing) {
    model_back(&w->m, id);
    lua_pushvalue(L, 1);
    pop_var(w, L, id % OBJECTS, id);
  }
  act(w, L, node->steps);
  return node->fails ? luaL_error(L, "finalizer") : 0;
}


/* A function of the program, or a handle's callback if a sweep calls it.
** Upvalues: its node, and the object that it refers to. */
static int function (lua_State *L) {
  World *w = world(L);
  int id = (int)lua_tointeger(L, lua_upvalueindex(1));
  Sweep *s = w->sweep;
  Table *t;
  int i;
  if (s == NULL || lua_gettop(L) != 1) return 0;
  t = model_table(&w->m, s->table);
  i = (int)(lua_tointeger(L, 1) - GBI_HANDLE0);
  trace("  callback %d of %d\n", id, i);
  if (i < t->first || i > t->n || t->handles[i].callback != id)
    differ(w, "callback %d is called for %d", id, i);
  if (i <= s->last) differ(w, "%d is swept after %d", i, s->last);
  model_mark(&w->m);
  if (!(model_expect_handle(&w->m, t, i) & DEAD))
    differ(w, "callback %d is called for %d, which is not dead", id, i);
  for (; s->next < s->n && s->found[s->next] < i; s->next++)
    if (t->handles[s->found[s->next]].callback != 0)
      differ(w, "the callback of %d was left out", s->found[s->next]);
  t->handles[i].slot.dead = 1;
  t->handles[i].callback = 0;
  s->last = i;
  s->called++;
  i = pin(w, id);  /* the stack holds it */
  act(w, L, w->m.nodes[id].steps);
  w->m.npins = i;
  return w->m.nodes[id].fails ? luaL_error(L, "callback") : 0;
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


/* Pushes a new object, if there is room for one. Returns its node. */
int new_object (World *w, lua_State *L, int b) {
  static const Kind kinds[] = {
    TABLE, USERDATA, FUNCTION, THREAD, TABLE, USERDATA, FUNCTION,
    LIGHT_FUNCTION
  };
  Kind kind = kinds[b & 7];
  int id = model_node(&w->m, kind);
  Node *node = &w->m.nodes[id];
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


static void push_value (World *w, lua_State *L, int node) {
  switch (node) {
    case 1: lua_pushboolean(L, 0); break;
    case 2: lua_pushinteger(L, 7); break;
    case 3: lua_pushliteral(L, "text"); break;
    default: lua_pushlightuserdata(L, w);
  }
}


/* Pushes an operand: an object, or a value if the byte says so. Returns its
** node; nil's is 0. */
int operand (World *w, lua_State *L) {
  int b = byte(w), v = b % NAMED, id;
  if (b >= 240) {
    id = b & 7;
    if (id >= 1 && id <= VALUES) push_value(w, L, id);
    else {
      lua_pushnil(L);
      id = 0;
    }
    return id;
  }
  if (v < OBJECTS && w->m.vars[v] == 0) {
    id = new_object(w, L, byte(w));
    if (id == 0) return 0;
    lua_pushvalue(L, -1);
    pop_var(w, L, v, id);
    return id;
  }
  push_var(L, v);
  return w->m.vars[v];
}

/* }================================================================== */


/* {==================================================================
** Calls
** =================================================================== */

/* Begins a call: pushes a function, and the registry or handle table in the
** variable `v`. Unnamed, that is a module function of the default registry, or
** gbi.h's with nil for the state's handle table. */
Call begin (World *w, lua_State *L, int face, int v, const char *in_c,
            const char *method, const char *module) {
  Call call = {0, 0, 0, 0};
  int id = w->m.vars[v], registry = (w->m.nodes[id].kind == REGISTRY);
  luaL_checkstack(L, 200, NULL);
  call.epoch = w->epoch;
  call.first = lua_gettop(L) + 1;
  if (face > UNNAMED
      || (face == UNNAMED && (registry ? id != w->m.vars[REGS] || module == NULL
                                       : id != w->m.vars[TABS])))
    face = METHOD;
  if (face == UNNAMED && registry) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &functionskey);
    lua_getfield(L, -1, module);
    lua_replace(L, -2);
  }
  else if (face == METHOD) {
    push_var(L, v);
    lua_getfield(L, -1, method);
    lua_insert(L, -2);
  }
  else {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &capikey);
    lua_getfield(L, -1, in_c);
    lua_replace(L, -2);
    if (face == C_API) push_var(L, v);
    else lua_pushnil(L);
  }
  if (!lua_isfunction(L, call.first)) differ(w, "there is no %s", method);
  return call;
}


/* Makes the call; its results or its error stay on the stack from first on. */
void finish (World *w, lua_State *L, Call *call, long fail) {
  int status;
  w->failed = 0;
  w->fail = fail;
  status = lua_pcall(L, lua_gettop(L) - call->first, LUA_MULTRET, 0);
  w->fail = 0;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  if (w->failed) w->m.loose++;  /* an emergency, until the next collection */
  call->ok = (status == LUA_OK);
  call->memory = (status == LUA_ERRMEM);
  if (call->memory && !w->failed) differ(w, "out of memory");
  if (!call->ok)
    trace("  failed: %s\n", lua_isstring(L, -1) ? lua_tostring(L, -1) : "?");
  call->epoch = w->epoch - call->epoch;
}


/* Compares the outcome. Returns whether the call succeeded as it should. */
int done (World *w, const Call *call, int expected) {
  if (call->memory) return 0;
  if (call->ok && !expected) differ(w, "it succeeded");
  if (!call->ok && expected && call->epoch == 0) differ(w, "it failed");
  return call->ok;
}

/* }================================================================== */


/* {==================================================================
** Comparing
** =================================================================== */

static int mask (int status) {
  return status == GBI_LIVE ? LIVE : status == GBI_DEAD ? DEAD : UNREGISTERED;
}


/* Compares the value on the top, which a number found live. */
void compare_object (World *w, lua_State *L, int node, lua_Integer i) {
  int same;
  if (w->m.nodes[node].kind == VALUE) {
    push_value(w, L, node);
    same = lua_rawequal(L, -1, -2);
    lua_pop(L, 1);
  }
  else same = (lua_topointer(L, -1) == w->m.nodes[node].address);
  if (!same)
    differ(w, "%lld finds another object than %d: %s", (long long)i, node,
           luaL_tolstring(L, -1, NULL));
}


/* Compares what a number has found with what it may find, and pops it. */
static void compare_found (World *w, lua_State *L, int owner, lua_Integer i,
                           int got, int expected, int node) {
  if (!(got & expected))
    differ(w, "%lld in %d: got %d, expected %d", (long long)i, owner, got,
           expected);
  if (got == LIVE) compare_object(w, L, node, i);
  else if (!lua_isnil(L, -1)) differ(w, "%lld: not nil", (long long)i);
  lua_pop(L, 1);
}


/* Allocates nothing, so it runs nothing. */
void compare_registry (World *w, lua_State *L, int v) {
  Registry *r = model_registry(&w->m, w->m.vars[v]);
  lua_Integer i, live, dead;
  int at, side, got, model_live, model_dead;
  push_var(L, v);
  at = lua_gettop(L);
  w->gbi->push_side(L, at);
  side = lua_gettop(L);
  for (i = -1; i <= model_top(r) + 4; i++) {
    /* the last ones are not indices but handles */
    lua_Integer k = i <= model_top(r) + 2 ? i
                                          : GBI_HANDLE0 + i - model_top(r) - 2;
    int expected = model_expect(&w->m, r, k);
    if (i & 1) got = mask(w->gbi->find(L, at, k));
    else got = mask(gbi_find_in(L, w->gbi, at, side, k));
    compare_found(w, L, r->node, k, got, expected,
                  r->side.slots[expected == UNREGISTERED ? 0 : k].node);
    model_seen(r, k, got);
  }
  w->gbi->count(L, at, &live, &dead);
  model_count(r, &model_live, &model_dead);
  if (live != model_live || dead != model_dead)
    differ(w, "registry %d: %lld live, %lld dead; expected %d, %d", r->node,
           (long long)live, (long long)dead, model_live, model_dead);
  if (luaL_len(L, at) != r->last)
    differ(w, "registry %d: %lld constructors, expected %d", r->node,
           (long long)luaL_len(L, at), r->last);
  lua_settop(L, at - 1);
}


static void compare_handles (World *w, lua_State *L, int v) {
  Table *t = model_table(&w->m, w->m.vars[v]);
  lua_Integer i, live;
  int at, objects, got;
  push_var(L, v);
  at = lua_gettop(L);
  live = w->gbi->count_handles(L, at);
  model_mark(&w->m);  /* it may have run finalizers; nothing below does */
  w->gbi->push_objects(L, at);
  objects = lua_gettop(L);
  for (i = -1; i <= t->n + 4; i++) {
    /* the last ones are not handles but indices */
    lua_Integer h = i <= t->n + 2 ? GBI_HANDLE0 + i : i - t->n - 2;
    int expected = model_expect_handle(&w->m, t, h - GBI_HANDLE0);
    int from = v == TABS && (i & 2) ? 0 : at;
    if (i & 1) got = mask(w->gbi->find_handle(L, from, h));
    else got = mask(gbi_find_handle_in(L, w->gbi, from, objects, h));
    compare_found(w, L, t->node, h, got, expected,
                  t->handles[expected == UNREGISTERED ? 0 : i].slot.node);
    model_seen_handle(t, h - GBI_HANDLE0, got);
  }
  if (live != model_count_handles(t))
    differ(w, "handle table %d: %d live, expected %d", t->node, (int)live,
           model_count_handles(t));
  lua_settop(L, at - 1);
}


/* Compares all registries and handle tables of the program. */
void compare (World *w, lua_State *L) {
  int v, k;
  luaL_checkstack(L, 2 * LUA_MINSTACK, NULL);
  model_mark(&w->m);
  for (v = REGS; v < VARS; v++) {
    Kind kind = w->m.nodes[w->m.vars[v]].kind;
    for (k = REGS; w->m.vars[k] != w->m.vars[v]; k++);
    if (k < v) continue;  /* seen already */
    if (kind == REGISTRY) compare_registry(w, L, v);
    else if (kind == HANDLE_TABLE) compare_handles(w, L, v);
  }
}

/* }================================================================== */

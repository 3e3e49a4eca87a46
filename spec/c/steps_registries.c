/*
** steps_registries.c - steps of a fuzzed program on registries
*/
#include <limits.h>
#include <string.h>

#include "world.h"

#define MODEL model_registry(&w->m, w->m.vars[v])


/* An index: nearly always one that may be registered, else odd, or a handle. */
static lua_Integer read_index (World *w, const Registry *r) {
  static const lua_Integer odd[] = {
    -1, LLONG_MIN, LLONG_MAX, (lua_Integer)1 << 31, (lua_Integer)1 << 32,
    ((lua_Integer)1 << 32) + 1, (lua_Integer)1 << 53, INT_MIN
  };
  int b = byte(w);
  if (b >= 248) return odd[b - 248];
  if (b >= 240) return GBI_HANDLE0 + b % 8;
  return b % (model_top(r) + 3);
}


static void do_register (World *w, lua_State *L, int v, int face) {
  Registry *r = MODEL;
  long fail = read_fail(w, face);
  int node, source, ok;
  Call call;
  if (r->last >= INDICES - 2) return;
  call = begin(w, L, face & 3, v, "register", "register",
               "register_user_object");
  node = operand(w, L);
  source = operand(w, L);
  /* gbi.h takes any value as a source */
  ok = model_isobject(&w->m, node)
       && ((face & 3) == C_API || w->m.nodes[source].kind == TABLE);
  finish(w, L, &call, fail);
  if (done(w, &call, ok)) {
    int i = model_register(&w->m, r, node, USER, source);
    trace("  %d = object %d, source %d\n", i, node, source);
    if (lua_tointeger(L, -1) != i)
      differ(w, "index %d, expected %d", (int)lua_tointeger(L, -1), i);
  }
}


static void do_created (World *w, lua_State *L, int v, int face) {
  Registry *r = MODEL;
  long fail = read_fail(w, face);
  int node, fn;
  Kind kind;
  Call call;
  if (r->last >= INDICES - 2) return;
  call = begin(w, L, face & 3, v, "register_created", "register_created",
               "register_graph_created_object");
  node = operand(w, L);
  fn = operand(w, L);
  kind = w->m.nodes[fn].kind;
  finish(w, L, &call, fail);
  if (done(w, &call, model_isobject(&w->m, node)
                     && (kind == FUNCTION || kind == LIGHT_FUNCTION))) {
    int i = model_register(&w->m, r, node, CREATED, fn);
    trace("  %d = object %d, created\n", i, node);
    if (lua_tointeger(L, -1) != i)
      differ(w, "index %d, expected %d", (int)lua_tointeger(L, -1), i);
  }
}


/* Reads the number of objects to store: often as many as there are. */
static int read_n (World *w, const Registry *r) {
  int b = byte(w);
  return b >= 128 ? r->side.size : b % 14;
}


/* Can all `n` be held weakly? */
static int storable (World *w, const short *nodes, int n) {
  int i;
  for (i = 0; i < n; i++)
    if (!model_isobject(&w->m, nodes[i])) return 0;
  return 1;
}


static void do_store (World *w, lua_State *L, int v, int face) {
  Registry *r = MODEL;
  long fail = read_fail(w, face);
  short nodes[INDICES];
  int i, n = read_n(w, r);
  Call call = begin(w, L, face & 3, v, "store", "store",
                    "store_user_object_weakrefs");
  for (i = 0; i < n; i++) {
    nodes[i] = (short)operand(w, L);
    trace("  [%d] = %d\n", i + 1, nodes[i]);
  }
  finish(w, L, &call, fail);
  trace("  %d objects\n", n);
  if (done(w, &call, storable(w, nodes, n)))
    model_store(&w->m, r, nodes, n, NULL, 0);
}


/* Pushes a list of `n` operands. A nil becomes false, so that the list does
** not end there. */
static void push_list (World *w, lua_State *L, short *nodes, int n) {
  int i;
  lua_newtable(L);
  for (i = 0; i < n; i++) {
    nodes[i] = (short)operand(w, L);
    if (nodes[i] == 0) {
      lua_pop(L, 1);
      lua_pushboolean(L, 0);
    }
    lua_rawseti(L, -2, i + 1);
  }
}


static void do_store_list (World *w, lua_State *L, int v, int face) {
  Registry *r = MODEL;
  long fail = read_fail(w, face);
  short nodes[INDICES], created[8];
  int n = read_n(w, r), ncreated = byte(w) % 8;
  Call call;
  if (!model_hasstash(&w->m, r)) return;
  call = begin(w, L, METHOD, v, NULL, "store_list", NULL);
  push_list(w, L, nodes, n);
  lua_pushinteger(L, n);
  push_list(w, L, created, ncreated);
  finish(w, L, &call, fail);
  trace("  %d objects, %d created\n", n, ncreated);
  if (done(w, &call, storable(w, nodes, n) && storable(w, created, ncreated)))
    model_store(&w->m, r, nodes, n, created, ncreated);
}


static void do_set (World *w, lua_State *L, int v, int face) {
  Registry *r = MODEL;
  long fail = read_fail(w, face);
  lua_Integer i = read_index(w, r);
  int node, ok;
  Call call;
  if (i > INDICES - 4 && i <= INDICES + 4) return;
  call = begin(w, L, face & 3, v, "set", "set",
               "set_external_object_by_index");
  lua_pushinteger(L, i);
  node = operand(w, L);
  finish(w, L, &call, fail);
  trace("  %lld = object %d\n", (long long)i, node);
  ok = model_isobject(&w->m, node) && i >= 1 && i <= model_top(r) + 1;
  if (done(w, &call, ok)) model_set(&w->m, r, i, node);
}


static void do_stash (World *w, lua_State *L, int v, int face) {
  Registry *r = MODEL;
  long fail = read_fail(w, face);
  int node;
  Call call;
  if (!model_hasstash(&w->m, r)) return;
  call = begin(w, L, face & 3, v, "stash", "stash",
               "stash_graph_created_object");
  node = operand(w, L);
  finish(w, L, &call, fail);
  trace("  object %d\n", node);
  if (done(w, &call, model_isobject(&w->m, node)))
    model_stash(&w->m, r, node);
}


/* get, get_udata or find; the object found goes into a variable. */
static void do_get (World *w, lua_State *L, int v, int face) {
  Registry *r = MODEL;
  lua_Integer i = read_index(w, r);
  int b = byte(w), typed = b & 16, found = b & 32, expected, node = 0;
  Call call;
  face &= 3;
  compare(w, L);
  expected = model_expect(&w->m, r, i);
  if (expected != UNREGISTERED) node = r->side.slots[i].node;
  if (found) {
    call = begin(w, L, face, v, "find", "find", NULL);
    typed = 0;
  }
  else call = begin(w, L, face, v, typed ? "get_udata" : "get", "get",
                    "get_external_object_by_index");
  lua_pushinteger(L, i);
  if (typed) {
    lua_pushstring(L, UDATA);
    if (w->m.nodes[node].kind != USERDATA || w->m.nodes[node].finalizer)
      expected &= ~LIVE;
  }
  finish(w, L, &call, 0);
  trace("  %lld\n", (long long)i);
  if (found && call.ok != (face == C_API || i <= GBI_HANDLE0))
    differ(w, "find %s", call.ok ? "takes a handle" : "raises an error");
  if (call.ok) lua_settop(L, call.first);
  if (call.epoch > 0) return;  /* something was in between */
  if (call.ok && !(found && lua_isnil(L, -1))) {
    if (!(expected & LIVE)) differ(w, "index %lld is live", (long long)i);
    compare_object(w, L, node, i);
    if (b % 16 < OBJECTS) pop_var(w, L, b % 16, node);
    else if (w->m.nodes[node].kind == REGISTRY)
      pop_var(w, L, REGS + 1, node);
  }
  else if (expected == LIVE)
    differ(w, "index %lld is not live", (long long)i);
}


static void do_snapshot (World *w, lua_State *L, int v, int face) {
  Registry *r = MODEL;
  long fail = read_fail(w, face);
  int to = SNAPS + byte(w) % NSNAPS, id;
  Call call = begin(w, L, face & 3, v, "snapshot", "snapshot", NULL);
  finish(w, L, &call, fail);
  if (!done(w, &call, 1)) return;
  model_mark(&w->m);
  compare_registry(w, L, v);
  id = model_node(&w->m, SNAPSHOT);
  if (id == 0) return;
  w->m.nodes[id].address = lua_topointer(L, -1);
  model_take(model_snapshot(&w->m, id), r);
  trace("  %d\n", id);
  pop_var(w, L, to, id);
}


static void do_restore (World *w, lua_State *L, int v, int face) {
  Registry *r = MODEL;
  long fail = read_fail(w, face);
  int from = SNAPS + byte(w) % NSNAPS, id = w->m.vars[from];
  Call call;
  if (w->m.nodes[id].kind != SNAPSHOT) return;
  pin(w, id);
  call = begin(w, L, face & 3, v, "restore", "restore", NULL);
  push_var(L, from);
  finish(w, L, &call, fail);
  trace("  %d\n", id);
  if (done(w, &call, model_snapshot(&w->m, id)->registry == r->node))
    model_restore(&w->m, r, model_snapshot(&w->m, id));
}


static void do_reset (World *w, lua_State *L, int v, int face) {
  Registry *r = MODEL;
  long fail = read_fail(w, face);
  Call call = begin(w, L, face & 3, v, "reset", "reset",
                    "reset_user_object_tracking");
  finish(w, L, &call, fail);
  if (done(w, &call, 1)) model_reset(r);
}


static void do_registry (World *w, lua_State *L, int v, int face) {
  int id;
  (void)face;
  v = REGS + 1 + byte(w) % (NREGS - 1);
  w->gbi->new_registry(L);
  id = model_node(&w->m, REGISTRY);
  if (id == 0) return;
  w->m.nodes[id].address = lua_topointer(L, -1);
  trace("  var %d = registry %d\n", v, id);
  pop_var(w, L, v, id);
}


/* Compares entries() or constructors(), and has_objects(), with the model. */
static void do_iterate (World *w, lua_State *L, int v, int face) {
  static const char *const kinds[] = {"stored", "user", "graph_created"};
  Registry *r = MODEL;
  int entries = face & 1, last = 0, n = 0, live, dead;
  int iterator = lua_gettop(L) + 1;
  lua_gc(L, LUA_GCSTOP);
  compare(w, L);
  push_var(L, v);
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
    if (lua_tointeger(L, iterator + 3) <= last) differ(w, "not in order");
    last = (int)lua_tointeger(L, iterator + 3);
    if (last > INDICES) differ(w, "an index that is not there");
    if (entries) {
      const Slot *slot = &r->side.slots[last];
      lua_getfield(L, iterator + 4, "status");
      lua_getfield(L, iterator + 4, "kind");
      if (slot->node == 0
          || strcmp(lua_tostring(L, -2), slot->dead ? "dead" : "live") != 0)
        differ(w, "entry %d is %s", last, lua_tostring(L, -2));
      lua_getfield(L, iterator + 4, "object");
      if (!slot->dead) compare_object(w, L, slot->node, last);
      lua_insert(L, -2);
    }
    else lua_pushvalue(L, iterator + 5);
    if (strcmp(lua_tostring(L, -1), kinds[(int)r->kinds[last]]) != 0)
      differ(w, "%d is %s", last, lua_tostring(L, -1));
    lua_settop(L, iterator + 2);
  }
  model_count(r, &live, &dead);
  if (n != (entries ? live + dead : r->last)) differ(w, "%d entries", n);
  push_var(L, v);
  lua_getfield(L, -1, "has_objects");
  lua_insert(L, -2);
  lua_call(L, 1, 1);
  if (lua_toboolean(L, -1) != (r->last > 0)) differ(w, "has_objects");
  if (!w->stopped) lua_gc(L, LUA_GCRESTART);
}


const Step registry_steps[] = {
  {"register", REGS, do_register},
  {"register", REGS, do_register},
  {"register_created", REGS, do_created},
  {"store", REGS, do_store},
  {"store", REGS, do_store},
  {"store_list", REGS, do_store_list},
  {"set", REGS, do_set},
  {"stash", REGS, do_stash},
  {"get", REGS, do_get},
  {"snapshot", REGS, do_snapshot},
  {"restore", REGS, do_restore},
  {"reset", REGS, do_reset},
  {"new registry", 0, do_registry},
  {"iterate", REGS, do_iterate},
  {NULL, 0, NULL}
};

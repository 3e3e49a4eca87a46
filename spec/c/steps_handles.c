/*
** steps_handles.c - steps of a fuzzed program on handle tables
*/
#include <limits.h>
#include <string.h>

#include "world.h"

#define MODEL model_table(&w->m, w->m.vars[v])


/* A handle: nearly always one that may be live here or in another table, else
** odd, or an index. */
static lua_Integer read_handle (World *w, const Table *t) {
  static const lua_Integer odd[] = {
    LLONG_MIN, LLONG_MAX, -1, GBI_HANDLE0 + ((lua_Integer)1 << 31),
    GBI_HANDLE0 + ((lua_Integer)1 << 32) + 1, ((lua_Integer)1 << 32) + 1,
    GBI_HANDLE0 - 1, -GBI_HANDLE0
  };
  int b = byte(w);
  if (b >= 248) return odd[b - 248];
  if (b >= 240) return b % 8;
  return GBI_HANDLE0 + b % (t->n + 3);
}


/* The model's number of the handle. */
static long long number (lua_Integer h) {
  return h < 0 ? -1 : (long long)h - GBI_HANDLE0;
}


/* The answer of a call about its handle: true, a status, or nil and one. */
static int answer (lua_State *L, const Call *call) {
  const char *status = lua_tostring(L, -1);
  if (lua_isboolean(L, call->first) || *status == 'l') return LIVE;
  return *status == 'd' ? DEAD : UNREGISTERED;
}


/* Makes a call that changes a handle. */
static void change (World *w, lua_State *L, Call *call, long fail, Table *t,
                    lua_Integer h) {
  int i = h > GBI_HANDLE0 && h <= GBI_HANDLE0 + t->n ? (int)number(h) : 0;
  if (i != 0) t->handles[i].changing = 1;
  finish(w, L, call, fail);
  t->handles[i].changing = 0;
}


/* A new handle; if the byte says so, of a new object that nothing else
** holds. */
static void give (World *w, lua_State *L, int v, int face, int kind,
                  const char *name) {
  Table *t = MODEL;
  long fail = read_fail(w, face);
  int node;
  Call call;
  if (!HASROOM(w)) return;
  call = begin(w, L, face & 3, v, name, name, NULL);
  node = face & 8 ? new_object(w, L, byte(w)) : operand(w, L);
  finish(w, L, &call, fail);
  if (done(w, &call, kind == STRONG ? node != 0
                                    : model_isobject(&w->m, node))) {
    int i = model_handle(&w->m, t, node, kind);
    trace("  %d = object %d\n", i, node);
    if (lua_tointeger(L, -1) != GBI_HANDLE0 + i)
      differ(w, "handle %lld, expected %d",
             (long long)lua_tointeger(L, -1), i);
  }
}


static void do_weak (World *w, lua_State *L, int v, int face) {
  give(w, L, v, face, WEAK, "weak");
}


static void do_strong (World *w, lua_State *L, int v, int face) {
  give(w, L, v, face, STRONG, "strong");
}


/* get, get_udata or find; the object found goes into a variable. */
static void do_get_handle (World *w, lua_State *L, int v, int face) {
  Table *t = MODEL;
  lua_Integer h = read_handle(w, t);
  int b = byte(w), typed = b & 16, found = b & 32, expected, node = 0;
  Call call;
  compare(w, L);
  expected = model_expect_handle(&w->m, t, number(h));
  if (expected != UNREGISTERED) node = t->handles[number(h)].slot.node;
  if (found) {
    call = begin(w, L, face & 3, v, "find_handle", "find", NULL);
    typed = 0;
  }
  else call = begin(w, L, face & 3, v,
                    typed ? "get_handle_udata" : "get_handle", "get", NULL);
  lua_pushinteger(L, h);
  if (typed) {
    lua_pushstring(L, UDATA);
    if (w->m.nodes[node].kind != USERDATA || w->m.nodes[node].finalizer)
      expected &= ~LIVE;
  }
  finish(w, L, &call, 0);
  trace("  %lld\n", (long long)h);
  if (found && !call.ok) differ(w, "find raises an error");
  if (call.ok) lua_settop(L, call.first);
  if (call.epoch > 0) return;  /* something was in between */
  if (call.ok && !(found && lua_isnil(L, -1))) {
    if (!(expected & LIVE)) differ(w, "handle %lld is live", (long long)h);
    compare_object(w, L, node, h);
    if (b % 16 < OBJECTS) pop_var(w, L, b % 16, node);
    else if (w->m.nodes[node].kind == HANDLE_TABLE)
      pop_var(w, L, TABS + 1, node);
  }
  else if (expected == LIVE)
    differ(w, "handle %lld is not live", (long long)h);
}


static void do_release (World *w, lua_State *L, int v, int face) {
  Table *t = MODEL;
  long fail = read_fail(w, face);
  lua_Integer h = read_handle(w, t);
  int expected;
  Call call;
  compare(w, L);
  expected = model_expect_handle(&w->m, t, number(h));
  call = begin(w, L, face & 3, v, "release", "release", NULL);
  lua_pushinteger(L, h);
  change(w, L, &call, fail, t, h);
  trace("  %lld\n", (long long)h);
  if (!done(w, &call, 1)) return;
  if (call.epoch == 0 && !(answer(L, &call) & expected))
    differ(w, "release answers %d, expected %d", answer(L, &call), expected);
  if (answer(L, &call) != UNREGISTERED) model_release(t, number(h));
}


static void do_on_collect (World *w, lua_State *L, int v, int face) {
  Table *t = MODEL;
  long fail = read_fail(w, face);
  lua_Integer h = read_handle(w, t);
  int fn, expected;
  Call call;
  compare(w, L);
  call = begin(w, L, face & 3, v, "on_collect", "on_collect", NULL);
  lua_pushinteger(L, h);
  /* often a new function */
  fn = face & 8 ? operand(w, L) : new_object(w, L, (byte(w) & 0x70) | 2);
  if (w->m.nodes[fn].kind == LIGHT_FUNCTION) {  /* does not report itself */
    lua_pop(L, 1);
    lua_pushnil(L);
    fn = 0;
  }
  expected = model_expect_handle(&w->m, t, number(h));
  change(w, L, &call, fail, t, h);
  trace("  %lld, function %d\n", (long long)h, fn);
  if (!done(w, &call, fn == 0 || w->m.nodes[fn].kind == FUNCTION)) return;
  if (call.epoch == 0 && !(answer(L, &call) & expected))
    differ(w, "on_collect answers %d, expected %d", answer(L, &call),
           expected);
  if (answer(L, &call) == LIVE)
    t->handles[number(h)].callback = (short)fn;
}


/* The callbacks compare their calls themselves: see world.c. */
static void do_sweep (World *w, lua_State *L, int v, int face) {
  Table *t = MODEL;
  Sweep s = {0};
  Call call;
  int i;
  compare(w, L);
  s.outer = w->sweep;
  s.table = t->node;
  for (i = t->first; i <= t->n; i++)
    if (t->handles[i].slot.dead && t->handles[i].callback != 0)
      s.found[s.n++] = (short)i;
  call = begin(w, L, face & 3, v, "sweep", "sweep", NULL);
  w->sweep = &s;
  finish(w, L, &call, 0);
  w->sweep = s.outer;
  trace("  %d found\n", s.n);
  if (!call.ok) return;
  if (lua_tointeger(L, -1) != s.called)
    differ(w, "sweep called %d, expected %d", (int)lua_tointeger(L, -1),
           s.called);
  for (; s.next < s.n && !w->m.closing; s.next++)
    if (t->handles[s.found[s.next]].callback != 0)
      differ(w, "the callback of %d was left out", s.found[s.next]);
}


static void do_handles (World *w, lua_State *L, int v, int face) {
  int id;
  (void)face;
  v = TABS + 1 + byte(w) % (NTABS - 1);
  w->gbi->new_handles(L);
  id = model_node(&w->m, HANDLE_TABLE);
  if (id == 0) return;
  w->m.nodes[id].address = lua_topointer(L, -1);
  trace("  var %d = handle table %d\n", v, id);
  pop_var(w, L, v, id);
}


/* Compares entries() with the model, while further steps may change the table:
** in order, all handles that stay live, and no new ones. */
static void do_entries (World *w, lua_State *L, int v, int face) {
  static const char *const kinds[] = {"weak", "strong", "run"};
  Table *t = MODEL;
  int i, n, may, last = 0, iterator = lua_gettop(L) + 1;
  char seen[HANDLES + 1] = {0};
  compare(w, L);
  n = t->n;
  push_var(L, v);
  lua_getfield(L, -1, "entries");
  lua_insert(L, -2);
  lua_call(L, 1, 1);
  may = t->n;  /* finalizers have given out some handles */
  for (;;) {
    Handle *h;
    lua_pushvalue(L, iterator);
    lua_call(L, 0, 3);
    if (lua_isnil(L, iterator + 1)) break;
    i = (int)(lua_tointeger(L, iterator + 1) - GBI_HANDLE0);
    if (i <= last || i > may) differ(w, "entry %d after %d", i, last);
    h = &t->handles[i];
    model_mark(&w->m);
    if (!(model_expect_handle(&w->m, t, i) & LIVE))
      differ(w, "entry %d is not live", i);
    if (strcmp(lua_tostring(L, iterator + 3), kinds[(int)h->kind]) != 0)
      differ(w, "entry %d is %s", i, lua_tostring(L, iterator + 3));
    lua_settop(L, iterator + 2);
    compare_object(w, L, h->slot.node, i);
    lua_settop(L, iterator);
    last = i;
    seen[i] = 1;
    if (face & 1) act(w, L, 1);
  }
  compare(w, L);
  for (i = t->first; i <= n; i++)
    if (!seen[i] && !t->handles[i].slot.dead)
      differ(w, "entry %d was left out", i);
}


const Step handle_steps[] = {
  {"weak", TABS, do_weak},
  {"weak", TABS, do_weak},
  {"weak", TABS, do_weak},
  {"strong", TABS, do_strong},
  {"get handle", TABS, do_get_handle},
  {"release", TABS, do_release},
  {"on_collect", TABS, do_on_collect},
  {"on_collect", TABS, do_on_collect},
  {"on_collect", TABS, do_on_collect},
  {"sweep", TABS, do_sweep},
  {"sweep", TABS, do_sweep},
  {"new handles", 0, do_handles},
  {"handle entries", TABS, do_entries},
  {NULL, 0, NULL}
};

/*
** steps_runs.c - steps of a fuzzed program on calls of compiled graphs
**
** The functions below do what code does that gbi generates: for a backend, and
** where one object is handed on. The body runs steps of the program and then
** returns, fails or yields, and a coroutine that yielded is resumed, dropped or
** closed.
*/
#include "world.h"

static char backendkey, handingkey;  /* gcc may merge constants */

static const char graphs[] =
  "local core, body = ...\n"
  "local enter, leave = core.enter, core.leave\n"
  "local hand_on, hand_back = core.hand_on, core.hand_back\n"
  "local function backend(registry, id, n, ...)\n"
  "  local run, stash = enter(registry, {...}, n)\n"
  "  return leave(run, stash, body(run, id))\n"
  "end\n"
  "local function handing(registry, id, n, ...)\n"
  "  local list = {(...) or nil, 0}\n"
  "  local handle = hand_on(registry, list, 1)\n"
  "  local result = body(handle, id)\n"
  "  hand_back(list)\n"
  "  return result\n"
  "end\n"
  "return backend, handing\n";


/* {==================================================================
** The body
** =================================================================== */

static int resumed (lua_State *L, int status, lua_KContext id);


/* Runs some steps in run `id`, and then does what the byte says.
** [run or handle, id] -> [id] */
static int work (World *w, lua_State *L, int id) {
  Run *run = model_run(&w->m, id);
  int b = byte(w), v = UNDERWAY + w->depth, outer = w->run;
  if (lua_istable(L, 1)) {
    lua_pushvalue(L, 1);
    pop_var(w, L, v, id);
    w->run = v;
  }
  act(w, L, b & 3);
  w->run = outer;
  drop_var(w, L, v);
  b >>= 2;
  run->does = b % 4 == 1 ? FAILS
            : b % 4 >= 2 && lua_isyieldable(L) ? YIELDS : RETURNS;
  trace("  run %d %s\n", id, run->does == FAILS ? "fails"
                           : run->does == YIELDS ? "yields" : "returns");
  if (run->does == RETURNS) model_ending(&w->m, run);
  if (run->does == FAILS) return luaL_error(L, "body");
  if (run->does == YIELDS) return lua_yieldk(L, 0, id, resumed);
  lua_pushinteger(L, id);
  return 1;
}


static int resumed (lua_State *L, int status, lua_KContext id) {
  (void)status;
  return work(world(L), L, (int)id);
}


static int body (lua_State *L) {
  World *w = world(L);
  int id = (int)lua_tointeger(L, 2);
  Run *run = model_run(&w->m, id);
  w->fail = 0;  /* the failure should have come before */
  w->m.nodes[id].address = lua_topointer(L, 1);
  run->does = YIELDS;
  if (lua_istable(L, 1)) {
    Registry *r = model_registry(&w->m, run->registry);
    run->stash = (short)model_begin(&w->m, r);
    pin(w, -run->stash);
  }
  else {
    int h = model_handle_of_run(&w->m, run, 1);
    if (lua_tointeger(L, 1) != GBI_HANDLE0 + h)
      differ(w, "handle %lld, expected %d", (long long)lua_tointeger(L, 1), h);
  }
  return work(w, L, id);
}


/* [] -> [] */
void open_runs (lua_State *L) {
  if (luaL_loadstring(L, graphs) != LUA_OK) lua_error(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "gbi.core");
  lua_replace(L, -2);
  lua_pushcfunction(L, body);
  lua_call(L, 2, 2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &handingkey);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &backendkey);
}

/* }================================================================== */


/* {==================================================================
** Calls
** =================================================================== */

/* The call of run `id` has returned with this status, its result on the top.
** `enters` says whether the run can have begun. */
static void came_back (World *w, lua_State *L, int id, int status,
                       int enters) {
  Run *run = model_run(&w->m, id);
  if (w->failed) w->m.loose++;
  switch (status) {
    case LUA_OK:
      if (run->does != RETURNS) differ(w, "run %d returns", id);
      if (lua_tointeger(L, -1) != id) differ(w, "another run's result");
      model_end(&w->m, run);
      break;
    case LUA_YIELD:
      if (run->does != YIELDS) differ(w, "run %d yields", id);
      break;
    default:
      trace("  failed: %s\n", lua_isstring(L, -1) ? lua_tostring(L, -1) : "?");
      if (run->does == ENTERING ? enters && !w->failed : run->does != FAILS)
        differ(w, "run %d fails", id);
  }
}


/* Runs the coroutine at stack index -1, with the `n` values on its stack. */
static void resume (World *w, lua_State *L, int thread, int n, int enters,
                    long fail) {
  lua_State *co = lua_tothread(L, -1);
  Node *node = &w->m.nodes[thread];
  int status, results;
  pin(w, thread);
  node->state = RUNNING;
  w->failed = 0;
  w->fail = fail;
  status = lua_resume(co, L, n, &results);
  w->fail = 0;
  came_back(w, co, node->run, status, enters);
  node->state = status == LUA_OK ? IDLE
              : status == LUA_YIELD ? SUSPENDED : FAILED;
  if (status == LUA_OK) {
    lua_settop(co, 1);  /* the nodes that the coroutine refers to */
    node->run = 0;
  }
}


/* Calls a graph, in the coroutine of a variable if the byte says so. */
static void do_call (World *w, lua_State *L, int v, int face) {
  long fail = read_fail(w, face);
  int b = byte(w), c = byte(w), n = c % 14, thread = w->m.vars[b % OBJECTS];
  int id = model_node(&w->m, RUN), enters = 1, i;
  Run *run = model_run(&w->m, id);
  if (id == 0 || !HASROOM(w)) return;
  if (!model_hasstash(&w->m, model_registry(&w->m, w->m.vars[v]))) return;
  run->registry = w->m.vars[v];
  run->n = n;
  luaL_checkstack(L, 2 * LUA_MINSTACK, NULL);
  if (b >= 128 && thread == 0) {
    thread = new_object(w, L, 3);
    pop_var(w, L, b % OBJECTS, thread);
  }
  if (b >= 128) push_var(L, b % OBJECTS);
  lua_rawgetp(L, LUA_REGISTRYINDEX, c < 128 ? &backendkey : &handingkey);
  push_var(L, v);
  lua_pushinteger(L, id);
  lua_pushinteger(L, n);
  for (i = 1; i <= n; i++) {
    int node = operand(w, L);
    if (model_isobject(&w->m, node)) run->objects[i] = (short)node;
    else if (lua_isnil(L, -1) || lua_toboolean(L, -1)) enters = 0;
    trace("  [%d] = %d\n", i, run->objects[i]);
  }
  /* only objects that are handed on must be objects */
  if (c >= 128) enters = (run->objects[1] != 0);
  pin(w, id);
  trace("  run %d, thread %d\n", id, b < 128 ? 0 : thread);
  if (b < 128) {
    Call call = {0, 0, 0, 0};
    call.first = lua_gettop(L) - n - 3;
    finish(w, L, &call, fail);
    came_back(w, L, id, call.ok ? LUA_OK : LUA_ERRRUN, enters);
  }
  else if (w->m.nodes[thread].kind == THREAD
           && w->m.nodes[thread].state == IDLE) {
    lua_State *co = lua_tothread(L, -n - 5);
    luaL_checkstack(co, 2 * LUA_MINSTACK, NULL);
    lua_xmove(L, co, n + 4);
    w->m.nodes[thread].run = (short)id;
    resume(w, L, thread, n + 3, enters, fail);
  }
}


static void do_resume (World *w, lua_State *L, int v, int face) {
  int thread;
  (void)face;
  v = byte(w) % OBJECTS;
  thread = w->m.vars[v];
  if (w->m.nodes[thread].state != SUSPENDED) return;
  trace("  thread %d\n", thread);
  push_var(L, v);
  resume(w, L, thread, 0, 1, 0);
}


/* Does what coroutine.close does. */
static void do_close_thread (World *w, lua_State *L, int v, int face) {
  Node *node;
  lua_State *co;
  (void)face;
  v = byte(w) % OBJECTS;
  node = &w->m.nodes[w->m.vars[v]];
  if (node->state != SUSPENDED && node->state != FAILED) return;
  trace("  thread %d\n", w->m.vars[v]);
  push_var(L, v);
  co = lua_tothread(L, -1);
  lua_resetthread(co);
  lua_settop(co, 0);
  lua_pushnil(co);
  node->state = IDLE;
  node->run = node->ref = 0;
}

/* }================================================================== */


/* {==================================================================
** Runs
** =================================================================== */

/* The variable of a run: the innermost one under way, or a kept one. */
static int read_run (World *w) {
  int b = byte(w);
  return w->run != 0 && b < 192 ? w->run : CALLS + b % NCALLS;
}


/* A kept run outlives its call. */
static void do_keep (World *w, lua_State *L, int v, int face) {
  int from = read_run(w);
  (void)face;
  v = CALLS + byte(w) % NCALLS;
  push_var(L, from);
  pop_var(w, L, v, w->m.vars[from]);
}


static void do_handle (World *w, lua_State *L, int v, int face) {
  long fail = read_fail(w, face);
  Call call = {0, 0, 0, 0};
  int b, id, ok;
  lua_Integer i;
  Run *run;
  v = read_run(w);
  id = w->m.vars[v];
  b = byte(w);
  if (w->m.nodes[id].kind != RUN || !HASROOM(w)) return;
  run = model_run(&w->m, id);
  i = b < 240 ? b % (run->n + 2) : b < 248 ? GBI_HANDLE0 + b % 8 : 247 - b;
  ok = i >= 1 && i <= run->n && run->objects[i] != 0 && !run->ended;
  call.first = lua_gettop(L) + 1;
  call.epoch = w->epoch;
  push_var(L, v);
  lua_getfield(L, -1, "handle");
  lua_insert(L, -2);
  lua_pushinteger(L, i);
  pin(w, id);
  finish(w, L, &call, fail);
  trace("  run %d, index %lld\n", id, (long long)i);
  if (done(w, &call, ok)) {
    if (run->handles[i] == 0) model_handle_of_run(&w->m, run, (int)i);
    if (lua_tointeger(L, -1) != GBI_HANDLE0 + run->handles[i])
      differ(w, "handle %lld, expected %d",
             (long long)lua_tointeger(L, -1), run->handles[i]);
  }
}


/* Compares run[index]. */
static void do_look (World *w, lua_State *L, int v, int face) {
  int i, id, top = lua_gettop(L);
  Run *run;
  (void)face;
  v = read_run(w);
  id = w->m.vars[v];
  if (w->m.nodes[id].kind != RUN) return;
  run = model_run(&w->m, id);
  push_var(L, v);
  for (i = 0; i <= run->n + 1; i++) {
    lua_geti(L, top + 1, i);
    if (i <= run->n && run->objects[i] != 0)
      compare_object(w, L, run->objects[i], i);
    else if (!lua_isnil(L, -1)) differ(w, "run %d has object %d", id, i);
    lua_pop(L, 1);
  }
}

/* }================================================================== */


const Step run_steps[] = {
  {"call", REGS, do_call},
  {"call", REGS, do_call},
  {"call", REGS, do_call},
  {"resume", 0, do_resume},
  {"resume", 0, do_resume},
  {"close a coroutine", 0, do_close_thread},
  {"keep a run", 0, do_keep},
  {"handle of a run", 0, do_handle},
  {"handle of a run", 0, do_handle},
  {"handle of a run", 0, do_handle},
  {"look at a run", 0, do_look},
  {NULL, 0, NULL}
};

/*
** steps_objects.c - steps of a fuzzed program on its objects and the collector
*/
#include "world.h"


static void do_new (World *w, lua_State *L, int v, int face) {
  int id;
  (void)face;
  v = byte(w) % OBJECTS;
  id = new_object(w, L, byte(w));
  trace("  var %d = object %d\n", v, id);
  pop_var(w, L, v, id);
}


static void do_drop (World *w, lua_State *L, int v, int face) {
  (void)face;
  v = byte(w) % NAMED;
  if (v == REGS || v == TABS) return;
  trace("  drop %d\n", v);
  drop_var(w, L, v);
}


static void do_copy (World *w, lua_State *L, int v, int face) {
  int from = byte(w) % OBJECTS;
  (void)face;
  v = byte(w) % OBJECTS;
  push_var(L, from);
  pop_var(w, L, v, w->m.vars[from]);
}


/* Makes an object hold another, or nothing. A coroutine only if nothing else is
** on its stack. */
static void do_refer (World *w, lua_State *L, int v, int face) {
  int id = operand(w, L);
  int to = operand(w, L);
  lua_State *co;
  (void)v, (void)face;
  trace("  %d refers to %d\n", id, to);
  if (!model_isobject(&w->m, to)) {
    lua_pop(L, 1);
    lua_pushnil(L);
    to = 0;
  }
  switch (w->m.nodes[id].kind) {
    case TABLE: lua_rawseti(L, -2, 2); break;
    case USERDATA: lua_setiuservalue(L, -2, 1); break;
    case FUNCTION: lua_setupvalue(L, -2, 2); break;
    case THREAD:
      if (w->m.nodes[id].state != IDLE) return;
      co = lua_tothread(L, -2);
      lua_xmove(L, co, 1);
      lua_replace(co, 1);
      break;
    default: return;
  }
  w->m.nodes[id].ref = (short)to;
}


/* Puts the object that an object holds into a variable. */
static void do_follow (World *w, lua_State *L, int v, int face) {
  int from = byte(w) % OBJECTS, id = w->m.vars[from];
  (void)face;
  v = byte(w) % OBJECTS;
  if (id == 0 || w->m.nodes[id].ref == 0) return;
  push_var(L, from);
  switch (w->m.nodes[id].kind) {
    case TABLE: lua_rawgeti(L, -1, 2); break;
    case USERDATA: lua_getiuservalue(L, -1, 1); break;
    case FUNCTION: lua_getupvalue(L, -1, 2); break;
    case THREAD:
      if (w->m.nodes[id].state != IDLE) return;
      lua_pushvalue(lua_tothread(L, -1), 1);
      lua_xmove(lua_tothread(L, -1), L, 1);
      break;
    default: return;
  }
  id = w->m.nodes[id].ref;
  compare_object(w, L, id, 0);
  pop_var(w, L, v, id);
}


/* Collects until no finalizer of the program runs: then all objects that are
** not held are gone. Twice, because a guard that is left from an emergency
** holds its registry through the first time. */
static void do_collect (World *w, lua_State *L, int v, int face) {
  const char *wrong;
  int tries, rc, quiet = 0;
  (void)v, (void)face;
  for (tries = 0; tries < 10000 && quiet < 2; tries++) {
    unsigned finalized = w->finalized;
    w->m.loose++;
    rc = lua_gc(L, LUA_GCCOLLECT, 0);
    w->m.loose--;
    if (rc < 0) return;  /* in a finalizer */
    quiet = w->finalized == finalized ? quiet + 1 : 0;
  }
  if (w->finalized > NODES) differ(w, "finalizers go on and on");
  if (w->stopped) w->m.loose = 0;
  wrong = model_collected(&w->m);
  if (wrong != NULL) differ(w, "%s", wrong);
}


static void do_gc_step (World *w, lua_State *L, int v, int face) {
  (void)v, (void)face;
  w->m.loose++;
  compat_gcstep(L, byte(w) % 8);
}


/* The program is over. */
static void do_close (World *w, lua_State *L, int v, int face) {
  (void)L, (void)v, (void)face;
  if (w->depth == 1) w->steps = MAX_STEPS;
}


const Step object_steps[] = {
  {"new", 0, do_new},
  {"drop", 0, do_drop},
  {"drop", 0, do_drop},
  {"copy", 0, do_copy},
  {"refer", 0, do_refer},
  {"follow", 0, do_follow},
  {"collect", 0, do_collect},
  {"collect", 0, do_collect},
  {"gc step", 0, do_gc_step},
  {"close", 0, do_close},
  {NULL, 0, NULL}
};

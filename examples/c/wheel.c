/*
** wheel.c - a timer wheel in C that holds objects by number
**
**     local w = require("wheel").new(100)   -- room for 100 timers
**     w:after(3, object)                    -- object:fire() at the 3rd tick
**     local fired, skipped = w:tick()
**
** A timer does not keep its object alive: one that was collected meanwhile is
** skipped. The wheel is plain C data without references to Lua objects; a
** timer holds a handle of the Lua state's own table, which gbi.h calls table 0.
** It compiles for every Lua with gbi.h alone.
*/
#include "gbi.h"

#define WHEEL "example.wheel"
#define SPOKES 64
#define NIL (-1)

typedef struct Timer {
  lua_Integer handle;  /* of its object */
  lua_Integer due;
  int next;            /* in its list, or NIL */
} Timer;

typedef struct Wheel {
  const gbi_API *gbi;
  lua_Integer now;
  int spokes[SPOKES];  /* lists of timers, by the tick at which they are due */
  int ready;           /* list of the timers that are due */
  int unused;          /* list of free timers */
  Timer timers[1];     /* the number of places */
} Wheel;


static Wheel *checkwheel (lua_State *L) {
  return (Wheel *)luaL_checkudata(L, 1, WHEEL);
}


/* new(room) -> wheel */
static int wheel_new (lua_State *L) {
  lua_Integer i, room = luaL_checkinteger(L, 1);
  const gbi_API *gbi = gbi_open(L);
  Wheel *w;
  luaL_argcheck(L, room >= 1 && room <= 1000000, 1, "out of range");
  w = (Wheel *)lua_newuserdata(L, sizeof(Wheel)
                               + (size_t)room * sizeof(Timer));
  w->gbi = gbi;
  w->now = 0;
  for (i = 0; i < SPOKES; i++) w->spokes[i] = NIL;
  w->ready = NIL;
  w->unused = 0;
  for (i = 0; i < room; i++) w->timers[i].next = (int)i + 1;
  w->timers[room - 1].next = NIL;
  luaL_getmetatable(L, WHEEL);
  lua_setmetatable(L, -2);
  return 1;
}


/* wheel:after(ticks, object) -> true | nil, "full" */
static int wheel_after (lua_State *L) {
  Wheel *w = checkwheel(L);
  lua_Integer ticks = luaL_checkinteger(L, 2), handle;
  int t;
  luaL_argcheck(L, ticks >= 1 && ticks <= 1000000000, 2, "out of range");
  luaL_checkany(L, 3);
  handle = w->gbi->weak(L, 0, 3);
  t = w->unused;  /* only now: `weak` may have run a finalizer */
  if (t == NIL) {
    w->gbi->release(L, 0, handle);
    lua_pushnil(L);
    lua_pushliteral(L, "full");
    return 2;
  }
  w->unused = w->timers[t].next;
  w->timers[t].handle = handle;
  w->timers[t].due = w->now + ticks;
  w->timers[t].next = w->spokes[w->timers[t].due % SPOKES];
  w->spokes[w->timers[t].due % SPOKES] = t;
  lua_pushboolean(L, 1);
  return 1;
}


/* Moves the timers that are due at this tick to the ready list, oldest
** first. */
static void makeready (Wheel *w) {
  int *from = &w->spokes[w->now % SPOKES];
  int *end = &w->ready;
  while (*end != NIL) end = &w->timers[*end].next;
  while (*from != NIL) {
    int t = *from;
    if (w->timers[t].due == w->now) {
      *from = w->timers[t].next;
      w->timers[t].next = *end;  /* a spoke's list has the youngest first */
      *end = t;
    }
    else from = &w->timers[t].next;
  }
}


/* wheel:tick() -> fired, skipped. If a `fire` raises an error, the timers after
** it wait for the next tick. */
static int wheel_tick (lua_State *L) {
  lua_Integer fired = 0, skipped = 0;
  Wheel *w = checkwheel(L);
  w->now++;
  makeready(w);
  while (w->ready != NIL) {
    int t = w->ready;
    lua_Integer handle = w->timers[t].handle;
    int status = w->gbi->find_handle(L, 0, handle);
    w->ready = w->timers[t].next;
    w->timers[t].next = w->unused;
    w->unused = t;
    w->gbi->release(L, 0, handle);
    if (status == GBI_LIVE) {
      lua_getfield(L, -1, "fire");
      lua_insert(L, -2);
      lua_call(L, 1, 0);
      fired++;
    }
    else {
      lua_pop(L, 1);
      skipped++;
    }
  }
  lua_pushinteger(L, fired);
  lua_pushinteger(L, skipped);
  return 2;
}


/* Counts the timers of a list by whether their objects are alive. */
static void countlist (lua_State *L, Wheel *w, int t, lua_Integer *live,
                       lua_Integer *dead) {
  for (; t != NIL; t = w->timers[t].next) {
    int status = w->gbi->find_handle(L, 0, w->timers[t].handle);
    lua_pop(L, 1);
    if (status == GBI_LIVE) (*live)++;
    else (*dead)++;
  }
}


/* wheel:count() -> live, dead: the waiting timers, by their objects */
static int wheel_count (lua_State *L) {
  lua_Integer live = 0, dead = 0;
  Wheel *w = checkwheel(L);
  int i;
  for (i = 0; i < SPOKES; i++) countlist(L, w, w->spokes[i], &live, &dead);
  countlist(L, w, w->ready, &live, &dead);
  lua_pushinteger(L, live);
  lua_pushinteger(L, dead);
  return 2;
}


static void releaselist (lua_State *L, Wheel *w, int t) {
  for (; t != NIL; t = w->timers[t].next)
    w->gbi->release(L, 0, w->timers[t].handle);
}


/* Releases the handles of the waiting timers: their objects may live much
** longer than the wheel. */
static int wheel_gc (lua_State *L) {
  Wheel *w = checkwheel(L);
  int i;
  for (i = 0; i < SPOKES; i++) {
    releaselist(L, w, w->spokes[i]);
    w->spokes[i] = NIL;
  }
  releaselist(L, w, w->ready);
  w->ready = NIL;
  return 0;
}


static const luaL_Reg methods[] = {
  {"after", wheel_after},
  {"tick", wheel_tick},
  {"count", wheel_count},
  {NULL, NULL}
};


int luaopen_wheel (lua_State *L);

int luaopen_wheel (lua_State *L) {
  enum {MODULE = 1, MT, INDEX};
  const luaL_Reg *f;
  lua_settop(L, 0);
  lua_newtable(L);
  luaL_newmetatable(L, WHEEL);
  lua_newtable(L);
  for (f = methods; f->name != NULL; f++) {
    lua_pushcfunction(L, f->func);
    lua_setfield(L, INDEX, f->name);
  }
  lua_setfield(L, MT, "__index");
  lua_pushcfunction(L, wheel_gc);
  lua_setfield(L, MT, "__gc");
  lua_pushcfunction(L, wheel_new);
  lua_setfield(L, MODULE, "new");
  lua_settop(L, MODULE);
  return 1;
}

/*
** wheel.c - a timer wheel in C that holds objects by number
**
**     local w = require("wheel").new(100)   -- room for 100 timers
**     w:after(3, object)                    -- object:fire() at the 3rd tick
**     local fired, skipped = w:tick()
**
** A timer does not keep its object alive: one that was collected meanwhile is
** skipped. The wheel is plain C data with no references to Lua objects but
** the numbers that gbi gives out. It compiles for every Lua with gbi.h alone.
*/
#include "gbi.h"

#define WHEEL "example.wheel"
#define SPOKES 64
#define NIL (-1)

typedef struct Timer {
  lua_Integer index;  /* what gbi calls the object */
  lua_Integer due;
  int next;           /* in its list, or NIL */
} Timer;

typedef struct Wheel {
  const gbi_API *gbi;
  lua_Integer now;
  int spokes[SPOKES];  /* lists of timers, by the tick they are due at */
  int ready;           /* list of those that are due */
  int unused;          /* list of free timers */
  Timer timers[1];     /* as many as there is room for */
} Wheel;


/* The wheel at argument 1; pushes its registry and returns where it is.
** Upvalue 1 of all functions: the registries, by their wheels. */
static Wheel *checkwheel (lua_State *L, int *reg) {
  Wheel *w = (Wheel *)luaL_checkudata(L, 1, WHEEL);
  lua_pushvalue(L, 1);
  lua_rawget(L, lua_upvalueindex(1));
  *reg = lua_gettop(L);
  return w;
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
  lua_pushvalue(L, -1);
  gbi->new_registry(L);
  lua_rawset(L, lua_upvalueindex(1));
  return 1;
}


/* wheel:after(ticks, object) -> true | nil, "full" */
static int wheel_after (lua_State *L) {
  int reg, t;
  Wheel *w = checkwheel(L, &reg);
  lua_Integer ticks = luaL_checkinteger(L, 2), index;
  luaL_argcheck(L, ticks >= 1 && ticks <= 1000000000, 2, "out of range");
  luaL_checkany(L, 3);
  if (w->unused == NIL) {
    lua_pushnil(L);
    lua_pushliteral(L, "full");
    return 2;
  }
  lua_pushvalue(L, 3);
  index = w->gbi->register_object(L, reg, 0);
  t = w->unused;  /* only now: registering may have run a finalizer */
  if (t == NIL) {
    w->gbi->release(L, reg, index);
    lua_pushnil(L);
    lua_pushliteral(L, "full");
    return 2;
  }
  w->unused = w->timers[t].next;
  w->timers[t].index = index;
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


/* wheel:tick() -> fired, skipped. An error of a `fire` leaves the timers
** after it for the next tick. */
static int wheel_tick (lua_State *L) {
  int reg;
  lua_Integer fired = 0, skipped = 0;
  Wheel *w = checkwheel(L, &reg);
  w->now++;
  makeready(w);
  while (w->ready != NIL) {
    int t = w->ready;
    lua_Integer index = w->timers[t].index;
    int status = w->gbi->find(L, reg, index);
    w->ready = w->timers[t].next;
    w->timers[t].next = w->unused;
    w->unused = t;
    w->gbi->release(L, reg, index);
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


/* wheel:count() -> live, dead: timers that wait, by their objects */
static int wheel_count (lua_State *L) {
  int reg;
  lua_Integer live, dead;
  Wheel *w = checkwheel(L, &reg);
  w->gbi->count(L, reg, &live, &dead);
  lua_pushinteger(L, live);
  lua_pushinteger(L, dead);
  return 2;
}


static const luaL_Reg methods[] = {
  {"after", wheel_after},
  {"tick", wheel_tick},
  {"count", wheel_count},
  {NULL, NULL}
};


int luaopen_wheel (lua_State *L);

int luaopen_wheel (lua_State *L) {
  enum {MODULE = 1, REGISTRIES, MT, INDEX};
  const luaL_Reg *f;
  lua_settop(L, 0);
  lua_newtable(L);
  lua_newtable(L);
  lua_newtable(L);  /* weak keys: a registry goes with its wheel */
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, REGISTRIES);
  luaL_newmetatable(L, WHEEL);
  lua_newtable(L);
  for (f = methods; f->name != NULL; f++) {
    lua_pushvalue(L, REGISTRIES);
    lua_pushcclosure(L, f->func, 1);
    lua_setfield(L, INDEX, f->name);
  }
  lua_setfield(L, MT, "__index");
  lua_pushvalue(L, REGISTRIES);
  lua_pushcclosure(L, wheel_new, 1);
  lua_setfield(L, MODULE, "new");
  lua_settop(L, MODULE);
  return 1;
}

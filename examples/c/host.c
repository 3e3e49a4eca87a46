/*
** host.c - a program that embeds Lua, with gbi compiled in
**
**     host SCRIPT [ARG ...]
**
** It has a job queue of the kind that a C library brings along: a function
** and a `void *` for whoever submits a job. The script submits Lua objects;
** the `void *` in the queue is a handle. Table 0 of gbi.h's functions
** is the Lua state's own handle table.
*/
#include <stdio.h>

#include <lualib.h>

#include "gbi.h"

#define MAX_JOBS 1024

/* {== the library: knows nothing about Lua == */

typedef struct Queue {
  struct {
    void (*work) (void *context, void *data);
    void *data;
  } jobs[MAX_JOBS];
  int first, count;
} Queue;


static int queue_submit (Queue *q, void (*work) (void *, void *), void *data) {
  int i = (q->first + q->count) % MAX_JOBS;
  if (q->count == MAX_JOBS) return 0;
  q->jobs[i].work = work;
  q->jobs[i].data = data;
  q->count++;
  return 1;
}


static void queue_run (Queue *q, void *context) {
  while (q->count > 0) {
    int i = q->first;
    q->first = (q->first + 1) % MAX_JOBS;
    q->count--;
    q->jobs[i].work(context, q->jobs[i].data);
  }
}

/* }== */


typedef struct Host {
  const gbi_API *gbi;
  Queue queue;
  int done, gone;
} Host;


/* Calls the job's object, unless it was collected. The context is the Lua
** state, with the host at stack index 1. */
static void work (void *context, void *data) {
  lua_State *L = (lua_State *)context;
  Host *host = (Host *)lua_touserdata(L, 1);
  lua_Integer handle = GBI_TOHANDLE(data);
  if (host->gbi->find_handle(L, 0, handle) == GBI_LIVE) {
    host->gbi->release(L, 0, handle);
    host->done++;
    lua_call(L, 0, 0);
  }
  else {  /* a dead handle takes no memory, and need not be released */
    host->gone++;
    lua_pop(L, 1);
  }
}


/* submit(f) -> true | nil, "full": run will call f, if it still exists.
** Upvalue: the host. */
static int host_submit (lua_State *L) {
  Host *host = (Host *)lua_touserdata(L, lua_upvalueindex(1));
  lua_Integer handle;
  luaL_checktype(L, 1, LUA_TFUNCTION);
  handle = host->gbi->weak(L, 0, 1);
  if (queue_submit(&host->queue, work, GBI_TOPOINTER(handle))) {
    lua_pushboolean(L, 1);
    return 1;
  }
  host->gbi->release(L, 0, handle);
  lua_pushnil(L);
  lua_pushliteral(L, "full");
  return 2;
}


/* run() -> the number of jobs done, and the number of dead ones. */
static int host_run (lua_State *L) {
  Host *host = (Host *)lua_touserdata(L, lua_upvalueindex(1));
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(1));
  host->done = host->gone = 0;
  queue_run(&host->queue, L);
  lua_pushinteger(L, host->done);
  lua_pushinteger(L, host->gone);
  return 2;
}


static const luaL_Reg functions[] = {
  {"submit", host_submit},
  {"run", host_run},
  {NULL, NULL}
};


/* Everything that may raise, under one lua_pcall. [host, script, args] */
static int pmain (lua_State *L) {
  static const Host empty = {0};
  char **argv = (char **)lua_touserdata(L, 1);
  int i;
  const luaL_Reg *f;
  Host *host;
  luaL_openlibs(L);
  lua_getglobal(L, "package");  /* for `require`: the compiled-in modules */
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, luaopen_gbi_core);
  lua_setfield(L, -2, "gbi.core");
  host = (Host *)lua_newuserdata(L, sizeof(Host));
  *host = empty;
  host->gbi = gbi_open(L);
  lua_newtable(L);
  for (f = functions; f->name != NULL; f++) {
    lua_pushvalue(L, -2);
    lua_pushcclosure(L, f->func, 1);
    lua_setfield(L, -2, f->name);
  }
  lua_setglobal(L, "host");
  if (luaL_loadfile(L, argv[1]) != 0) lua_error(L);
  for (i = 2; argv[i] != NULL; i++) {
    luaL_checkstack(L, 1, "too many arguments");
    lua_pushstring(L, argv[i]);
  }
  lua_call(L, i - 2, 0);
  return 0;
}


int main (int argc, char **argv) {
  lua_State *L = luaL_newstate();
  int failed;
  if (argc < 2 || L == NULL) {
    fprintf(stderr, "usage: %s SCRIPT [ARG ...]\n", argv[0]);
    return 2;
  }
  lua_pushcfunction(L, pmain);
  lua_pushlightuserdata(L, argv);
  failed = lua_pcall(L, 1, 0, 0);
  if (failed) {
    const char *message;
    luaL_callmeta(L, -1, "__tostring");
    message = lua_tostring(L, -1);
    fprintf(stderr, "%s: %s\n", argv[0],
            message != NULL ? message : "an error without a message");
  }
  lua_close(L);
  return failed ? 1 : 0;
}

/*
** threads.c - several Lua states in as many threads use gbi at once
**
**     threads N ROUNDS SCRIPT
**
** Each thread runs the script ROUNDS times, in a new state each time, with
** gbi.core and capi compiled in. The script returns a string, the same one in
** all of them. To be built with -fsanitize=thread.
*/
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lualib.h>

#include "compat.h"
#include "gbi.h"

#define MAX_THREADS 64

int luaopen_capi (lua_State *L);

typedef struct Job {
  const char *script;
  int rounds;
  int failed;
  char result[100];
} Job;


/* Everything that may raise. [script] -> [result] */
static int run (lua_State *L) {
  luaL_openlibs(L);
  luaL_requiref(L, "gbi.core", luaopen_gbi_core, 0);
  luaL_requiref(L, "capi", luaopen_capi, 0);
  if (luaL_loadfile(L, (const char *)lua_touserdata(L, 1)) != LUA_OK)
    lua_error(L);
  lua_call(L, 0, 1);
  luaL_checkstring(L, -1);
  return 1;
}


/* The body of a thread. */
static void *work (void *p) {
  Job *job = (Job *)p;
  int i;
  for (i = 0; i < job->rounds && !job->failed; i++) {
    lua_State *L = luaL_newstate();
    const char *text = "no memory";
    job->failed = 1;
    if (L != NULL) {
      lua_pushcfunction(L, run);
      lua_pushlightuserdata(L, (void *)(uintptr_t)job->script);
      job->failed = lua_pcall(L, 1, 1, 0) != LUA_OK;
      text = luaL_tolstring(L, -1, NULL);
    }
    strncpy(job->result, text, sizeof(job->result) - 1);
    if (L != NULL) lua_close(L);
  }
  return NULL;
}


int main (int argc, char **argv) {
  static Job jobs[MAX_THREADS];
  pthread_t threads[MAX_THREADS];
  int i, n = argc == 4 ? atoi(argv[1]) : 0, failed = 0;
  if (n < 1 || n > MAX_THREADS) {
    fprintf(stderr, "usage: %s N ROUNDS SCRIPT\n", argv[0]);
    return 2;
  }
  for (i = 0; i < n; i++) {
    jobs[i].script = argv[3];
    jobs[i].rounds = atoi(argv[2]);
    if (pthread_create(&threads[i], NULL, work, &jobs[i]) != 0) return 2;
  }
  for (i = 0; i < n; i++) {
    pthread_join(threads[i], NULL);
    if (jobs[i].failed || strcmp(jobs[i].result, jobs[0].result) != 0) {
      fprintf(stderr, "thread %d: %s\n", i, jobs[i].result);
      failed = 1;
    }
  }
  printf("threads: %d states in each of %d threads: %s\n", atoi(argv[2]), n,
         jobs[0].result);
  return failed;
}

/*
** faults.c - a Lua interpreter whose allocations can be made to fail
**
**     faults [-e N] SCRIPT [ARG ...]
**
** Runs a script with the global `memory`: functions that let allocations
** fail. With -e the first try of every N-th allocation fails. Lua then makes a
** full (emergency) collection and tries again, so `-e 1` is a collection at
** every allocation; an allocator may not call Lua to have one.
**
** A block that is freed is overwritten, and one that changes its size moves,
** so that a stale pointer does harm at once. When the state is closed
** everything must have been freed.
*/
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>

#include "compat.h"

typedef struct Memory {
  size_t blocks, bytes;     /* in use */
  size_t asked;             /* bytes of all blocks that there ever were */
  unsigned long every;      /* refuse the first try of each N-th; 0: none */
  unsigned long tries;      /* growths, not counting second tries */
  unsigned long left;       /* growths until one fails; 0: none will */
  int all;                  /* do later ones fail, too? */
  unsigned long hits;       /* growths that failed */
  int again;                /* was the last growth refused? It is ... */
  void *block;              /* ... recognised when it is tried again */
  size_t osize, nsize;
} Memory;

/* The memory of all states of this process except those of `memory.state`. */
static Memory memory;


/* Does Lua retry this growth if it is refused? A new object has its type for an
** old size. The buffers of lauxlib.h call the allocator themselves, and only
** once; a block smaller than a buffer's first box is not one of theirs. */
static int retried (void *block, size_t osize, size_t nsize) {
  return (block == NULL && osize != 0) || nsize < LUAL_BUFFERSIZE;
}


/* Must this growth fail? After a failure, Lua collects and asks once more: that
** is the same allocation, with the same result. */
static int refuse (Memory *m, void *block, size_t osize, size_t nsize) {
  int again = m->again && block == m->block && osize == m->osize
              && nsize == m->nsize;
  m->again = 0;
  if (m->left == 0 && !again) {
    if (m->every == 0 || !retried(block, osize, nsize)) return 0;
    m->tries++;
    if (m->tries % m->every != 0) return 0;
  }
  else if (m->left == 0) return m->hits > 0;
  else if (m->left > 1) {
    m->left--;
    return 0;
  }
  else {
    m->hits++;
    if (!m->all) m->left = 0;
  }
  m->again = 1;
  m->block = block;
  m->osize = osize;
  m->nsize = nsize;
  return 1;
}


/* A lua_Alloc. */
static void *allocate (void *ud, void *block, size_t osize, size_t nsize) {
  Memory *m = (Memory *)ud;
  size_t old = block == NULL ? 0 : osize;
  void *moved = NULL;
  if (nsize > old && refuse(m, block, osize, nsize)) return NULL;
  if (nsize > 0) {
    moved = malloc(nsize);
    if (moved == NULL) return nsize > old ? NULL : block;
    memset(moved, 0x5a, nsize);
    if (old > 0) memcpy(moved, block, old < nsize ? old : nsize);
    m->blocks++;
    m->bytes += nsize;
    m->asked += nsize;
  }
  if (block != NULL) {
    memset(block, 0xa5, osize);
    free(block);
    m->blocks--;
    m->bytes -= old;
  }
  return moved;
}


/* Makes the `n`-th growth from here on fail, and all after it if `all`. */
static void arm (Memory *m, unsigned long n, int all) {
  m->again = 0;
  m->hits = 0;
  m->all = all;
  m->left = n;
}


/* Makes nothing fail any more. Returns the number of failures. */
static unsigned long disarm (Memory *m) {
  unsigned long hits = m->hits;
  m->left = m->hits = 0;
  m->again = 0;
  return hits;
}


static Memory *ofstate (lua_State *L) {
  void *ud;
  lua_getallocf(L, &ud);
  return (Memory *)ud;
}


/* inject(n, all, f, ...) -> failures, ok, results or error: calls f while the
** n-th allocation fails. */
static int memory_inject (lua_State *L) {
  Memory *m = ofstate(L);
  unsigned long hits, n = (unsigned long)luaL_checkinteger(L, 1);
  int status, all = lua_toboolean(L, 2);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  arm(m, n, all);
  status = lua_pcall(L, lua_gettop(L) - 3, LUA_MULTRET, 0);
  hits = disarm(m);
  lua_pushinteger(L, (lua_Integer)hits);
  lua_replace(L, 1);
  lua_pushboolean(L, status == LUA_OK);
  lua_replace(L, 2);
  return lua_gettop(L);
}


/* used() -> blocks, bytes */
static int memory_used (lua_State *L) {
  Memory *m = ofstate(L);
  lua_pushinteger(L, (lua_Integer)m->blocks);
  lua_pushinteger(L, (lua_Integer)m->bytes);
  return 2;
}


/* counted(f) -> bytes: calls f; returns the bytes of all blocks that it
** allocated. Valgrind counts the instructions in here: see
** spec/support/growth.lua. */
static int memory_counted (lua_State *L) {
  Memory *m = ofstate(L);
  size_t before = m->asked;
  lua_settop(L, 1);
  lua_call(L, 0, 0);
  lua_pushinteger(L, (lua_Integer)(m->asked - before));
  return 1;
}


/* every(n): the first try of each n-th allocation fails; 0: of none */
static int memory_every (lua_State *L) {
  ofstate(L)->every = (unsigned long)luaL_checkinteger(L, 1);
  return 0;
}


static int memory_state (lua_State *L);

static const luaL_Reg functions[] = {
  {"inject", memory_inject},
  {"used", memory_used},
  {"counted", memory_counted},
  {"every", memory_every},
  {"state", memory_state},
  {NULL, NULL}
};


/* Opens the libraries. [paths of packages] -> [] */
static int openlibs (lua_State *L) {
  luaL_openlibs(L);
  luaL_newlib(L, functions);
  lua_setglobal(L, "memory");
  return 0;
}


/* Loads and calls a string. [string] -> [result] */
static int dostring (lua_State *L) {
  if (luaL_loadstring(L, lua_tostring(L, 1)) != LUA_OK) lua_error(L);
  lua_call(L, 0, 1);
  return 1;
}


/* Protected dostring; returns its status, leaves a string or nil. */
static int run (lua_State *L, const char *code) {
  int status;
  lua_settop(L, 0);
  lua_pushcfunction(L, dostring);
  lua_pushstring(L, code);
  status = lua_pcall(L, 1, 1, 0);
  return status;
}


/* state(prepare, call, n, all, after) -> failures, did the call succeed?, its
** error, result of `after`, blocks that were not freed. Each string runs in one
** new state; during `call` and, when n is negative, while the state closes,
** the n-th allocation fails. */
static int memory_state (lua_State *L) {
  Memory m;
  const char *prepare = luaL_checkstring(L, 1);
  const char *call = luaL_checkstring(L, 2);
  lua_Integer n = luaL_checkinteger(L, 3);
  int all = lua_toboolean(L, 4), status;
  const char *after = luaL_checkstring(L, 5);
  unsigned long hits = 0;
  lua_State *new;
  memset(&m, 0, sizeof(m));
  new = compat_newstate(allocate, &m);
  if (new == NULL) return luaL_error(L, "no memory");
  lua_settop(L, 5);
  lua_pushcfunction(new, openlibs);
  status = lua_pcall(new, 0, 0, 0);
  if (status == LUA_OK) status = run(new, prepare);
  if (status != LUA_OK) {
    lua_pushstring(L, lua_tostring(new, -1));
    lua_close(new);
    return lua_error(L);
  }
  lua_settop(new, 0);
  lua_pushcfunction(new, dostring);
  lua_pushstring(new, call);
  if (n > 0) arm(&m, (unsigned long)n, all);
  status = lua_pcall(new, 1, 1, 0);
  if (n > 0) hits = disarm(&m);
  lua_pushboolean(L, status == LUA_OK);
  lua_pushstring(L, status == LUA_OK ? NULL : lua_tostring(new, -1));
  run(new, after);
  lua_pushstring(L, lua_tostring(new, -1));
  if (n < 0) arm(&m, (unsigned long)-n, all);
  lua_close(new);
  if (n < 0) hits = disarm(&m);
  lua_pushinteger(L, (lua_Integer)m.blocks);
  lua_pushinteger(L, (lua_Integer)hits);
  lua_insert(L, 6);
  return 5;
}


/* [error] -> [error with a traceback] */
static int traceback (lua_State *L) {
  lua_getglobal(L, "debug");
  lua_getfield(L, -1, "traceback");
  luaL_tolstring(L, 1, NULL);
  lua_pushinteger(L, 2);
  lua_call(L, 2, 1);
  return 1;
}


/* Everything that may raise. [argv] -> [] */
static int pmain (lua_State *L) {
  char **argv = (char **)lua_touserdata(L, 1);
  int i;
  lua_pushcfunction(L, openlibs);
  lua_call(L, 0, 0);
  lua_newtable(L);
  for (i = 0; argv[i] != NULL; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i);
  }
  lua_setglobal(L, "arg");
  lua_pushcfunction(L, traceback);
  if (luaL_loadfile(L, argv[0]) != LUA_OK) lua_error(L);
  for (i = 1; argv[i] != NULL; i++) {
    luaL_checkstack(L, 1, "too many arguments");
    lua_pushstring(L, argv[i]);
  }
  if (lua_pcall(L, i - 1, 0, 2) != LUA_OK) lua_error(L);
  return 0;
}


int main (int argc, char **argv) {
  lua_State *L;
  int status, script = 1;
  unsigned long every = 0;
  if (argc > 3 && strcmp(argv[1], "-e") == 0) {
    every = strtoul(argv[2], NULL, 10);
    script = 3;
  }
  if (argc <= script) {
    fprintf(stderr, "usage: %s [-e N] SCRIPT [ARG ...]\n", argv[0]);
    return 2;
  }
  L = compat_newstate(allocate, &memory);
  if (L == NULL) return 2;
  memory.every = every;
  lua_pushcfunction(L, pmain);
  lua_pushlightuserdata(L, argv + script);
  status = lua_pcall(L, 1, 0, 0);
  if (status != LUA_OK) fprintf(stderr, "%s\n", lua_tostring(L, -1));
  lua_close(L);
  if (memory.blocks != 0) {
    fprintf(stderr, "%lu blocks were not freed\n",
            (unsigned long)memory.blocks);
    return 1;
  }
  return status == LUA_OK ? 0 : 1;
}

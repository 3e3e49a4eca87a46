/*
** fuzz_load_graph.c - bytes are a file for gbi.load_graph
**
** What is done with them is in spec/support/fuzz_load_graph.lua. The lines of
** Lua that run count as coverage, and files are mutated by the parts that they
** are made of, with the right length and checksum. Runs in the project's
** folder, with its LUA_PATH.
*/
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lualib.h>

#include "fuzz.h"
#include "gbi.h"

#define HEADER "gbi graph 2\n"
#define ROUND 2000  /* files per state */
#define SPARE 400   /* files between two searches for leaks */
#define START 100   /* steps of instructions for a small file */

static unsigned long files, graphs;
static lua_State *L;


/* {==================================================================
** Running
** =================================================================== */

/* how many more steps of 1000 instructions a file may take; each of its bytes
** gives it one */
static size_t left;


static void fail (const char *what) {
  fprintf(stderr, "fuzz_load_graph: %s\n", what);
  abort();
}


#if defined(__linux__) && defined(__clang__)
#define HOOKS (LUA_MASKLINE | LUA_MASKCOUNT)
#define COUNTERS 8192
/* libFuzzer takes these counters as coverage */
__attribute__((section("__libfuzzer_extra_counters")))
static uint8_t counters[COUNTERS];


/* Counts transitions from line to line. */
static void count_line (lua_State *l, lua_Debug *ar) {
  static unsigned last;
  unsigned at;
  lua_getinfo(l, "S", ar);
  at = (unsigned)(ar->source[ar->srclen - 5] * 31
                  + ar->source[ar->srclen - 6] * 7
                  + ar->currentline) * 2654435761u;
  counters[((at >> 16) ^ (last >> 1)) % COUNTERS]++;
  last = at >> 16;
}
#else
#define HOOKS LUA_MASKCOUNT
#define count_line(l, ar) ((void)l)
#endif


static void hook (lua_State *l, lua_Debug *ar) {
  if (ar->event == LUA_HOOKLINE) count_line(l, ar);
  else if (left-- == 0) fail("it takes too many instructions");
}


/* Makes the state, with the function for files at stack index 1. */
static void open_state (void) {
  L = luaL_newstate();
  if (L == NULL) abort();
  luaL_openlibs(L);
  luaL_requiref(L, "gbi.core", luaopen_gbi_core, 0);
  lua_settop(L, 0);
  if (luaL_dofile(L, "spec/support/fuzz_load_graph.lua")) {
    fail(lua_tostring(L, -1));
  }
  lua_settop(L, 1);
  lua_sethook(L, hook, HOOKS, 1000);
}


/* Handles a file. Was it a graph? */
static int take (const uint8_t *data, size_t size) {
  int graph;
  left = START + size;
  lua_pushvalue(L, 1);
  lua_pushlstring(L, (const char *)data, size);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) fail(luaL_tolstring(L, -1, NULL));
  graph = lua_toboolean(L, -1);
  lua_settop(L, 1);
  return graph;
}


/* Handles a file, and returns the memory in use then. */
static long footprint (const uint8_t *data, size_t size) {
  take(data, size);
  lua_gc(L, LUA_GCCOLLECT);
  lua_gc(L, LUA_GCCOLLECT);
  return lua_gc(L, LUA_GCCOUNT) * 1024L + lua_gc(L, LUA_GCCOUNTB);
}


/* Lua's own tables may grow once or twice; a leak grows every time. */
static void look_for_leak (const uint8_t *data, size_t size) {
  long before = footprint(data, size);
  int times;
  for (times = 0; times < 8; times++) {
    long now = footprint(data, size);
    if (now <= before) return;
    before = now;
  }
  fail("it leaves memory behind");
}


static void summary (void) {
  if (L != NULL) lua_close(L);
  printf("fuzz_load_graph: %lu files, %lu graphs saved and read again\n",
         files, graphs);
}


int LLVMFuzzerInitialize (int *argc, char ***argv) {
  (void)argc, (void)argv;
  atexit(summary);
  return 0;
}


int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size) {
  if (L == NULL) open_state();
  files++;
  graphs += (unsigned long)take(data, size);
  if (files % SPARE == 1) look_for_leak(data, size);
  if (files % ROUND == 0) {
    lua_close(L);
    L = NULL;
  }
  return 0;
}

/* }================================================================== */


/* {==================================================================
** Mutating: a file is a list of parts, "i12;", "s5:hello", "n", …
** =================================================================== */

#define MAX_PARTS 4000

typedef struct Part {
  const uint8_t *text;
  size_t size;
} Part;

typedef struct Random {
  unsigned state;
} Random;


static unsigned pick (Random *random, unsigned n) {
  random->state = random->state * 1664525u + 1013904223u;
  return (random->state >> 8) % (n == 0 ? 1 : n);
}


/* The size of the part that begins a text. */
static size_t part_size (const uint8_t *text, size_t size) {
  size_t i = 1, n = 0;
  switch (text[0]) {
    case 'i': case 'd': case 'r':
      while (i < size && text[i] != ';' && i < 40) i++;
      return i < size ? i + 1 : i;
    case 's':
      while (i < size && text[i] >= '0' && text[i] <= '9' && i < 8)
        n = n * 10 + (size_t)(text[i++] - '0');
      if (i < size && text[i] == ':') i++;
      return n <= size - i ? i + n : i;
  }
  return 1;
}


static size_t split (const uint8_t *text, size_t size, Part *parts) {
  size_t n = 0, each;
  while (size > 0 && n < MAX_PARTS) {
    each = part_size(text, size);
    parts[n].text = text;
    parts[n++].size = each;
    text += each;
    size -= each;
  }
  return n;
}


/* Finds the parts where nodes begin; returns their number. */
static size_t nodes_of (const Part *parts, size_t n, size_t *at) {
  static const char *const kinds[] = {
    "s11:placeholder", "s13:call_function", "s11:call_method", "s8:get_attr",
    "s6:output"
  };
  size_t i, k, count = 0;
  for (i = 0; i < n; i++)
    for (k = 0; k < sizeof(kinds) / sizeof(*kinds); k++)
      if (parts[i].size == strlen(kinds[k])
          && memcmp(parts[i].text, kinds[k], parts[i].size) == 0)
        at[count++] = i;
  return count;
}


/* A part like those in files. */
static Part invent (Random *random, char *buffer, size_t room) {
  static const char *const some[] = {
    "n", "t", "f", "i0;", "i1;", "i2;", "i3;", "i-1;", "i200;", "i201;",
    "i9223372036854775807;", "i-9223372036854775808;",
    "i9223372036854775808;", "d0.5;", "d1234567.8901234567;", "dnan;", "dinf;",
    "d-inf;", "d-0;",
    "d1e300;", "d0x1p4;", "r1;", "r2;", "r3;", "r4;", "r0;", "s0:", "s3:...",
    "s1:x", "s3:end", "L", "G", "A", "I", "C", "F", "M", "s3:add", "s3:unm",
    "s7:setitem", "s7:getitem", "s3:len", "s4:lnot", "s11:placeholder",
    "s13:call_function", "s11:call_method", "s8:get_attr", "s6:output",
    "s28:get_external_object_by_index", "s22:external_object_handle",
    "s11:call_result", "s9:x\\\n\"]]\r\t\1"
  };
  Part part;
  unsigned k = pick(random, sizeof(some) / sizeof(*some) + 12);
  if (k < sizeof(some) / sizeof(*some)) snprintf(buffer, room, "%s", some[k]);
  else snprintf(buffer, room, "%c%u;", k & 1 ? 'r' : 'i', pick(random, 12));
  part.text = (const uint8_t *)buffer;
  part.size = strlen(buffer);
  return part;
}


/* The bytes after the header; all bytes if there is none. */
static const uint8_t *payload (const uint8_t *data, size_t *size) {
  const uint8_t *end;
  size_t head = strlen(HEADER);
  if (*size < head || memcmp(data, HEADER, head) != 0) return data;
  end = (const uint8_t *)memchr(data + head, '\n', *size - head);
  if (end == NULL) return data;
  *size -= (size_t)(end + 1 - data);
  return end + 1;
}


/* Writes a file around the text. Returns its size, or 0 if there is no
** room. */
static size_t finish (const uint8_t *text, size_t size, uint8_t *data,
                      size_t room) {
  char head[80];
  unsigned long a = 1, b = 0;
  size_t i;
  for (i = 0; i < size; i++) {
    a = (a + text[i]) % 65521;
    b = (b + a) % 65521;
  }
  i = (size_t)snprintf(head, sizeof(head), HEADER "%lu %lu\n",
                       (unsigned long)size, b * 65536 + a);
  if (i + size > room) return 0;
  memmove(data + i, text, size);
  memcpy(data, head, i);
  return i + size;
}


typedef struct Text {
  uint8_t *bytes;
  size_t size, room;
} Text;


static void append (Text *t, const void *bytes, size_t size) {
  if (size > t->room - t->size) return;
  memcpy(t->bytes + t->size, bytes, size);
  t->size += size;
}


static void append_parts (Text *t, const Part *parts, size_t from, size_t to) {
  for (; from < to; from++) append(t, parts[from].text, parts[from].size);
}


/* New content for a string part. */
static void append_mutated (Text *t, const Part *part) {
  uint8_t content[64];
  char head[30];
  size_t size = 0, start = 1;
  while (start < part->size && part->text[start - 1] != ':') start++;
  if (part->size - start < sizeof(content)) size = part->size - start;
  memcpy(content, part->text + start, size);
  size = LLVMFuzzerMutate(content, size, sizeof(content));
  snprintf(head, sizeof(head), "s%lu:", (unsigned long)size);
  append(t, head, strlen(head));
  append(t, content, size);
}


/* Appends a node, parts from to to, under a new name. */
static void append_renamed (Text *t, Random *random, const Part *parts,
                            size_t from, size_t to) {
  char name[30];
  int size = snprintf(name, sizeof(name), "n%u", pick(random, 10000));
  append_parts(t, parts, from, from + 1);
  if (to - from > 1) {
    char head[20];
    snprintf(head, sizeof(head), "s%d:", size);
    append(t, head, strlen(head));
    append(t, name, (size_t)size);
    append_parts(t, parts, from + 2, to);
  }
}


/* Copies or removes nodes, and corrects their count, the first part. */
static void append_nodes (Text *t, Random *random, const Part *parts,
                          size_t n) {
  static size_t at[MAX_PARTS + 1];
  size_t count = nodes_of(parts, n, at), from, to, where;
  char head[30];
  long number;
  if (count < 2 || parts[0].text[0] != 'i') {
    append_parts(t, parts, 0, n);
    return;
  }
  at[count] = n;
  memcpy(head, parts[0].text, parts[0].size < 20 ? parts[0].size : 20);
  head[parts[0].size < 20 ? parts[0].size : 20] = 0;
  number = strtol(head + 1, NULL, 10);
  if (number < 0 || number > MAX_PARTS) number = 0;
  from = pick(random, (unsigned)count);
  to = from + 1 + pick(random, 3);
  if (to > count) to = count;
  where = pick(random, (unsigned)count);
  if (where & 1) where = count - 1;  /* the output: no node moves */
  if (pick(random, 3) == 0) {  /* remove */
    snprintf(head, sizeof(head), "i%ld;", number - (long)(to - from));
    append(t, head, strlen(head));
    append_parts(t, parts, 1, at[from]);
    append_parts(t, parts, at[to], n);
  }
  else {
    snprintf(head, sizeof(head), "i%ld;", number + (long)(to - from));
    append(t, head, strlen(head));
    append_parts(t, parts, 1, at[where]);
    for (; from < to; from++)
      append_renamed(t, random, parts, at[from], at[from + 1]);
    append_parts(t, parts, at[where], n);
  }
}


/* {==================================================================
** Making: a new graph, mostly valid
** =================================================================== */

#define MAX_NODES 24

typedef struct Graph {
  Text *t;
  Random *random;
  int n, inputs, indices;
  char kinds[MAX_NODES + 1];  /* 'v' value, 'c' call, 'x' external, '-' none */
} Graph;


static void put (Graph *g, const char *text) {
  append(g->t, text, strlen(text));
}


static void put_number (Graph *g, char letter, int i) {
  char text[30];
  snprintf(text, sizeof(text), "%c%d;", letter, i);
  put(g, text);
}


/* An earlier node, of a kind or with any value; 0 if there is none. */
static int node_before (Graph *g, char kind) {
  int i, first = (int)pick(g->random, (unsigned)g->n);
  for (i = 0; i < g->n; i++) {
    int k = (first + i) % g->n + 1;
    if (kind ? g->kinds[k] == kind : g->kinds[k] != '-') return k;
  }
  return 0;
}


static void put_constant (Graph *g) {
  static const char *const some[] = {
    "n", "t", "f", "i0;", "i7;", "i-9223372036854775808;", "dnan;",
    "d0.10000000000000001;", "d-2.2250738585072014e-308;",
    "d-inf;", "d-0;", "d1e300;", "s0:", "s1:x", "s3:end", "s4:a\n\"]", "s1:\\"
  };
  put(g, some[pick(g->random, sizeof(some) / sizeof(*some))]);
}


static void put_argument (Graph *g) {
  int k = node_before(g, 0);
  if (k > 0 && pick(g->random, 4) > 0) put_number(g, 'r', k);
  else put_constant(g);
}


static void put_source (Graph *g, int depth) {
  switch (pick(g->random, depth > 0 ? 9 : 4)) {
    case 0: case 1: put(g, "Gs1:G"); break;
    case 2: put(g, "Ms4:math"); put(g, pick(g->random, 2) ? "n" : "s2:pi");
      break;
    case 3:
      if (g->inputs == 0) put(g, "Cs1:c");
      else {
        put(g, "Ls1:");
        append(g->t, &"abc"[pick(g->random, (unsigned)g->inputs)], 1);
      }
      break;
    case 4: case 5: put(g, "A"); put_source(g, depth - 1); put(g, "s3:end");
      break;
    case 6: put(g, "I"); put_source(g, depth - 1); put(g, "s1:k"); break;
    case 7: put(g, "I"); put_source(g, depth - 1); put_source(g, depth - 1);
      break;
    default: put(g, "F"); put_source(g, depth - 1);
  }
}


static void begin_node (Graph *g, const char *op) {
  char name[30];
  int size = snprintf(name, sizeof(name), "v%d", g->n + 1);
  put(g, op);
  put(g, size == 2 ? "s2:" : "s3:");
  put(g, name);
}


static void put_arguments (Graph *g, int n) {
  put_number(g, 'i', n);
  while (n-- > 0) put_argument(g);
}


/* Appends a node that is neither input nor output. Returns its kind. */
static char put_node (Graph *g) {
  static const char *const operators[] = {
    "s3:add", "s3:sub", "s3:mod", "s3:pow", "s4:idiv", "s6:concat", "s3:shl",
    "s2:eq", "s2:lt", "s7:getitem"
  };
  int k;
  switch (pick(g->random, 10)) {
    case 0: case 1:
      begin_node(g, "s13:call_function");
      put(g, operators[pick(g->random, 10)]);
      put_arguments(g, 2);
      return 'v';
    case 2:
      begin_node(g, "s13:call_function");
      put(g, pick(g->random, 2) ? "s4:lnot" : "s3:unm");
      put_arguments(g, 1);
      return 'v';
    case 3:
      begin_node(g, "s8:get_attr");
      put(g, "s4:name");
      put_arguments(g, 1);
      return 'v';
    case 4:
      begin_node(g, "s8:get_attr");
      put_source(g, 2);
      put(g, "i0;");
      return 'v';
    case 5:
      begin_node(g, "s11:call_method");
      put(g, pick(g->random, 3) ? "s5:write" : "s3:a b");
      put_arguments(g, 1 + (int)pick(g->random, 4));
      return 'c';
    case 6:
      begin_node(g, "s13:call_function");
      k = node_before(g, 0);
      if (k > 0 && pick(g->random, 2)) put_number(g, 'r', k);
      else put_source(g, 2);
      put_arguments(g, (int)pick(g->random, 4));
      return 'c';
    case 7:
      begin_node(g, "s13:call_function");
      put(g, "s28:get_external_object_by_indexi1;");
      g->indices += 1 + (pick(g->random, 5) == 0);
      put_number(g, 'i', g->indices);
      put_source(g, 2);
      return 'x';
    case 8:
      k = node_before(g, 'x');
      if (k == 0) break;
      begin_node(g, "s13:call_function");
      put(g, "s22:external_object_handlei1;");
      put_number(g, 'r', k);
      return 'v';
    default:
      k = node_before(g, 'c');
      if (k == 0) break;
      begin_node(g, "s13:call_function");
      put(g, "s11:call_resulti2;");
      put_number(g, 'r', k);
      put_number(g, 'i', 1 + (int)pick(g->random, 24));
      return 'v';
  }
  begin_node(g, "s13:call_function");
  put(g, "s7:setitem");
  put_arguments(g, 3);
  return '-';
}


static void make (Text *t, Random *random) {
  static const char *const inputs[] = {"s1:a", "s1:b", "s1:c"};
  Graph g = {0};
  int i, n = (int)pick(random, MAX_NODES - 5);
  g.t = t;
  g.random = random;
  g.inputs = (int)pick(random, 4);
  put_number(&g, 'i', g.inputs + n + 1);
  for (i = 0; i < g.inputs; i++) {
    begin_node(&g, "s11:placeholder");
    put(&g, inputs[i]);
    put(&g, "i0;");
    g.kinds[++g.n] = 'v';
  }
  for (i = 0; i < n; i++) {
    char kind = put_node(&g);
    g.kinds[++g.n] = kind;
  }
  begin_node(&g, "s6:output");
  put(&g, "s6:output");
  put_arguments(&g, (int)pick(random, 5));
}

/* }================================================================== */


size_t LLVMFuzzerCustomMutator (uint8_t *data, size_t size, size_t room,
                                unsigned seed) {
  static Part parts[MAX_PARTS];
  Random random;
  Text t;
  char buffer[80];
  size_t n, i, k, kept = size;
  const uint8_t *text = payload(data, &kept);
  random.state = seed;
  if (pick(&random, 30) == 0) return LLVMFuzzerMutate(data, size, room);
  t.size = 0;
  t.room = room;
  t.bytes = (uint8_t *)malloc(room);
  if (t.bytes == NULL) abort();
  if (pick(&random, 10) == 0) make(&t, &random);
  else if (pick(&random, 10) == 0) {
    append(&t, text, kept);
    t.size = LLVMFuzzerMutate(t.bytes, t.size, room);
  }
  else {
    n = split(text, kept, parts);
    i = pick(&random, (unsigned)n);
    k = pick(&random, (unsigned)n);
    switch (n == 0 ? 0 : pick(&random, 8)) {
      case 0: {  /* insert */
        Part new = invent(&random, buffer, sizeof(buffer));
        append_parts(&t, parts, 0, i);
        append(&t, new.text, new.size);
        append_parts(&t, parts, i, n);
        break;
      }
      case 1: case 2: {  /* replace */
        Part new = invent(&random, buffer, sizeof(buffer));
        append_parts(&t, parts, 0, i);
        append(&t, new.text, new.size);
        append_parts(&t, parts, i + 1, n);
        break;
      }
      case 3:  /* remove */
        append_parts(&t, parts, 0, i);
        append_parts(&t, parts, i + 1, n);
        break;
      case 4:  /* replace by another part */
        append_parts(&t, parts, 0, i);
        append_parts(&t, parts, k, k + 1);
        append_parts(&t, parts, i + 1, n);
        break;
      case 5:
        append_parts(&t, parts, 0, i);
        if (parts[i].text[0] == 's') append_mutated(&t, &parts[i]);
        else append_parts(&t, parts, k, n);
        append_parts(&t, parts, i + 1, n);
        break;
      default: append_nodes(&t, &random, parts, n);
    }
  }
  kept = finish(t.bytes, t.size, data, room);
  free(t.bytes);
  return kept > 0 ? kept : size;
}

/* }================================================================== */

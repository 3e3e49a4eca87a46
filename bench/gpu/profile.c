/*
** profile.c - in the place of driver.c: how long the driver's calls take
**
** For each driver function that a call of the workload needs, it counts the
** calls and their nanoseconds, and writes both to stderr when the program ends.
** With GPU_PROFILE=null, these functions are not called at all: what is left is
** the time of everything else.
*/
#define _POSIX_C_SOURCE 199309L

#include "../../examples/cuda/driver.h"

#define driver_open openplain
static const char *openplain (Driver *driver, char *reason, size_t size);
#include "../../examples/cuda/driver.c"
#undef driver_open

#include <stdlib.h>
#include <time.h>

#define TIMED(T) \
  T(LaunchKernel, (Function f, unsigned int a, unsigned int b, \
     unsigned int c, unsigned int d, unsigned int e, unsigned int g, \
     unsigned int h, Queue queue, void **params, void **extra), \
    (f, a, b, c, d, e, g, h, queue, params, extra)) \
  T(EventRecord, (Mark mark, Queue queue), (mark, queue)) \
  T(StreamWaitEvent, (Queue queue, Mark mark, unsigned int flags), \
    (queue, mark, flags)) \
  T(EventQuery, (Mark mark), (mark)) \
  T(EventCreate, (Mark *mark, unsigned int flags), (mark, flags)) \
  T(EventDestroy, (Mark mark), (mark)) \
  T(GraphLaunch, (Exec exec, Queue queue), (exec, queue))

enum {
#define NUMBER(name, params, args) AT_##name,
  TIMED(NUMBER)
#undef NUMBER
  FUNCTIONS
};

static Driver real;
static int null;
static double nanoseconds[FUNCTIONS];
static long counts[FUNCTIONS];


static double now (void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

#define WRAP(name, params, args) \
  static Result timed_##name params { \
    double start = now(); \
    Result result = real.name args; \
    nanoseconds[AT_##name] += now() - start; \
    counts[AT_##name]++; \
    return result; \
  }
TIMED(WRAP)
#undef WRAP


/* The functions that do nothing. */
static Result nolaunch (Function f, unsigned int a, unsigned int b,
                        unsigned int c, unsigned int d, unsigned int e,
                        unsigned int g, unsigned int h, Queue queue,
                        void **params, void **extra) {
  (void)f; (void)a; (void)b; (void)c; (void)d; (void)e; (void)g; (void)h;
  (void)queue; (void)params; (void)extra;
  return 0;
}

static Result norecord (Mark mark, Queue queue) {
  (void)mark; (void)queue;
  return 0;
}

static Result nowait (Queue queue, Mark mark, unsigned int flags) {
  (void)mark; (void)queue; (void)flags;
  return 0;
}

static Result nomark (Mark mark) {
  (void)mark;
  return 0;
}

static Result nocreate (Mark *mark, unsigned int flags) {
  (void)flags;
  *mark = (Mark)&null;  /* anything but NULL */
  return 0;
}

static Result nograph (Exec exec, Queue queue) {
  (void)exec; (void)queue;
  return 0;
}


static void report (void) {
  const int n = 100000;
  double start = now(), clock;
  int i;
  for (i = 0; i < n; i++) now();
  clock = (now() - start) / n;
#define LINE(name, params, args) \
  if (counts[AT_##name] > 0) \
    fprintf(stderr, "  cu%s: %ld calls, %.0f ns each\n", #name, \
            counts[AT_##name], \
            nanoseconds[AT_##name] / (double)counts[AT_##name] - clock);
  TIMED(LINE)
#undef LINE
}


const char *driver_open (Driver *driver, char *reason, size_t size) {
  const char *mode = getenv("GPU_PROFILE"), *why;
  why = openplain(driver, reason, size);
  if (why != NULL || mode == NULL) return why;
  real = *driver;
  null = strcmp(mode, "null") == 0;
  if (null) {
    driver->LaunchKernel = nolaunch;
    driver->EventRecord = norecord;
    driver->StreamWaitEvent = nowait;
    driver->EventQuery = nomark;
    driver->EventCreate = nocreate;
    driver->EventDestroy = nomark;
    driver->GraphLaunch = nograph;
    return NULL;
  }
#define SET(name, params, args) driver->name = timed_##name;
  TIMED(SET)
#undef SET
  atexit(report);
  return NULL;
}

/*
** profile.c - in the place of driver.c: how long the driver's calls take
**
** For each driver function that a call of the workload needs, it counts the
** calls and their nanoseconds, and writes both to stderr when the program ends.
** With GPU_PROFILE=null, the functions that give work to a stream are not called
** at all, except to capture a graph: what is left is the time of everything else.
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


/* The functions that do nothing, except for a graph that is captured. */
static int capturing;

static Result begin (Queue queue, int mode) {
  capturing = 1;
  return real.StreamBeginCapture(queue, mode);
}

static Result end (Queue queue, Recorded *recorded) {
  capturing = 0;
  return real.StreamEndCapture(queue, recorded);
}

#define NOTHING(name, params, args) \
  static Result no##name params { \
    return capturing ? real.name args : 0; \
  }
TIMED(NOTHING)
#undef NOTHING


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
  if (strcmp(mode, "null") == 0) {
#define SETNO(name, params, args) driver->name = no##name;
    TIMED(SETNO)
#undef SETNO
    driver->EventCreate = real.EventCreate;
    driver->EventDestroy = real.EventDestroy;
    driver->StreamBeginCapture = begin;
    driver->StreamEndCapture = end;
    return NULL;
  }
#define SET(name, params, args) driver->name = timed_##name;
  TIMED(SET)
#undef SET
  atexit(report);
  return NULL;
}

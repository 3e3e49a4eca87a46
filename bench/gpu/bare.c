/*
** bare.c - the workload with nothing but calls of the driver
**
**     gpu-bare FILE.ptx     then a line for each batch: create|reuse CALLS
**
** For each line read it runs so many calls and prints the microseconds of one.
** A call is y = x + 1 on a side stream of a pool, an event recorded there, the
** main stream waits for it, and z = y * 2. `create` makes an event in every call
** and destroys it, `reuse` has one for each stream; `graph` launches the same
** captured once.
*/
#define _POSIX_C_SOURCE 199309L

#include "../../examples/cuda/driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define N 16
#define STREAMS 16
#define THREADS 128

static Driver cu;
static Function add, mul;
static Queue main_stream, side[STREAMS];
static Mark reused[STREAMS];
static Address x, y[STREAMS], z;
static Exec exec;


static void check (Result error, const char *what) {
  char text[200];
  if (error == 0) return;
  fprintf(stderr, "%s: %s\n", what,
          driver_error(&cu, error, text, sizeof(text)));
  exit(1);
}

#define CHECK(call) check(cu.call, #call)


static void launch (Function f, Queue queue, Address out, Address in,
                    float c) {
  int n = N;
  void *params[4];
  params[0] = &out;
  params[1] = &in;
  params[2] = &c;
  params[3] = &n;
  CHECK(LaunchKernel(f, (N + THREADS - 1) / THREADS, 1, 1, THREADS, 1, 1, 0,
                     queue, params, NULL));
}


static void work (int i, Mark event) {
  launch(add, side[i], y[i], x, 1);
  CHECK(EventRecord(event, side[i]));
  CHECK(StreamWaitEvent(main_stream, event, 0));
  launch(mul, main_stream, z, y[i], 2);
}


static void one (const char *mode, int i) {
  if (*mode == 'g') CHECK(GraphLaunch(exec, main_stream));
  else if (*mode == 'r') work(i, reused[i]);
  else {
    Mark event;
    CHECK(EventCreate(&event, MARK_DISABLE_TIMING));
    work(i, event);
    CHECK(EventDestroy(event));
  }
}


static void capture (void) {
  Recorded recorded;
  Mark fork;
  CHECK(EventCreate(&fork, MARK_DISABLE_TIMING));
  CHECK(StreamBeginCapture(main_stream, CAPTURE_RELAXED));
  CHECK(EventRecord(fork, main_stream));
  CHECK(StreamWaitEvent(side[0], fork, 0));
  work(0, reused[0]);
  CHECK(StreamEndCapture(main_stream, &recorded));
  CHECK(GraphInstantiate(&exec, recorded, 0));
}


static char *readfile (const char *path) {
  static char text[20000];
  FILE *f = fopen(path, "r");
  size_t n = f == NULL ? 0 : fread(text, 1, sizeof(text) - 1, f);
  if (n == 0) {
    fprintf(stderr, "cannot read %s\n", path);
    exit(1);
  }
  fclose(f);
  return text;
}


static double now (void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}


int main (int argc, char **argv) {
  char reason[300], mode[20];
  float floats[N];
  int i, calls;
  DeviceId device;
  Context context;
  Module module;
  const char *why = driver_open(&cu, reason, sizeof(reason));
  if (why != NULL || argc != 2) {
    fprintf(stderr, "%s\n", why != NULL ? why : "usage: gpu-bare FILE.ptx");
    return 1;
  }
  CHECK(DeviceGet(&device, 0));
  CHECK(PrimaryCtxRetain(&context, device));
  CHECK(CtxSetCurrent(context));
  CHECK(ModuleLoadData(&module, readfile(argv[1])));
  CHECK(ModuleGetFunction(&add, module, "add"));
  CHECK(ModuleGetFunction(&mul, module, "mul"));
  CHECK(StreamCreate(&main_stream, QUEUE_NON_BLOCKING));
  CHECK(MemAlloc(&x, sizeof(floats)));
  CHECK(MemAlloc(&z, sizeof(floats)));
  for (i = 0; i < STREAMS; i++) {
    CHECK(StreamCreate(&side[i], QUEUE_NON_BLOCKING));
    CHECK(EventCreate(&reused[i], MARK_DISABLE_TIMING));
    CHECK(MemAlloc(&y[i], sizeof(floats)));
  }
  for (i = 0; i < N; i++) floats[i] = (float)(i + 1);
  CHECK(MemcpyHtoDAsync(x, floats, sizeof(floats), main_stream));
  CHECK(CtxSynchronize());
  capture();
  while (scanf("%19s %d", mode, &calls) == 2) {
    double start = now(), end;
    for (i = 0; i < calls; i++) one(mode, i % STREAMS);
    CHECK(CtxSynchronize());
    end = now();
    CHECK(MemcpyDtoHAsync(floats, z, sizeof(floats), main_stream));
    CHECK(CtxSynchronize());
    for (i = 0; i < N; i++)
      if (floats[i] < (float)(i + 2) * 2 || floats[i] > (float)(i + 2) * 2) {
        fprintf(stderr, "%s: element %d is wrong\n", mode, i);
        return 1;
      }
    printf("%.4f\n", (end - start) / calls);
    fflush(stdout);
  }
  return 0;
}

/*
** fakecuda.c - in the place of libcuda.so.1, for specs without a GPU
**
** What a stream is given waits in a queue. It is only done when somebody waits
** for it here, and no more than that needs; so a program that forgets to let one
** stream wait for another computes something wrong, every time. The kernels are
** those of examples/cuda/kernels.lua, known by name.
**
**     FAKECUDA_FAIL=cuLaunchKernel:700:3   the third call fails
**     FAKECUDA_REPORT=FILE                 at the end: what was not given back,
**                                          and how often what was called
*/
#include "../../examples/cuda/driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAXPARAMS 12
#define MAXNODES 64

struct Function_ {
  const char *name;
  const char *params;
};

struct Node_ {
  Function function;
  unsigned int threads;
  unsigned long long values[MAXPARAMS];
};

struct Recorded_ {
  int n;
  struct Node_ nodes[MAXNODES];
};

struct Exec_ {
  struct Recorded_ work;
  Recorded from;
};

typedef enum { KERNEL, WAIT, RECORD, IN, OUT } Kind;

typedef struct Op {
  Kind kind;
  struct Node_ node;      /* KERNEL */
  struct Queue_ *queue;   /* WAIT for operation `number` of this one */
  unsigned long long number;
  void *host;             /* IN, OUT */
  Address device;
  size_t bytes;
} Op;

struct Queue_ {
  Op *ops;
  size_t n, room, done;
  unsigned long long base;  /* the number of ops[0] */
  Recorded capture;
  Node last;
  struct Queue_ *before;  /* the queue destroyed before this one */
};

struct Mark_ {
  struct Queue_ *queue;
  unsigned long long number;
  Recorded capture;
  Node last;
  unsigned int looked;
};

struct Module_ { int dummy; };
struct Context_ { int dummy; };

static struct Context_ context;
static int marks, queues, blocks, modules, graphs, execs, contexts;

static struct Queue_ *all[256], *destroyed;

typedef struct Calls {
  const char *name;
  int n;
} Calls;

static Calls calls[] = {
#define COUNT(name, symbol, params) {symbol, 0},
  DRIVER_FUNCTIONS(COUNT)
#undef COUNT
  {NULL, 0}
};


/* Returns new memory, all 0. */
static void *new (size_t bytes) {
  void *p = calloc(1, bytes);
  if (p == NULL) abort();
  return p;
}


/* Counts a call. Returns the error that it must return. */
static Result count (const char *name) {
  const char *fail = getenv("FAKECUDA_FAIL");
  size_t n = strlen(name);
  Calls *c = calls;
  while (strcmp(c->name, name) != 0) c++;
  c->n++;
  if (fail != NULL && strncmp(fail, name, n) == 0 && fail[n] == ':') {
    int error = 0, which = 0;
    sscanf(fail + n + 1, "%d:%d", &error, &which);
    if (which == 0 || which == c->n) return error;
  }
  return 0;
}

#define CALLED(name) \
  do { Result r_ = count(name); if (r_ != 0) return r_; } while (0)


static float tofloat (unsigned long long value) {
  float f;
  memcpy(&f, &value, sizeof(f));
  return f;
}


static void compute (const struct Node_ *node) {
  const char *name = node->function->name;
  int last = (int)strlen(node->function->params) - 1;
  unsigned int i, n = (unsigned int)node->values[last];
  float *out = (float *)(size_t)node->values[0];
  const float *in = (const float *)(size_t)node->values[1];
  for (i = 0; i < n && i < node->threads; i++) {
    if (strcmp(name, "mul") == 0) out[i] = in[i] * tofloat(node->values[2]);
    else if (strcmp(name, "sum") == 0)
      out[i] = in[i] + ((const float *)(size_t)node->values[2])[i];
    else out[i] = in[i] + tofloat(node->values[2]);
  }
}


/* Does a queue's work up to an operation, and the work that it waits for. */
static void runto (struct Queue_ *queue, unsigned long long number) {
  while (queue->done < queue->n && queue->base + queue->done <= number) {
    Op op = queue->ops[queue->done++];
    switch (op.kind) {
      case KERNEL: compute(&op.node); break;
      case WAIT: runto(op.queue, op.number); break;
      case IN: memcpy((void *)(size_t)op.device, op.host, op.bytes); break;
      case OUT: memcpy(op.host, (void *)(size_t)op.device, op.bytes); break;
      case RECORD: break;
    }
  }
  if (queue->done == queue->n) {
    queue->base += queue->n;
    queue->n = queue->done = 0;
  }
}


static void runall (struct Queue_ *queue) {
  runto(queue, (unsigned long long)-1);
}


static unsigned long long give (struct Queue_ *queue, const Op *op) {
  if (queue->n == queue->room) {
    queue->room = queue->room * 2 + 16;
    queue->ops = (Op *)realloc(queue->ops, queue->room * sizeof(Op));
    if (queue->ops == NULL) abort();
  }
  queue->ops[queue->n++] = *op;
  return queue->base + queue->n - 1;
}


static const struct Function_ functions[] = {
  {"add", "ppfi"}, {"mul", "ppfi"}, {"sum", "pppi"}, {"slow_add", "ppfli"},
  {NULL, NULL}
};

static void fillnode (struct Node_ *node, Function function,
                      unsigned int threads, void **params) {
  int i;
  memset(node, 0, sizeof(*node));
  node->function = function;
  node->threads = threads;
  for (i = 0; function->params[i] != '\0'; i++)
    memcpy(&node->values[i], params[i],
           strchr("pl", function->params[i]) != NULL ? 8 : 4);
}


Result cuInit (unsigned int flags);
Result cuInit (unsigned int flags) {
  CALLED("cuInit");
  return flags == 0 ? 0 : 1;
}

Result cuGetErrorName (Result error, const char **name);
Result cuGetErrorName (Result error, const char **name) {
  *name = error == 2 ? "CUDA_ERROR_OUT_OF_MEMORY"
        : error == 100 ? "CUDA_ERROR_NO_DEVICE"
        : error == 700 ? "CUDA_ERROR_ILLEGAL_ADDRESS"
        : error == 1 ? "CUDA_ERROR_INVALID_VALUE" : NULL;
  return *name == NULL;
}

Result cuGetErrorString (Result error, const char **text);
Result cuGetErrorString (Result error, const char **text) {
  *text = error == 2 ? "out of memory"
        : error == 100 ? "no CUDA-capable device is detected"
        : error == 700 ? "an illegal memory access was encountered"
        : error == 1 ? "invalid argument" : NULL;
  return *text == NULL;
}

Result cuDriverGetVersion (int *version);
Result cuDriverGetVersion (int *version) {
  *version = 13010;
  return 0;
}

Result cuDeviceGet (DeviceId *device, int ordinal);
Result cuDeviceGet (DeviceId *device, int ordinal) {
  CALLED("cuDeviceGet");
  *device = ordinal;
  return 0;
}

Result cuDeviceGetName (char *name, int size, DeviceId device);
Result cuDeviceGetName (char *name, int size, DeviceId device) {
  snprintf(name, (size_t)size, "no GPU %d", device);
  return 0;
}

Result cuDevicePrimaryCtxRetain (Context *c, DeviceId device);
Result cuDevicePrimaryCtxRetain (Context *c, DeviceId device) {
  CALLED("cuDevicePrimaryCtxRetain");
  *c = device == 0 ? &context : NULL;
  contexts++;
  return 0;
}

Result cuDevicePrimaryCtxRelease_v2 (DeviceId device);
Result cuDevicePrimaryCtxRelease_v2 (DeviceId device) {
  const char *path = getenv("FAKECUDA_REPORT");
  contexts--;
  if (path != NULL && device == 0) {
    FILE *f = fopen(path, "w");
    const Calls *c;
    if (f == NULL) return 1;
    fprintf(f, "left: %d contexts, %d streams, %d events, %d blocks, "
            "%d modules, %d graphs, %d execs\n", contexts, queues, marks,
            blocks, modules, graphs, execs);
    for (c = calls; c->name != NULL; c++)
      fprintf(f, "%s %d\n", c->name, c->n);
    fclose(f);
  }
  return 0;
}

Result cuCtxSetCurrent (Context c);
Result cuCtxSetCurrent (Context c) {
  CALLED("cuCtxSetCurrent");
  return c == &context ? 0 : 1;
}

Result cuCtxSynchronize (void);
Result cuCtxSynchronize (void) {
  int i;
  CALLED("cuCtxSynchronize");
  for (i = 0; i < 256; i++) if (all[i] != NULL) runall(all[i]);
  return 0;
}

Result cuMemAlloc_v2 (Address *at, size_t bytes);
Result cuMemAlloc_v2 (Address *at, size_t bytes) {
  CALLED("cuMemAlloc_v2");
  if (bytes > (size_t)1 << 30) return OUT_OF_MEMORY;
  *at = (Address)(size_t)malloc(bytes);
  if (*at == 0) return OUT_OF_MEMORY;
  memset((void *)(size_t)*at, 0x7f, bytes);
  blocks++;
  return 0;
}

/* Like the driver's, it waits for all work. */
Result cuMemFree_v2 (Address at);
Result cuMemFree_v2 (Address at) {
  CALLED("cuMemFree_v2");
  cuCtxSynchronize();
  free((void *)(size_t)at);
  blocks--;
  return 0;
}

Result cuMemGetInfo_v2 (size_t *unused, size_t *total);
Result cuMemGetInfo_v2 (size_t *unused, size_t *total) {
  *unused = 1000;
  *total = 2000;
  return 0;
}

static Result copy (struct Queue_ *queue, Kind kind, void *host,
                    Address device, size_t bytes) {
  Op op;
  if (queue->capture != NULL) return 900;
  memset(&op, 0, sizeof(op));
  op.kind = kind;
  op.host = host;
  op.device = device;
  op.bytes = bytes;
  give(queue, &op);
  return 0;
}

Result cuMemcpyHtoDAsync_v2 (Address to, const void *from, size_t bytes,
                             Queue queue);
Result cuMemcpyHtoDAsync_v2 (Address to, const void *from, size_t bytes,
                             Queue queue) {
  CALLED("cuMemcpyHtoDAsync_v2");
  return copy(queue, IN, (void *)(size_t)from, to, bytes);
}

Result cuMemcpyDtoHAsync_v2 (void *to, Address from, size_t bytes,
                             Queue queue);
Result cuMemcpyDtoHAsync_v2 (void *to, Address from, size_t bytes,
                             Queue queue) {
  CALLED("cuMemcpyDtoHAsync_v2");
  return copy(queue, OUT, to, from, bytes);
}

Result cuStreamCreate (Queue *queue, unsigned int flags);
Result cuStreamCreate (Queue *queue, unsigned int flags) {
  int i = 0;
  CALLED("cuStreamCreate");
  if (flags != QUEUE_NON_BLOCKING) return 1;
  *queue = (Queue)new(sizeof(**queue));
  (*queue)->base = 1;
  while (all[i] != NULL) i++;
  all[i] = *queue;
  queues++;
  return 0;
}

/* Marks and other streams may still name it, so its memory is kept. */
Result cuStreamDestroy_v2 (Queue queue);
Result cuStreamDestroy_v2 (Queue queue) {
  int i = 0;
  CALLED("cuStreamDestroy_v2");
  runall(queue);
  while (all[i] != queue) i++;
  all[i] = NULL;
  queue->before = destroyed;
  destroyed = queue;
  queues--;
  return 0;
}

Result cuStreamSynchronize (Queue queue);
Result cuStreamSynchronize (Queue queue) {
  CALLED("cuStreamSynchronize");
  if (queue->capture != NULL) return 900;
  runall(queue);
  return 0;
}

Result cuStreamQuery (Queue queue);
Result cuStreamQuery (Queue queue) {
  CALLED("cuStreamQuery");
  return queue->n > queue->done ? NOT_READY : 0;
}

Result cuStreamWaitEvent (Queue queue, Mark mark, unsigned int flags);
Result cuStreamWaitEvent (Queue queue, Mark mark, unsigned int flags) {
  Op op;
  CALLED("cuStreamWaitEvent");
  if (flags != 0) return 1;
  if (mark->capture != NULL) {
    if (queue->capture != NULL && queue->capture != mark->capture) return 900;
    queue->capture = mark->capture;
    if (queue->last == NULL) queue->last = mark->last;
    return 0;
  }
  if (queue->capture != NULL) return 905;
  if (mark->queue == NULL) return 0;
  memset(&op, 0, sizeof(op));
  op.kind = WAIT;
  op.queue = mark->queue;
  op.number = mark->number;
  give(queue, &op);
  return 0;
}

Result cuEventCreate (Mark *mark, unsigned int flags);
Result cuEventCreate (Mark *mark, unsigned int flags) {
  CALLED("cuEventCreate");
  if (flags != 0 && flags != MARK_DISABLE_TIMING) return 1;
  *mark = (Mark)new(sizeof(**mark));
  marks++;
  return 0;
}

Result cuEventDestroy_v2 (Mark mark);
Result cuEventDestroy_v2 (Mark mark) {
  CALLED("cuEventDestroy_v2");
  free(mark);
  marks--;
  return 0;
}

Result cuEventRecord (Mark mark, Queue queue);
Result cuEventRecord (Mark mark, Queue queue) {
  Op op;
  CALLED("cuEventRecord");
  memset(&op, 0, sizeof(op));
  op.kind = RECORD;
  mark->queue = queue;
  mark->capture = queue->capture;
  mark->last = queue->last;
  if (queue->capture == NULL) mark->number = give(queue, &op);
  return 0;
}

/* Sometimes the work has ended meanwhile. */
Result cuEventQuery (Mark mark);
Result cuEventQuery (Mark mark) {
  CALLED("cuEventQuery");
  if (mark->capture != NULL) return 900;
  if (mark->queue == NULL) return 0;
  if (++mark->looked % 4 == 0) runto(mark->queue, mark->number);
  return mark->queue->base + mark->queue->done > mark->number ? 0 : NOT_READY;
}

Result cuEventSynchronize (Mark mark);
Result cuEventSynchronize (Mark mark) {
  CALLED("cuEventSynchronize");
  if (mark->queue != NULL) runto(mark->queue, mark->number);
  return 0;
}

Result cuEventElapsedTime (float *milliseconds, Mark from, Mark to);
Result cuEventElapsedTime (float *milliseconds, Mark from, Mark to) {
  CALLED("cuEventElapsedTime");
  *milliseconds = from == to ? 0 : 1.5f;
  return 0;
}

Result cuModuleLoadData (Module *module, const void *image);
Result cuModuleLoadData (Module *module, const void *image) {
  CALLED("cuModuleLoadData");
  if (strncmp((const char *)image, ".version", 8) != 0) return 1;
  *module = (Module)new(sizeof(**module));
  modules++;
  return 0;
}

Result cuModuleUnload (Module module);
Result cuModuleUnload (Module module) {
  CALLED("cuModuleUnload");
  free(module);
  modules--;
  return 0;
}

Result cuModuleGetFunction (Function *function, Module module,
                            const char *name);
Result cuModuleGetFunction (Function *function, Module module,
                            const char *name) {
  const struct Function_ *f = functions;
  CALLED("cuModuleGetFunction");
  while (f->name != NULL && strcmp(f->name, name) != 0) f++;
  if (module == NULL || f->name == NULL) return 500;
  *function = (Function)(size_t)f;
  return 0;
}

Result cuLaunchKernel (Function function, unsigned int gridx,
                       unsigned int gridy, unsigned int gridz,
                       unsigned int blockx, unsigned int blocky,
                       unsigned int blockz, unsigned int shared, Queue queue,
                       void **params, void **extra);
Result cuLaunchKernel (Function function, unsigned int gridx,
                       unsigned int gridy, unsigned int gridz,
                       unsigned int blockx, unsigned int blocky,
                       unsigned int blockz, unsigned int shared, Queue queue,
                       void **params, void **extra) {
  unsigned int threads = gridx * gridy * gridz * blockx * blocky * blockz;
  Op op;
  CALLED("cuLaunchKernel");
  if (threads == 0 || shared != 0 || extra != NULL) return 1;
  memset(&op, 0, sizeof(op));
  op.kind = KERNEL;
  fillnode(&op.node, function, threads, params);
  if (queue->capture == NULL) give(queue, &op);
  else if (queue->capture->n == MAXNODES) return 2;
  else {
    queue->last = &queue->capture->nodes[queue->capture->n++];
    *queue->last = op.node;
  }
  return 0;
}

Result cuStreamBeginCapture_v2 (Queue queue, int mode);
Result cuStreamBeginCapture_v2 (Queue queue, int mode) {
  CALLED("cuStreamBeginCapture_v2");
  if (mode != CAPTURE_RELAXED || queue->capture != NULL) return 1;
  queue->capture = (Recorded)new(sizeof(*queue->capture));
  queue->last = NULL;
  graphs++;
  return 0;
}

Result cuStreamEndCapture (Queue queue, Recorded *recorded);
Result cuStreamEndCapture (Queue queue, Recorded *recorded) {
  int i;
  Result error = count("cuStreamEndCapture");
  *recorded = queue->capture;
  if (queue->capture == NULL) return 1;
  for (i = 0; i < 256; i++)
    if (all[i] != NULL && all[i]->capture == *recorded) {
      all[i]->capture = NULL;
      all[i]->last = NULL;
    }
  if (error != 0) {  /* capturing is over nevertheless */
    free(*recorded);
    *recorded = NULL;
    graphs--;
  }
  return error;
}

Result cuStreamGetCaptureInfo_v2 (Queue queue, int *status,
                                  unsigned long long *id, Recorded *recorded,
                                  const Node **last, size_t *n);
Result cuStreamGetCaptureInfo_v2 (Queue queue, int *status,
                                  unsigned long long *id, Recorded *recorded,
                                  const Node **last, size_t *n) {
  CALLED("cuStreamGetCaptureInfo_v2");
  *status = queue->capture != NULL;
  *id = 1;
  if (recorded != NULL) *recorded = queue->capture;
  *last = &queue->last;
  *n = queue->last != NULL;
  return 0;
}

Result cuGraphInstantiateWithFlags (Exec *exec, Recorded recorded,
                                    unsigned long long flags);
Result cuGraphInstantiateWithFlags (Exec *exec, Recorded recorded,
                                    unsigned long long flags) {
  CALLED("cuGraphInstantiateWithFlags");
  if (flags != 0) return 1;
  *exec = (Exec)new(sizeof(**exec));
  (*exec)->work = *recorded;
  (*exec)->from = recorded;
  execs++;
  return 0;
}

Result cuGraphExecKernelNodeSetParams (Exec exec, Node node,
                                       const NodeParams *params);
Result cuGraphExecKernelNodeSetParams (Exec exec, Node node,
                                       const NodeParams *params) {
  long i = node - exec->from->nodes;
  CALLED("cuGraphExecKernelNodeSetParams");
  if (i < 0 || i >= exec->from->n) return 1;
  fillnode(&exec->work.nodes[i], params->function,
           params->grid[0] * params->grid[1] * params->grid[2]
           * params->block[0] * params->block[1] * params->block[2],
           params->params);
  return 0;
}

Result cuGraphLaunch (Exec exec, Queue queue);
Result cuGraphLaunch (Exec exec, Queue queue) {
  int i;
  CALLED("cuGraphLaunch");
  for (i = 0; i < exec->work.n; i++) {
    Op op;
    memset(&op, 0, sizeof(op));
    op.kind = KERNEL;
    op.node = exec->work.nodes[i];
    give(queue, &op);
  }
  return 0;
}

Result cuGraphExecDestroy (Exec exec);
Result cuGraphExecDestroy (Exec exec) {
  CALLED("cuGraphExecDestroy");
  free(exec);
  execs--;
  return 0;
}

Result cuGraphDestroy (Recorded recorded);
Result cuGraphDestroy (Recorded recorded) {
  CALLED("cuGraphDestroy");
  free(recorded);
  graphs--;
  return 0;
}

/*
** driver.h - what is used of the CUDA driver, found when the program runs
**
** Nothing of NVIDIA's SDK is needed to compile this. A function of the table
** has the name of the driver's without its "cu"; where the driver has several
** versions of one, the table says which.
*/
#ifndef DRIVER_H
#define DRIVER_H

#include <stddef.h>

typedef int Result;  /* 0, or the number of an error */
typedef int DeviceId;
typedef unsigned long long Address;  /* of memory of the GPU */
typedef struct Context_ *Context;
typedef struct Module_ *Module;
typedef struct Function_ *Function;
typedef struct Queue_ *Queue;  /* the driver's stream */
typedef struct Mark_ *Mark;  /* the driver's event */
typedef struct Recorded_ *Recorded;  /* the driver's graph */
typedef struct Node_ *Node;
typedef struct Exec_ *Exec;

/* how a kernel is launched, for a node of a graph */
typedef struct NodeParams {
  Function function;
  unsigned int grid[3], block[3], shared;
  void **params;
  void **extra;
} NodeParams;

enum {
  OUT_OF_MEMORY = 2,
  NOT_READY = 600,
  QUEUE_NON_BLOCKING = 1,   /* flag of StreamCreate */
  MARK_DISABLE_TIMING = 2,  /* flag of EventCreate */
  CAPTURE_RELAXED = 2,      /* mode of StreamBeginCapture */
  CAPTURING = 1             /* status of a queue that is being captured */
};

#define DRIVER_FUNCTIONS(F) \
  F(Init, "cuInit", (unsigned int flags)) \
  F(GetErrorName, "cuGetErrorName", (Result error, const char **name)) \
  F(GetErrorString, "cuGetErrorString", (Result error, const char **text)) \
  F(DriverGetVersion, "cuDriverGetVersion", (int *version)) \
  F(DeviceGet, "cuDeviceGet", (DeviceId *device, int ordinal)) \
  F(DeviceGetName, "cuDeviceGetName", (char *name, int size, DeviceId device)) \
  F(PrimaryCtxRetain, "cuDevicePrimaryCtxRetain", \
    (Context *context, DeviceId device)) \
  F(PrimaryCtxRelease, "cuDevicePrimaryCtxRelease_v2", (DeviceId device)) \
  F(CtxSetCurrent, "cuCtxSetCurrent", (Context context)) \
  F(CtxSynchronize, "cuCtxSynchronize", (void)) \
  F(MemAlloc, "cuMemAlloc_v2", (Address *at, size_t bytes)) \
  F(MemFree, "cuMemFree_v2", (Address at)) \
  F(MemGetInfo, "cuMemGetInfo_v2", (size_t *unused, size_t *total)) \
  F(MemcpyHtoDAsync, "cuMemcpyHtoDAsync_v2", \
    (Address to, const void *from, size_t bytes, Queue queue)) \
  F(MemcpyDtoHAsync, "cuMemcpyDtoHAsync_v2", \
    (void *to, Address from, size_t bytes, Queue queue)) \
  F(StreamCreate, "cuStreamCreate", (Queue *queue, unsigned int flags)) \
  F(StreamDestroy, "cuStreamDestroy_v2", (Queue queue)) \
  F(StreamSynchronize, "cuStreamSynchronize", (Queue queue)) \
  F(StreamQuery, "cuStreamQuery", (Queue queue)) \
  F(StreamWaitEvent, "cuStreamWaitEvent", \
    (Queue queue, Mark mark, unsigned int flags)) \
  F(EventCreate, "cuEventCreate", (Mark *mark, unsigned int flags)) \
  F(EventDestroy, "cuEventDestroy_v2", (Mark mark)) \
  F(EventRecord, "cuEventRecord", (Mark mark, Queue queue)) \
  F(EventQuery, "cuEventQuery", (Mark mark)) \
  F(EventSynchronize, "cuEventSynchronize", (Mark mark)) \
  F(EventElapsedTime, "cuEventElapsedTime", \
    (float *milliseconds, Mark from, Mark to)) \
  F(ModuleLoadData, "cuModuleLoadData", (Module *module, const void *image)) \
  F(ModuleUnload, "cuModuleUnload", (Module module)) \
  F(ModuleGetFunction, "cuModuleGetFunction", \
    (Function *function, Module module, const char *name)) \
  F(LaunchKernel, "cuLaunchKernel", \
    (Function function, unsigned int gridx, unsigned int gridy, \
     unsigned int gridz, unsigned int blockx, unsigned int blocky, \
     unsigned int blockz, unsigned int shared, Queue queue, void **params, \
     void **extra)) \
  F(StreamBeginCapture, "cuStreamBeginCapture_v2", (Queue queue, int mode)) \
  F(StreamEndCapture, "cuStreamEndCapture", \
    (Queue queue, Recorded *recorded)) \
  F(StreamGetCaptureInfo, "cuStreamGetCaptureInfo_v2", \
    (Queue queue, int *status, unsigned long long *id, Recorded *recorded, \
     const Node **last, size_t *n)) \
  F(GraphInstantiate, "cuGraphInstantiateWithFlags", \
    (Exec *exec, Recorded recorded, unsigned long long flags)) \
  F(GraphExecKernelNodeSetParams, "cuGraphExecKernelNodeSetParams", \
    (Exec exec, Node node, const NodeParams *params)) \
  F(GraphLaunch, "cuGraphLaunch", (Exec exec, Queue queue)) \
  F(GraphExecDestroy, "cuGraphExecDestroy", (Exec exec)) \
  F(GraphDestroy, "cuGraphDestroy", (Recorded recorded))

typedef struct Driver {
#define FIELD(name, symbol, params) Result (*name) params;
  DRIVER_FUNCTIONS(FIELD)
#undef FIELD
} Driver;

/* Finds the driver and initialises it. Returns NULL, or why it cannot be used:
** a text in `reason`. */
const char *driver_open (Driver *driver, char *reason, size_t size);

/* Writes the name and the text that the driver has for an error to `text`;
** returns it. */
const char *driver_error (const Driver *driver, Result error, char *text,
                          size_t size);

#endif

/*
** gpu.h - what the files of the module `cuda` share
**
** A Lua state has one Gpu, a userdata that is there until the state closes, and
** each object of the module points to it. It opens the driver when the first
** object is made.
**
** *Slots.* Streams, events and buffers have no finalizers, which cost more than
** all else that is done for a small object. All that there is to know of one is
** in a slot; the Lua object only tells which, and a weak table has it under the
** number of its slot. An object with a finalizer, made anew in each cycle of the
** collector, looks for slots whose objects are gone. A serial number that the
** object and its slot share tells that the object is open.
**
** *Order.* Work that one stream was given runs in order; each piece of it has a
** number, counted up for each stream. When stream S waits for an event of stream
** T, all that S does later comes after T's work up to the event, and S *knows*
** T up to that number. A block of memory remembers the number of its last use on
** each stream. So the allocator can tell, without asking the driver, whether
** what a stream does next comes after all uses of a block.
**
** Errors of the driver are raised as Lua errors, except in finalizers.
*/
#ifndef GPU_H
#define GPU_H

#include "gbi.h"
#include "driver.h"

#if LUA_VERSION_NUM < 502
#define lua_rawlen lua_objlen
#endif

typedef unsigned long long Number;

#define MAXSTREAMS 64  /* open at the same time; the bits of a Number */
#define POOL 16        /* streams in the pool */
#define CLASSES (sizeof(size_t) < 8 ? 32 : 48)  /* sizes of blocks: powers of 2 */
#define MAXPARAMS 12   /* of a kernel */
#define MAXMARKS 64    /* events of the driver kept for later use */
#define MAXINPUTS 8    /* buffers that a captured graph is given */

/* the kinds of objects; the first three have slots */
enum { STREAM, EVENT, BUFFER, MODULE, KERNEL, GRAPH, KINDS };

/* upvalues of all functions */
#define GPU(L) ((Gpu *)lua_touserdata(L, lua_upvalueindex(1)))
#define METATABLE(kind) lua_upvalueindex(2 + (kind))
#define SLOTTED lua_upvalueindex(2 + KINDS)  /* the weak table */
#define HANDLES lua_upvalueindex(3 + KINDS)  /* gbi.handles */
#define OBJECTS lua_upvalueindex(4 + KINDS)  /* its table of objects */
#define UPVALUES (4 + KINDS)

/* Memory of the GPU. It is handed from buffer to buffer. */
typedef struct Block {
  struct Block *next;  /* in a list of free blocks */
  Address at;
  int class;
  int refs;
  Number used;              /* bit i: stream i has used it */
  Number last[MAXSTREAMS];  /* the number of the last use there */
} Block;

/* Free blocks, oldest first. */
typedef struct List {
  Block *first, *end;
} List;

/* An open stream. The numbers continue when a place is used again. */
typedef struct Place {
  Queue queue;  /* NULL: the place is free */
  int capturing;
  Number number;  /* of the last piece of work */
  Number done;    /* all work up to this one has ended */
  Number known[MAXSTREAMS];
  List unused[CLASSES];  /* blocks whose uses come before its next work */
  Mark probe;            /* an event recorded there to learn what has ended */
  Number probed;         /* the number it was recorded at; 0: not recorded */
  int frees;             /* work since then */
} Place;

typedef struct Graph Graph;

/* A stream, an event or a buffer. */
typedef struct Slot {
  Number serial;        /* 0: the slot is free */
  const void *object;   /* the address of the Lua object */
  struct Slot *next;    /* free slot */
  int number, kind;
  int place;            /* STREAM; EVENT: the stream that it was recorded on,
                           or negative */
  int pooled;           /* STREAM: of the pool; EVENT: its mark may be used
                           again */
  lua_Integer handle;   /* STREAM, EVENT: its number, or 0 */
  Mark mark;            /* EVENT; NULL: not made yet */
  int timing, captured; /* EVENT */
  Number at;            /* EVENT: how far its stream was */
  Block *block;         /* BUFFER; NULL: not there yet */
  size_t n;             /* BUFFER: floats */
} Slot;

typedef Slot Stream, Event, Buffer;

#define CHUNK 64
typedef struct Chunk {
  struct Chunk *next;
  Slot slots[CHUNK];
} Chunk;

typedef struct Gpu {
  const gbi_API *gbi;
  Driver cu;
  int open, closed;
  DeviceId device;
  Context context;
  const void *metatables[KINDS];
  Place places[MAXSTREAMS];
  Number holders[CLASSES];  /* bit i: place i has an unused block */
  List unused[CLASSES];     /* blocks that no stream uses any more */
  size_t bytes, inuse;      /* of all blocks, and of those that are not free */
  size_t enough;            /* collect garbage before there are more */
  lua_Integer blocks, free;
  Mark marks[MAXMARKS];
  int nmarks;
  int pooled;               /* streams handed out by the pool */
  Graph *capture;           /* the graph that is being captured, or NULL */
  Chunk *chunks;            /* of slots */
  Slot *freeslot;           /* the first free slot */
  int nslots;
  int watched;              /* will an object look for collected ones? */
  Number serial;            /* the last serial number given out */
  Number closings;          /* the number of closed objects */
} Gpu;

/* The Lua object of a slot. */
typedef struct Object {
  Gpu *gpu;
  Slot *slot;
  Number serial;
} Object;

/* A value of a kernel's parameter. */
typedef union Value {
  Address address;
  float number;
  int integer;
  long long large;
} Value;

/* A module of the driver, shared by its kernels. */
typedef struct Code {
  Module module;
  int refs;
} Code;

typedef struct CodeBox {
  Gpu *gpu;
  Code *code;
} CodeBox;

typedef struct Kernel {
  Gpu *gpu;
  Code *code;
  Function function;
  int nparams;
  int maps;  /* has it the parameters that `map` needs? */
  char params[MAXPARAMS + 1];  /* of each: p buffer, f float, i, l integers */
} Kernel;

/* One launch of a kernel. */
typedef struct Launch {
  Node node;
  Function function;
  unsigned int grid;
  int nparams;
  Value values[MAXPARAMS];
  Block *blocks[MAXPARAMS];  /* NULL: not a buffer */
  int inputs[MAXPARAMS];     /* the number of the graph's input, or 0 */
} Launch;

#define THREADS 128  /* of one thread block */


/* {gpu.c: the device and what objects have in common */

/* Returns the state's Gpu, whose driver is open. [-0, +0, e] */
Gpu *gpu_get (lua_State *L);

/* Raises the error of a function of the driver. [-0, +0, e] */
int gpu_error (lua_State *L, const Gpu *gpu, Result error,
               const char *function);

/* The same, but returns if there is no error. [-0, +0, e] */
static inline void gpu_check (lua_State *L, const Gpu *gpu, Result error,
                              const char *function) {
  if (error != 0) gpu_error(L, gpu, error, function);
}

/* Pushes a new object without a slot, of `size` bytes, all 0 except for its Gpu.
** [-0, +1, m] */
void *gpu_new (lua_State *L, Gpu *gpu, int kind, size_t size);

/* Returns argument `arg`, an object without a slot. [-0, +0, e] */
void *gpu_arg (lua_State *L, int arg, int kind);

/* Pushes a new object with a slot. Returns the slot. May run finalizers.
** [-0, +1, e] */
Slot *gpu_newslot (lua_State *L, Gpu *gpu, int kind);

/* Returns the driver's resources of a slot. */
void gpu_close (Gpu *gpu, Slot *slot);

/* Does so for all objects that were collected. [-0, +0, m] */
void gpu_sweep (lua_State *L, Gpu *gpu);

/* Returns the slot of the value at stack index `i`, if that is an open object,
** or NULL. [-0, +0, -]
**
** A userdata of somebody else's may have the size of an object, the address of
** one that was collected, and what is left of it; it finds the slot as long as
** nobody looked for objects that are gone. Nothing but the slot is used, so that
** is no worse than to find the object. */
static inline Slot *gpu_anyslot (lua_State *L, const Gpu *gpu, int i) {
  const Object *object = (const Object *)lua_touserdata(L, i);
  Slot *slot;
  if (object == NULL || lua_rawlen(L, i) != sizeof(Object)
      || object->gpu != gpu)
    return NULL;
  slot = object->slot;
  return slot->serial == object->serial && slot->object == object ? slot
                                                                  : NULL;
}

/* The same for one of this kind. [-0, +0, -] */
static inline Slot *gpu_slot (lua_State *L, const Gpu *gpu, int i, int kind) {
  Slot *slot = gpu_anyslot(L, gpu, i);
  return slot != NULL && slot->kind == kind ? slot : NULL;
}

/* Returns the slot of the open object whose handle is argument `arg`, and puts
** the object in the place of the handle. Raises the error for anything else;
** with `closed`, returns NULL for a closed object. [-0, +0, e] */
Slot *gpu_argother (lua_State *L, const Gpu *gpu, int arg, int kind,
                    int closed);

/* Returns the slot of argument `arg`, an open object or a handle of one. Puts
** the object in the place of its handle. [-0, +0, e] */
static inline Slot *gpu_argslot (lua_State *L, const Gpu *gpu, int arg,
                                 int kind) {
  Slot *slot = gpu_slot(L, gpu, arg, kind);
  return slot != NULL ? slot : gpu_argother(L, gpu, arg, kind, 0);
}

#define gpu_argstream(L, gpu, arg) gpu_argslot(L, gpu, arg, STREAM)
#define gpu_argbuffer(L, gpu, arg) gpu_argslot(L, gpu, arg, BUFFER)

/* Closes argument `arg` unless it is closed. [-0, +0, e] */
void gpu_closearg (lua_State *L, Gpu *gpu, int arg, int kind);

/* }{order.c: streams wait for each other, and blocks for streams */

/* Returns an event of the driver, for gpu_givemark. */
Result gpu_takemark (Gpu *gpu, Mark *mark);
void gpu_givemark (Gpu *gpu, Mark mark);

/* Makes stream `to` wait for the work that stream `from` was given. */
Result gpu_order (Gpu *gpu, int from, int to);

/* Makes a stream wait for all uses of a block. */
Result gpu_ready (Gpu *gpu, const Block *block, int place);

/* Records that the last work of a stream uses a block. */
void gpu_use (Gpu *gpu, Block *block, int place);

/* Records that all work of a stream has ended. */
void gpu_ended (Gpu *gpu, int place);

/* Ends a stream. Any stream can then use its free blocks. */
void gpu_closeplace (Gpu *gpu, int place);

/* Returns a block of `bytes` for a stream, with one reference for the caller.
** May collect garbage. [-0, +0, e] */
Block *gpu_alloc (lua_State *L, Gpu *gpu, int place, size_t bytes);

/* Drops a reference; the last one frees the block. */
void gpu_release (Gpu *gpu, Block *block);

/* Frees all unused blocks. */
void gpu_trim (Gpu *gpu);

/* }{buffer.c, capture.c */

/* Pushes a new buffer of `n` floats for a stream. [-0, +1, e] */
Buffer *gpu_newbuffer (lua_State *L, Gpu *gpu, int place, size_t n);

/* Records a launch on a stream that is being captured. [-0, +0, e] */
void gpu_captured (lua_State *L, Gpu *gpu, int place, const Launch *launch);

/* }{the functions of each file */
void gpu_openstreams (lua_State *L);
void gpu_openbuffers (lua_State *L);
void gpu_openkernels (lua_State *L);

/* Is the value at stack index `i` a function that `kernel:mapper` made? */
int gpu_ismapper (lua_State *L, int i);

void gpu_opengraphs (lua_State *L);

/* Adds functions to the table on the top. [-0, +0, m] */
void gpu_functions (lua_State *L, const luaL_Reg *functions);

/* Fills the metatable of a kind: methods, and a closer for the end of a
** variable and, if the kind has no slot, the finalizer; it is also the method
** `close`, unless there is another one. [-0, +0, m] */
void gpu_kind (lua_State *L, int kind, const luaL_Reg *methods,
               lua_CFunction close, lua_CFunction length);
/* } */

#endif

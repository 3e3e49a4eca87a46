/*
** order.c - which work comes after which, and memory that is used again in that
** order
**
** A block that nobody has any more goes to a stream that comes after all its
** uses: what that stream is given next may write to it. A stream that finds no
** block of its own takes one of another stream whose uses have ended or are
** known to it. What has ended is learnt now and then from an event.
*/
#include "gpu.h"

#include <stdlib.h>
#include <string.h>

#define SMALLEST 8      /* 2^8 bytes */
#define PROBE_EVERY 32  /* blocks returned to a stream at a time */
#define BIT(i) ((Number)1 << (i))

/* The lowest bit of a number that is not 0. */
#if defined(__GNUC__)
#define lowest(number) __builtin_ctzll(number)
#else
static int lowest (Number number) {
  int i = 0;
  while (!(number & BIT(i))) i++;
  return i;
}
#endif

/* for each bit i of `bits`, which becomes 0 */
#define EACHBIT(i, bits) \
  for (; (bits) != 0 && (i = lowest(bits), 1); (bits) &= (bits) - 1)

#define ENOUGH ((size_t)64 << 20)


/* {==================================================================
** Streams wait
** =================================================================== */

Result gpu_takemark (Gpu *gpu, Mark *mark) {
  if (gpu->nmarks == 0)
    return gpu->cu.EventCreate(mark, MARK_DISABLE_TIMING);
  *mark = gpu->marks[--gpu->nmarks];
  return 0;
}


void gpu_givemark (Gpu *gpu, Mark mark) {
  if (gpu->nmarks < MAXMARKS) gpu->marks[gpu->nmarks++] = mark;
  else gpu->cu.EventDestroy(mark);
}


Result gpu_order (Gpu *gpu, int from, int to) {
  Place *places = gpu->places;
  Mark mark;
  Result error = gpu_takemark(gpu, &mark);
  if (error != 0) return error;
  error = gpu->cu.EventRecord(mark, places[from].queue);
  if (error == 0)
    error = gpu->cu.StreamWaitEvent(places[to].queue, mark, 0);
  gpu_givemark(gpu, mark);
  if (error == 0 && !places[from].capturing)
    places[to].known[from] = places[from].number;
  return error;
}


/* Does all work that stream `to` is given from now on come after work `number`
** of stream `from`? */
static int isafter (const Gpu *gpu, int to, int from, Number number) {
  return to == from || number <= gpu->places[from].done
         || (to >= 0 && number <= gpu->places[to].known[from]);
}


/* Does it come after all uses of a block? With a negative stream: have the uses
** ended? */
static int comesafter (const Gpu *gpu, int to, const Block *block) {
  Number used;
  int i;
  used = block->used;
  EACHBIT(i, used)
    if (!isafter(gpu, to, i, block->last[i])) return 0;
  return 1;
}


Result gpu_ready (Gpu *gpu, const Block *block, int place) {
  Number used;
  int i;
  used = block->used;
  EACHBIT(i, used)
    if (!isafter(gpu, place, i, block->last[i])) {
      Result error = gpu_order(gpu, i, place);
      if (error != 0) return error;
    }
  return 0;
}


void gpu_use (Gpu *gpu, Block *block, int place) {
  block->used |= BIT(place);
  block->last[place] = gpu->places[place].number;
}


void gpu_ended (Gpu *gpu, int place) {
  gpu->places[place].done = gpu->places[place].number;
}


/* Learns which work of a stream has ended, from the event recorded there. */
static void look (Gpu *gpu, Place *place) {
  if (place->probed != 0 && gpu->cu.EventQuery(place->probe) == 0) {
    if (place->done < place->probed) place->done = place->probed;
    place->probed = 0;
  }
}


/* Records that event. */
static void probe (Gpu *gpu, Place *place) {
  place->frees = 0;
  look(gpu, place);
  if (place->probed != 0 || place->queue == NULL || place->capturing) return;
  if (place->probe == NULL && gpu_takemark(gpu, &place->probe) != 0) {
    place->probe = NULL;
    return;
  }
  if (gpu->cu.EventRecord(place->probe, place->queue) == 0)
    place->probed = place->number;
}

/* }================================================================== */


/* {==================================================================
** Free blocks
** =================================================================== */

static void append (List *list, Block *block) {
  block->next = NULL;
  if (list->first == NULL) list->first = block;
  else list->end->next = block;
  list->end = block;
}


static Block *first (List *list) {
  Block *block = list->first;
  list->first = block->next;
  return block;
}


/* Takes the first unused block of a stream. */
static Block *takefrom (Gpu *gpu, int place, int class) {
  List *list = &gpu->places[place].unused[class];
  Block *block = first(list);
  if (list->first == NULL) gpu->holders[class] &= ~BIT(place);
  return block;
}


/* Returns an unused block whose uses all come before the stream's next work, or
** NULL. */
static Block *take (Gpu *gpu, int place, int class) {
  Number holders = gpu->holders[class];
  int i;
  if (gpu->places[place].capturing) holders = 0;  /* not this one's order */
  if (holders & BIT(place)) return takefrom(gpu, place, class);
  if (gpu->unused[class].first != NULL) return first(&gpu->unused[class]);
  EACHBIT(i, holders) {
    Block *block;
    block = gpu->places[i].unused[class].first;
    if (!comesafter(gpu, place, block)) {
      look(gpu, &gpu->places[i]);
      if (!comesafter(gpu, place, block)) continue;
    }
    return takefrom(gpu, i, class);
  }
  return NULL;
}


void gpu_release (Gpu *gpu, Block *block) {
  Number used;
  int i, to = -1;
  if (--block->refs > 0) return;
  if (gpu->closed) return;  /* its memory is lost with the context */
  gpu->free++;
  gpu->inuse -= (size_t)1 << block->class;
  used = block->used;
  EACHBIT(i, used)
    if (!isafter(gpu, -1, i, block->last[i])) {
      to = i;
      if (comesafter(gpu, to, block)) break;
    }
  if (to < 0) {  /* all uses have ended */
    append(&gpu->unused[block->class], block);
    return;
  }
  if (used == 0 && gpu_ready(gpu, block, to) != 0) {
    /* the driver does not let streams wait: wait here for all of them */
    gpu->cu.CtxSynchronize();
  }
  append(&gpu->places[to].unused[block->class], block);
  gpu->holders[block->class] |= BIT(to);
  if (++gpu->places[to].frees >= PROBE_EVERY) probe(gpu, &gpu->places[to]);
}


/* Returns the blocks of a list to the driver. */
static void freelist (Gpu *gpu, List *list, int class) {
  while (list->first != NULL) {
    Block *block = first(list);
    gpu->cu.MemFree(block->at);
    gpu->bytes -= (size_t)1 << class;
    gpu->blocks--;
    gpu->free--;
    free(block);
  }
}


void gpu_closeplace (Gpu *gpu, int i) {
  Place *place = &gpu->places[i];
  int class;
  gpu->cu.StreamSynchronize(place->queue);
  for (class = 0; class < CLASSES; class++) {
    while (place->unused[class].first != NULL)
      append(&gpu->unused[class], takefrom(gpu, i, class));
  }
  gpu_ended(gpu, i);
  place->probed = 0;
  place->capturing = 0;
  gpu->cu.StreamDestroy(place->queue);
  place->queue = NULL;
}


void gpu_trim (Gpu *gpu) {
  int class, i;
  for (class = 0; class < CLASSES; class++) {
    freelist(gpu, &gpu->unused[class], class);
    for (i = 0; i < MAXSTREAMS; i++)
      freelist(gpu, &gpu->places[i].unused[class], class);
    gpu->holders[class] = 0;
  }
}


/* Returns a new block, or NULL and the error. */
static Block *fresh (Gpu *gpu, int class, Result *error) {
  Block *block = (Block *)malloc(sizeof(Block));
  *error = OUT_OF_MEMORY;
  if (block == NULL) return NULL;
  *error = gpu->cu.MemAlloc(&block->at, (size_t)1 << class);
  if (*error != 0) {
    free(block);
    return NULL;
  }
  block->class = class;
  gpu->bytes += (size_t)1 << class;
  gpu->blocks++;
  gpu->free++;
  return block;
}


/* Collects unreferenced buffers, and takes their blocks. */
static Block *collect (lua_State *L, Gpu *gpu, int place, int class) {
  lua_gc(L, LUA_GCCOLLECT, 0);
  gpu_sweep(L, gpu);
  return take(gpu, place, class);
}


Block *gpu_alloc (lua_State *L, Gpu *gpu, int place, size_t bytes) {
  Block *block;
  Result error = 0;
  int class = SMALLEST;
  while (class < CLASSES - 1 && ((size_t)1 << class) < bytes) class++;
  if (((size_t)1 << class) < bytes)
    gpu_check(L, gpu, OUT_OF_MEMORY, "cuMemAlloc");
  block = take(gpu, place, class);
  if (block == NULL && gpu->bytes + ((size_t)1 << class)
                       > (gpu->enough > ENOUGH ? gpu->enough : ENOUGH)) {
    /* Lua does not see how large buffers are */
    block = collect(L, gpu, place, class);
    gpu->enough = 2 * gpu->inuse;
  }
  if (block == NULL) block = fresh(gpu, class, &error);
  if (error == OUT_OF_MEMORY) {
    block = collect(L, gpu, place, class);
    if (block == NULL && gpu->capture == NULL) {
      int i;
      gpu_check(L, gpu, gpu->cu.CtxSynchronize(), "cuCtxSynchronize");
      for (i = 0; i < MAXSTREAMS; i++) gpu_ended(gpu, i);
      gpu_trim(gpu);
      block = fresh(gpu, class, &error);
    }
  }
  if (block == NULL) {
    gpu_error(L, gpu, error, "cuMemAlloc");
    return NULL;  /* not reached */
  }
  block->used = 0;
  block->refs = 1;
  gpu->free--;
  gpu->inuse += (size_t)1 << class;
  if (!gpu->places[place].capturing) gpu_use(gpu, block, place);
  return block;
}

/* }================================================================== */

/*
** stream.c - streams and events, and the operations on them by number
**
** record_event and wait_event have the arguments of PyTorch's operators of the
** same names.
*/
#include "gpu.h"

#define POOLED lua_upvalueindex(UPVALUES + 1)  /* streams of the pool */


/* {==================================================================
** Streams
** =================================================================== */

static Stream *newstream (lua_State *L, Gpu *gpu) {
  Stream *stream = gpu_newslot(L, gpu, STREAM);
  int place = 0;
  while (place < MAXSTREAMS && gpu->places[place].queue != NULL) place++;
  if (place == MAXSTREAMS) luaL_error(L, "all %d streams are open", MAXSTREAMS);
  gpu_check(L, gpu, gpu->cu.StreamCreate(&gpu->places[place].queue,
                                         QUEUE_NON_BLOCKING), "cuStreamCreate");
  stream->place = place;
  return stream;
}


/* stream() -> a new stream, which waits for no other */
static int cuda_stream (lua_State *L) {
  newstream(L, gpu_get(L));
  return 1;
}


/* pool_stream() -> a stream of the pool, each one in turn */
static int cuda_pool_stream (lua_State *L) {
  Gpu *gpu = gpu_get(L);
  int i = gpu->pooled + 1;
  lua_rawgeti(L, POOLED, i);
  if (lua_isnil(L, -1)) {
    newstream(L, gpu)->pooled = 1;
    lua_pushvalue(L, -1);
    lua_rawseti(L, POOLED, i);
  }
  gpu->pooled = i % POOL;
  return 1;
}


/* number(object) -> a handle of a stream or event, the same until it is closed */
static int cuda_number (lua_State *L) {
  Gpu *gpu = GPU(L);
  Slot *slot = gpu_anyslot(L, gpu, 1);
  if (slot == NULL || slot->kind == BUFFER) slot = gpu_argstream(L, gpu, 1);
  if (slot->handle == 0) slot->handle = gpu->gbi->weak(L, HANDLES, 1);
  lua_pushinteger(L, slot->handle);
  return 1;
}


/* stream:synchronize(): waits here for all its work */
static int stream_synchronize (lua_State *L) {
  Gpu *gpu = GPU(L);
  int place = gpu_argstream(L, gpu, 1)->place;
  gpu_check(L, gpu, gpu->cu.StreamSynchronize(gpu->places[place].queue),
            "cuStreamSynchronize");
  gpu_ended(gpu, place);
  return 0;
}


/* stream:query() -> has all its work ended? */
static int stream_query (lua_State *L) {
  Gpu *gpu = GPU(L);
  int place = gpu_argstream(L, gpu, 1)->place;
  Result error = gpu->cu.StreamQuery(gpu->places[place].queue);
  if (error != NOT_READY) {
    gpu_check(L, gpu, error, "cuStreamQuery");
    gpu_ended(gpu, place);
  }
  lua_pushboolean(L, error == 0);
  return 1;
}


/* stream:close(): waits until all its work has ended */
static int stream_close (lua_State *L) {
  Gpu *gpu = GPU(L);
  const Stream *stream = gpu_slot(L, gpu, 1, STREAM);
  luaL_argcheck(L, stream == NULL || !stream->pooled, 1,
                "a stream of the pool stays open");
  gpu_closearg(L, gpu, 1, STREAM);
  return 0;
}

/* }================================================================== */


/* {==================================================================
** Events
** =================================================================== */

/* event(["timing"]) -> a new event. The driver's event is made when it is first
** recorded. */
static int cuda_event (lua_State *L) {
  static const char *const options[] = {"", "timing", NULL};
  int timing = lua_isnoneornil(L, 1) ? 0 : luaL_checkoption(L, 1, "", options);
  Event *event = gpu_newslot(L, gpu_get(L), EVENT);
  event->timing = timing;
  event->captured = 0;
  return 1;
}


#define argevent(L, gpu, arg) gpu_argslot(L, gpu, arg, EVENT)

/* The same, for an event that was recorded. */
static Event *argrecorded (lua_State *L, const Gpu *gpu, int arg) {
  Event *event = argevent(L, gpu, arg);
  luaL_argcheck(L, event->place >= 0, arg, "the event was not recorded yet");
  return event;
}


/* record_event(event, stream) */
static int cuda_record_event (lua_State *L) {
  Gpu *gpu = GPU(L);
  Event *event = argevent(L, gpu, 1);
  Stream *stream = gpu_argstream(L, gpu, 2);
  Place *place = &gpu->places[stream->place];
  if (event->mark == NULL)
    gpu_check(L, gpu, event->timing ? gpu->cu.EventCreate(&event->mark, 0)
                                    : gpu_takemark(gpu, &event->mark),
              "cuEventCreate");
  gpu_check(L, gpu, gpu->cu.EventRecord(event->mark, place->queue),
            "cuEventRecord");
  event->place = stream->place;
  event->at = place->number;
  event->captured = place->capturing;
  event->pooled = !event->timing && !event->captured;
  return 0;
}


/* wait_event(event, stream): the stream's further work waits for the event */
static int cuda_wait_event (lua_State *L) {
  Gpu *gpu = GPU(L);
  Event *event = argrecorded(L, gpu, 1);
  Place *place = &gpu->places[gpu_argstream(L, gpu, 2)->place];
  gpu_check(L, gpu, gpu->cu.StreamWaitEvent(place->queue, event->mark, 0),
            "cuStreamWaitEvent");
  if (event->captured) place->capturing = 1;
  else if (place->known[event->place] < event->at)
    place->known[event->place] = event->at;
  return 0;
}


/* fork(from, to), join(from, to): stream `to` waits for the work that `from`
** was given; no event needs a name */
static int cuda_fork (lua_State *L) {
  Gpu *gpu = GPU(L);
  int from = gpu_argstream(L, gpu, 1)->place, to = gpu_argstream(L, gpu, 2)->place;
  gpu_check(L, gpu, gpu_order(gpu, from, to), "cuStreamWaitEvent");
  if (gpu->places[from].capturing) gpu->places[to].capturing = 1;
  return 0;
}


/* event:synchronize(): waits here */
static int event_synchronize (lua_State *L) {
  Gpu *gpu = GPU(L);
  Event *event = argrecorded(L, gpu, 1);
  Place *place = &gpu->places[event->place];
  gpu_check(L, gpu, gpu->cu.EventSynchronize(event->mark),
            "cuEventSynchronize");
  if (place->done < event->at) place->done = event->at;
  return 0;
}


/* event:query() -> has it happened? */
static int event_query (lua_State *L) {
  Gpu *gpu = GPU(L);
  Result error = gpu->cu.EventQuery(argrecorded(L, gpu, 1)->mark);
  if (error != NOT_READY) gpu_check(L, gpu, error, "cuEventQuery");
  lua_pushboolean(L, error == 0);
  return 1;
}


/* event:elapsed(later) -> milliseconds between two events with "timing" */
static int event_elapsed (lua_State *L) {
  Gpu *gpu = GPU(L);
  Event *event = argrecorded(L, gpu, 1), *later = argrecorded(L, gpu, 2);
  float milliseconds;
  gpu_check(L, gpu, gpu->cu.EventElapsedTime(&milliseconds, event->mark,
                                             later->mark),
            "cuEventElapsedTime");
  lua_pushnumber(L, milliseconds);
  return 1;
}


/* event:close(). A stream that waits for it continues to wait. */
static int event_close (lua_State *L) {
  Gpu *gpu = GPU(L);
  gpu_closearg(L, gpu, 1, EVENT);
  return 0;
}

/* }================================================================== */


static const luaL_Reg functions[] = {
  {"stream", cuda_stream},
  {"number", cuda_number},
  {"event", cuda_event},
  {"record_event", cuda_record_event},
  {"wait_event", cuda_wait_event},
  {"fork", cuda_fork},
  {"join", cuda_fork},
  {NULL, NULL}
};

static const luaL_Reg stream_methods[] = {
  {"synchronize", stream_synchronize},
  {"query", stream_query},
  {NULL, NULL}
};

static const luaL_Reg event_methods[] = {
  {"record", cuda_record_event},
  {"wait", cuda_wait_event},
  {"synchronize", event_synchronize},
  {"query", event_query},
  {"elapsed", event_elapsed},
  {NULL, NULL}
};


void gpu_openstreams (lua_State *L) {
  int i;
  gpu_kind(L, STREAM, stream_methods, stream_close, NULL);
  gpu_kind(L, EVENT, event_methods, event_close, NULL);
  gpu_functions(L, functions);
  for (i = 1; i <= UPVALUES; i++) lua_pushvalue(L, lua_upvalueindex(i));
  lua_createtable(L, POOL, 0);
  lua_pushcclosure(L, cuda_pool_stream, UPVALUES + 1);
  lua_setfield(L, -2, "pool_stream");
}

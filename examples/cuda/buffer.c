/*
** buffer.c - buffers of floats in the memory of the GPU
*/
#include "gpu.h"

#include <string.h>

/* as many as the largest block holds */
#define MAXFLOATS ((lua_Number)(((size_t)1 << (CLASSES - 1)) / sizeof(float)))


Buffer *gpu_newbuffer (lua_State *L, Gpu *gpu, int place, size_t n) {
  Buffer *buffer = gpu_newslot(L, gpu, BUFFER);
  buffer->block = gpu_alloc(L, gpu, place, n * sizeof(float));
  buffer->n = n;
  return buffer;
}


/* Raises an error for a stream that is being captured. */
static Stream *arguncaptured (lua_State *L, Gpu *gpu, int arg,
                              const char *what) {
  Stream *stream = gpu_argstream(L, gpu, arg);
  if (gpu->places[stream->place].capturing)
    luaL_error(L, "%s cannot be captured in a CUDA graph", what);
  return stream;
}


/* Pushes the floats of argument `arg`, a string or a list of numbers, as a
** string. Returns their number, and the string in `bytes`. */
static size_t argfloats (lua_State *L, int arg, const char **bytes) {
  size_t size, i, n;
  char *floats;
  if (lua_type(L, arg) == LUA_TSTRING) {
    *bytes = lua_tolstring(L, arg, &size);
    luaL_argcheck(L, size % sizeof(float) == 0, arg,
                  "the string is not one of floats");
    return size / sizeof(float);
  }
  luaL_checktype(L, arg, LUA_TTABLE);
  n = 0;
  for (;;) {
    lua_rawgeti(L, arg, (int)n + 1);
    if (lua_isnil(L, -1)) break;
    lua_pop(L, 1);
    n++;
  }
  floats = (char *)lua_newuserdata(L, (n + 1) * sizeof(float));
  for (i = 0; i < n; i++) {
    float number;
    lua_rawgeti(L, arg, (int)i + 1);
    if (lua_type(L, -1) != LUA_TNUMBER)
      luaL_error(L, "element %d is not a number", (int)i + 1);
    number = (float)lua_tonumber(L, -1);
    memcpy(floats + i * sizeof(float), &number, sizeof(number));
    lua_pop(L, 1);
  }
  *bytes = floats;
  return n;
}


/* Copies floats to a buffer, and waits for the copy. */
static void fill (lua_State *L, Gpu *gpu, Buffer *buffer, int i,
                  const char *bytes) {
  Place *place = &gpu->places[i];
  if (buffer->n == 0) return;
  gpu_check(L, gpu, gpu->cu.MemcpyHtoDAsync(buffer->block->at, bytes,
                                            buffer->n * sizeof(float),
                                            place->queue),
            "cuMemcpyHtoDAsync");
  place->number++;
  gpu_use(gpu, buffer->block, i);
  gpu_check(L, gpu, gpu->cu.StreamSynchronize(place->queue),
            "cuStreamSynchronize");
  gpu_ended(gpu, i);
}


/* buffer:write(stream, floats): a list of numbers, or a string of floats, of
** the buffer's length */
static int buffer_write (lua_State *L) {
  Gpu *gpu = GPU(L);
  Buffer *buffer = gpu_argbuffer(L, gpu, 1);
  Stream *stream = arguncaptured(L, gpu, 2, "write");
  const char *bytes;
  size_t n = argfloats(L, 3, &bytes);
  /* a finalizer may have run and closed anything */
  gpu_argbuffer(L, gpu, 1);
  gpu_argstream(L, gpu, 2);
  if (n != buffer->n)
    luaL_error(L, "%d floats expected, got %d", (int)buffer->n, (int)n);
  fill(L, gpu, buffer, stream->place, bytes);
  return 0;
}


/* Waits for the stream and copies a buffer to `bytes`. */
static void copy (lua_State *L, Gpu *gpu, const Buffer *buffer,
                  const Stream *stream, void *bytes) {
  Place *place = &gpu->places[stream->place];
  gpu_check(L, gpu, gpu->cu.MemcpyDtoHAsync(bytes, buffer->block->at,
                                            buffer->n * sizeof(float),
                                            place->queue),
            "cuMemcpyDtoHAsync");
  place->number++;
  gpu_use(gpu, buffer->block, stream->place);
  gpu_check(L, gpu, gpu->cu.StreamSynchronize(place->queue),
            "cuStreamSynchronize");
  gpu_ended(gpu, stream->place);
}


/* Pushes the bytes of a buffer as a userdata; returns them. */
static char *readbytes (lua_State *L, Gpu *gpu, Buffer *buffer) {
  Stream *stream = arguncaptured(L, gpu, 2, "read");
  char *bytes = (char *)lua_newuserdata(L, (buffer->n + 1) * sizeof(float));
  gpu_argbuffer(L, gpu, 1);
  gpu_argstream(L, gpu, 2);
  if (buffer->n > 0) copy(L, gpu, buffer, stream, bytes);
  return bytes;
}


/* buffer:read(stream) -> a list of its numbers, after all work that the stream
** was given */
static int buffer_read (lua_State *L) {
  Gpu *gpu = GPU(L);
  Buffer *buffer = gpu_argbuffer(L, gpu, 1);
  const char *bytes = readbytes(L, gpu, buffer);
  size_t i;
  lua_createtable(L, (int)buffer->n, 0);
  for (i = 0; i < buffer->n; i++) {
    float number;
    memcpy(&number, bytes + i * sizeof(float), sizeof(number));
    lua_pushnumber(L, number);
    lua_rawseti(L, -2, (int)i + 1);
  }
  return 1;
}


/* buffer:string(stream) -> the same, as a string of floats */
static int buffer_string (lua_State *L) {
  Gpu *gpu = GPU(L);
  Buffer *buffer = gpu_argbuffer(L, gpu, 1);
  const char *bytes = readbytes(L, gpu, buffer);
  lua_pushlstring(L, bytes, buffer->n * sizeof(float));
  return 1;
}


/* #buffer: the number of floats */
static int buffer_len (lua_State *L) {
  lua_pushinteger(L, (lua_Integer)gpu_argbuffer(L, GPU(L), 1)->n);
  return 1;
}


/* buffer:close(). Work that streams were given still finds its memory. */
static int buffer_close (lua_State *L) {
  Gpu *gpu = GPU(L);
  gpu_closearg(L, gpu, 1, BUFFER);
  return 0;
}


/* buffer(stream, n) -> a buffer of `n` floats, with arbitrary values */
static int cuda_buffer (lua_State *L) {
  Gpu *gpu = gpu_get(L);
  Stream *stream = gpu_argstream(L, gpu, 1);
  lua_Number n = luaL_checknumber(L, 2);
  luaL_argcheck(L, n >= 0 && n <= MAXFLOATS, 2, "out of range");
  gpu_newbuffer(L, gpu, stream->place, (size_t)n);
  return 1;
}


/* from(stream, floats) -> a buffer of them, as `write` takes them */
static int cuda_from (lua_State *L) {
  Gpu *gpu = gpu_get(L);
  Stream *stream = arguncaptured(L, gpu, 1, "from");
  const char *bytes;
  size_t n = argfloats(L, 2, &bytes);
  Buffer *buffer = gpu_newbuffer(L, gpu, stream->place, n);
  fill(L, gpu, buffer, gpu_argstream(L, gpu, 1)->place, bytes);
  return 1;
}


static const luaL_Reg functions[] = {
  {"buffer", cuda_buffer},
  {"from", cuda_from},
  {NULL, NULL}
};

static const luaL_Reg methods[] = {
  {"write", buffer_write},
  {"read", buffer_read},
  {"string", buffer_string},
  {"len", buffer_len},
  {NULL, NULL}
};


void gpu_openbuffers (lua_State *L) {
  gpu_kind(L, BUFFER, methods, buffer_close, buffer_len);
  gpu_functions(L, functions);
}

/*
** capture.c - CUDA graphs: work that is captured once and launched as one
**
** A graph is captured on streams of its own. It keeps the memory that its
** kernels work on, except for its inputs: those are buffers of the caller, whose
** addresses are put into the kernels before a launch when they differ from the
** last ones. The outputs of a launch are buffers that share the graph's memory;
** while one of them is open, the graph is busy and is not launched again. The
** driver runs launches of one graph one after another.
*/
#include "gpu.h"

#include <stdlib.h>
#include <string.h>

#define MAXLAUNCHES 256
#define MAXBLOCKS 512
#define MAXOUTPUTS 8

struct Graph {
  Gpu *gpu;
  Recorded recorded;
  Exec exec;
  int place;  /* of the stream where capturing began, or negative */
  int ninputs, noutputs, nlaunches, nblocks;
  Address inputs[MAXINPUTS];
  size_t lengths[MAXINPUTS];
  int outputs[MAXOUTPUTS];  /* which block */
  size_t outlengths[MAXOUTPUTS];
  Block *blocks[MAXBLOCKS];
  Launch *launches;
};


/* Ends capturing. */
static void stopcapture (Gpu *gpu) {
  int i;
  for (i = 0; i < MAXSTREAMS; i++) gpu->places[i].capturing = 0;
  gpu->capture = NULL;
}


static int graph_close (lua_State *L) {
  Graph *graph = (Graph *)gpu_arg(L, 1, GRAPH);
  Gpu *gpu = graph->gpu;
  if (gpu->capture == graph) {
    Recorded recorded = NULL;
    if (gpu->open) {
      gpu->cu.StreamEndCapture(gpu->places[graph->place].queue, &recorded);
      if (recorded != NULL) gpu->cu.GraphDestroy(recorded);
    }
    stopcapture(gpu);
  }
  if (gpu->open) {
    if (graph->exec != NULL) gpu->cu.GraphExecDestroy(graph->exec);
    if (graph->recorded != NULL) gpu->cu.GraphDestroy(graph->recorded);
  }
  graph->exec = NULL;
  graph->recorded = NULL;
  while (graph->nblocks > 0)
    gpu_release(gpu, graph->blocks[--graph->nblocks]);
  free(graph->launches);
  graph->launches = NULL;
  return 0;
}


/* capture(stream, ...) -> graph, whose inputs are the buffers. Captures all
** work that is given to the stream, and to streams that wait for it, until the
** graph is finished or closed. */
static int cuda_capture (lua_State *L) {
  Gpu *gpu = gpu_get(L);
  Stream *stream = gpu_argstream(L, gpu, 1);
  int i, n = lua_gettop(L) - 1;
  Graph *graph;
  luaL_argcheck(L, n <= MAXINPUTS, MAXINPUTS + 2, "too many inputs");
  for (i = 0; i < n; i++) gpu_argbuffer(L, gpu, i + 2);
  if (gpu->capture != NULL) luaL_error(L, "another graph is being captured");
  graph = (Graph *)gpu_new(L, gpu, GRAPH, sizeof(Graph));
  graph->launches = (Launch *)malloc(MAXLAUNCHES * sizeof(Launch));
  if (graph->launches == NULL) luaL_error(L, "not enough memory");
  for (i = 0; i < n; i++) {
    Buffer *buffer = gpu_argbuffer(L, gpu, i + 2);
    graph->inputs[i] = buffer->block->at;
    graph->lengths[i] = buffer->n;
  }
  graph->ninputs = n;
  graph->place = stream->place;
  gpu_check(L, gpu, gpu->cu.StreamBeginCapture(gpu->places[stream->place].queue,
                                               CAPTURE_RELAXED),
            "cuStreamBeginCapture");
  gpu->places[stream->place].capturing = 1;
  gpu->capture = graph;
  return 1;
}


/* Returns the number of this block in the graph; adds the block if it is
** new. */
static int keepblock (lua_State *L, Graph *graph, Block *block) {
  int i;
  for (i = 0; i < graph->nblocks; i++)
    if (graph->blocks[i] == block) return i;
  if (graph->nblocks == MAXBLOCKS)
    luaL_error(L, "more than %d buffers in a CUDA graph", MAXBLOCKS);
  block->refs++;
  graph->blocks[graph->nblocks] = block;
  return graph->nblocks++;
}


/* Returns the number of the input at this address, or 0. */
static int inputat (const Graph *graph, Address at) {
  int i;
  for (i = 0; i < graph->ninputs; i++)
    if (graph->inputs[i] == at) return i + 1;
  return 0;
}


void gpu_captured (lua_State *L, Gpu *gpu, int place, const Launch *launch) {
  Graph *graph = gpu->capture;
  Launch *copy;
  const Node *last = NULL;
  unsigned long long id;
  size_t n = 0;
  int status = 0, i;
  if (graph->nlaunches == MAXLAUNCHES)
    luaL_error(L, "more than %d kernels in a CUDA graph", MAXLAUNCHES);
  copy = &graph->launches[graph->nlaunches];
  *copy = *launch;
  gpu_check(L, gpu, gpu->cu.StreamGetCaptureInfo(
              gpu->places[place].queue, &status, &id, NULL, &last, &n),
            "cuStreamGetCaptureInfo");
  if (status != CAPTURING || n != 1)
    luaL_error(L, "the stream is not being captured");
  copy->node = last[0];  /* the stream's last node is this kernel */
  for (i = 0; i < copy->nparams; i++) {
    copy->inputs[i] = 0;
    if (copy->blocks[i] == NULL) continue;
    copy->inputs[i] = inputat(graph, copy->blocks[i]->at);
    if (copy->inputs[i] == 0) keepblock(L, graph, copy->blocks[i]);
    copy->blocks[i] = NULL;
  }
  graph->nlaunches++;
}


/* graph:finish(...): ends capturing. The buffers, which the graph wrote, are
** its outputs. */
static int graph_finish (lua_State *L) {
  Gpu *gpu = GPU(L);
  Graph *graph = (Graph *)gpu_arg(L, 1, GRAPH);
  int i, n = lua_gettop(L) - 1;
  luaL_argcheck(L, gpu->capture == graph, 1, "the graph is not being captured");
  luaL_argcheck(L, n <= MAXOUTPUTS, MAXOUTPUTS + 2, "too many outputs");
  for (i = 0; i < n; i++) {
    Buffer *buffer = gpu_argbuffer(L, gpu, i + 2);
    luaL_argcheck(L, inputat(graph, buffer->block->at) == 0, i + 2,
                  "an input is no output");
    graph->outputs[i] = keepblock(L, graph, buffer->block);
    graph->outlengths[i] = buffer->n;
  }
  graph->noutputs = n;
  stopcapture(gpu);
  gpu_check(L, gpu, gpu->cu.StreamEndCapture(gpu->places[graph->place].queue,
                                             &graph->recorded),
            "cuStreamEndCapture");
  gpu_check(L, gpu, gpu->cu.GraphInstantiate(&graph->exec, graph->recorded, 0),
            "cuGraphInstantiate");
  return 0;
}


/* Puts another address into the kernels that use this input. */
static void moveinput (lua_State *L, Gpu *gpu, Graph *graph, int input,
                       Address at) {
  int i, k;
  for (i = 0; i < graph->nlaunches; i++) {
    Launch *launch = &graph->launches[i];
    NodeParams node;
    void *params[MAXPARAMS];
    int has = 0;
    for (k = 0; k < launch->nparams; k++) {
      params[k] = &launch->values[k];
      if (launch->inputs[k] == input) {
        launch->values[k].address = at;
        has = 1;
      }
    }
    if (!has) continue;
    memset(&node, 0, sizeof(node));
    node.function = launch->function;
    node.grid[0] = launch->grid;
    node.block[0] = THREADS;
    node.grid[1] = node.grid[2] = node.block[1] = node.block[2] = 1;
    node.params = params;
    gpu_check(L, gpu, gpu->cu.GraphExecKernelNodeSetParams(graph->exec,
                                                           launch->node, &node),
              "cuGraphExecKernelNodeSetParams");
  }
  graph->inputs[input - 1] = at;  /* last: an error leaves it to be set again */
}


/* launch(graph, stream, ...), graph:launch(stream, ...) -> its outputs, or true
** if it has none; false if it is busy or the inputs have other lengths than in
** the capture */
static int graph_launch (lua_State *L) {
  Gpu *gpu = GPU(L);
  Graph *graph = (Graph *)gpu_arg(L, 1, GRAPH);
  const Stream *stream = gpu_argstream(L, gpu, 2);
  const Buffer *inputs[MAXINPUTS];
  Buffer *outputs[MAXOUTPUTS];
  Number closings = gpu->closings;
  int i, place, n = lua_gettop(L) - 2, no = graph->noutputs, fits = 1;
  luaL_argcheck(L, graph->exec != NULL, 1, "the graph is not finished");
  if (n != graph->ninputs)
    luaL_error(L, "%d inputs expected, got %d", graph->ninputs, n);
  for (i = 0; i < n; i++) {
    inputs[i] = gpu_argbuffer(L, gpu, i + 3);
    if (inputs[i]->n != graph->lengths[i]) fits = 0;
  }
  if (!fits || no == 0) lua_pushboolean(L, fits);
  if (!fits) return 1;
  luaL_checkstack(L, no + 4, NULL);
  for (i = 0; i < no; i++)
    outputs[i] = gpu_newslot(L, gpu, BUFFER);
  if (gpu->closings != closings) {  /* a finalizer may have closed them */
    gpu_argstream(L, gpu, 2);
    for (i = 0; i < n; i++) gpu_argbuffer(L, gpu, i + 3);
  }
  if (graph->exec == NULL) luaL_error(L, "the graph is closed");
  /* no finalizer runs from here on */
  for (i = 0; i < no; i++)
    if (graph->blocks[graph->outputs[i]]->refs > 1) {
      lua_pushboolean(L, 0);
      return 1;
    }
  place = stream->place;
  for (i = 0; i < n; i++)
    if (inputs[i]->block->at != graph->inputs[i])
      moveinput(L, gpu, graph, i + 1, inputs[i]->block->at);
  for (i = 0; i < no; i++)
    gpu_check(L, gpu, gpu_ready(gpu, graph->blocks[graph->outputs[i]], place),
              "cuStreamWaitEvent");
  gpu_check(L, gpu, gpu->cu.GraphLaunch(graph->exec, gpu->places[place].queue),
            "cuGraphLaunch");
  gpu->places[place].number++;
  for (i = 0; i < n; i++) gpu_use(gpu, inputs[i]->block, place);
  for (i = 0; i < graph->nblocks; i++) gpu_use(gpu, graph->blocks[i], place);
  for (i = 0; i < no; i++) {
    Block *block = graph->blocks[graph->outputs[i]];
    block->refs++;
    outputs[i]->block = block;
    outputs[i]->n = graph->outlengths[i];
  }
  return no == 0 ? 1 : no;
}


static const luaL_Reg functions[] = {
  {"capture", cuda_capture},
  {"launch", graph_launch},
  {NULL, NULL}
};

static const luaL_Reg methods[] = {
  {"finish", graph_finish},
  {"launch", graph_launch},
  {NULL, NULL}
};


void gpu_opengraphs (lua_State *L) {
  gpu_kind(L, GRAPH, methods, graph_close, NULL);
  gpu_functions(L, functions);
}

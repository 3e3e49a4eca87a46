/*
** model.c - see model.h; what the functions do is what README.md says of the
** registry's
*/
#include "model.h"

#include <string.h>


/* {==================================================================
** Nodes
** =================================================================== */

/* A new node, or 0 when there are enough. */
int model_node (Model *m, Kind kind) {
  Node *node;
  if (m->nnodes + 1 >= NODES
      || (kind == REGISTRY && m->nregistries >= REGISTRIES)
      || (kind == SNAPSHOT && m->nsnapshots >= SNAPSHOTS))
    return 0;
  node = &m->nodes[++m->nnodes];
  node->kind = kind;
  if (kind == REGISTRY) {
    node->part = m->nregistries++;
    m->registries[node->part].node = (short)m->nnodes;
  }
  else if (kind == SNAPSHOT) {
    node->part = m->nsnapshots++;
    m->snapshots[node->part].node = (short)m->nnodes;
  }
  return m->nnodes;
}


Registry *model_registry (Model *m, int node) {
  return &m->registries[m->nodes[node].part];
}


Snapshot *model_snapshot (Model *m, int node) {
  return &m->snapshots[m->nodes[node].part];
}


/* Marks what `node` holds, itself included. */
static void mark (Model *m, int node) {
  short todo[NODES];
  int i, n = 0;
#define PUSH(x) (m->held[x] || (x) == 0 \
                 ? 0 : (m->held[x] = 1, todo[n++] = (short)(x)))
  PUSH(node);
  while (n > 0) {
    const Node *each = &m->nodes[todo[--n]];
    PUSH(each->ref);
    if (each->kind == REGISTRY) {
      const Registry *r = &m->registries[each->part];
      for (i = 1; i <= INDICES; i++) {
        PUSH(r->constructors[i].source);
        PUSH(r->constructors[i].callback);
        PUSH(r->examples[i]);
        PUSH(r->updates[i]);
      }
      for (i = 0; i < r->nstashed; i++) PUSH(r->stashed[i]);
      for (i = 0; i < r->nstashed_before; i++) PUSH(r->stashed_before[i]);
    }
    else if (each->kind == SNAPSHOT) {
      const Snapshot *s = &m->snapshots[each->part];
      PUSH(s->registry);
      for (i = 1; i <= s->side.size; i++)
        if (!s->side.slots[i].dead) PUSH(s->side.slots[i].node);
    }
    else if (each->kind == THREAD) {  /* its frames hold their registries */
      int k;
      for (k = 0; k < m->nregistries; k++)
        for (i = 1; i <= m->registries[k].nframes; i++) {
          const Frame *f = &m->registries[k].frames[i];
          if (!f->ended && &m->nodes[f->thread] == each)
            PUSH(m->registries[k].node);
        }
    }
  }
#undef PUSH
}


/* Works out what is held. A C function without upvalues always is. */
void model_mark (Model *m) {
  int i;
  memset(m->held, 0, sizeof(m->held));
  for (i = 0; i < VARS; i++) mark(m, m->vars[i]);
  for (i = 0; i < m->npins; i++) mark(m, m->pins[i]);
  for (i = 1; i <= m->nnodes; i++)
    if (m->nodes[i].kind == LIGHT_FUNCTION) mark(m, i);
}

/* }================================================================== */


/* {==================================================================
** Looking up
** =================================================================== */

int model_top (const Registry *r) {
  return r->last > r->side.size ? r->last : r->side.size;
}


int model_length (const Registry *r) {
  int i, n = 0;
  for (i = 1; i <= r->last; i++) n += (r->constructors[i].kind != NEVER);
  return n;
}


void model_count (const Registry *r, int *live, int *dead) {
  int i;
  *live = *dead = 0;
  for (i = 1; i <= r->side.size; i++) {
    const Slot *slot = &r->side.slots[i];
    if (slot->node != 0) ++*(slot->dead ? dead : live);
  }
}


static const Slot *slot_at (const Registry *r, long long i) {
  static const Slot none = {0, 0, 0, 0};
  return i >= 1 && i <= r->side.size ? &r->side.slots[i] : &none;
}


/* What index `i` may find, after model_mark. */
int model_expect (const Model *m, const Registry *r, long long i) {
  const Slot *slot = slot_at(r, i);
  const Node *node = &m->nodes[slot->node];
  if (slot->node == 0) return UNREGISTERED;
  if (slot->dead) return DEAD;
  if (m->closing && node->finalizer)
    return node->gone && !slot->late ? DEAD : LIVE | DEAD;
  if (slot->doubt || (r->back && node->finalizer)
      || (m->loose && !m->held[slot->node]))
    return LIVE | DEAD;
  return LIVE;
}


/* Learns what the collector did. */
void model_seen (Registry *r, long long i, int status) {
  if (i >= 1 && i <= r->side.size) {
    r->side.slots[i].dead = (status == DEAD);
    r->side.slots[i].doubt = 0;
  }
}

/* }================================================================== */


/* {==================================================================
** Operations
** =================================================================== */

/* An object comes into the registry. */
static Slot slot_of (const Model *m, int node) {
  Slot slot = {0, 0, 0, 0};
  slot.node = (short)node;
  slot.late = (char)m->closing;
  return slot;
}


int model_register (Model *m, Registry *r, int node, int kind, int source) {
  int i = ++r->last;
  r->constructors[i].kind = (char)kind;
  r->constructors[i].source = (short)source;
  r->constructors[i].callback = 0;
  r->side.slots[i] = slot_of(m, node);
  if (r->side.size < i) r->side.size = i;
  if (kind == CREATED) r->examples[i] = (short)node;
  return i;
}


void model_store (Model *m, Registry *r, const short *nodes, int n,
                  const short *created, int ncreated) {
  int i;
  memset(&r->side, 0, sizeof(r->side));
  r->side.size = n;
  for (i = 1; i <= n; i++)
    if (!r->released[i]) r->side.slots[i] = slot_of(m, nodes[i - 1]);
  memcpy(r->stashed_before, r->stashed, sizeof(r->stashed));
  r->nstashed_before = r->nstashed;
  r->nstashed = 0;
  for (i = 0; i < ncreated; i++) r->stashed[r->nstashed++] = created[i];
}


int model_set (Model *m, Registry *r, long long i, int node) {
  if (i < 1 || i > model_top(r) + 1 || r->released[i]) return 0;
  r->side.slots[i] = slot_of(m, node);
  r->updates[i] = (short)node;
  if (r->side.size < i) r->side.size = (int)i;
  return 1;
}


void model_stash (Registry *r, int node) {
  r->stashed[r->nstashed++] = (short)node;
}


int model_release (Registry *r, long long i) {
  int k;
  static const Constructor none = {NEVER, 0, 0};
  static const Slot empty = {0, 0, 0, 0};
  if (i < 1 || i > INDICES
      || (r->constructors[i].kind == NEVER && slot_at(r, i)->node == 0))
    return 0;
  r->released[i] = 1;
  if (r->last < i) r->last = (int)i;
  r->constructors[i] = none;
  r->side.slots[i] = empty;
  for (k = 1; k <= r->nframes; k++) r->frames[k].side.slots[i] = empty;
  r->examples[i] = r->updates[i] = 0;
  return 1;
}


int model_on_collect (Registry *r, long long i, int callback) {
  if (i < 1 || i > r->last || r->constructors[i].kind == NEVER) return 0;
  r->constructors[i].callback = (short)callback;
  return 1;
}


static int ishandle (const Registry *r, int i) {
  return r->constructors[i].kind == USER && r->constructors[i].source == 0;
}


/* Has a sweep something to do about `i`? */
int model_sweepable (const Registry *r, int i) {
  return r->constructors[i].kind != NEVER && slot_at(r, i)->node != 0
    && slot_at(r, i)->dead
    && (ishandle(r, i) || r->constructors[i].callback != 0);
}


/* Sweeps `i`. Was it released? */
int model_sweep (Registry *r, int i) {
  int handle = ishandle(r, i);
  r->constructors[i].callback = 0;
  if (handle) model_release(r, i);
  return handle;
}


/* Once the slots have been seen: what was live then is held now. */
void model_take (Snapshot *s, const Registry *r) {
  s->registry = r->node;
  s->side = r->side;
}


void model_restore (Model *m, Registry *r, const Snapshot *s) {
  int i;
  r->side = s->side;
  for (i = 1; i <= r->side.size; i++) {
    Slot *slot = &r->side.slots[i];
    if (r->released[i]) memset(slot, 0, sizeof(*slot));
    else if (slot->node != 0 && !slot->dead) *slot = slot_of(m, slot->node);
  }
}


/* Numbers of runs outlive a reset. */
void model_reset (Registry *r) {
  Registry old = *r;
  memset(r, 0, sizeof(*r));
  r->node = old.node;
  r->back = old.back;
  memcpy(r->frames, old.frames, sizeof(r->frames));
  r->nframes = old.nframes;
  memcpy(r->numbers, old.numbers, sizeof(r->numbers));
  r->nnumbers = old.nnumbers;
}


/* The how many-th number of the registry, from 0. */
int model_number (Model *m, Registry *r, int node) {
  r->numbers[r->nnumbers] = slot_of(m, node);
  return r->nnumbers++;
}

/* }================================================================== */


/* {==================================================================
** Frames
** =================================================================== */

static void put_in_place (Registry *r, int place) {
  if (place == r->place && place != NOBODY) return;
  if (r->place > 0) r->frames[r->place].side = r->side;
  if (place > 0) r->side = r->frames[place].side;
  else memset(&r->side, 0, sizeof(r->side));
  r->place = place;
}


/* The position of a coroutine among the runs, or -1. */
static int run_of (const Registry *r, int thread) {
  int i;
  for (i = r->nruns - 1; i >= 0 && r->runs[i].thread != thread; i--);
  return i;
}


/* Puts the side table in place that a coroutine is to see: its own run's, or
** that of the only run, or nobody's. */
void model_switch (Registry *r, int thread) {
  int i = run_of(r, thread);
  if (!r->framed) return;
  if (i >= 0) put_in_place(r, r->runs[i].frame);
  else if (r->nruns == 1) put_in_place(r, r->runs[0].frame);
  else if (r->nruns > 1) put_in_place(r, NOBODY);
}


/* The number of the new frame. */
int model_enter (Model *m, Registry *r, int thread, const short *nodes,
                 int n) {
  int i, k = run_of(r, thread);
  Frame *f = &r->frames[++r->nframes];
  memset(f, 0, sizeof(*f));
  f->thread = (short)thread;
  f->side.size = n;
  for (i = 1; i <= n; i++)
    if (!r->released[i] && nodes[i - 1] != 0)
      f->side.slots[i] = slot_of(m, nodes[i - 1]);
  if (k >= 0) f->outer = r->runs[k].frame;
  else {
    k = r->nruns++;
    r->runs[k].thread = (short)thread;
  }
  r->runs[k].frame = (short)r->nframes;
  r->framed = 1;
  put_in_place(r, r->nframes);
  return r->nframes;
}


/* The coroutine's run is gone. */
void model_forget_run (Registry *r, int thread) {
  int k = run_of(r, thread);
  if (k >= 0) r->runs[k] = r->runs[--r->nruns];
}


void model_leave (Registry *r, int frame) {
  Frame *f = &r->frames[frame];
  int k = run_of(r, f->thread), outer = f->outer;
  f->ended = 1;
  if (k >= 0 && r->runs[k].frame == frame) {
    if (outer != 0) r->runs[k].frame = (short)outer;
    else model_forget_run(r, f->thread);
  }
  if (r->place == frame) {
    if (outer != 0) put_in_place(r, outer);
    else r->place = 0;  /* it stays */
  }
}

/* }================================================================== */


/* {==================================================================
** The collector
** =================================================================== */

/* What nobody holds is gone from a side table. */
static void collect_side (const Model *m, const Registry *r, Side *side) {
  int i;
  for (i = 1; i <= side->size; i++) {
    Slot *slot = &side->slots[i];
    if (slot->node == 0) continue;
    if (!m->held[slot->node]) slot->dead = 1;
    else if (r->back && m->nodes[slot->node].finalizer) slot->doubt = 1;
  }
}


/* What a finalizer brings back may be live or dead in a side table. */
static void doubt_side (const Model *m, const char *before, Side *side) {
  int i;
  for (i = 1; i <= side->size; i++) {
    int in = side->slots[i].node;
    if (in != 0 && m->held[in] && !before[in]) side->slots[i].doubt = 1;
  }
}


/* A full collection is over, and no finalizer of the program ran in it: what
** nobody holds is gone. Returns what cannot be, or NULL. */
const char *model_collected (Model *m) {
  int i, k;
  model_mark(m);
  for (k = 0; k < m->nregistries; k++) {
    Registry *r = &m->registries[k];
    collect_side(m, r, &r->side);
    for (i = 1; i <= r->nframes; i++) {
      collect_side(m, r, &r->frames[i].side);
      if (!m->held[r->frames[i].thread])
        model_forget_run(r, r->frames[i].thread);
    }
    for (i = 0; i < r->nnumbers; i++)
      if (!m->held[r->numbers[i].node]) r->numbers[i].node = 0;
    r->back = 0;
  }
  for (i = 1; i <= m->nnodes; i++) {
    if (m->nodes[i].finalizer && !m->held[i] && m->nodes[i].finalized != 1)
      return "an object that nobody holds was not finalized";
  }
  return NULL;
}


/* A finalizer is about to bring `node` back, and all that only it held: in a
** side table these may be dead, and so may be what has a finalizer in a
** registry among them. */
void model_back (Model *m, int node) {
  char before[NODES];
  int i, k;
  model_mark(m);
  memcpy(before, m->held, sizeof(before));
  mark(m, node);
  for (i = 1; i <= m->nnodes; i++) {
    if (before[i] || !m->held[i]) continue;
    if (m->nodes[i].finalizer && !m->nodes[i].finalized)
      m->nodes[i].pending = 1;
    if (m->nodes[i].kind == REGISTRY) model_registry(m, i)->back = 1;
  }
  for (k = 0; k < m->nregistries; k++) {
    Registry *r = &m->registries[k];
    doubt_side(m, before, &r->side);
    for (i = 1; i <= r->nframes; i++)
      doubt_side(m, before, &r->frames[i].side);
    for (i = 0; i < r->nnumbers; i++) {
      int in = r->numbers[i].node;
      if (in != 0 && m->held[in] && !before[in]) r->numbers[i].doubt = 1;
    }
  }
}

/* }================================================================== */

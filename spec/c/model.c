/*
** model.c - see model.h; what the functions do is what README.md says of the
** methods of registries and handle tables
*/
#include "model.h"

#include <string.h>


/* {==================================================================
** Nodes
** =================================================================== */

/* A new node, or 0 when there are enough. */
int model_node (Model *m, Kind kind) {
  Node *node = &m->nodes[m->nnodes + 1];
  int part = 0, n = m->nnodes + 1;
  if (n >= NODES) return 0;
  switch (kind) {
    case REGISTRY:
      if (m->nregistries == REGISTRIES) return 0;
      part = m->nregistries++;
      m->registries[part].node = (short)n;
      break;
    case SNAPSHOT:
      if (m->nsnapshots == SNAPSHOTS) return 0;
      part = m->nsnapshots++;
      m->snapshots[part].node = (short)n;
      break;
    case HANDLE_TABLE:
      if (m->ntables == TABLES) return 0;
      part = m->ntables++;
      m->tables[part].node = (short)n;
      m->tables[part].n = m->given;
      m->tables[part].first = m->given + 1;
      break;
    case RUN:
      if (m->nruns == RUNS) return 0;
      part = m->nruns++;
      m->runs[part].node = (short)n;
      break;
    default: break;
  }
  node->kind = kind;
  node->part = part;
  return m->nnodes = n;
}


/* Can the node be held weakly? */
int model_isobject (const Model *m, int node) {
  return m->nodes[node].kind > VALUE;
}


Registry *model_registry (Model *m, int node) {
  return &m->registries[m->nodes[node].part];
}


Snapshot *model_snapshot (Model *m, int node) {
  return &m->snapshots[m->nodes[node].part];
}


Table *model_table (Model *m, int node) {
  return &m->tables[m->nodes[node].part];
}


Run *model_run (Model *m, int node) {
  return &m->runs[m->nodes[node].part];
}


/* The nodes that a mark has not yet visited. */
typedef struct Todo {
  Model *m;
  int n;
  short nodes[NODES];
} Todo;


static void push (Todo *todo, int node) {
  if (node == 0 || todo->m->held[node]) return;
  todo->m->held[node] = 1;
  todo->nodes[todo->n++] = (short)node;
}


static void push_all (Todo *todo, const short *nodes, int n) {
  while (n > 0) push(todo, nodes[--n]);
}


static void push_side (Todo *todo, const Side *side) {
  int i;
  for (i = 1; i <= side->size; i++)
    if (!side->slots[i].dead) push(todo, side->slots[i].node);
}


/* A list of stashed objects, and those that followed it. */
static void push_stashes (Todo *todo, int stash) {
  while (stash != 0) {
    const Stash *each = &todo->m->stashes[stash];
    push_all(todo, each->nodes, each->n);
    stash = each->next;
  }
}


/* Marks the nodes that `node` holds, and itself; or a list of stashed objects,
** if negative. */
static void mark (Model *m, int node) {
  Todo todo;
  int i;
  todo.m = m;
  todo.n = 0;
  if (node < 0) push_stashes(&todo, -node);
  else push(&todo, node);
  while (todo.n > 0) {
    const Node *each = &m->nodes[todo.nodes[--todo.n]];
    push(&todo, each->ref);
    if (each->run != 0) {  /* a coroutine whose stack has a call of a graph */
      push(&todo, each->run);
      push(&todo, model_run(m, each->run)->registry);
      push_stashes(&todo, model_run(m, each->run)->stash);
    }
    if (each->kind == REGISTRY) {
      const Registry *r = &m->registries[each->part];
      push_all(&todo, r->sources, INDICES + 1);
      push_all(&todo, r->examples, INDICES + 1);
      push_all(&todo, r->updates, INDICES + 1);
      push_stashes(&todo, r->stash);
      push_stashes(&todo, r->stash_before);
    }
    else if (each->kind == SNAPSHOT) {
      push(&todo, m->snapshots[each->part].registry);
      push_side(&todo, &m->snapshots[each->part].side);
    }
    else if (each->kind == HANDLE_TABLE) {
      const Table *t = &m->tables[each->part];
      for (i = t->first; i <= t->n; i++) {
        if (t->handles[i].changing) continue;
        push(&todo, t->handles[i].callback);
        if (t->handles[i].kind == STRONG)
          push(&todo, t->handles[i].slot.node);
      }
    }
    else if (each->kind == RUN)
      push_all(&todo, m->runs[each->part].objects, INDICES + 1);
  }
}


/* Works out which nodes are held. Values and C functions without upvalues
** always are. */
void model_mark (Model *m) {
  int i;
  memset(m->held, 0, sizeof(m->held));
  for (i = 0; i < VARS; i++) mark(m, m->vars[i]);
  for (i = 0; i < m->npins; i++) mark(m, m->pins[i]);
  for (i = 1; i <= m->nnodes; i++)
    if (m->nodes[i].kind == LIGHT_FUNCTION || m->nodes[i].kind == VALUE)
      mark(m, i);
}

/* }================================================================== */


/* {==================================================================
** Slots
** =================================================================== */

/* An object enters a slot. */
static Slot slot_of (const Model *m, int node) {
  Slot slot = {0, 0, 0, 0};
  slot.node = (short)node;
  slot.late = (char)m->closing;
  return slot;
}


/* What a slot may find, after model_mark. `holder` is the node that the slot
** dies with; `back` says whether the guard of its table may still run. */
static int expect (const Model *m, const Slot *slot, int holder, int back) {
  const Node *node = &m->nodes[slot->node];
  if (slot->dead) return DEAD;
  if (slot->node == 0) return UNREGISTERED;
  if (m->closing && node->finalizer)
    return node->gone && !slot->late ? DEAD : LIVE | DEAD;
  if (slot->doubt || (back && node->finalizer)
      || (m->loose && !m->held[holder]))
    return LIVE | DEAD;
  return LIVE;
}


/* Takes note of the collector's decision. */
static void seen (Slot *slot, int status) {
  slot->dead = (status == DEAD);
  slot->doubt = 0;
}

/* }================================================================== */


/* {==================================================================
** Registries
** =================================================================== */

int model_top (const Registry *r) {
  return r->last > r->side.size ? r->last : r->side.size;
}


void model_count (const Registry *r, int *live, int *dead) {
  int i;
  *live = *dead = 0;
  for (i = 1; i <= r->side.size; i++) {
    const Slot *slot = &r->side.slots[i];
    if (slot->node != 0) ++*(slot->dead ? dead : live);
  }
}


/* What index `i` may find, after model_mark. */
int model_expect (const Model *m, const Registry *r, long long i) {
  const Slot *slot = &r->side.slots[i >= 1 && i <= r->side.size ? i : 0];
  return expect(m, slot, slot->node, r->back);
}


void model_seen (Registry *r, long long i, int status) {
  if (i >= 1 && i <= r->side.size) seen(&r->side.slots[i], status);
}


int model_register (Model *m, Registry *r, int node, int kind, int source) {
  int i = ++r->last;
  r->kinds[i] = (char)kind;
  r->sources[i] = (short)source;
  r->side.slots[i] = slot_of(m, node);
  if (r->side.size < i) r->side.size = i;
  if (kind == CREATED) r->examples[i] = (short)node;
  return i;
}


/* How many objects are in a list? */
static int nstashed (const Model *m, int stash) {
  return stash == 0 ? 0 : m->stashes[stash].n;
}


void model_store (Model *m, Registry *r, const short *nodes, int n,
                  const short *created, int ncreated) {
  int i;
  memset(&r->side, 0, sizeof(r->side));
  r->side.size = n;
  for (i = 1; i <= n; i++) r->side.slots[i] = slot_of(m, nodes[i - 1]);
  if (ncreated > 0 || nstashed(m, r->stash) > 0
      || nstashed(m, r->stash_before) > 0) {
    r->stash_before = r->stash;
    r->stash = 0;
  }
  for (i = 0; i < ncreated; i++) model_stash(m, r, created[i]);
}


int model_set (Model *m, Registry *r, long long i, int node) {
  if (i < 1 || i > model_top(r) + 1) return 0;
  r->side.slots[i] = slot_of(m, node);
  r->updates[i] = (short)node;
  if (r->side.size < i) r->side.size = (int)i;
  return 1;
}


/* Is there room in the model for some more objects and lists? */
int model_hasstash (const Model *m, const Registry *r) {
  return m->nstashes < LISTS - 20 && nstashed(m, r->stash) < STASHES - 8;
}


void model_stash (Model *m, Registry *r, int node) {
  Stash *stash;
  if (r->stash == 0) r->stash = (short)++m->nstashes;
  stash = &m->stashes[r->stash];
  stash->nodes[stash->n++] = (short)node;
}


/* A run with a backend begins. Returns its list of stashed objects. */
int model_begin (Model *m, Registry *r) {
  if (r->stash == 0) r->stash = (short)++m->nstashes;
  else if (m->stashes[r->stash].n > 0)
    r->stash = m->stashes[r->stash].next = (short)++m->nstashes;
  return r->stash;
}


/* After the slots have been seen: an object that was live then is held now. */
void model_take (Snapshot *s, const Registry *r) {
  s->registry = r->node;
  s->side = r->side;
}


void model_restore (Model *m, Registry *r, const Snapshot *s) {
  int i;
  r->side = s->side;
  for (i = 1; i <= r->side.size; i++) {
    Slot *slot = &r->side.slots[i];
    if (slot->node != 0 && !slot->dead) *slot = slot_of(m, slot->node);
  }
}


void model_reset (Registry *r) {
  short node = r->node;
  char back = r->back;
  memset(r, 0, sizeof(*r));
  r->node = node;
  r->back = back;
}

/* }================================================================== */


/* {==================================================================
** Handle tables. A handle is known by how many all tables gave out before it.
** =================================================================== */

int model_count_handles (const Table *t) {
  int i, n = 0;
  for (i = t->first; i <= t->n; i++) n += !t->handles[i].slot.dead;
  return n;
}


/* Does the handle's object die with another node, its run? */
static int holder (const Handle *h) {
  return h->kind == OF_RUN ? h->run : h->slot.node;
}


/* What handle `i` may find, after model_mark. */
int model_expect_handle (const Model *m, const Table *t, long long i) {
  const Handle *h = &t->handles[i >= t->first && i <= t->n ? i : 0];
  int expected = expect(m, &h->slot, holder(h), t->back);
  return h->changing ? expected | DEAD : expected;
}


void model_seen_handle (Table *t, long long i, int status) {
  if (i >= t->first && i <= t->n) seen(&t->handles[i].slot, status);
}


int model_handle (Model *m, Table *t, int node, int kind) {
  static const Handle other = {{0, 1, 0, 0}, 0, 0, 0, 0};
  while (t->n < m->given) t->handles[++t->n] = other;
  t->handles[t->n = ++m->given] = other;
  t->handles[t->n].slot = slot_of(m, node);
  t->handles[t->n].kind = (char)kind;
  return t->n;
}


/* A new handle of external object `i` of the run. */
int model_handle_of_run (Model *m, Run *run, int i) {
  int h = model_handle(m, &m->tables[0], run->objects[i], OF_RUN);
  m->tables[0].handles[h].run = run->node;
  run->handles[i] = (short)h;
  return h;
}


void model_release (Table *t, long long i) {
  Handle *h;
  if (i < t->first || i > t->n) return;
  h = &t->handles[i];
  h->slot.dead = 1;
  h->callback = 0;
  if (h->kind == STRONG) h->kind = WEAK;  /* it holds nothing any more */
}


/* The call is about to return. */
void model_ending (Model *m, const Run *run) {
  int i;
  for (i = 1; i <= INDICES; i++)
    m->tables[0].handles[run->handles[i]].changing = (run->handles[i] != 0);
}


/* The call has returned: its handles are dead, as if their objects were. */
void model_end (Model *m, Run *run) {
  int i;
  run->ended = 1;
  for (i = 1; i <= INDICES; i++) {
    Handle *h = &m->tables[0].handles[run->handles[i]];
    if (run->handles[i] == 0) continue;
    h->slot.dead = 1;
    h->changing = 0;
  }
}

/* }================================================================== */


/* {==================================================================
** The collector
** =================================================================== */

/* Calls `f` for every slot that holds its object weakly, with its holder and
** whether the guard of its table may still run. */
static void each_slot (Model *m, void (*f) (const Model *m, Slot *slot,
                                            int holder, int back)) {
  int i, k;
  for (k = 0; k < m->nregistries; k++) {
    Registry *r = &m->registries[k];
    for (i = 1; i <= r->side.size; i++)
      if (r->side.slots[i].node != 0)
        f(m, &r->side.slots[i], r->side.slots[i].node, r->back);
  }
  for (k = 0; k < m->ntables; k++) {
    Table *t = &m->tables[k];
    for (i = t->first; i <= t->n; i++)
      if (t->handles[i].kind != STRONG)
        f(m, &t->handles[i].slot, holder(&t->handles[i]), t->back);
  }
}


static void collect_slot (const Model *m, Slot *slot, int holder, int back) {
  if (!m->held[holder]) slot->dead = 1;
  else if (back && m->nodes[slot->node].finalizer) slot->doubt = 1;
}


/* A full collection is over, and no finalizer of the program ran in it: nodes
** that are not held are gone. Returns the contradiction, or NULL. */
const char *model_collected (Model *m) {
  int i, k;
  model_mark(m);
  each_slot(m, collect_slot);
  for (k = 0; k < m->nregistries; k++) m->registries[k].back = 0;
  for (k = 0; k < m->ntables; k++) m->tables[k].back = 0;
  for (i = 1; i <= m->nnodes; i++) {
    if (m->nodes[i].finalizer && !m->held[i] && m->nodes[i].finalized != 1)
      return "an object that nobody holds was not finalized";
  }
  return NULL;
}


/* Resurrected nodes are marked 2 in `held`. */
static void doubt_slot (const Model *m, Slot *slot, int holder, int back) {
  (void)back;
  if (m->held[holder] == 2) slot->doubt = 1;
}


/* A finalizer is about to resurrect `node`, and all nodes that only it held:
** their handles and indices may be dead, and so may nodes among them that have
** a finalizer in a registry or handle table. */
void model_back (Model *m, int node) {
  char before[NODES];
  int i;
  model_mark(m);
  memcpy(before, m->held, sizeof(before));
  mark(m, node);
  for (i = 1; i <= m->nnodes; i++) {
    if (before[i] || !m->held[i]) continue;
    m->held[i] = 2;
    if (m->nodes[i].finalizer && !m->nodes[i].finalized)
      m->nodes[i].pending = 1;
    if (m->nodes[i].kind == REGISTRY) model_registry(m, i)->back = 1;
    else if (m->nodes[i].kind == HANDLE_TABLE) model_table(m, i)->back = 1;
  }
  each_slot(m, doubt_slot);
}

/* }================================================================== */

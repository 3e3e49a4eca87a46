/*
** model.h - what registries and handle tables must hold, worked out without
** Lua
**
** Objects are nodes with numbers; node 0 is none. The model knows which node
** refers to which, so it can tell which objects are held: reached from a
** variable of the program, or kept alive by something that is. It shares no
** code with csrc/.
**
** An object that nobody holds may go whenever the collector may run (`loose`);
** after a full collection without finalizers it is gone for certain.
*/
#ifndef MODEL_H
#define MODEL_H

enum {
  NODES = 300,
  INDICES = 60,      /* highest index of a side table */
  HANDLES = 200,     /* of all handle tables */
  VARS = 67,
  REGISTRIES = 12,
  TABLES = 8,        /* handle tables */
  SNAPSHOTS = 24,
  RUNS = 24,
  STASHES = 64,
  LISTS = 300,       /* of stashed objects */
  PINS = 200,
  VALUES = 4         /* the first nodes: values that are not objects */
};

typedef enum Kind {
  NONE, VALUE, TABLE, USERDATA, FUNCTION, THREAD, LIGHT_FUNCTION, REGISTRY,
  SNAPSHOT, HANDLE_TABLE, RUN
} Kind;

/* what a number may find; combined if the collector decides */
enum { LIVE = 1, DEAD = 2, UNREGISTERED = 4 };

/* The entry of a number. Node 0 is unregistered. */
typedef struct Slot {
  short node;
  char dead;
  char doubt;   /* a finalizer brought its object back: live or dead */
  char late;    /* entered while the state closed */
} Slot;

/* A side table. */
typedef struct Side {
  int size;
  Slot slots[INDICES + 1];
} Side;

enum { STORED, USER, CREATED };  /* kinds of entries */

/* Objects that were stashed. */
typedef struct Stash {
  short nodes[STASHES];
  int n;
  short next;      /* the list that followed it, for runs in progress */
} Stash;

typedef struct Registry {
  short node;
  int last;        /* constructors */
  char kinds[INDICES + 1];
  short sources[INDICES + 1];  /* or construct_fn */
  Side side;
  short examples[INDICES + 1], updates[INDICES + 1];
  short stash, stash_before;  /* lists; 0: an empty one */
  char back;       /* resurrected by a finalizer, its guard may still run */
} Registry;

typedef struct Snapshot {
  short node, registry;
  Side side;
} Snapshot;

enum { WEAK, STRONG, OF_RUN };  /* kinds of handles */

typedef struct Handle {
  Slot slot;
  char kind;
  char changing;   /* made by a call: it may be dead and hold nothing */
  short run;       /* its run, for OF_RUN */
  short callback;  /* the callback given to on_collect */
} Handle;

typedef struct Table {
  short node;
  int first, n;    /* the range of the handles given out */
  Handle handles[HANDLES + 1];
  char back;       /* like a registry's */
} Table;

enum { ENTERING, RETURNS, FAILS, YIELDS };  /* what the body of a run does */

/* One call of a compiled graph. */
typedef struct Run {
  short node, registry;
  int n;
  short objects[INDICES + 1];
  short handles[INDICES + 1];  /* in the state's own table; 0: none */
  short stash;     /* the list of its registry when it began */
  char does;
  char ended;      /* has the call returned? */
} Run;

/* the state of a coroutine; a failed one can only be closed */
enum { IDLE, RUNNING, SUSPENDED, FAILED };

typedef struct Node {
  Kind kind;
  short ref;        /* the node it refers to */
  char finalizer;   /* has it a finalizer? */
  char finalized;   /* how often was it called? */
  char gone;        /* was the last call when the state closed? */
  char pending;     /* must it be called although another one resurrected it? */
  char steps;       /* the steps that it runs when it is called */
  char fails;       /* does it raise an error afterwards? */
  char revives;     /* does its finalizer resurrect it? */
  char state;       /* of a coroutine */
  short run;        /* on the stack of a coroutine, with its stash */
  const void *address;
  int part;         /* its Registry, Snapshot, Table or Run */
} Node;

typedef struct Model {
  Node nodes[NODES];
  int nnodes;       /* the last one */
  Registry registries[REGISTRIES];
  Snapshot snapshots[SNAPSHOTS];
  Table tables[TABLES];  /* the state's own first */
  Run runs[RUNS];
  Stash stashes[LISTS];
  int nregistries, nsnapshots, ntables, nruns, nstashes;
  int given;        /* handles */
  short vars[VARS];
  short pins[PINS]; /* on the stack of a call; negative: a stash */
  int npins;
  int loose;        /* may the collector run? */
  int closing;      /* is the state closing? */
  char held[NODES]; /* by model_mark */
} Model;

int model_node (Model *m, Kind kind);
int model_isobject (const Model *m, int node);
Registry *model_registry (Model *m, int node);
Snapshot *model_snapshot (Model *m, int node);
Table *model_table (Model *m, int node);
Run *model_run (Model *m, int node);
void model_mark (Model *m);

int model_top (const Registry *r);
void model_count (const Registry *r, int *live, int *dead);
int model_expect (const Model *m, const Registry *r, long long i);
void model_seen (Registry *r, long long i, int status);
int model_register (Model *m, Registry *r, int node, int kind, int source);
void model_store (Model *m, Registry *r, const short *nodes, int n,
                  const short *created, int ncreated);
int model_set (Model *m, Registry *r, long long i, int node);
int model_hasstash (const Model *m, const Registry *r);
void model_stash (Model *m, Registry *r, int node);
int model_begin (Model *m, Registry *r);
void model_take (Snapshot *s, const Registry *r);
void model_restore (Model *m, Registry *r, const Snapshot *s);
void model_reset (Registry *r);

int model_count_handles (const Table *t);
int model_expect_handle (const Model *m, const Table *t, long long i);
void model_seen_handle (Table *t, long long i, int status);
int model_handle (Model *m, Table *t, int node, int kind);
int model_handle_of_run (Model *m, Run *run, int i);
void model_release (Table *t, long long i);
void model_ending (Model *m, const Run *run);
void model_end (Model *m, Run *run);

const char *model_collected (Model *m);
void model_back (Model *m, int node);

#endif

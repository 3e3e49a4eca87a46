/*
** model.h - what registries must hold, worked out without Lua
**
** Objects are nodes with numbers; node 0 is none. The model knows which node
** refers to which, so it can tell which objects are held: reached from a
** variable of the program, or kept alive by a registry that is. It shares no
** code with csrc/.
**
** An object that nobody holds may go whenever the collector may run (`loose`);
** after a full collection without finalizers it is gone for certain.
*/
#ifndef MODEL_H
#define MODEL_H

enum {
  NODES = 300,
  INDICES = 60,     /* highest index of a side table */
  VARS = 41,
  REGISTRIES = 12,
  SNAPSHOTS = 24,
  NUMBERS = 40,
  STASHES = 64,
  FRAMES = 12,      /* of a registry */
  PINS = 200
};

typedef enum Kind {
  NONE, TABLE, USERDATA, FUNCTION, THREAD, LIGHT_FUNCTION, REGISTRY, SNAPSHOT
} Kind;

/* what an index may find; or-ed where the collector decides */
enum { LIVE = 1, DEAD = 2, UNREGISTERED = 4 };

/* A slot of a side table: unregistered if node is 0. */
typedef struct Slot {
  short node;
  char dead;
  char doubt;   /* a finalizer brought its object back: live or dead */
  char late;    /* came in while the state closed */
} Slot;

typedef struct Side {
  int size;
  Slot slots[INDICES + 1];
} Side;

enum { NEVER, USER, CREATED };  /* kinds of constructors */

typedef struct Constructor {
  char kind;
  short source;    /* or construct_fn; 0 for a handle */
  short callback;  /* what on_collect was given */
} Constructor;

/* A run of a compiled function, in a coroutine. */
typedef struct Frame {
  short thread;
  short outer;     /* number of the frame around it, 0 if none */
  char ended;
  int serial;      /* of all frames */
  Side side;       /* while it is not in place */
} Frame;

enum { NOBODY = -1 };

typedef struct Registry {
  short node;
  int last;        /* highest index given out or released */
  Side side;       /* the one in place */
  int place;       /* whose it is: a frame's, 0 for no frame's, NOBODY's */
  Frame frames[FRAMES + 1];
  int nframes;
  struct { short thread, frame; } runs[FRAMES];  /* a coroutine's innermost */
  int nruns;
  char framed;     /* was there a frame since the last reset? */
  Constructor constructors[INDICES + 1];
  char released[INDICES + 1];
  short examples[INDICES + 1], updates[INDICES + 1];
  short stashed[STASHES], stashed_before[STASHES];
  int nstashed, nstashed_before;
  Slot numbers[NUMBERS];   /* of runs: live or unregistered */
  int nnumbers;
  char back;       /* brought back by a finalizer, its guard may yet run */
} Registry;

typedef struct Snapshot {
  short node, registry;
  Side side;
} Snapshot;

typedef struct Node {
  Kind kind;
  short ref;        /* what it refers to */
  char finalizer;   /* has it one? */
  char finalized;   /* how often was it called? */
  char gone;        /* was that when the state closed? */
  char pending;     /* is it to be called though another brought it back? */
  char steps;       /* of the program that it runs when it is called */
  char fails;       /* does it raise an error then? */
  char revives;     /* does its finalizer bring it back? */
  const void *address;
  int part;         /* its Registry or Snapshot */
} Node;

typedef struct Model {
  Node nodes[NODES];
  int nnodes;       /* the last one */
  Registry registries[REGISTRIES];
  Snapshot snapshots[SNAPSHOTS];
  int nregistries, nsnapshots;
  short vars[VARS];
  short pins[PINS]; /* on the stack of a call */
  int npins;
  int loose;        /* may the collector run? */
  int closing;      /* does the state close? */
  char held[NODES]; /* by model_mark */
} Model;

int model_node (Model *m, Kind kind);
Registry *model_registry (Model *m, int node);
Snapshot *model_snapshot (Model *m, int node);
void model_mark (Model *m);

int model_top (const Registry *r);
int model_length (const Registry *r);
void model_count (const Registry *r, int *live, int *dead);
int model_expect (const Model *m, const Registry *r, long long i);
void model_seen (Registry *r, long long i, int status);

int model_register (Model *m, Registry *r, int node, int kind, int source);
void model_store (Model *m, Registry *r, const short *nodes, int n,
                  const short *created, int ncreated);
int model_set (Model *m, Registry *r, long long i, int node);
void model_stash (Registry *r, int node);
int model_release (Registry *r, long long i);
int model_on_collect (Registry *r, long long i, int callback);
int model_sweepable (const Registry *r, int i);
int model_sweep (Registry *r, int i);
void model_take (Snapshot *s, const Registry *r);
void model_restore (Model *m, Registry *r, const Snapshot *s);
void model_reset (Registry *r);
int model_number (Model *m, Registry *r, int node);

void model_switch (Registry *r, int thread);
int model_enter (Model *m, Registry *r, int thread, const short *nodes, int n);
void model_leave (Registry *r, int frame);
void model_forget_run (Registry *r, int thread);

const char *model_collected (Model *m);
void model_back (Model *m, int node);

#endif

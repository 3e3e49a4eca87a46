---@meta gbi
-- Made by `make meta` from the comments beside gbi's functions.

---What can be held weakly.
---@alias gbi.object table|userdata|function|thread
---@alias gbi.constant boolean|number|string
---@class gbi.snapshot
---@class gbi.variable

---Compiled code refers to live Lua objects by number.
---
---The functions that a program calls. Those for registries are written in C, in
---csrc/registry_lua.c; each does the same as a method of `gbi.registry`, on
---`gbi.default`. The other modules are loaded when a program first uses a name
---that needs them; until then, `pairs(gbi)` does not show that name.
---@class gbi
---@field _VERSION string `"gbi 0.2.0"`.
---@field default gbi.registry The registry of this Lua state that the module's functions work on.
---@field handles gbi.handles The handle table of this Lua state.
local gbi = {}

gbi.source = {}

gbi.graph = {}

---Generates the prologue of a registry. PyTorch does the same while it
---assembles the bytecode of a compiled function.
---
---The prologue obtains every object, in index order, by running the code that
---its constructor emitted; stores all objects in the registry's side table; and
---stashes the objects that it creates, to which there may be no other
---reference.
---
---In PyTorch: the use of the constructors in `output_graph.py`
---
---Raises if a source needs another parameter; the errors of constructors; an argument error
---@param registry gbi.registry
---@param params? string[] the names of the function's parameters
---@return function # of the parameters; `gbi.traceback` tells which object it could not obtain
---@return string # its source
function gbi.compile_prologue(registry, params) end

---Formats a registry as a table for debugging. A row shows an index, its kind,
---its status, the type of its object, its source, and the call site that
---registered it, if `gbi.debug(true)` was called before.
---
---The status is what `find` tells: an index that the last `store` left out is
---`unregistered`.
---
---Raises an argument error if `registry` is not a registry
---@param registry gbi.registry
---@return string # lines, each ending with a newline
function gbi.inspect(registry) end

---Turns recording of call sites on or off: for registrations and for nodes of
---graphs, file and line of the innermost Lua function that is not gbi's own.
---The setting is for the whole Lua state and off by default. `registry:place`,
---`node.place`, `gbi.inspect` and `gbi.traceback` show the call sites.
---
---Raises an argument error if `on` is not a boolean
---@param on boolean
---@return boolean # the previous setting
function gbi.debug(on) end

---Like `debug.traceback`, but explains each line of a generated function: adds
---its node, the external objects that it uses, and the call sites that recorded
---these, if `gbi.debug(true)` was called before. It can be the message handler
---of `xpcall`, and it can inspect a coroutine that failed.
---@overload fun(message: any, level?: integer): string
---@param thread? thread may be omitted; default: the running thread
---@param message? any comes first in the text; a message that is neither a string nor nil is returned unchanged
---@param level? integer where to start; default: 1, the caller, or 0 for another thread
---@return string # the traceback; without a debug library, the message
function gbi.traceback(thread, message, level) end

---The error for a value that cannot be held weakly: nil, a boolean, a number, a
---string or a light userdata. `tostring` formats it as PyTorch formats its own.
---@class gbi.unimplemented
---@field gb_type string what failed, in PyTorch's words
---@field context string the value
---@field explanation string
---@field hints table a list of strings
---@field from_exc string the reason
---@field where string the caller's position

---An entry, as `entries` yields it.
---@class gbi.entry
---@field kind string `"user"`, `"graph_created"`, or `"stored"`: without a constructor
---@field status string `"live"` or `"dead"`
---@field object? any nil when it is dead
---@field source? gbi.source

---The constructors and the side table of one graph. `#registry` is the number of
---constructors; `tostring(registry)` tells how many entries are live and dead.
---
---A `gbi.object` is a value that can be held weakly: a table, full userdata,
---function or coroutine.
---
---The functions of the module `gbi` that are named here do the same on
---`gbi.default`. An argument of the wrong type raises an argument error at the
---caller's position; so does a handle in place of an index. A call that fails
---leaves the registry unchanged.
---@class gbi.registry
---@operator len: integer
local registry = {}

---Registers an object that the graph needs but does not take as an input, under
---the next index. The registry does not keep the object alive.
---
---In PyTorch: register_user_object(value, source)
---
---Raises the error `gbi.unimplemented` for a value that cannot be held weakly; an argument error if `source` is not a source
---@param value gbi.object the object, an example for the runs to come
---@param source gbi.source where the object came from
---@return integer # its index; the first is 1
function registry:register(value, source) end

---Registers an object that the graph needs but does not take as an input, under
---the next index. The registry does not keep the object alive.
---
---In PyTorch: register_user_object(value, source)
---
---Raises the error `gbi.unimplemented` for a value that cannot be held weakly; an argument error if `source` is not a source
---@param value gbi.object the object, an example for the runs to come
---@param source gbi.source where the object came from
---@return integer # its index; the first is 1
function gbi.register_user_object(value, source) end

---Registers an object that the prologue creates in every run, under the next
---index. Until the first run, the index finds the example; the registry keeps the
---example alive until `reset`.
---
---In PyTorch: register_graph_created_object(example_value, construct_fn)
---
---Raises the error `gbi.unimplemented` for a value that cannot be held weakly; an argument error if `construct_fn` is not a function
---@param example_value gbi.object one such object
---@param construct_fn fun(index:integer,cg:gbi.codegen) emits the code that creates one: it leaves one value on the codegen's stack
---@return integer # its index; the first is 1
function registry:register_created(example_value, construct_fn) end

---Registers an object that the prologue creates in every run, under the next
---index. Until the first run, the index finds the example; the registry keeps the
---example alive until `reset`.
---
---In PyTorch: register_graph_created_object(example_value, construct_fn)
---
---Raises the error `gbi.unimplemented` for a value that cannot be held weakly; an argument error if `construct_fn` is not a function
---@param example_value gbi.object one such object
---@param construct_fn fun(index:integer,cg:gbi.codegen) emits the code that creates one: it leaves one value on the codegen's stack
---@return integer # its index; the first is 1
function gbi.register_graph_created_object(example_value, construct_fn) end

---Returns the object at an index.
---
---In PyTorch: get_external_object_by_index(index)
---
---Raises `external object 2 (G["x"]) is no longer alive`, `… is not registered (the registry holds 3)` or `… is not a FILE* (got table)`, at the caller's position
---@param index integer
---@param tname? string the type it must have: a basic type, or the name in a metatable (`"FILE*"`)
---@return any # the object
function registry:get(index, tname) end

---Returns the object at an index.
---
---In PyTorch: get_external_object_by_index(index)
---
---Raises `external object 2 (G["x"]) is no longer alive`, `… is not registered (the registry holds 3)` or `… is not a FILE* (got table)`, at the caller's position
---@param index integer
---@param tname? string the type it must have: a basic type, or the name in a metatable (`"FILE*"`)
---@return any # the object
function gbi.get_external_object_by_index(index, tname) end

---Replaces the whole side table with the arguments, the first at index 1, and
---releases the objects stashed before the last `store`.
---
---In PyTorch: store_user_object_weakrefs(*args)
---
---Raises an argument error if one cannot be held weakly; the side table is then unchanged
---@param ... gbi.object the objects of this run
function registry:store(...) end

---Replaces the whole side table with the arguments, the first at index 1, and
---releases the objects stashed before the last `store`.
---
---In PyTorch: store_user_object_weakrefs(*args)
---
---Raises an argument error if one cannot be held weakly; the side table is then unchanged
---@param ... gbi.object the objects of this run
function gbi.store_user_object_weakrefs(...) end

---Forgets everything; indices start at 1 again.
---
---In PyTorch: reset_user_object_tracking()
function registry:reset() end

---Forgets everything; indices start at 1 again.
---
---In PyTorch: reset_user_object_tracking()
function gbi.reset_user_object_tracking() end

---Tells whether the registry has a constructor; ignores the side table.
---
---In PyTorch: has_user_objects()
---@return boolean
function registry:has_objects() end

---Tells whether the registry has a constructor; ignores the side table.
---
---In PyTorch: has_user_objects()
---@return boolean
function gbi.has_user_objects() end

---Replaces one object, and keeps the new one alive until the next `set` of that
---index or `reset`.
---
---In PyTorch: set_external_object_by_index(index, value), of later PyTorch
---
---Raises an argument error for any other index, or for a value that cannot be held weakly
---@param index integer the index of an entry or a constructor, or the next one after all of these; when `register` later gives out that index, it replaces the object
---@param value gbi.object
function registry:set(index, value) end

---Replaces one object, and keeps the new one alive until the next `set` of that
---index or `reset`.
---
---In PyTorch: set_external_object_by_index(index, value), of later PyTorch
---
---Raises an argument error for any other index, or for a value that cannot be held weakly
---@param index integer the index of an entry or a constructor, or the next one after all of these; when `register` later gives out that index, it replaces the object
---@param value gbi.object
function gbi.set_external_object_by_index(index, value) end

---Keeps an object alive for one run: through the next `store`, until the one after
---it or `reset`. In a backend's function: as long as its run lasts, until another
---run with external objects begins.
---
---In PyTorch: stash_graph_created_object(obj), of later PyTorch
---
---Raises an argument error for a value that cannot be held weakly
---@param object gbi.object
---@return gbi.object # the object
function registry:stash(object) end

---Keeps an object alive for one run: through the next `store`, until the one after
---it or `reset`. In a backend's function: as long as its run lasts, until another
---run with external objects begins.
---
---In PyTorch: stash_graph_created_object(obj), of later PyTorch
---
---Raises an argument error for a value that cannot be held weakly
---@param object gbi.object
---@return gbi.object # the object
function gbi.stash_graph_created_object(object) end

---Creates a registry.
---@return gbi.registry
function gbi.new() end

---Like `store`, for more objects than one call can take as arguments.
---
---Raises an argument error if one cannot be held weakly; the side table is then unchanged
---@param list table the objects of this run
---@param n? integer their number; default: the list's length
---@param created? table objects to stash in the same step
function registry:store_list(list, n, created) end

---Like `get`, but never raises an error for an index that has no object.
---@param index integer
---@return any # the object, or nil
---@return string? # why it has no object: `"dead"` or `"unregistered"`
function registry:find(index) end

---Counts the entries of the side table.
---@return integer # how many are live
---@return integer # how many are dead
function registry:count() end

---Takes a snapshot of the side table. The snapshot holds the objects strongly, for
---work that runs after the call that stored them.
---@return gbi.snapshot # for `restore`
function registry:snapshot() end

---Restores a snapshot's side table.
---
---Raises an argument error for a snapshot of another registry
---@param snapshot gbi.snapshot of this registry
function registry:restore(snapshot) end

---Iterates over the side table, in the order of the indices.
---@return fun():integer,gbi.entry # iterator of index and `gbi.entry`; takes the next two results as a generic `for` does
---@return gbi.registry
---@return integer
function registry:entries() end

---Iterates over the constructors, in the order of the indices.
---@return fun():integer,function,string,gbi.source # iterator of index, constructor, kind (`"user"` or `"graph_created"`) and source; takes the next two results as a generic `for` does
---@return gbi.registry
---@return integer
function registry:constructors() end

---Returns the name of an index in error messages.
---@param index integer
---@return string # `external object 2 (G["io"].stdout)`
function registry:name(index) end

---Returns the call site that registered an index, if it was recorded.
---@param index integer
---@return string? # file and line, `main.lua:12`
function registry:place(index) end

---Numbers for single values, never given out twice. `tostring` of a handle table
---tells how many of its handles are live.
---
---A handle is *live* as long as its object is; after that it is *dead* for ever,
---because no handle table of the Lua state gives out the same number again. A dead
---handle takes no memory. Handles are greater than 1,000,000,000, so they never
---equal an index, and they fit a C pointer. A handle of another table finds
---nothing.
---
---A C library can keep a handle in its `void *`: see `gbi.h`.
---@class gbi.handles
local handles = {}

---Creates a handle table.
---@return gbi.handles
function gbi.new_handles() end

---Creates a handle of an object. The handle does not keep the object alive.
---
---Raises the error `gbi.unimplemented` for a value that cannot be held weakly
---@param object gbi.object
---@return integer # the handle
function handles:weak(object) end

---Creates a handle of a value and keeps the value alive until `release`.
---@param value any any but nil
---@return integer # the handle
function handles:strong(value) end

---Returns the value of a handle.
---
---Raises `handle 1000000007 is no longer alive`, `… was never given out` or `… is not a FILE* (got table)`, at the caller's position
---@param handle integer
---@param tname? string the type it must have: a basic type, or the name in a metatable (`"FILE*"`)
---@return any # the value
function handles:get(handle, tname) end

---Like `get`, but never raises an error for a handle that has no value.
---@param handle integer
---@return any # the value, or nil
---@return string? # why it has no value: `"dead"` (collected, released, or possibly another table's) or `"unregistered"` (never given out by this handle table)
function handles:find(handle) end

---Makes a handle dead. Its callback, if it has one, is not called.
---@param handle integer
---@return boolean? # true, or nil
---@return string? # why it was not live: `"dead"` or `"unregistered"`
function handles:release(handle) end

---Sets a callback. The first `sweep` after the object was collected calls it once,
---with the handle.
---@param handle integer
---@param callback? fun(handle:integer) pass nil to remove it
---@return boolean? # true, or nil
---@return string? # why no callback was set: `"dead"` or `"unregistered"`
function handles:on_collect(handle, callback) end

---Calls the callbacks of the handles whose objects were collected since the last
---sweep, in the order of the handles.
---
---Raises the error of a callback; the next sweep continues after that callback
---@return integer # how many were called
function handles:sweep() end

---Counts the live handles.
---@return integer
function handles:count() end

---Iterates over the live handles, in their order. The table may change during the
---iteration: handles that have died are skipped, new ones are not visited.
---@return fun():integer,any,string # iterator of handle, value and kind: `"weak"`, `"strong"`, or `"run"` for one that belongs to a run
function handles:entries() end

---The external objects of one call of a compiled graph. A backend's function gets
---the run before the inputs. `run[index]` is the object at that index, or nil if
---the graph does not use it. Read-only.
---@class gbi.run
---@field [integer] gbi.object?
local run = {}

---Returns a number for one of the run's objects, for code outside the run: a
---handle of `gbi.handles` that belongs to the run and dies when the run is over.
---
---Raises an argument error if the run has no object at that index
---@param index integer
---@return integer # the handle, the same each time
function run:handle(index) end

---Sources: where an object came from, and how to obtain it again.
---
---A source is anything with a method `reconstruct(self, cg)` that emits the
---code for its object into a codegen. The sources of this module are immutable,
---equal if their content is equal, and print like PyTorch's: `G["io"].stdout`.
---Their constructors raise an argument error for unsuitable arguments.
---@class gbi.source
local source = {}

---Emits the code that obtains the object.
---
---In PyTorch: Source.reconstruct
---@param cg gbi.codegen
function source:reconstruct(cg) end

---Does `value` have a method `reconstruct`?
---@param value any any value
---@return boolean
function gbi.source.is_source(value) end

---Returns the name of a source: its `tostring`, or "?" if that fails.
---@param value gbi.source
---@return string
function gbi.source.name(value) end

---A parameter of the compiled function: `L["x"]`.
---
---In PyTorch: LocalSource of `torch._dynamo.source`
---
---Raises if the code is emitted for a function without that parameter
---@param member string its name
---@return gbi.source
function gbi.source.LocalSource(member) end

---A global variable: `G["io"]`.
---
---In PyTorch: GlobalSource of `torch._dynamo.source`
---@param member string its name
---@return gbi.source
function gbi.source.GlobalSource(member) end

---A field of another source's object: `G["io"].stdout`.
---
---In PyTorch: AttrSource of `torch._dynamo.source`
---@param base gbi.source
---@param member string
---@return gbi.source
function gbi.source.AttrSource(base, member) end

---An element of another source's object: `G["t"][3]`.
---
---In PyTorch: GetItemSource of `torch._dynamo.source`
---@param base gbi.source
---@param key gbi.constant|gbi.source
---@return gbi.source
function gbi.source.GetItemSource(base, key) end

---A constant.
---
---In PyTorch: ConstantSource of `torch._dynamo.source`
---@param value? gbi.constant
---@return gbi.source
function gbi.source.ConstantSource(value) end

---The first result of a call of another source's object: `G["f"]()`.
---
---In PyTorch: CallFunctionNoArgsSource of `torch._dynamo.source`
---@param base gbi.source
---@return gbi.source
function gbi.source.CallFunctionNoArgsSource(base) end

---A module, or a field of one: `require("socket").tcp`.
---
---In PyTorch: ImportSource of `torch._dynamo.source`
---@param module string as `require` takes it
---@param member? string
---@return gbi.source
function gbi.source.ImportSource(module, member) end

---Codegen: a stack machine whose operations emit Lua source, as PyCodegen's
---emit bytecode. Everything emitted is evaluated once, in the order emitted.
---
---The stack holds expressions. A *pure* expression (a constant, or a name that
---is not assigned to again) may wait, be copied or be dropped. Any other
---expression may wait only as long as those below it on the stack are evaluated
---before it; combining neighbours into one Lua expression keeps that order.
---Before a statement is emitted, all waiting expressions are evaluated into
---variables, from the bottom up.
---
---A constructor gets a codegen, the `cg` that it emits into; it leaves one
---value on the stack. A codegen raises an argument error for code that it
---cannot emit, and an error if the stack holds fewer values than an operation
---takes.
---@class gbi.codegen
---@overload fun(source: gbi.source)
local codegen = {}

---Pushes a constant.
---
---In PyTorch: PyCodegen.create_load_const
---@param value? gbi.constant
function codegen:load_const(value) end

---Pushes a parameter of the compiled function.
---
---In PyTorch: PyCodegen.create_load
---
---Raises an argument error if the function has no such parameter
---@param name string
function codegen:load_local(name) end

---Pushes a global variable.
---
---In PyTorch: PyCodegen.create_load_global
---@param name string
function codegen:load_global(name) end

---Pushes a module, or a field of one.
---
---In PyTorch: PyCodegen.load_import_from
---@param module string as `require` takes it
---@param member? string
function codegen:load_import(module, member) end

---Pushes the registry that the code is generated for.
function codegen:load_registry() end

---Replaces the top by its field `key`.
---
---In PyTorch: PyCodegen.load_attr
---@param key gbi.constant
function codegen:load_attr(key) end

---Replaces an object and a key above it by the element of the object.
---
---In PyTorch: BINARY_SUBSCR
function codegen:load_item() end

---Replaces a function and `nargs` arguments above it by its first result.
---
---In PyTorch: PyCodegen.call_function
---@param nargs integer the number of arguments
function codegen:call_function(nargs) end

---Replaces an object and `nargs` arguments above it by the first result of
---its method `name`, which is looked up after the arguments are evaluated.
---
---In PyTorch: PyCodegen.load_method, PyCodegen.call_method
---@param name string
---@param nargs integer the number of arguments
function codegen:call_method(name, nargs) end

---Creates a variable, for `store` and `load`.
---
---In PyTorch: PyCodegen.new_var
---@param hint? string the name to use if it is free
---@return gbi.variable
function codegen:new_var(hint) end

---Pops a value into a variable.
---
---In PyTorch: PyCodegen.store
---@param var gbi.variable from `new_var`
function codegen:store(var) end

---Pushes the value of a variable.
---
---In PyTorch: PyCodegen.create_load
---
---Raises an argument error if nothing was stored in it
---@param var gbi.variable from `new_var`
function codegen:load(var) end

---Pushes a copy of the top; its expression is evaluated only once.
---
---In PyTorch: PyCodegen.dup_top
function codegen:dup_top() end

---Drops the top; its expression is still evaluated.
---
---In PyTorch: PyCodegen.pop_top
function codegen:pop_top() end

---The options of `compile`.
---@class gbi.options
---@field backend? fun(graph:gbi.graph,registry:gbi.registry,env:table):function is given the graph, its registry, and `env` or nil; returns the function that replaces the body, called with the run and the inputs. `run[index]` is an external object of this run, or nil; `run:handle(index)` returns a handle of it, like `node:handle()`. A run also has the objects that the backend registers while it compiles.
---@field env? table the globals that sources find, in place of `_G`; its `require` finds modules. String constants keep the methods of `string`.

---Graphs like those of torch.fx: record, compile, run on fresh objects.
---
---    local g = gbi.graph.new()
---    local x, out = g:placeholder("x"), g:external(io.stdout, source)
---    g:call_method("write", out, x * 2, "\n")
---    g:output(x)
---    local f = g:compile()
---
---The kinds of nodes are FX's: `placeholder`, `call_function`, `call_method`,
---`get_attr`, `output`. A node's arguments are nodes and constants: booleans,
---numbers, strings and nil. A function that cannot record its arguments raises
---an argument error at its caller's line and changes nothing.
---@class gbi.graph
---@field registry gbi.registry The registry of its external objects.
---@field attributes table The attributes by name; you may replace the values.
local graph = {}

---Creates an empty graph with a registry of its own, `graph.registry`.
---
---In PyTorch: torch.fx.Graph
---@return gbi.graph
function gbi.graph.new() end

---Records a function as a graph: calls it with an input for each of its
---parameters, and makes its results the output.
---
---In PyTorch: torch.fx.symbolic_trace
---
---Raises the errors of `f`
---@param f function
---@param names? string[] of the inputs; default: the names of the function's parameters, which Lua 5.1 does not know
---@return gbi.graph
function gbi.graph.trace(f, names) end

---Is a value a node of a graph?
---@param value any any value
---@return boolean
function gbi.graph.is_node(value) end

---Creates a graph for a condition or loop in this graph. The two share the
---registry and the attributes: `sub:external(node)` makes an external object of
---this graph available in the new one.
---
---Raises the errors of `f`
---@param f? function the function to record, as in `gbi.trace`
---@param names? string[] of the inputs
---@return gbi.graph
function graph:subgraph(f, names) end

---Records an input.
---
---In PyTorch: torch.fx.Graph.placeholder
---@param name string any string, different for each input; `"..."` must be the last input and stands for the remaining arguments; it can be the last argument of a call or the last output
---@return gbi.node
function graph:placeholder(name) end

---Records a call, or an operator with its operands.
---
---In PyTorch: torch.fx.Graph.call_function
---@param target string|gbi.source|gbi.node|function the name of an operator: `add sub mul div mod pow idiv unm band bor bxor shl shr bnot concat len eq ne lt le gt ge lnot land lor getitem setitem`; a source whose object is called; a node whose value is called; or a function that is a global or a field of a loaded module: `call_function` finds its source
---@param ... gbi.node|gbi.constant nodes and constants
---@return gbi.node # its first result; `node:results(n)` for more
function graph:call_function(target, ...) end

---Records a method call.
---
---In PyTorch: torch.fx.Graph.call_method
---@param name string
---@param object gbi.node|gbi.constant
---@param ... gbi.node|gbi.constant nodes and constants
---@return gbi.node # its first result; `node:results(n)` for more
function graph:call_method(name, object, ...) end

---Records the reading of a field, `object.name`; of the value that a source
---obtains anew in every run, which may be any value; or of an attribute of the
---graph.
---
---In PyTorch: torch.fx.Graph.get_attr
---@param object gbi.node|gbi.constant|gbi.source|string or an attribute's name
---@param name? string of the field; omit it for a source or an attribute
---@return gbi.node
function graph:get_attr(object, name) end

---Sets an attribute, a value that the graph keeps alive, and records its
---reading. Functions compiled earlier keep the earlier value of the attribute.
---
---In PyTorch: an attribute of torch.fx.GraphModule
---@param name string
---@param value any any value but nil
---@return gbi.node # `graph:get_attr(name)` makes more of these nodes
function graph:attribute(name, value) end

---Records a write to a field: `object[key] = value`. Writes and calls run in
---the order of the graph.
---@param object gbi.node|gbi.constant
---@param key gbi.node|gbi.constant
---@param ... gbi.node|gbi.constant the value
---@return gbi.node # a node without a value
function graph:set_item(object, key, ...) end

---Records the graph's results, as its last node.
---
---In PyTorch: torch.fx.Graph.output
---@param ... gbi.node|gbi.constant nodes and constants
---@return gbi.node # a node without a value
function graph:output(...) end

---Records a condition: a run executes one of two graphs, the other costs
---nothing.
---
---In PyTorch: torch.cond
---@param predicate gbi.node|gbi.constant tested like the condition of Lua's `if`
---@param then_graph gbi.graph its inputs are the operands; see `graph:subgraph`
---@param else_graph gbi.graph with the same number of outputs
---@param operands? {gbi.node|gbi.constant,...} a list, with its length in `n` if it contains nil
---@return gbi.node # its first result; `node:results(n)` for more
function graph:cond(predicate, then_graph, else_graph, operands) end

---Records a loop: as long as the output of the first graph is true, the second
---graph runs, and its outputs become the next operands of both.
---
---In PyTorch: torch.while_loop
---@param cond_graph gbi.graph has one output, tested like the condition of Lua's `while`
---@param body_graph gbi.graph has as many outputs as there are operands
---@param operands? {gbi.node|gbi.constant,...} a list, with its length in `n` if it contains nil
---@return gbi.node # the first of the final operands; `node:results(n)` for more
function graph:while_loop(cond_graph, body_graph, operands) end

---Registers an object that the graph needs but does not take as an input.
---
---Raises the error `gbi.unimplemented` for a value that cannot be held weakly
---@param value gbi.object|gbi.node the object, an example for the runs to come; or, in the graph of a condition or loop, the node of an external object of the enclosing graph
---@param from? gbi.source the object's source; omit it for a node
---@return gbi.node # the object of the run
function graph:external(value, from) end

---Registers an object that every run creates.
---
---Raises the error `gbi.unimplemented` for an example that cannot be held weakly
---@param example gbi.object one such object
---@param construct_fn fun(index:integer,cg:gbi.codegen) emits the code that creates one
---@return gbi.node # the object of the run
function graph:created(example, construct_fn) end

---Iterates over the nodes in their order: `for node in graph:nodes() do`. The
---loop may erase and insert nodes.
---
---In PyTorch: torch.fx.Graph.nodes, reversed(torch.fx.Graph.nodes)
---@param back? boolean true to iterate backwards
---@return function
function graph:nodes(back) end

---Finds nodes, in the order of the graph.
---
---In PyTorch: torch.fx.Graph.find_nodes
---@param what table the `op` and `target` that the nodes must have; you can omit either
---@return gbi.node[]
function graph:find_nodes(what) end

---Prints the graph as a table: opcode, name, target, args.
---
---In PyTorch: torch.fx.Graph.print_tabular
---@param out? file* default: standard output
function graph:print_tabular(out) end

---Formats the graph in Graphviz's language.
---@return string
function graph:to_dot() end

---Finds the first mistake that prevents compiling: use of a node before it is
---made, or of a node without a value; a missing output; an index that is not
---registered; a handle of a value that is not an external object; a source that
---needs a missing input; a condition or loop whose graphs do not fit; a direct
---write to a node's arguments.
---
---In PyTorch: torch.fx.Graph.lint
---@return boolean? # true, or nil
---@return string? # the mistake
function graph:lint() end

---Compiles the graph and its prologue to one Lua function.
---
---Raises the mistake that `lint` finds
---@param options? gbi.options
---@return function # of the inputs; `gbi.traceback` tells which node of the graph failed
---@return string # its source
function graph:compile(options) end

---Returns the Lua source that `compile` generates.
---
---In PyTorch: torch.fx.Graph.python_code
---
---Raises the errors of `compile`
---@return string
function graph:code() end

---Creates an interpreter of the graph: module `gbi.interpreter`.
---
---In PyTorch: torch.fx.Interpreter
---@param g gbi.graph
---@return gbi.interpreter
function gbi.graph.interpreter(g) end

---Creates an interpreter that writes a new graph.
---
---In PyTorch: torch.fx.Transformer
---@param g gbi.graph
---@return gbi.transformer
function gbi.graph.transformer(g) end

---Writes the graph to a file, for `gbi.load_graph` in another process. The
---file is written completely or not at all, even if several processes write it
---at the same time.
---
---Raises if an object or a function has no source from `gbi.source`, or an attribute is not plain data, that is, constants and tables that occur once; the error names it
---@param path string
---@return boolean? # true, or nil
---@return string? # why the file cannot be written
function graph:save(path) end

---Reads a graph that `graph:save` wrote. The file is data, which is checked
---and never executed. But running the graph calls whatever its sources find in
---this process, even `os.execute`; pass `env` to confine them, in the graphs
---of conditions and loops and in copies, too.
---@param path string
---@param options? table `env`: the globals that its sources find, as in `gbi.options`; `bytes`, `nodes`, `depth`: the most that a file may have; default: 64 MiB, 1,000,000 and 100. (`depth` limits graphs in graphs, sources in sources, and tables in tables; it cannot be more than 100.)
---@return gbi.graph?
---@return string? # why the file cannot be loaded
function gbi.load_graph(path, options) end

---Sets the point of insertion: new nodes go before this node, in the order in
---which they are made. The output is always at the end.
---
---In PyTorch: torch.fx.Graph.inserting_before
---@param before? gbi.node default: the first node
---@param f? function if given, the point applies only while `f()` runs
---@return any # what `f` returns
function graph:inserting_before(before, f) end

---Sets the point of insertion: new nodes go after this node, in the order in
---which they are made.
---
---In PyTorch: torch.fx.Graph.inserting_after
---@param after? gbi.node default: the last node, as in a new graph
---@param f? function if given, the point applies only while `f()` runs
---@return any # what `f` returns
function graph:inserting_after(after, f) end

---Removes a node from the graph.
---
---In PyTorch: torch.fx.Graph.erase_node
---
---Raises if the node has users; the error names them
---@param each gbi.node
function graph:erase_node(each) end

---Erases all nodes that have neither users nor effects, in the graphs of
---conditions and loops, too. Calls, writes, inputs, conditions, loops and the
---output have effects.
---
---In PyTorch: torch.fx.Graph.eliminate_dead_code
---@return boolean # were any erased?
function graph:eliminate_dead_code() end

---Copies a node of this graph or of another one.
---
---In PyTorch: torch.fx.Graph.node_copy
---
---Raises if an input has no value here, or the node's graph was loaded with another `env`; nothing is changed then
---@param each gbi.node
---@param map? table|function input of the copied node -> its value here, a node or a constant; an input without a value in `map` is used itself if it is a node of this graph
---@return gbi.node
function graph:node_copy(each, map) end

---Copies the nodes of another graph, except its output, to the point of
---insertion.
---
---In PyTorch: torch.fx.Graph.graph_copy
---
---Raises if an input or attribute exists already, or `other` was loaded with another `env`; nothing is changed then
---@param other gbi.graph
---@param map? table node of the other graph -> its value here, for inputs; an input without a value in `map` is copied. All copies are added to `map`
---@return any # the values here of the other graph's outputs
function graph:graph_copy(other, map) end

---Copies the graph, with the graphs of its conditions and loops. The copy can
---be changed independently; it shares the registry.
---
---In PyTorch: copy.deepcopy of a torch.fx.Graph
---@return gbi.graph
---@return table # node -> its copy
function graph:copy() end

---The fields of a node, `node.op`. Writing a field raises an error.
---
---In PyTorch: the attributes of torch.fx.Node: op, target, args, name, graph, users, all_input_nodes, meta, prev, next, stack_trace
---@class gbi.nodefields
---@field op string `placeholder`, `call_function`, `call_method`, `get_attr` or `output`
---@field target any for a placeholder, the name of the input; for a call_method, the name of the method; for a call_function, the name of an operator, a source, a node whose value is called, or one of `get_external_object_by_index`, `external_object_handle`, `call_result`, `cond`, `while_loop`; for a get_attr, the name of the field or attribute, or a source
---@field args table a list of nodes, constants and (for `cond` and `while_loop`) graphs, with its length `n`; `node:update_arg` changes it
---@field name string an identifier that no other node of the graph has
---@field graph gbi.graph the graph that contains the node
---@field users gbi.node[] a new list of the nodes that use this one, in the order of the graph
---@field inputs gbi.node[] a new list of the nodes that this one uses, each once
---@field meta table a table for your own data
---@field prev? gbi.node the node before it
---@field next? gbi.node the node after it
---@field place? string the call site that recorded it, after `gbi.debug(true)`
---@field index? integer of an external object
---@field source? gbi.source of an external object that is not created
---@field kind? string of an external object: `user` or `graph_created`

---Nodes of a graph: their fields, and the operators that record.
---
---A node stands for a value of the run. Lua's operators make nodes of nodes and
---constants: `a + b`, `-a`, `a .. b`, `#a`. Comparisons, `not`, `and` and `or`
---are methods, because Lua forces their results to booleans or calls no
---metamethod for them. `len` is also a method, for Lua 5.1. If a graph cannot
---record an operation, it raises an argument error at its caller's line.
---
---A node's fields are read-only, and no fields can be added:
---`gbi.nodefields` lists them.
---@class gbi.node
---@operator add(gbi.node|gbi.constant): gbi.node
---@operator band(gbi.node|gbi.constant): gbi.node
---@operator bnot: gbi.node
---@operator bor(gbi.node|gbi.constant): gbi.node
---@operator bxor(gbi.node|gbi.constant): gbi.node
---@operator concat(gbi.node|gbi.constant): gbi.node
---@operator div(gbi.node|gbi.constant): gbi.node
---@operator idiv(gbi.node|gbi.constant): gbi.node
---@operator len: gbi.node
---@operator mod(gbi.node|gbi.constant): gbi.node
---@operator mul(gbi.node|gbi.constant): gbi.node
---@operator pow(gbi.node|gbi.constant): gbi.node
---@operator shl(gbi.node|gbi.constant): gbi.node
---@operator shr(gbi.node|gbi.constant): gbi.node
---@operator sub(gbi.node|gbi.constant): gbi.node
---@operator unm: gbi.node
---@overload fun(...: gbi.node|gbi.constant): gbi.node
local node = {}

---Does the node have effects, so that it stays even if it has no users? Calls,
---writes, inputs, the output, conditions and loops have effects.
---
---In PyTorch: torch.fx.Node.is_impure
---@return boolean
function node:is_impure() end

---Records a handle of an external object, a number to pass to other code. It
---is a handle of `gbi.handles` that finds the object of this run and no other,
---from any coroutine or C callback, until the run ends. The handles of a run
---that failed or was abandoned are dead after the next full collection. (A
---coroutine that failed keeps its stack, and with it the handles of its run, as
---long as something refers to the coroutine.)
---
---Raises if the node is not an external object
---@return gbi.node
function node:handle() end

---Records the first `n` results of a call, a condition or a loop, each as a
---node of its own.
---
---Raises if the node is not a call, or is a condition or loop with fewer results
---@param n integer from 1 to 200
---@return gbi.node ... # `n` nodes
function node:results(n) end

---The node of `a == b`.
---@param b? gbi.node|gbi.constant
---@return gbi.node
function node:eq(b) end

---The node of `a ~= b`.
---@param b? gbi.node|gbi.constant
---@return gbi.node
function node:ne(b) end

---The node of `a < b`.
---@param b? gbi.node|gbi.constant
---@return gbi.node
function node:lt(b) end

---The node of `a <= b`.
---@param b? gbi.node|gbi.constant
---@return gbi.node
function node:le(b) end

---The node of `a > b`.
---@param b? gbi.node|gbi.constant
---@return gbi.node
function node:gt(b) end

---The node of `a >= b`.
---@param b? gbi.node|gbi.constant
---@return gbi.node
function node:ge(b) end

---The node of `a and b`, of two values that are both evaluated before; use
---`graph:cond` to evaluate one only if needed.
---@param b? gbi.node|gbi.constant
---@return gbi.node
function node:land(b) end

---The node of `a or b`, of two values that are both evaluated before.
---@param b? gbi.node|gbi.constant
---@return gbi.node
function node:lor(b) end

---The node of `a[b]`.
---@param b? gbi.node|gbi.constant
---@return gbi.node
function node:getitem(b) end

---The node of `not a`.
---@return gbi.node
function node:lnot() end

---The node of `#a`; in Lua 5.1, `#a` itself does not record.
---@return gbi.node
function node:len() end

---Replaces an argument.
---
---In PyTorch: torch.fx.Node.update_arg
---
---Raises if the node cannot have that argument; nothing is changed then
---@param i integer from 1 to `node.args.n`
---@param value? gbi.node|gbi.constant|gbi.graph a node must come before this one
function node:update_arg(i, value) end

---Replaces the target of a node, `node.target`.
---
---Raises if the node cannot have that target; nothing is changed then
---@param target string|gbi.source|gbi.node of the same kind as before: an operator can only be replaced by one with as many operands
function node:set_target(target) end

---Makes the users of this node use another node, or a constant, in its place.
---If `other` is itself a user, it is not changed.
---
---In PyTorch: torch.fx.Node.replace_all_uses_with
---
---Raises if a user cannot use `other`; nothing is changed then
---@param other? gbi.node|gbi.constant must come before all users to change
---@param filter? fun(user:gbi.node):boolean selects the users to change; default: all
---@return gbi.node[] # the users that were changed, in the graph's order
function node:replace_all_uses_with(other, filter) end

---An interpreter whose values are nodes of a new graph: each method records
---its node there. Override a method to record something else; its result
---replaces the node.
---@class gbi.transformer
---@field graph gbi.graph the graph to read
---@field new gbi.graph in the methods, the graph being written

---Runs a graph node by node, or writes a new graph node by node.
---
---An interpreter calls a method for every live node, in order; override these
---methods in the object. A method gets the node's target, the values of its
---arguments (a list with its length `n`) and the node, and returns the node's
---value.
---
---    local it = gbi.graph.interpreter(g)
---    local call_function = it.call_function
---    function it:call_function(target, args, node)
---      print(node.name)
---      return call_function(self, target, args, node)
---    end
---    print(it:run(1, 2))
---
---The graphs of conditions and loops run by the same methods.
---@class gbi.interpreter
---@field graph gbi.graph The graph.
local interpreter = {}

---Runs the graph, with the same effects as the compiled function. Obtains the
---external objects first, like the prologue of that function.
---
---In PyTorch: torch.fx.Interpreter.run
---
---Raises the errors of `graph:compile`
---@param ... any the inputs
---@return any # the outputs
function interpreter:run(...) end

---Runs the graph, or the graph of a condition or loop, with these inputs.
---@param graph gbi.graph
---@param ... any the inputs
---@return any # the outputs
function interpreter:run_graph(graph, ...) end

---Runs a node with the method for its kind.
---
---In PyTorch: torch.fx.Interpreter.run_node
---@param each gbi.node
---@return any # its value
function interpreter:run_node(each) end

---Runs an input.
---
---In PyTorch: torch.fx.Interpreter.placeholder
---@param target string its name
---@param args table empty
---@param each gbi.node
---@return any # its value; of `...`, a list of values with their number `n`
function interpreter:placeholder(target, args, each) end

---Reads a field, an attribute, or the object that a source finds.
---
---In PyTorch: torch.fx.Interpreter.get_attr
---@param target string|gbi.source
---@param args table the object, if `target` is a field's name
---@param each gbi.node
---@return any # its value
function interpreter:get_attr(target, args, each) end

---Runs a call, an operator, or another target listed in
---`gbi.nodefields`.
---
---In PyTorch: torch.fx.Interpreter.call_function
---@param target any the node's target; if that is a node, its value
---@param args table the values of the arguments; for `cond` and `while_loop` with their graphs; for `call_result`, all results of the call and a number
---@param each gbi.node
---@return any # its results
function interpreter:call_function(target, args, each) end

---Runs a method call.
---
---In PyTorch: torch.fx.Interpreter.call_method
---@param target string the method's name
---@param args table the object, and the arguments
---@param each gbi.node
---@return any # its results
function interpreter:call_method(target, args, each) end

---Runs the output.
---
---In PyTorch: torch.fx.Interpreter.output
---@param target string `output`
---@param args table the outputs
---@param each gbi.node
---@return any # the outputs
function interpreter:output(target, args, each) end

---Writes a new graph, which shares the registry of the old one and gets a copy
---of its attributes. The nodes recorded for a node get its call site (see
---`gbi.debug`) and a copy of its `meta`.
---
---In PyTorch: torch.fx.Transformer.transform
---@return gbi.graph
function transformer:transform() end

return gbi

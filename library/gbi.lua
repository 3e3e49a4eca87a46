---@meta gbi
-- Made by `make meta` from the comments beside gbi's functions.

---What can be held weakly.
---@alias gbi.object table|userdata|function|thread
---@alias gbi.constant boolean|number|string
---@class gbi.snapshot
---@class gbi.variable

---Compiled code refers to live Lua objects by number.
---
---The functions that a program calls. Those of the registry are C, in
---csrc/registry_lua.c; each is the same function as a method of
---`gbi.registry`, on `gbi.default`. The other modules are loaded when a
---program first asks for a name that needs them; until then, `pairs(gbi)`
---misses it.
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
---its constructor emitted; stores them all in the registry's side table; and
---stashes those that the graph creates, which nobody else may hold.
---
---In PyTorch: what `output_graph.py` does with the constructors
---
---Raises when a source wants another parameter; what a constructor raises; an argument error
---@param registry gbi.registry
---@param params? string[] the names of the function's parameters
---@return function # of the parameters; `gbi.traceback` says which object it could not obtain
---@return string # its source
function gbi.compile_prologue(registry, params) end

---The table a person needs when an index is wrong: of every index its kind,
---its status, the type of its object, its source, and the place that
---registered it, if `gbi.debug(true)` was called before.
---
---The status is that of `find`: an index that the last `store` left out is
---`unregistered`.
---
---Raises an argument error when it is no registry
---@param registry gbi.registry
---@return string # lines, each with its end
function gbi.inspect(registry) end

---Turns the recording of places on or off: of registrations and of a graph's
---nodes, file and line of the innermost Lua function that is not gbi's own. It
---is for the whole Lua state; `registry:place`, `gbi.inspect` and
---`gbi.traceback` show the places. Off at first.
---
---Raises an argument error when `on` is no boolean
---@param on boolean
---@return boolean # what it was before
function gbi.debug(on) end

---`debug.traceback` that also says, under each line of a generated function,
---what that line does: its node, the external objects that it works on, and
---where these were recorded, if `gbi.debug(true)` was called before. It can be
---the message handler of `xpcall`, and looks into a coroutine that failed.
---@overload fun(message: any, level?: integer): string
---@param thread? thread the running one otherwise; it may be left out
---@param message? any comes first in the text; one that is neither a string nor nil is returned as it is
---@param level? integer where to start; 1, the caller, otherwise, or 0 for another thread
---@return string # without a debug library, the message
function gbi.traceback(thread, message, level) end

---The error for a value that cannot be held weakly: nil, a boolean, a number, a
---string or a light userdata. As a string it is laid out as PyTorch's.
---@class gbi.unimplemented
---@field gb_type string what failed, in the seed's words
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
---constructors; as a string it tells how many entries are live and dead.
---
---A `gbi.object` is what can be held weakly: a table, full userdata, function or
---coroutine. Everything else is a value.
---
---The functions of the module `gbi` that are named here do the same on
---`gbi.default`. An argument of another type than given here is an argument
---error, at the caller's position; so is a handle where an index is meant. A call
---that fails leaves the registry as it was.
---@class gbi.registry
---@operator len: integer
local registry = {}

---Registers an object that the graph needs and does not take as an input, under
---the next index. The registry does not keep it alive.
---
---In PyTorch: register_user_object(value, source)
---
---Raises the error `gbi.unimplemented` for a value that cannot be held weakly; an argument error if `source` is not a source
---@param value gbi.object the object, an example for the runs to come
---@param source gbi.source where it came from
---@return integer # its index; the first is 1
function registry:register(value, source) end

---Registers an object that the graph needs and does not take as an input, under
---the next index. The registry does not keep it alive.
---
---In PyTorch: register_user_object(value, source)
---
---Raises the error `gbi.unimplemented` for a value that cannot be held weakly; an argument error if `source` is not a source
---@param value gbi.object the object, an example for the runs to come
---@param source gbi.source where it came from
---@return integer # its index; the first is 1
function gbi.register_user_object(value, source) end

---Registers an object that the prologue creates in every run, under the next
---index. Until the first run, the index finds the example, which is kept alive
---until `reset`.
---
---In PyTorch: register_graph_created_object(example_value, construct_fn)
---
---Raises the error `gbi.unimplemented` for a value that cannot be held weakly; an argument error if `construct_fn` is not a function
---@param example_value gbi.object one such object
---@param construct_fn fun(index:integer,cg:gbi.codegen) emits the code that creates one: it leaves one value on the codegen's stack
---@return integer # its index; the first is 1
function registry:register_created(example_value, construct_fn) end

---Registers an object that the prologue creates in every run, under the next
---index. Until the first run, the index finds the example, which is kept alive
---until `reset`.
---
---In PyTorch: register_graph_created_object(example_value, construct_fn)
---
---Raises the error `gbi.unimplemented` for a value that cannot be held weakly; an argument error if `construct_fn` is not a function
---@param example_value gbi.object one such object
---@param construct_fn fun(index:integer,cg:gbi.codegen) emits the code that creates one: it leaves one value on the codegen's stack
---@return integer # its index; the first is 1
function gbi.register_graph_created_object(example_value, construct_fn) end

---The object at an index.
---
---In PyTorch: get_external_object_by_index(index)
---
---Raises `external object 2 (G["x"]) is no longer alive`, `… is not registered (the registry holds 3)` or `… is not a FILE* (got table)`, at the caller's position
---@param index integer
---@param tname? string the type it must have: a basic type, or the name in a metatable (`"FILE*"`)
---@return any # the object
function registry:get(index, tname) end

---The object at an index.
---
---In PyTorch: get_external_object_by_index(index)
---
---Raises `external object 2 (G["x"]) is no longer alive`, `… is not registered (the registry holds 3)` or `… is not a FILE* (got table)`, at the caller's position
---@param index integer
---@param tname? string the type it must have: a basic type, or the name in a metatable (`"FILE*"`)
---@return any # the object
function gbi.get_external_object_by_index(index, tname) end

---Replaces the whole side table by the arguments, the first at index 1, and lets
---go what was stashed before the last `store`.
---
---In PyTorch: store_user_object_weakrefs(*args)
---
---Raises an argument error if one cannot be held weakly; the side table is then as it was
---@param ... gbi.object the objects of this run
function registry:store(...) end

---Replaces the whole side table by the arguments, the first at index 1, and lets
---go what was stashed before the last `store`.
---
---In PyTorch: store_user_object_weakrefs(*args)
---
---Raises an argument error if one cannot be held weakly; the side table is then as it was
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

---Is there a constructor? The side table does not count.
---
---In PyTorch: has_user_objects()
---@return boolean
function registry:has_objects() end

---Is there a constructor? The side table does not count.
---
---In PyTorch: has_user_objects()
---@return boolean
function gbi.has_user_objects() end

---Replaces one object, and keeps the new one alive until the next `set` of that
---index or `reset`.
---
---In PyTorch: set_external_object_by_index(index, value), of later PyTorch
---
---Raises an argument error for another index, or a value that cannot be held weakly
---@param index integer that of an entry or a constructor, or the one after the last of these; `register` may come to it later, and then replaces it
---@param value gbi.object
function registry:set(index, value) end

---Replaces one object, and keeps the new one alive until the next `set` of that
---index or `reset`.
---
---In PyTorch: set_external_object_by_index(index, value), of later PyTorch
---
---Raises an argument error for another index, or a value that cannot be held weakly
---@param index integer that of an entry or a constructor, or the one after the last of these; `register` may come to it later, and then replaces it
---@param value gbi.object
function gbi.set_external_object_by_index(index, value) end

---Keeps an object alive for the run that it was made for: through the next
---`store`, until the one after it or `reset`.
---
---In PyTorch: stash_graph_created_object(obj), of later PyTorch
---
---Raises an argument error for a value that cannot be held weakly
---@param object gbi.object
---@return gbi.object # the object
function registry:stash(object) end

---Keeps an object alive for the run that it was made for: through the next
---`store`, until the one after it or `reset`.
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

---Like `store`, for more objects than a call takes arguments.
---
---Raises an argument error if one cannot be held weakly; the side table is then as it was
---@param list table the objects of this run
---@param n? integer how many they are; default: the list's length
---@param created? table objects to be stashed with it, in the same step
function registry:store_list(list, n, created) end

---Like `get`, but never raises an error for an index that has no object.
---@param index integer
---@return any # the object, or nil
---@return string? # why there is none: `"dead"` or `"unregistered"`
function registry:find(index) end

---Counts the entries of the side table.
---@return integer # how many are live
---@return integer # how many are dead
function registry:count() end

---Takes a snapshot of the side table. It holds the objects strongly, for work that
---runs later than the call that stored them.
---@return gbi.snapshot # for `restore`
function registry:snapshot() end

---Restores a snapshot's side table.
---
---Raises an argument error if it is another registry's
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

---What error messages call an index.
---@param index integer
---@return string # `external object 2 (G["io"].stdout)`
function registry:name(index) end

---Where an index was registered, if that was recorded.
---@param index integer
---@return string? # file and line, `main.lua:12`
function registry:place(index) end

---Numbers for single values, never given out twice. As a string a handle table
---tells how many of its handles are live.
---
---A handle is *live* as long as its object is; after that it is *dead*, for ever,
---because it is never given out again, by any handle table of the Lua state. A dead
---handle takes no memory. Handles are greater than a thousand million, so that none
---is ever an index, and fit a C pointer. A handle of another table finds nothing.
---
---A C library can keep one where it has a `void *`: see `gbi.h`.
---@class gbi.handles
local handles = {}

---Creates a handle table.
---@return gbi.handles
function gbi.new_handles() end

---Gives out a handle of an object, which the handle does not keep alive.
---
---Raises the error `gbi.unimplemented` for a value that cannot be held weakly
---@param object gbi.object
---@return integer # the handle
function handles:weak(object) end

---Gives out a handle of a value, which is kept alive until `release`.
---@param value any any but nil
---@return integer # the handle
function handles:strong(value) end

---The value of a handle.
---
---Raises `handle 1000000007 is no longer alive`, `… was never given out` or `… is not a FILE* (got table)`, at the caller's position
---@param handle integer
---@param tname? string the type it must have: a basic type, or the name in a metatable (`"FILE*"`)
---@return any # the value
function handles:get(handle, tname) end

---Like `get`, but never raises an error for a handle that has no value.
---@param handle integer
---@return any # the value, or nil
---@return string? # why there is none: `"dead"` (collected, released, or possibly another table's) or `"unregistered"` (never given out by this handle table)
function handles:find(handle) end

---Makes a handle dead. Its callback, if it has one, is not called.
---@param handle integer
---@return boolean? # true, or nil
---@return string? # why it was not live: `"dead"` or `"unregistered"`
function handles:release(handle) end

---Sets the function that the first `sweep` after the object was collected calls
---with the handle, once.
---@param handle integer
---@param callback? fun(handle:integer) pass nil to remove it
---@return boolean? # true, or nil
---@return string? # why there is nothing to wait for: `"dead"` or `"unregistered"`
function handles:on_collect(handle, callback) end

---Calls the callbacks of the handles whose objects were collected since, in the
---order of the handles.
---
---Raises the error of a callback; the next sweep goes on after it
---@return integer # how many were called
function handles:sweep() end

---Counts the live handles.
---@return integer
function handles:count() end

---Iterates over the live handles, in their order. The table may change meanwhile:
---a handle that is not live any more is left out, a new one does not come.
---@return fun():integer,any,string # iterator of handle, value and kind: `"weak"`, `"strong"`, or `"run"` for one that belongs to a run
function handles:entries() end

---The external objects of one call of a compiled graph, which a backend's function
---is given in front of the inputs. `run[index]` is the object at that index, or
---nil for one that the graph never asks for. To be read only.
---@class gbi.run
---@field [integer] gbi.object?
local run = {}

---A number for one of the run's objects, to be handed to code that is not part of
---the run: a handle of `gbi.handles`, which belongs to the run and is dead when
---the run is over.
---
---Raises an argument error if the run has no object at that index
---@param index integer
---@return integer # the handle, the same each time
function run:handle(index) end

---Sources: where an object came from, and how to obtain it again.
---
---A source is anything with a method `reconstruct(self, cg)` that emits the
---code for its object into a codegen. The ones here are immutable, equal when
---their content is, and print as PyTorch's do: `G["io"].stdout`. All raise an
---argument error for what they cannot be made of.
---@class gbi.source
local source = {}

---Emits the code that obtains the object.
---
---In PyTorch: Source.reconstruct
---@param cg gbi.codegen
function source:reconstruct(cg) end

---Has `value` a method `reconstruct`?
---@param value any any value
---@return boolean
function gbi.source.is_source(value) end

---What a source is called: its `tostring`, if it has one that works.
---@param value gbi.source
---@return string
function gbi.source.name(value) end

---A parameter of the compiled function: `L["x"]`.
---
---In PyTorch: LocalSource of `torch._dynamo.source`
---
---Raises when the code is emitted for a function without that parameter
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

---What another source's object returns when it is called: `G["f"]()`.
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
---The stack holds expressions. One that is *pure* (a constant, or a name that
---is not assigned to again) may wait, be copied or be dropped; any other waits
---only as long as those below it on the stack are evaluated before it, which is
---what combining neighbours into one Lua expression does. Before a statement is
---emitted, all that wait are evaluated into variables, from the bottom up.
---
---A constructor is given one, the `cg` that it emits into; it leaves one value
---on the stack. A codegen raises an argument error for what it cannot emit, and
---an error when the stack holds less than an operation takes.
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
---Raises an argument error when it has no such parameter
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

---Replaces an object and a key above it by the object's element.
---
---In PyTorch: BINARY_SUBSCR
function codegen:load_item() end

---Replaces a function and `nargs` arguments above it by its first result.
---
---In PyTorch: PyCodegen.call_function
---@param nargs integer how many, from 0 on
function codegen:call_function(nargs) end

---Replaces an object and `nargs` arguments above it by the first result of
---its method `name`, which is looked up after the arguments are evaluated.
---
---In PyTorch: PyCodegen.load_method, PyCodegen.call_method
---@param name string
---@param nargs integer how many, from 0 on
function codegen:call_method(name, nargs) end

---A new variable, for `store` and `load`.
---
---In PyTorch: PyCodegen.new_var
---@param hint? string what it would like to be called
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
---Raises an argument error when nothing was stored in it
---@param var gbi.variable from `new_var`
function codegen:load(var) end

---Pushes the top once more; it is evaluated once.
---
---In PyTorch: PyCodegen.dup_top
function codegen:dup_top() end

---Drops the top, evaluated all the same.
---
---In PyTorch: PyCodegen.pop_top
function codegen:pop_top() end

---What `compile` is told.
---@class gbi.options
---@field backend? fun(graph:gbi.graph,registry:gbi.registry,env:table):function is given the graph, its registry, and `env` or nil; returns what replaces the body: a function of the run and the inputs. `run[index]` is an external object of this run, nil where it has none; `run:handle(index)` is a handle of it, as `node:handle()` makes one.
---@field env? table the globals that sources find, in place of `_G`; modules are what its own `require` finds. Constants keep their methods: a string has those of `string`.

---Graphs in the manner of torch.fx: record, compile, run on fresh objects.
---
---    local g = gbi.graph.new()
---    local x, out = g:placeholder("x"), g:external(io.stdout, source)
---    g:call_method("write", out, x * 2, "\n")
---    g:output(x)
---    local f = g:compile()
---
---A node is one of FX's: `placeholder`, `call_function`, `call_method`,
---`get_attr`, `output`. Its arguments are nodes and constants: booleans,
---numbers, strings and nil. All functions raise an argument error, at their
---caller's line, for what they cannot record; then nothing is changed.
---@class gbi.graph
---@field registry gbi.registry The registry of its external objects.
---@field attributes table The attributes by their names; the values may be replaced.
local graph = {}

---A new, empty graph with a registry of its own, `graph.registry`.
---
---In PyTorch: torch.fx.Graph
---@return gbi.graph
function gbi.graph.new() end

---Records what a function does with nodes: calls it with an input for each of
---its parameters, and makes what it returns the output.
---
---In PyTorch: torch.fx.symbolic_trace
---
---Raises what `f` does
---@param f function
---@param names? string[] of the inputs; otherwise those of the function's parameters, which Lua 5.1 does not tell
---@return gbi.graph
function gbi.graph.trace(f, names) end

---Is a value a node of a graph?
---@param value any any value
---@return boolean
function gbi.graph.is_node(value) end

---A new graph for a condition or loop in this one. It shares the registry and
---the attributes: `sub:external(node)` is an external object of this graph.
---@param f? function what it does, as `gbi.trace` takes it
---@param names? string[] of the inputs
---@return gbi.graph
function graph:subgraph(f, names) end

---An input.
---
---In PyTorch: torch.fx.Graph.placeholder
---@param name string any string, none twice; `"..."`, after all others, stands for the arguments that are left: as the last argument of a call or the last output
---@return gbi.node
function graph:placeholder(name) end

---A call, or an operator on its operands.
---
---In PyTorch: torch.fx.Graph.call_function
---@param target string|gbi.source|gbi.node|function the name of an operator: `add sub mul div mod pow idiv unm band bor bxor shl shr bnot concat len eq ne lt le gt ge lnot land lor getitem setitem`; a source whose object is called; a node whose value is; or a function that is a global or a field of a loaded module, whose source is looked for
---@param ... gbi.node|gbi.constant nodes and constants
---@return gbi.node # its first result; `node:results(n)` for more
function graph:call_function(target, ...) end

---A method call.
---
---In PyTorch: torch.fx.Graph.call_method
---@param name string
---@param object gbi.node|gbi.constant
---@param ... gbi.node|gbi.constant nodes and constants
---@return gbi.node # its first result; `node:results(n)` for more
function graph:call_method(name, object, ...) end

---A field of a value, `object.name`; the value that a source obtains anew in
---every run, which need not be an object; or an attribute of the graph.
---
---In PyTorch: torch.fx.Graph.get_attr
---@param object gbi.node|gbi.constant|gbi.source|string or an attribute's name
---@param name? string none for a source or an attribute
---@return gbi.node
function graph:get_attr(object, name) end

---A value that belongs to the graph, which keeps it alive: an attribute. What
---was compiled before keeps the value that the attribute had.
---
---In PyTorch: an attribute of torch.fx.GraphModule
---@param name string
---@param value any any value but nil
---@return gbi.node # `graph:get_attr(name)` makes more of them
function graph:attribute(name, value) end

---Writes a field, in its turn: `object[key] = value`.
---@param object gbi.node|gbi.constant
---@param key gbi.node|gbi.constant
---@param ... gbi.node|gbi.constant the value
---@return gbi.node # without a value
function graph:set_item(object, key, ...) end

---The graph's results, and its end.
---
---In PyTorch: torch.fx.Graph.output
---@param ... gbi.node|gbi.constant nodes and constants
---@return gbi.node # without a value
function graph:output(...) end

---A condition: one of two graphs is run, the other costs nothing.
---
---In PyTorch: torch.cond
---@param predicate gbi.node|gbi.constant as Lua's `if` takes it
---@param then_graph gbi.graph its inputs are the operands; see `graph:subgraph`
---@param else_graph gbi.graph with as many outputs
---@param operands? {gbi.node|gbi.constant,...} a list, its length is `n` if nil is in it
---@return gbi.node # its first result; `node:results(n)` for more
function graph:cond(predicate, then_graph, else_graph, operands) end

---A loop: while the first output of one graph is true, the other is run, and
---its outputs are the next operands of both.
---
---In PyTorch: torch.while_loop
---@param cond_graph gbi.graph has one output, as Lua's `while` takes it
---@param body_graph gbi.graph has as many outputs as there are operands
---@param operands? {gbi.node|gbi.constant,...} a list, its length is `n` if nil is in it
---@return gbi.node # the first of the last operands; `node:results(n)` for more
function graph:while_loop(cond_graph, body_graph, operands) end

---Registers an object that the graph needs and does not take as an input.
---
---Raises the error `gbi.unimplemented` for a value that cannot be held weakly
---@param value gbi.object|gbi.node the object, an example for the runs to come; or the node of one in a graph that this one is a part of, which is that object here
---@param from? gbi.source its source; none for a node
---@return gbi.node # the object of the run
function graph:external(value, from) end

---Registers an object that every run creates.
---
---Raises the error `gbi.unimplemented` for an example that cannot be held weakly
---@param example gbi.object one such object
---@param construct_fn fun(index:integer,cg:gbi.codegen) emits the code that creates one
---@return gbi.node # the object of the run
function graph:created(example, construct_fn) end

---Iterates over the nodes in their order: `for node in graph:nodes() do`. What
---the loop erases or inserts does not disturb it.
---
---In PyTorch: torch.fx.Graph.nodes, reversed(torch.fx.Graph.nodes)
---@param back? boolean true for the last one first
---@return function
function graph:nodes(back) end

---The nodes of a kind, in their order.
---
---In PyTorch: torch.fx.Graph.find_nodes
---@param what table the fields `op` and `target` that they have; both may be left out
---@return gbi.node[]
function graph:find_nodes(what) end

---Prints the graph as a table: opcode, name, target, args.
---
---In PyTorch: torch.fx.Graph.print_tabular
---@param out? file* standard output otherwise
function graph:print_tabular(out) end

---The graph in Graphviz's language.
---@return string
function graph:to_dot() end

---Looks for what cannot be compiled: a node used before it is made, or one
---without a value; a missing output; an index that is not registered; a handle
---of another value than an external object; a source that wants an input which
---is not there; a condition or loop whose graphs do not fit; arguments that
---were written to.
---
---In PyTorch: torch.fx.Graph.lint
---@return boolean? # true, or nil
---@return string? # what is wrong
function graph:lint() end

---Compiles the graph and its prologue to one Lua function.
---
---Raises what `lint` finds, before any object is obtained
---@param options? gbi.options
---@return function # of the inputs; `gbi.traceback` says which node of it failed
---@return string # its source
function graph:compile(options) end

---The Lua source that `compile` generates.
---
---In PyTorch: torch.fx.Graph.python_code
---
---Raises what `compile` does
---@return string
function graph:code() end

---Makes an interpreter of the graph: module `gbi.interpreter`.
---
---In PyTorch: torch.fx.Interpreter
---@param g gbi.graph
---@return gbi.interpreter
function gbi.graph.interpreter(g) end

---Makes an interpreter that writes a new graph.
---
---In PyTorch: torch.fx.Transformer
---@param g gbi.graph
---@return gbi.transformer
function gbi.graph.transformer(g) end

---Writes the graph to a file, for `gbi.load_graph` in another process. The
---file is there as a whole or not at all, though several write it at a time.
---
---Raises naming it, when an object or a function has no source of gbi's own kinds, or an attribute is not plain data
---@param path string
---@return boolean? # true, or nil
---@return string? # why the file cannot be written
function graph:save(path) end

---Reads a graph that `graph:save` wrote. The file is data, checked and never
---executed; but running the graph runs what its sources find in this process,
---be it `os.execute`. `env` confines them.
---@param path string
---@param options? table `env`: the globals that its sources find, as `gbi.options` has it
---@return gbi.graph?
---@return string? # what is wrong with the file
function gbi.load_graph(path, options) end

---Sets where nodes are inserted from here on: before a node, in the order in
---which they are made. The output is always at the end.
---
---In PyTorch: torch.fx.Graph.inserting_before
---@param before? gbi.node the first node otherwise
---@param f? function only what `f()` makes is inserted there
---@return any # what `f` returns
function graph:inserting_before(before, f) end

---Sets where nodes are inserted from here on: after a node, in the order in
---which they are made.
---
---In PyTorch: torch.fx.Graph.inserting_after
---@param after? gbi.node at the end otherwise, as at first
---@param f? function only what `f()` makes is inserted there
---@return any # what `f` returns
function graph:inserting_after(after, f) end

---Takes a node out of the graph.
---
---In PyTorch: torch.fx.Graph.erase_node
---
---Raises naming them, when it has users
---@param each gbi.node
function graph:erase_node(each) end

---Erases the nodes that nobody uses and that have no effects: all but calls,
---writes, inputs, conditions, loops and the output; in the graphs of conditions
---and loops, too.
---
---In PyTorch: torch.fx.Graph.eliminate_dead_code
---@return boolean # were there any?
function graph:eliminate_dead_code() end

---Copies a node of this graph or of another one.
---
---In PyTorch: torch.fx.Graph.node_copy
---
---Raises when an input has no value here; nothing is changed then
---@param each gbi.node
---@param map? table|function input of the copied node -> its value here, a node or a constant; an input that it lacks is used itself if it is a node of this graph
---@return gbi.node
function graph:node_copy(each, map) end

---Copies the nodes of another graph to the point of insertion, all but its
---output.
---
---In PyTorch: torch.fx.Graph.graph_copy
---
---Raises when an input or attribute is there already; nothing is changed then
---@param other gbi.graph
---@param map? table node of the other graph -> its value here, for inputs; an input that it lacks is copied. It gets all copies
---@return any # what stands for the outputs of the other graph
function graph:graph_copy(other, map) end

---A copy of the graph, which can be changed independently; so can those of its
---conditions and loops. Both have one registry.
---
---In PyTorch: copy.deepcopy of a torch.fx.Graph
---@return gbi.graph
---@return table # node -> its copy
function graph:copy() end

---The fields of a node, `node.op`. Writing one raises.
---
---In PyTorch: the attributes of torch.fx.Node: op, target, args, name, graph, users, all_input_nodes, meta, prev, next, stack_trace
---@class gbi.nodefields
---@field op string `placeholder`, `call_function`, `call_method`, `get_attr` or `output`
---@field target any of a placeholder the input's name; of a call_method the method's; of a call_function an operator's name, a source, a node whose value is called, or one of `get_external_object_by_index`, `external_object_handle`, `call_result`, `cond`, `while_loop`; of a get_attr the field's or the attribute's name, or a source
---@field args table a list of nodes, constants and (of `cond` and `while_loop`) graphs, its length is `n`; `node:update_arg` changes it
---@field name string an identifier that no other node of the graph has
---@field graph gbi.graph the graph it is in
---@field users gbi.node[] a new list of the nodes that use it, in the order of the graph
---@field inputs gbi.node[] a new list of the nodes that it uses, each once
---@field meta table a table of yours
---@field prev? gbi.node the node before it
---@field next? gbi.node the node after it
---@field place? string where it was recorded, after `gbi.debug(true)`
---@field index? integer of an external object
---@field source? gbi.source of an external object that is not created
---@field kind? string of an external object: `user` or `graph_created`

---Nodes of a graph: what a user reads, and the operators that record.
---
---A node stands for a value of the run. Lua's operators make nodes of nodes and
---constants: `a + b`, `-a`, `a .. b`, `#a`. Comparisons, `not`, `and` and `or`
---are methods, because Lua forces their results to booleans or does not ask. So
---is `len`, for Lua 5.1. All raise an argument error, at their caller's line,
---for what a graph cannot record.
---
---A node's fields are read-only, and there are no others:
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

---Has the node effects, so that it stays though nobody uses it? Calls, writes,
---inputs, the output, conditions and loops have.
---
---In PyTorch: torch.fx.Node.is_impure
---@return boolean
function node:is_impure() end

---Hands an external object on as a number: a handle of `gbi.handles`, which
---finds the object of this run and no other, from any coroutine or C callback,
---until the run ends. The handles of a run that failed or was dropped are dead
---after the next full collection. (A coroutine that failed, and that somebody
---still holds, keeps its stack and with it the handles of its run.)
---
---Raises when the node is not an external object
---@return gbi.node
function node:handle() end

---The first `n` results of a call, each a node of its own; also of a
---condition or a loop.
---
---Raises when the node is no call, or a condition or loop with fewer results
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

---The node of `a and b`, of two values that are there already; `graph:cond`
---is for a value that is not always wanted.
---@param b? gbi.node|gbi.constant
---@return gbi.node
function node:land(b) end

---The node of `a or b`, of two values that are there already.
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

---The node of `#a`, which is none in Lua 5.1.
---@return gbi.node
function node:len() end

---Replaces an argument.
---
---In PyTorch: torch.fx.Node.update_arg
---
---Raises when the node cannot have that argument; nothing is changed then
---@param i integer from 1 to `node.args.n`
---@param value? gbi.node|gbi.constant|gbi.graph a node comes before this one
function node:update_arg(i, value) end

---Replaces what a node calls, reads or is named after: `node.target`.
---
---Raises when the node cannot have that target; nothing is changed then
---@param target string|gbi.source|gbi.node of the same kind: for another operator, one with as many operands
function node:set_target(target) end

---Lets the users of this node use another one, or a constant, in its place.
---`other` itself goes on using the node.
---
---In PyTorch: torch.fx.Node.replace_all_uses_with
---
---Raises when a user cannot use `other`; nothing is changed then
---@param other? gbi.node|gbi.constant comes before all those users
---@param filter? fun(user:gbi.node):boolean which users? All otherwise
---@return gbi.node[] # the users that were changed, in the graph's order
function node:replace_all_uses_with(other, filter) end

---An interpreter whose values are nodes of a new graph: its methods record
---what they are called for. Override them to record something else; what they
---return stands for the node.
---@class gbi.transformer
---@field graph gbi.graph the graph that is read
---@field new gbi.graph the graph that is being written, in the methods

---Running a graph node by node, and writing a new one while doing so.
---
---An interpreter calls a method for every node that matters, in order; override
---them in the object. They get the node's target, its arguments as values (a
---list, its length is `n`) and the node, and return the node's value.
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

---Runs the graph: what the compiled function would do. Objects are obtained
---first, as its prologue does.
---
---In PyTorch: torch.fx.Interpreter.run
---
---Raises what `graph:compile` does
---@param ... any the inputs
---@return any # the outputs
function interpreter:run(...) end

---Runs the graph, or one of a condition or loop, with these inputs.
---@param graph gbi.graph
---@param ... any the inputs
---@return any # the outputs
function interpreter:run_graph(graph, ...) end

---Runs a node by the method of its kind.
---
---In PyTorch: torch.fx.Interpreter.run_node
---@param each gbi.node
---@return any # its value
function interpreter:run_node(each) end

---An input.
---
---In PyTorch: torch.fx.Interpreter.placeholder
---@param target string its name
---@param args table empty
---@param each gbi.node
---@return any # its value; of `...`, a list of values with their number `n`
function interpreter:placeholder(target, args, each) end

---A field, an attribute, or what a source finds.
---
---In PyTorch: torch.fx.Interpreter.get_attr
---@param target string|gbi.source
---@param args table the object, if `target` is a field's name
---@param each gbi.node
---@return any # its value
function interpreter:get_attr(target, args, each) end

---A call, an operator, or another of the targets that
---`gbi.nodefields` has.
---
---In PyTorch: torch.fx.Interpreter.call_function
---@param target any where the node calls another node, that one's value
---@param args table of `cond` and `while_loop` with their graphs; of `call_result` all results of the call, and a number
---@param each gbi.node
---@return any # its results
function interpreter:call_function(target, args, each) end

---A method call.
---
---In PyTorch: torch.fx.Interpreter.call_method
---@param target string the method's name
---@param args table the object, and the arguments
---@param each gbi.node
---@return any # its results
function interpreter:call_method(target, args, each) end

---The end.
---
---In PyTorch: torch.fx.Interpreter.output
---@param target string `output`
---@param args table the outputs
---@param each gbi.node
---@return any # the outputs
function interpreter:output(target, args, each) end

---Writes a new graph, which has the registry and the attributes of the old.
---
---In PyTorch: torch.fx.Transformer.transform
---@return gbi.graph
function transformer:transform() end

return gbi

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
---`gbi.registry`, on `gbi.default`.
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
---@field backend? fun(graph:gbi.graph,registry:gbi.registry):function returns what replaces the body: a function of the run and the inputs. `run[index]` is an external object of this run, nil where it has none; `run:handle(index)` is a handle of it, as `node:handle()` makes one.

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
---caller's line, for what they cannot record.
---@class gbi.graph
---@field registry gbi.registry The registry of its external objects.
local graph = {}

---A new, empty graph with a registry of its own, `graph.registry`.
---
---In PyTorch: torch.fx.Graph
---@return gbi.graph
function gbi.graph.new() end

---An input.
---
---In PyTorch: torch.fx.Graph.placeholder
---@param name string any string, none twice; `"..."`, after all others, stands for the arguments that are left: as the last argument of a call or the last output
---@return gbi.node
function graph:placeholder(name) end

---A call, or an operator on its operands.
---
---In PyTorch: torch.fx.Graph.call_function
---@param target string|gbi.source|gbi.node the name of an operator: `add sub mul div mod pow idiv unm band bor bxor shl shr bnot concat len eq ne lt le gt ge lnot getitem setitem`; a source whose object is called; or a node whose value is
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

---A field of a value, `object.name`; or the value that a source obtains anew
---in every run, which need not be an object.
---
---In PyTorch: torch.fx.Graph.get_attr
---@param object gbi.node|gbi.constant|gbi.source
---@param name? string none for a source
---@return gbi.node
function graph:get_attr(object, name) end

---Writes a field, in its turn: `object[key] = value`.
---@param object gbi.node|gbi.constant
---@param key gbi.node|gbi.constant
---@param value? gbi.node|gbi.constant
---@return gbi.node # without a value
function graph:set_item(object, key, value) end

---The graph's results, and its end.
---
---In PyTorch: torch.fx.Graph.output
---@param ... gbi.node|gbi.constant nodes and constants
---@return gbi.node # without a value
function graph:output(...) end

---Registers an object that the graph needs and does not take as an input.
---
---Raises the error `gbi.unimplemented` for a value that cannot be held weakly
---@param value gbi.object the object, an example for the runs to come
---@param from gbi.source its source
---@return gbi.node # the object of the run
function graph:external(value, from) end

---Registers an object that every run creates.
---
---Raises the error `gbi.unimplemented` for an example that cannot be held weakly
---@param example gbi.object one such object
---@param construct_fn fun(index:integer,cg:gbi.codegen) emits the code that creates one
---@return gbi.node # the object of the run
function graph:created(example, construct_fn) end

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
---is not there.
---
---In PyTorch: torch.fx.Graph.lint
---@return boolean? # true, or nil
---@return string? # what is wrong
function graph:lint() end

---Drops the nodes that nobody uses and that have no effects: all but calls,
---writes, inputs and the output.
---
---In PyTorch: torch.fx.Graph.eliminate_dead_code
---@return boolean # were there any?
function graph:eliminate_dead_code() end

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

---Writes the graph to a file, for `gbi.load_graph` in another process.
---
---Raises naming it, when an object or a function has no source of gbi's own kinds
---@param path string
---@return boolean? # true, or nil
---@return string? # why the file cannot be written
function graph:save(path) end

---Reads a graph that `graph:save` wrote. The file is data, checked and never
---executed; what its sources find are the objects of this process.
---@param path string
---@return gbi.graph?
---@return string? # what is wrong with the file
function gbi.load_graph(path) end

---Nodes of a graph, and what gbi's graphs can call without a source.
---
---A node stands for a value of the run. Lua's operators make nodes of nodes and
---constants: `a + b`, `-a`, `a .. b`, `#a`; those that Lua makes booleans of
---are methods, and so is `len`, for Lua 5.1. All raise an argument error, at
---their caller's line, for what a graph cannot record.
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

---Hands an external object on as a number: a handle of `gbi.handles`, which
---finds the object of this run and no other, from any coroutine or C callback,
---until the run ends. The handles of a run that failed or was dropped are dead
---after the next full collection. (A coroutine that failed, and that somebody
---still holds, keeps its stack and with it the handles of its run.)
---
---Raises when the node is not an external object
---@return gbi.node
function node:handle() end

---The first `n` results of a call, each a node of its own.
---
---Raises when the node is no call
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

return gbi

# gbi. `make help` lists the targets.

# Which Lua: lua5.1, lua5.2, lua5.3, lua5.4 or luajit; each builds in a folder of
# its own.
LUA    ?= lua5.4
# the slowest suites first
LUAS   ?= lua5.1 lua5.2 lua5.3 lua5.4 luajit
JOBS   ?= 2
CC     ?= cc
BUILD  ?= $(if $(filter lua5.4,$(LUA)),build,build-$(LUA))
CFLAGS ?= -O2
PREFIX ?= /usr/local
READ_VERSION = sed -n 's/^.define GBI_VERSION "\(.*\)"/\1/p'
VERSION := $(shell $(READ_VERSION) csrc/gbi.h)

LUA_LIBS   ?= $(shell pkg-config --libs $(LUA) 2>/dev/null || echo -l$(LUA:luajit=luajit-5.1) -lm -ldl)
LUA_CFLAGS ?= $(call cflags,$(LUA))
cflags = $(shell pkg-config --cflags $(1) 2>/dev/null || echo -I/usr/include/$(1:luajit=luajit-2.1))
# calls into Lua go straight through the table of its addresses
FAST = $(if $(filter Linux,$(shell uname -s)),-fno-plt)
WARN = -std=c99 -pedantic -Wall -Wextra -Wshadow -Wstrict-prototypes \
       -Wmissing-prototypes -Wcast-qual
SHARED = $(if $(filter Darwin,$(shell uname -s)),-bundle -undefined dynamic_lookup,-shared)

# for a program that loads modules; macOS exports by itself
EXPORT = $(if $(filter Darwin,$(shell uname -s)),,-Wl,-E)

SRC  = $(wildcard csrc/*.c)
OBJ  = $(SRC:csrc/%.c=$(BUILD)/%.o)
CORE = $(BUILD)/gbi/core.so
# C of the examples, which use gbi.h, and of the specs
USERS = $(BUILD)/ref.so $(BUILD)/wheel.so $(BUILD)/host $(BUILD)/capi.so $(BUILD)/faults
# the modules that gbi is compared with
BENCH = $(BUILD)/floor.so $(BUILD)/find.so $(BUILD)/steady.so
# C for all Luas, and for 5.4 alone
C54   = $(wildcard bench/*.c spec/c/fuzz*.c spec/c/steps_*.c) \
        $(addprefix spec/c/,model.c replay.c threads.c world.c)
C     = $(SRC) $(filter-out $(C54),$(wildcard examples/*/*.c spec/c/*.c))

# quotes a text as one word of the shell
quote = '$(subst ','\'',$(1))'

HERE := $(CURDIR)
# before the caller's own paths, perhaps of a LuaRocks tree; `value`, because
# make would expand a $ in them
export LUA_PATH  := $(HERE)/lua/?.lua;$(HERE)/lua/?/init.lua;$(or $(value LUA_PATH),;)
export LUA_CPATH := $(HERE)/$(BUILD)/?.so;$(or $(value LUA_CPATH),;)
# the specs start this Lua and these programs, and compile with these flags
export LUA BUILD LUA_CFLAGS LUA_LIBS
# but the make of another Lua must not see them
OTHER = env -u BUILD -u LUA_CFLAGS -u LUA_LIBS $(MAKE) --no-print-directory

# the fuzzers are for 5.4 and 5.5
BUSTED = busted --lua=$(LUA) --cpath="$(BUILD)/?.so" \
         $(if $(FUZZED),,--exclude-pattern=fuzz)
IS54   = $(filter lua5.4,$(LUA))
FUZZED = $(filter lua5.4 lua5.5,$(LUA))

.PHONY: all help demo test test-all test-hosts users bench bench-instructions \
        lint docs meta env amalgamation install uninstall dist clean need-build \
        need-demo need-test need-hosts need-lint need-dot need-bench need-docs

all: $(CORE) ## build the C module under build/

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

demo: need-demo ## install what is missing, build, show what gbi is for
	@$(MAKE) -s all $(BUILD)/ref.so
	@for f in examples/why/*.lua; do \
	  sed -n '1s/^-- //p' $$f; \
	  $(LUA) $$f | sed 's/^/    /' || exit 1; \
	  echo; \
	done
	@$(LUA) examples/files.lua $(FILES)
	@echo
	@$(LUA) examples/collatz.lua
	@echo
	@$(LUA) examples/graph.lua
	@echo "docs/graph.svg is its picture."

test: need-test ## install what is missing, build, run the specs; ARGS=FILE for one
	@$(MAKE) -s all users
	$(BUSTED) $(ARGS)
	@[ -n "$(ARGS)$(filter-out lua5.4,$(LUA))" ] || $(MAKE) -s stress SHORT=1

test-all: ## test every Lua that is installed or can be, JOBS=2 at a time
	@for lua in $(LUAS); do \
	  command -v $$lua || command -v apt-get || continue; \
	  $(OTHER) -s need-test LUA=$$lua || exit 1; \
	done
	@printf '%s\n' $(LUAS) | xargs -P$(JOBS) -I{} \
	  sh -c '! command -v {} >/dev/null || exec $(OTHER) test LUA={}'

test-hosts: need-hosts ## run gbi in Neovim, nginx, LÖVE and luv, as docs/hosts.md says
	@tools/nginx build/hosts/nginx
	@$(MAKE) -s all
	$(BUSTED) --pattern=_host spec/hosts

include spec/stress.mk
include examples/cuda/cuda.mk

bench: need-bench ## measure gbi, write CSV and docs/bench.svg; MOST=1000000 for less; LUA=luajit for look-ups alone
	@$(MAKE) -s all $(if $(IS54),$(BENCH))
	@$(MEASURE) $(if $(IS54),bench/bench.lua $(or $(CSV),bench/results.csv) $(MOST),bench/lookups.lua $(or $(CSV),docs/$(LUA).csv))
	@$(if $(IS54),$(MEASURE) bench/passes.lua)
	@$(if $(IS54),$(MEASURE) bench/backend.lua)
	@$(if $(IS54),$(MEASURE) bench/svg.lua $(or $(CSV),bench/results.csv) docs/bench.svg)

bench-instructions: need-bench ## the same rows, counted by callgrind
	@$(MAKE) -s all $(BENCH)
	@$(MEASURE) bench/instructions.lua $(or $(CSV),docs/instructions.csv)

lint: need-lint amalgamation ## luacheck, and the C code with every warning an error
	luacheck .
	@$(foreach lua,$(LUA) $(filter-out $(LUA),$(LUAS)) lua5.5,$(call compile,$(lua),$(C) $(ONE)/gbi.c))
	@$(foreach lua,lua5.4 lua5.5,$(call compile,$(lua),$(C54)))

# $(call compile,LUA,FILES): compiles if the headers of this Lua are installed
compile = if [ -f $(patsubst -I%,%,$(firstword $(call cflags,$(1))))/lua.h ]; then \
	  for f in $(2); do \
	    echo "$(CC) -Werror $$f ($(1))"; \
	    $(CC) $(WARN) -Werror -O2 -Icsrc $(call cflags,$(1)) -c $$f -o /dev/null || exit 1; \
	  done; fi;

users: $(USERS)

# the rows find their modules, and themselves start Lua under callgrind
MEASURE = LUA_PATH="bench/?.lua;$$LUA_PATH" LUA=$(LUA) BUILD=$(BUILD) $(LUA)

docs/graph.svg: examples/graph.lua lua/gbi/view.lua ## the picture in the README
	@$(MAKE) -s need-dot all
	$(LUA) $< dot | dot -Tsvg -o $@

docs: need-docs ## install what is missing, write the reference, build/docs
	@tools/docs

meta: all ## write the annotations for LuaLS, library/gbi.lua
	@mkdir -p library
	$(LUA) tools/annotate.lua luals >library/gbi.lua.new
	mv library/gbi.lua.new library/gbi.lua

env: ## print the export lines that make this checkout loadable
	@printf '%s\n' $(call quote,export LUA_PATH=$(call quote,$(LUA_PATH)))
	@printf '%s\n' $(call quote,export LUA_CPATH=$(call quote,$(LUA_CPATH)))

# gbi in two files, for the tree of a host
ONE = $(BUILD)/amalgamation

amalgamation: need-build ## write gbi.c and gbi.h to build/amalgamation
	@mkdir -p $(ONE)
	$(LUA) tools/amalgamate.lua $(sort $(SRC)) >$(ONE)/gbi.c.new
	mv $(ONE)/gbi.c.new $(ONE)/gbi.c
	cp csrc/gbi.h $(ONE)/

# LuaJIT's headers are enough, for a program with a LuaJIT of its own
LUA_VERSION = $(if $(findstring luajit,$(LUA)),5.1,$(shell \
  $(LUA) -e 'print(_VERSION:match "[%d.]+")'))

TO = $(call quote,$(DESTDIR)$(PREFIX))
# escapes a text that sed inserts between |
literal = $(subst &,\&,$(subst |,\|,$(subst \,\\,$(1))))

install: all ## install under PREFIX
	install -d $(TO)/lib/lua/$(LUA_VERSION)/gbi \
	  $(TO)/share/lua/$(LUA_VERSION)/gbi $(TO)/include $(TO)/share/pkgconfig
	install -m 755 $(CORE) $(TO)/lib/lua/$(LUA_VERSION)/gbi/
	install -m 644 csrc/gbi.h $(TO)/include/
	install -m 644 lua/gbi/*.lua $(TO)/share/lua/$(LUA_VERSION)/gbi/
	sed -e $(call quote,s|@PREFIX@|$(call literal,$(PREFIX))|) \
	  -e 's|@VERSION@|$(VERSION)|' gbi.pc.in >$(TO)/share/pkgconfig/gbi.pc

uninstall: ## remove what `make install` put under PREFIX
	rm -rf $(TO)/lib/lua/$(LUA_VERSION)/gbi $(TO)/share/lua/$(LUA_VERSION)/gbi
	rm -f $(TO)/include/gbi.h $(TO)/share/pkgconfig/gbi.pc

REV  ?= HEAD
DIST  = gbi-$(shell git show $(REV):csrc/gbi.h | $(READ_VERSION))

dist: ## write build/gbi-VERSION.tar.gz, of what is committed; REV=v0.2.0
	@root=$$(git rev-parse --show-toplevel 2>/dev/null); \
	[ "$$root" = $(call quote,$(HERE)) ] || { \
	  echo "make dist packs the files that git tracks; this is not a checkout" >&2; \
	  exit 1; }
	@mkdir -p $(BUILD)
	git archive --prefix=$(DIST)/ -o $(BUILD)/$(DIST).tar.gz $(REV)

clean: ## remove what was built, by LuaRocks too
	rm -rf build build-* csrc/*.o gbi

$(CORE): $(OBJ)
	@mkdir -p $(@D)
	$(CC) $(SHARED) $(LDFLAGS) -o $@ $(OBJ)

$(BUILD)/%.o: csrc/%.c $(wildcard csrc/*.h) Makefile
	@mkdir -p $(@D)
	$(CC) $(WARN) $(FAST) $(CFLAGS) $(LUA_CFLAGS) -fPIC -c $< -o $@

# Lua modules of one file
$(BUILD)/wheel.so: examples/c/wheel.c
$(BUILD)/ref.so: examples/why/ref.c
$(BUILD)/capi.so: spec/c/capi.c
$(BUILD)/wheel.so $(BUILD)/ref.so $(BUILD)/capi.so: $(wildcard csrc/*.h)
	@mkdir -p $(@D)
	$(CC) $(WARN) $(CFLAGS) -Icsrc $(LUA_CFLAGS) -fPIC $(SHARED) -o $@ $(filter %.c,$^)

# a Lua that can make allocations fail, and that loads modules
$(BUILD)/faults: spec/c/faults.c csrc/compat.h
	@mkdir -p $(@D)
	$(CC) $(WARN) $(CFLAGS) -Icsrc $(LUA_CFLAGS) $(EXPORT) -o $@ $< $(LUA_LIBS) -ldl

$(BENCH): $(BUILD)/%.so: bench/%.c csrc/gbi.h
	@mkdir -p $(@D)
	$(CC) $(WARN) $(FAST) $(CFLAGS) -Icsrc $(LUA_CFLAGS) -fPIC $(SHARED) -o $@ $<

$(BUILD)/host: examples/c/host.c $(SRC) $(wildcard csrc/*.h)
	$(CC) $(WARN) $(CFLAGS) -Icsrc $(LUA_CFLAGS) -o $@ $< $(SRC) $(LUA_LIBS)

# The packages that a target needs: `tools/need` installs them
NEED = @CC="$(CC)" tools/need

HEADERS_luajit = libluajit-5.1-dev
HEADERS_lua5.1 = liblua5.1-0-dev
BUILD_NEEDS = cc:gcc cc:libc6-dev lua:$(LUA) headers:$(or $(HEADERS_$(LUA)),lib$(LUA)-dev)

need-build:
	$(NEED) $(BUILD_NEEDS)

need-demo:
	$(NEED) $(BUILD_NEEDS) luv:lua-luv

need-test:
	$(NEED) $(BUILD_NEEDS) cxx:g++ busted:lua-busted \
	  pkgconfig:pkg-config luarocks:luarocks

need-hosts:
	$(NEED) $(BUILD_NEEDS) busted:lua-busted nvim:neovim love:love xvfb:xvfb \
	  curl:curl zip:zip luv:lua-luv
	@LUA_CFLAGS="$(call cflags,luajit)" tools/need headers:libluajit-5.1-dev

need-lint:
	$(NEED) $(BUILD_NEEDS) luacheck:lua-check

need-dot:
	$(NEED) $(BUILD_NEEDS) dot:graphviz

need-docs:
	$(NEED) lua:lua5.4 ldoc:lua-ldoc discount:lua-discount

need-bench:
	$(NEED) $(BUILD_NEEDS) valgrind:valgrind

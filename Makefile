# gbi. `make help` lists the targets.

LUA    ?= lua5.4
CC     ?= cc
BUILD  ?= build
CFLAGS ?= -O2
PREFIX ?= /usr/local
VERSION := $(shell sed -n 's/^.define GBI_VERSION "\(.*\)"/\1/p' csrc/gbi.h)

LUA_LIBS   ?= $(shell pkg-config --libs $(LUA) 2>/dev/null || echo -l$(LUA) -lm -ldl)
LUA_CFLAGS ?= $(shell pkg-config --cflags $(LUA) 2>/dev/null || echo -I/usr/include/$(LUA))
# calls into Lua go straight through the table of its addresses
FAST = $(if $(filter Linux,$(shell uname -s)),-fno-plt)
WARN = -std=c99 -pedantic -Wall -Wextra -Wshadow -Wstrict-prototypes \
       -Wmissing-prototypes -Wcast-qual
SHARED = $(if $(filter Darwin,$(shell uname -s)),-bundle -undefined dynamic_lookup,-shared)

# for a program that modules are loaded into; macOS does so by itself
EXPORT = $(if $(filter Darwin,$(shell uname -s)),,-Wl,-E)

SRC  = $(wildcard csrc/*.c)
OBJ  = $(SRC:csrc/%.c=$(BUILD)/%.o)
CORE = $(BUILD)/gbi/core.so
# C that uses gbi.h: two examples, and the module of the specs
USERS = $(BUILD)/wheel.so $(BUILD)/host $(BUILD)/capi.so $(BUILD)/faults
# what gbi is measured against
BENCH = $(BUILD)/floor.so $(BUILD)/find.so $(BUILD)/steady.so
C     = $(SRC) $(wildcard examples/c/*.c spec/c/*.c bench/*.c)

HERE := $(CURDIR)
# before what the caller has there already, a LuaRocks tree perhaps
export LUA_PATH  := $(HERE)/lua/?.lua;$(HERE)/lua/?/init.lua;$(or $(LUA_PATH),;)
export LUA_CFLAGS LUA_LIBS
export LUA_CPATH := $(HERE)/$(BUILD)/?.so;$(or $(LUA_CPATH),;)

.PHONY: all help demo test users bench bench-instructions lint docs meta env \
        install dist clean need-build need-test need-lint need-dot need-bench \
        need-docs

all: $(CORE) ## build the C module under build/

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

demo: need-build ## install what is missing, build, run the demo
	@$(MAKE) -s all
	@$(LUA) examples/wordcount.lua $(FILES)
	@echo
	@if $(LUA) -e 'require "luv"' 2>/dev/null; then \
	  $(LUA) examples/files.lua $(FILES); \
	else \
	  echo "examples/files.lua wants luv (Debian: lua-luv); not there, not run"; \
	fi

test: need-test ## install what is missing, build, run the specs; ARGS=FILE for one
	@$(MAKE) -s all users
	busted $(ARGS)
	@[ -n "$(ARGS)" ] || $(MAKE) -s stress SHORT=1

include spec/stress.mk

bench: need-bench ## measure gbi, write CSV and docs/bench.svg; MOST=1000000 for less
	@$(MAKE) -s all $(BENCH)
	@$(MEASURE) bench/bench.lua $(or $(CSV),bench/results.csv) $(MOST)
	@$(LUA) bench/svg.lua $(or $(CSV),bench/results.csv) docs/bench.svg

bench-instructions: need-bench ## the same rows, counted by callgrind
	@$(MAKE) -s all $(BENCH)
	@$(MEASURE) bench/instructions.lua $(or $(CSV),bench/instructions.csv)

# Fuzzing: bytes are a program that works on registries, or a file of a graph.
# `make fuzz SECONDS=600` runs each target with clang for so long; what it finds
# goes to build-fuzz/, beside a corpus that grows there. The specs replay the
# corpus in spec/corpus with programs of any compiler.
SECONDS  ?= 60
FUZZERS   = fuzz_registry fuzz_load_graph
FUZZ_C    = spec/c/model.c spec/c/capi.c $(SRC)
FUZZ_DEPS = $(FUZZ_C) $(wildcard spec/c/*.h csrc/*.h) Makefile
FUZZ_CC   = clang -O1 -g -fno-omit-frame-pointer \
            -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined
USERS    += $(FUZZERS:%=$(BUILD)/%)

fuzz: need-fuzz ## fuzz the registry and the files of graphs; SECONDS=60 each
	@$(MAKE) -s $(FUZZERS:%=build-fuzz/%)
	@for f in $(FUZZERS); do \
	  mkdir -p build-fuzz/corpus/$$f; \
	  build-fuzz/$$f -max_total_time=$(SECONDS) -max_len=1000 -timeout=20 \
	    -rss_limit_mb=2000 -verbosity=0 -print_final_stats=1 \
	    -artifact_prefix=build-fuzz/$$f- build-fuzz/corpus/$$f \
	    spec/corpus/$$f || exit 1; \
	done

$(FUZZERS:%=build-fuzz/%): build-fuzz/%: spec/c/%.c $(FUZZ_DEPS)
	@mkdir -p $(@D)
	$(FUZZ_CC) $(WARN) -Icsrc $(LUA_CFLAGS) -o $@ $< $(FUZZ_C) $(LUA_LIBS)

$(FUZZERS:%=$(BUILD)/%): $(BUILD)/%: spec/c/%.c spec/c/replay.c $(FUZZ_DEPS)
	@mkdir -p $(@D)
	$(CC) $(WARN) $(CFLAGS) -Icsrc $(LUA_CFLAGS) -o $@ $< spec/c/replay.c \
	  $(FUZZ_C) $(LUA_LIBS)

lint: need-lint ## luacheck, and the C code with every warning an error
	luacheck .
	@for f in $(C); do \
	  echo "$(CC) -Werror $$f"; \
	  $(CC) $(WARN) -Werror -O2 -Icsrc $(LUA_CFLAGS) -c $$f -o /dev/null || exit 1; \
	done

users: $(USERS)

# the rows find their modules, and start Lua themselves, under callgrind
MEASURE = LUA_PATH="bench/?.lua;$(LUA_PATH)" LUA=$(LUA) BUILD=$(BUILD) $(LUA)

docs: need-docs ## install what is missing, write the reference, build/docs
	@mkdir -p $(BUILD)
	@$(LUA) docs/annotate.lua ldoc >$(BUILD)/functions.lua
	ldoc --fatalwarnings -d $(BUILD)/docs .

meta: all ## write the annotations for LuaLS, library/gbi.lua
	@mkdir -p library
	$(LUA) docs/annotate.lua luals >library/gbi.lua.new
	mv library/gbi.lua.new library/gbi.lua

env: ## print the export lines that make this checkout loadable
	@echo 'export LUA_PATH="$(LUA_PATH)"'
	@echo 'export LUA_CPATH="$(LUA_CPATH)"'

install: all ## install under PREFIX
	install -d $(DESTDIR)$(PREFIX)/lib/lua/5.4/gbi $(DESTDIR)$(PREFIX)/share/lua/5.4/gbi $(DESTDIR)$(PREFIX)/include
	install -m 755 $(CORE) $(DESTDIR)$(PREFIX)/lib/lua/5.4/gbi/
	install -m 644 csrc/gbi.h $(DESTDIR)$(PREFIX)/include/
	install -m 644 lua/gbi/*.lua $(DESTDIR)$(PREFIX)/share/lua/5.4/gbi/
	install -d $(DESTDIR)$(PREFIX)/share/pkgconfig
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' gbi.pc.in \
	  > $(DESTDIR)$(PREFIX)/share/pkgconfig/gbi.pc

DIST = gbi-$(VERSION)

dist: ## write build/gbi-VERSION.tar.gz, of what is committed; REV=v0.1.0
	@git rev-parse --git-dir >/dev/null 2>&1 || { \
	  echo "make dist packs what git tracks, and this is no checkout" >&2; \
	  exit 1; }
	@mkdir -p $(BUILD)
	git archive --prefix=$(DIST)/ -o $(BUILD)/$(DIST).tar.gz $(or $(REV),HEAD)

clean: ## remove what was built
	rm -rf $(BUILD) build-fuzz $(BUILD)-asan $(BUILD)-tsan $(BUILD)-cov

$(CORE): $(OBJ)
	@mkdir -p $(@D)
	$(CC) $(SHARED) $(LDFLAGS) -o $@ $(OBJ)

$(BUILD)/%.o: csrc/%.c $(wildcard csrc/*.h) Makefile
	@mkdir -p $(@D)
	$(CC) $(WARN) $(FAST) $(CFLAGS) $(LUA_CFLAGS) -fPIC -c $< -o $@

$(BUILD)/wheel.so: examples/c/wheel.c csrc/gbi.h
	$(CC) $(WARN) $(CFLAGS) -Icsrc $(LUA_CFLAGS) -fPIC $(SHARED) -o $@ $<

$(BUILD)/capi.so: spec/c/capi.c csrc/gbi.h
	$(CC) $(WARN) $(CFLAGS) -Icsrc $(LUA_CFLAGS) -fPIC $(SHARED) -o $@ $<

# a Lua whose allocations can be made to fail, and that modules are loaded into
$(BUILD)/faults: spec/c/faults.c
	@mkdir -p $(@D)
	$(CC) $(WARN) $(CFLAGS) $(LUA_CFLAGS) $(EXPORT) -o $@ $< $(LUA_LIBS) -ldl

$(BENCH): $(BUILD)/%.so: bench/%.c csrc/gbi.h
	@mkdir -p $(@D)
	$(CC) $(WARN) $(FAST) $(CFLAGS) -Icsrc $(LUA_CFLAGS) -fPIC $(SHARED) -o $@ $<

$(BUILD)/host: examples/c/host.c $(SRC) $(wildcard csrc/*.h)
	$(CC) $(WARN) $(CFLAGS) -Icsrc $(LUA_CFLAGS) -o $@ $< $(SRC) $(LUA_LIBS)

# What a target needs. $(call need,test:package ...) prints and runs the one
# command that installs the packages whose test fails; where there is no apt
# it says what is missing and stops.
need = @missing=; \
  has_cc() { command -v $(CC); }; \
  has_cxx() { command -v g++; }; \
  has_lua() { command -v $(LUA); }; \
  has_headers() { for d in $(patsubst -I%,%,$(filter -I%,$(LUA_CFLAGS))) /usr/include; do \
    [ -f $$d/lua.h ] && return 0; done; return 1; }; \
  has_busted() { command -v busted && $(LUA) -e 'require "busted"'; }; \
  has_ldoc() { command -v ldoc; }; \
  has_discount() { [ ! -x /usr/bin/lua-any ] || lua5.2 -e 'require "discount"' \
    || lua5.1 -e 'require "discount"'; }; \
  has_dot() { command -v dot; }; \
  has_valgrind() { command -v valgrind; }; \
  has_pkgconfig() { command -v pkg-config; }; \
  has_luarocks() { command -v luarocks; }; \
  has_luacheck() { command -v luacheck; }; \
  has_clang() { command -v clang; }; \
  has_fuzzer() { echo 'int LLVMFuzzerTestOneInput (void); int LLVMFuzzerTestOneInput (void) { return 0; }' | \
    clang -fsanitize=fuzzer,address -x c - -o /dev/null; }; \
  for pair in $(1); do \
    has_$${pair%%:*} >/dev/null 2>&1 || missing="$$missing $${pair\#*:}"; \
  done; \
  [ -z "$$missing" ] && exit 0; \
  if ! command -v apt-get >/dev/null 2>&1; then \
    echo "gbi needs what Debian packages as:$$missing" >&2; exit 1; \
  fi; \
  sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
  run="$$sudo apt-get install -y --no-install-recommends$$missing"; \
  echo "$$sudo apt-get update && $$run"; \
  $$sudo apt-get update && DEBIAN_FRONTEND=noninteractive $$run

BUILD_NEEDS = cc:gcc cc:libc6-dev lua:lua5.4 headers:liblua5.4-dev

need-build:
	$(call need,$(BUILD_NEEDS))

need-test:
	$(call need,$(BUILD_NEEDS) cxx:g++ busted:lua-busted \
	  pkgconfig:pkg-config luarocks:luarocks)

need-lint:
	$(call need,$(BUILD_NEEDS) luacheck:lua-check)

need-fuzz:
	$(call need,$(BUILD_NEEDS) clang:clang fuzzer:libclang-rt-dev)

need-dot:
	$(call need,$(BUILD_NEEDS) dot:graphviz)

need-docs:
	$(call need,lua:lua5.4 ldoc:lua-ldoc discount:lua-discount)

need-bench:
	$(call need,$(BUILD_NEEDS) valgrind:valgrind)

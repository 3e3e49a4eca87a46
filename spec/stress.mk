# Trying to break gbi. `make stress` takes an hour; `make test` does a
# little of each (SHORT=1).

.PHONY: stress analyze merged suite apicheck faults growth collectors threads asan \
        memcheck coverage cover graphs saves fuzz need-stress need-analyze need-fuzz

specs = $(patsubst %,spec/%_spec.lua,$(1))

# The contents of a short run: some files of the suite (ARGS names others), and
# the cases of spec/support/faults.lua with these words in their names.
SUITE = $(or $(ARGS),$(if $(SHORT),$(call specs,registry close source)))
CASES = $(if $(SHORT),: store)

# The longest first.
STRESS = $(if $(SHORT),growth collectors threads asan memcheck, \
  growth faults coverage collectors asan memcheck graphs merged analyze \
  threads saves fuzz)

stress: need-stress $(if $(SHORT),,need-analyze need-fuzz) ## try to break it, for an hour: all that follows, JOBS=2 at a time
	@$(MAKE) -s all users
	@printf '%s\n' $(STRESS) | xargs -P$(if $(SHORT),1,$(JOBS)) -I{} sh -c \
	  '$(MAKE) -s {} GRAPHS=20000 && echo "{}: ok" || { echo "{}: failed"; exit 1; }'

# With 5.4's headers, because the analysers do not know that the functions of
# compat.h raise errors. cppcheck's warning about model.c is excused: world.c
# keeps the indices in range.
ANALYZED = $(sort $(C) $(C54))

analyze: need-analyze ## what gcc, clang and cppcheck see in the C code
	@for f in $(ANALYZED); do \
	  echo "$$f"; \
	  gcc $(WARN) -Werror -O2 -fanalyzer -Icsrc $(call cflags,lua5.4) -c $$f \
	    -o /dev/null || exit 1; \
	  clang --analyze -Xclang -analyzer-werror --analyzer-output text \
	    -std=c99 -Icsrc $(call cflags,lua5.4) $$f || exit 1; \
	done
	cppcheck -q --error-exitcode=1 --enable=warning,portability,performance \
	  --library=lua --std=c99 -DLUA_VERSION_NUM=504 -Icsrc \
	  --suppress=arrayIndexOutOfBoundsCond:spec/c/model.c $(ANALYZED)

# Addresses of constants are keys; gcc may give equal constants one address.
merged: ## the suite, or ARGS, built with gcc's -fmerge-all-constants
	@$(MAKE) -s suite BUILD=$(BUILD)-merged CC=gcc \
	  CFLAGS="-O2 -fmerge-all-constants"

suite: all users
	$(BUSTED) $(SUITE)

# The C files of a release of Lua 5.4, or of its repository.
API_C  = $(filter-out %/luac.c %/onelua.c %/ltests.c,$(wildcard $(LUA_SOURCE)/*.c))
API    = $(BUILD)-apicheck

apicheck: ## the suite, or ARGS, in a Lua that checks calls of its API; LUA_SOURCE=its sources
	@[ -f $(call quote,$(LUA_SOURCE)/lapi.c) ] || \
	  { echo "LUA_SOURCE=FOLDER, of Lua's C files, is missing" >&2; exit 1; }
	@$(MAKE) -s all users
	@mkdir -p $(API)/bin
	$(CC) -O1 -DLUA_USE_LINUX -DLUA_USE_APICHECK $(EXPORT) \
	  -o $(API)/bin/$(LUA) $(API_C) -lm -ldl
	@LUA_PATH="$$($(LUA) -e 'io.write(package.path)')" \
	LUA_CPATH="$$($(LUA) -e 'io.write(package.cpath)')" \
	PATH=$(call quote,$(HERE)/$(API)/bin):"$$PATH" \
	  $(LUA) $(SCRIPT) --cpath="$(BUILD)/?.so" $(SUITE)

faults: ## each allocation of each function fails, and then all after it
	@$(MAKE) -s all users
	$(BUILD)/faults spec/support/faults.lua long

growth: ## what calls cost as their input grows, in instructions; CASES=load for less
	@$(MAKE) -s all users
	$(BUILD)/faults spec/support/growth.lua $(if $(SHORT),short,vm "$(CASES)")
	$(if $(SHORT),,$(BUILD)/faults spec/support/growth.lua machine "$(CASES)")

# A full collection at every instruction, and at every allocation; the suite
# with other collectors; most of it with a collection at every N-th allocation;
# and at every allocation, the quick part of weak_spec and, in the Luas that it
# starts, close_spec. (The files that stop the collector are left out; so are,
# first, those whose programs run in another Lua.)
COLLECTED = $(filter-out $(call specs,demo docs faults fuzz guides package \
  readme),$(wildcard spec/*_spec.lua))

collectors: ## the collector at its worst
	@$(MAKE) -s all users
	$(BUILD)/faults spec/support/faults.lua collect $(if $(CASES),"$(CASES)")
	$(BUILD)/faults -e 1 spec/support/faults.lua collect $(if $(CASES),"$(CASES)")
	for mode in generational incremental stop; do \
	  GBI_COLLECTOR=$$mode $(BUSTED) --helper=spec/support/collector.lua \
	    $(or $(SUITE),$(COLLECTED)) || exit 1; \
	done
	$(BUILD)/faults -e 997 $(SCRIPT) $(or $(SUITE),$(call specs, \
	  capi codegen compile graph handles inspect prologue registry source))
	$(if $(SHORT),,$(BUILD)/faults -e 1 $(SCRIPT) --filter-out=million \
	  --filter-out=^finalizers spec/weak_spec.lua)
	$(if $(SHORT),,LUA="$(BUILD)/faults -e 1" $(BUSTED) spec/close_spec.lua)

# busted as a script, for another interpreter
SCRIPT = $$(command -v busted) --ignore-lua

TSAN = $(BUILD)-tsan

threads: ## states in many threads, under ThreadSanitizer
	@mkdir -p $(TSAN)
	@$(CC) $(WARN) -O1 -g -fsanitize=thread -Icsrc $(LUA_CFLAGS) \
	  -o $(TSAN)/threads spec/c/threads.c spec/c/capi.c $(SRC) \
	  $(LUA_LIBS) -pthread
	$(TSAN)/threads $(if $(SHORT),4 1,8 5) spec/support/threads.lua

# The suite runs in a Lua built with the sanitizers, so that compilers which it
# starts are not checked for leaks; the Lua that it starts preloads them.
SANITIZE = -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
           -fno-sanitize-recover=all
ASAN = $(BUILD)-asan

asan: ## the suite, or ARGS, under AddressSanitizer, LeakSanitizer, UBSan
	@$(MAKE) -s all users
	@$(MAKE) -s all users BUILD=$(ASAN) CFLAGS="$(SANITIZE)" \
	  LDFLAGS="$(SANITIZE)"
	@mkdir -p $(ASAN)/bin
	@printf '#!/bin/sh\nLD_PRELOAD="%s %s" exec %s "$$@"\n' \
	  $$($(CC) -print-file-name=libasan.so) \
	  $$($(CC) -print-file-name=libubsan.so) \
	  $$(command -v $(LUA)) > $(ASAN)/bin/$(LUA)
	@printf '#!/bin/sh\nunset LD_PRELOAD\nexec %s "$$@"\n' \
	  $$(command -v cc) > $(ASAN)/bin/cc
	@chmod +x $(ASAN)/bin/*
	PATH=$(call quote,$(HERE)/$(ASAN)/bin):"$$PATH" BUILD=$(ASAN) \
	  ASAN_OPTIONS=quarantine_size_mb=1 $(ASAN)/faults $(SCRIPT) \
	  --cpath=$(call quote,$(HERE)/$(ASAN)/?.so) $(SUITE)
	$(ASAN)/host examples/c/jobs.lua > /dev/null

MEMCHECK = valgrind -q --error-exitcode=9 --leak-check=full \
           --errors-for-leak-kinds=definite,possible

# The files about the core: those about graphs would take hours. (asan has all.)
MEMCHECKED = $(call specs,capi close compat handles inspect load lookup model \
  prologue registry run source)

memcheck: ## the specs of the core, or ARGS, and faults in some states, under valgrind
	@$(MAKE) -s all users
	for cases in close $(if $(SHORT),"$(CASES)","guarded: store" \
	  "guarded: C" "in a coroutine's run: C s" "registered: a prologue" \
	  "registered: call a" "left out: re" "strong: C" \
	  "with finalizers: w" sequence); do \
	  $(MEMCHECK) $(BUILD)/faults spec/support/faults.lua short "$$cases" \
	    || exit 1; \
	done
	$(if $(SHORT),,GBI_STEPS=300 $(MEMCHECK) $(LUA) $(SCRIPT) \
	  $(or $(ARGS),$(MEMCHECKED)))

# Together, these Luas need every line that is there for some Lua.
COV_LUAS = lua5.4 lua5.1 luajit

coverage: ## the lines of csrc and lua that no spec reaches, in three Luas
	@for lua in $(COV_LUAS); do \
	  $(OTHER) -s need-test all LUA=$$lua && \
	  $(OTHER) -s cover LUA=$$lua BUILD=build-cov-$$lua LDFLAGS=--coverage \
	    CFLAGS="-O0 -g --coverage" || exit 1; \
	done
	@lua5.4 spec/support/coverage.lua $(COV_LUAS:%=build-cov-%)

cover: all users $(BUILD)/lines.so
	@rm -f $(BUILD)/*.gcda
	$(BUSTED) --helper=spec/support/coverage.lua $(ARGS)
	@gcov -t -o $(BUILD) $(SRC) > $(BUILD)/gcov 2>/dev/null

$(BUILD)/lines.so: spec/c/lines.c csrc/compat.h
	@mkdir -p $(@D)
	$(CC) $(WARN) $(CFLAGS) -Icsrc $(LUA_CFLAGS) -fPIC $(SHARED) -o $@ $<

GRAPHS = 100000

graphs: ## 10^5 random graphs of conditions and loops, in C too, half an hour
	@$(MAKE) -s all
	GBI_GRAPHS=$(GRAPHS) $(BUSTED) spec/control_spec.lua

saves: ## two processes save one file while a third loads it, 1,000 times
	@$(MAKE) -s all
	GBI_SAVES=1000 $(BUSTED) --filter=several spec/saved_spec.lua

# Fuzzing: the input is a program that works on registries, handle tables and
# runs, or a file with a graph. `make fuzz SECONDS=600` runs each target with
# clang for that time; inputs that fail go to build-fuzz/, beside a corpus that
# grows there. The specs replay the corpus in spec/corpus with programs of any
# compiler.
SECONDS  ?= 60
FUZZERS   = fuzz_registry fuzz_load_graph
WORLD_C   = $(wildcard spec/c/model.c spec/c/world.c spec/c/steps_*.c)
FUZZ_DEPS = spec/c/capi.c $(WORLD_C) $(SRC) Makefile \
            $(wildcard spec/c/*.h csrc/*.h)
FUZZ_C    = spec/c/capi.c $(SRC)
%/fuzz_registry: FUZZ_C += $(WORLD_C)
FUZZ_CC   = clang -O1 -g -fno-omit-frame-pointer \
            -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined
USERS    += $(if $(FUZZED),$(FUZZERS:%=$(BUILD)/%))

fuzz: need-fuzz ## fuzz the C core and the files of graphs; SECONDS=60 each
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

# Debian's packages of a 32-bit Lua, unpacked into a folder. (package_spec.lua
# is left out: what it installs and packs is not of 32 bits there.)
M32    = $(BUILD)-32
ROOT32 = $(HERE)/$(M32)/root
USR32  = $(ROOT32)/usr/lib/i386-linux-gnu/lua

test-32: need-test ## the suite, or ARGS, with a 32-bit Lua of Debian's
	@tools/debian32 $(M32); status=$$?; \
	[ $$status -ne 3 ] || { echo "make test-32: skipped"; exit 0; }; \
	[ $$status -eq 0 ] || exit $$status; \
	PATH=$(call quote,$(HERE)/$(M32)/bin):"$$PATH" \
	LUA_CPATH=$(call quote,$(USR32)/$(LUA_VERSION)/?.so;;) \
	$(MAKE) -s suite-32 BUILD=$(M32) CC=$(call quote,$(HERE)/$(M32)/bin/cc) \
	  LUA_CFLAGS=$(call quote,-I$(ROOT32)$(patsubst -I%,%,$(call cflags,$(LUA)))) \
	  LUA_LIBS="-l$(LUA:luajit=luajit-5.1) -lm -ldl"

suite-32: all users
	$(LUA) $(SCRIPT) --cpath="$(BUILD)/?.so" $(or $(ARGS),$(filter-out \
	  spec/package_spec.lua $(if $(FUZZED),,spec/fuzz_spec.lua), \
	  $(wildcard spec/*_spec.lua)))

need-stress: need-test
	$(NEED) valgrind:valgrind

need-analyze:
	$(NEED) $(BUILD_NEEDS) clang:clang cppcheck:cppcheck

need-fuzz:
	$(NEED) $(BUILD_NEEDS) clang:clang fuzzer:libclang-rt-dev

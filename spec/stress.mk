# Trying to break gbi. `make stress` takes about an hour; `make test` does a
# little of each (SHORT=1).

.PHONY: stress faults collectors threads asan memcheck coverage need-stress

# What a short run is about: some files of the suite (ARGS names others), and
# the cases of spec/faults.lua with these words in their name.
SUITE = $(or $(ARGS),$(if $(SHORT),spec/registry_spec.lua \
  spec/close_spec.lua spec/source_spec.lua))
CASES = $(if $(SHORT),: store)

stress: need-stress ## try to break it, for an hour: all that follows
	@$(if $(SHORT),,$(MAKE) -s faults)
	@$(MAKE) -s collectors threads asan memcheck
	@$(if $(SHORT),,$(MAKE) -s coverage)

faults: ## each allocation of each function fails, and then all after it
	@$(MAKE) -s all users
	$(BUILD)/faults spec/faults.lua long

# A full collection at every instruction, and at every allocation; the suite
# with other collectors; and most of it with a collection at every N-th
# allocation. (Not those files that stop the collector to look at one moment.)
collectors: ## the collector at its worst
	@$(MAKE) -s all users
	$(BUILD)/faults spec/faults.lua collect $(if $(CASES),"$(CASES)")
	$(BUILD)/faults -e 1 spec/faults.lua collect $(if $(CASES),"$(CASES)")
	for mode in generational incremental stop; do \
	  GBI_COLLECTOR=$$mode busted --helper=spec/collector.lua $(SUITE) || exit 1; \
	done
	$(BUILD)/faults -e 997 $(BUSTED) $(or $(SUITE),$(foreach part, \
	  capi close codegen compile graph model prologue registry source, \
	  spec/$(part)_spec.lua))

# busted as a script, for another interpreter
BUSTED = $$(command -v busted) --ignore-lua

TSAN = $(BUILD)-tsan

threads: ## states in many threads, under ThreadSanitizer
	@mkdir -p $(TSAN)
	@$(CC) $(WARN) -O1 -g -fsanitize=thread -Icsrc $(LUA_CFLAGS) \
	  -o $(TSAN)/threads spec/c/threads.c spec/c/capi.c $(SRC) \
	  $(LUA_LIBS) -pthread
	$(TSAN)/threads $(if $(SHORT),4 1,8 5) spec/threads.lua

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
	@chmod +x $(ASAN)/bin/$(LUA)
	PATH="$(HERE)/$(ASAN)/bin:$$PATH" GBI_FAULTS=$(ASAN)/faults \
	  ASAN_OPTIONS=quarantine_size_mb=1 $(ASAN)/faults $(BUSTED) \
	  --cpath='$(ASAN)/?.so' $(SUITE)
	$(ASAN)/host examples/c/jobs.lua > /dev/null

MEMCHECK = valgrind -q --error-exitcode=9 --leak-check=full \
           --errors-for-leak-kinds=definite,possible

memcheck: ## the suite, and faults in some states, under valgrind
	@$(MAKE) -s all users
	for cases in $(if $(SHORT),"$(CASES)","guarded: store" "guarded: C" close \
	  "in two coroutines: C s" "registered: a prologue" "released: re"); do \
	  $(MEMCHECK) $(BUILD)/faults spec/faults.lua short "$$cases" || exit 1; \
	done
	$(if $(SHORT),,$(MEMCHECK) $(LUA) $(BUSTED))

COV = $(BUILD)-cov

coverage: ## the lines of csrc and lua that no spec reaches
	@$(MAKE) -s all users $(COV)/lines.so BUILD=$(COV) LDFLAGS=--coverage \
	  CFLAGS="-O0 -g --coverage"
	@rm -f $(COV)/*.gcda
	GBI_FAULTS=$(COV)/faults busted --helper=spec/coverage.lua \
	  --cpath='$(COV)/?.so'
	@gcov -t -o $(COV) $(SRC) 2>/dev/null | awk -F: \
	  '/:Source:/ {file = $$4} /^ *#####:/ {print "not covered: " file ":" $$0}'
	@gcov -n -o $(COV) $(SRC) | sed -n "/^File 'csrc/{N;s/\n/ /;p}"

$(BUILD)/lines.so: spec/c/lines.c
	@mkdir -p $(@D)
	$(CC) $(WARN) $(CFLAGS) $(LUA_CFLAGS) -fPIC $(SHARED) -o $@ $<

need-stress: need-test
	$(call need,valgrind:valgrind)

# gbi on a GPU: the module `cuda`, and its measurements. It compiles anywhere;
# `make gpu` needs a CUDA driver.

.PHONY: gpu gpu-run gpu-bench gpu-profile

CUDA_C = $(wildcard examples/cuda/*.c)
CUDA   = $(BUILD)/cuda.so
C     += $(CUDA_C) $(wildcard bench/gpu/*.c)
USERS += $(CUDA) $(BUILD)/fakecuda/libcuda.so.1

# runs Lua so that it finds the modules of the examples and the bench
GPU_LUA = LUA_PATH="examples/cuda/?.lua;bench/gpu/?.lua;$$LUA_PATH" $(LUA)

gpu: ## run the examples, the specs and the bench of examples/cuda on a GPU
	@$(MAKE) -s all $(CUDA) $(BUILD)/gpu-bare
	@reason=`$(LUA) -e 'print(select(2, require "cuda".available()) or "")'` \
	  || exit 1; \
	if [ -n "$$reason" ]; then echo "make gpu: nothing run: $$reason"; \
	else $(MAKE) -s gpu-run; fi

gpu-run:
	$(GPU_LUA) examples/cuda/fork_join.lua
	$(GPU_LUA) examples/cuda/diamond.lua
	$(GPU_LUA) examples/cuda/coroutines.lua
	$(GPU_LUA) examples/cuda/proof.lua
	@if command -v busted >/dev/null; then \
	  $(MAKE) -s $(BUILD)/fakecuda/libcuda.so.1 && $(BUSTED) spec/cuda_spec.lua; \
	else echo "no busted: spec/cuda_spec.lua not run"; fi
	@$(MAKE) -s gpu-bench

gpu-bench: $(BUILD)/gpu-bare ## measure on a GPU, write bench/gpu/results.md and docs/gpu-bench.svg
	@$(MAKE) -s all $(CUDA)
	$(GPU_LUA) bench/gpu/bench.lua bench/gpu/results.md docs/gpu-bench.svg

gpu-profile: $(BUILD)/gpu-profile/cuda.so $(BUILD)/gpu-profile/gpu-bare ## tell where the time of a call on a GPU goes
	@$(MAKE) -s all
	LUA_CPATH="$(BUILD)/gpu-profile/?.so;$$LUA_CPATH" $(GPU_LUA) bench/gpu/profile.lua

$(BUILD)/gpu-profile/cuda.so: $(CUDA_C) bench/gpu/profile.c \
                              $(wildcard examples/cuda/*.h) csrc/gbi.h
	@mkdir -p $(@D)
	$(CC) $(WARN) $(FAST) $(CFLAGS) -Icsrc $(LUA_CFLAGS) -fPIC $(SHARED) \
	  $(LDFLAGS) -o $@ $(filter-out %/driver.c,$(CUDA_C)) \
	  bench/gpu/profile.c -ldl

$(BUILD)/gpu-profile/gpu-bare: bench/gpu/bare.c bench/gpu/profile.c \
                               examples/cuda/driver.c examples/cuda/driver.h
	@mkdir -p $(@D)
	$(CC) $(WARN) $(CFLAGS) -o $@ bench/gpu/bare.c bench/gpu/profile.c -ldl

$(CUDA): $(CUDA_C) $(wildcard examples/cuda/*.h) csrc/gbi.h
	@mkdir -p $(@D)
	$(CC) $(WARN) $(FAST) $(CFLAGS) -Icsrc $(LUA_CFLAGS) -fPIC $(SHARED) \
	  $(LDFLAGS) -o $@ $(CUDA_C) -ldl

# the fake driver of the specs
$(BUILD)/fakecuda/libcuda.so.1: spec/c/fakecuda.c examples/cuda/driver.h
	@mkdir -p $(@D)
	$(CC) $(WARN) $(CFLAGS) -fPIC -shared $(LDFLAGS) -o $@ $<

$(BUILD)/gpu-bare: bench/gpu/bare.c examples/cuda/driver.c \
                   examples/cuda/driver.h
	@mkdir -p $(@D)
	$(CC) $(WARN) $(CFLAGS) -o $@ bench/gpu/bare.c \
	  examples/cuda/driver.c -ldl

-- The seed of a spec with random cases: prints it under the spec's name. Set
-- GBI_SEED to the printed seed to run the same cases again.

return function(name)
  local seed = tonumber(os.getenv "GBI_SEED") or os.time()
  io.write(name, ": GBI_SEED=", seed, "\n")
  return seed
end

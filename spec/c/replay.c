/*
** replay.c - runs a fuzz target on the files that are its arguments, without
** libFuzzer
*/
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"


/* Only a fuzzer mutates. */
size_t LLVMFuzzerMutate (uint8_t *data, size_t size, size_t room) {
  (void)data;
  (void)room;
  return size;
}


/* Runs the target on a file. Returns whether it could be read. */
static int replay (const char *path) {
  uint8_t *data = NULL;
  size_t size = 0, room = 0, n;
  FILE *file = fopen(path, "rb");
  if (file == NULL) return 0;
  do {
    uint8_t *more = (uint8_t *)realloc(data, room += 4096);
    if (more == NULL) abort();
    data = more;
    n = fread(data + size, 1, room - size, file);
    size += n;
  } while (n > 0);
  n = (size_t)ferror(file);
  fclose(file);
  if (n == 0) LLVMFuzzerTestOneInput(data, size);
  free(data);
  return n == 0;
}


int main (int argc, char **argv) {
  int i;
  if (argc < 2) {
    fprintf(stderr, "usage: %s FILE...\n", argv[0]);
    return 2;
  }
  LLVMFuzzerInitialize(&argc, &argv);
  for (i = 1; i < argc; i++) {
    fprintf(stderr, "%s\r", argv[i]);  /* the last line if it crashes */
    if (!replay(argv[i])) {
      fprintf(stderr, "cannot read %s\n", argv[i]);
      return 2;
    }
  }
  return 0;
}

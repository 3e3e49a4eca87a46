/*
** steady.c - a clock that stands still
**
** Lua takes the time into the seed of its string hashes, and what a look-up
** by name costs depends on that. Loaded before the C library, this makes every
** run the same, so that instruction counts repeat.
*/
#include <stddef.h>
#include <time.h>

time_t time (time_t *t) {
  if (t != NULL) *t = 0;
  return 0;
}

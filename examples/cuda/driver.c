/*
** driver.c - finds the CUDA driver
*/
#include "driver.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#define LIBRARY "libcuda.so.1"

typedef struct Symbol {
  const char *name;
  size_t at;  /* in a Driver */
} Symbol;

static const Symbol symbols[] = {
#define SYMBOL(name, symbol, params) {symbol, offsetof(Driver, name)},
  DRIVER_FUNCTIONS(SYMBOL)
#undef SYMBOL
  {NULL, 0}
};


const char *driver_error (const Driver *driver, Result error, char *text,
                          size_t size) {
  const char *name = NULL, *meaning = NULL;
  driver->GetErrorName(error, &name);
  driver->GetErrorString(error, &meaning);
  if (name == NULL) snprintf(text, size, "error %d", error);
  else snprintf(text, size, "%s (%s)", name,
                meaning == NULL ? "no text" : meaning);
  return text;
}


/* The library is never closed: the driver has threads of its own. */
const char *driver_open (Driver *driver, char *reason, size_t size) {
  const Symbol *s;
  Result error;
  void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    snprintf(reason, size, "there is no CUDA driver: %s", dlerror());
    return reason;
  }
  for (s = symbols; s->name != NULL; s++) {
    void *function = dlsym(library, s->name);
    if (function == NULL) {
      snprintf(reason, size, "the CUDA driver is too old: %s has no %s",
               LIBRARY, s->name);
      return reason;
    }
    /* C has no cast from an object's address to a function's */
    memcpy((char *)driver + s->at, &function, sizeof(function));
  }
  error = driver->Init(0);
  if (error != 0) {
    char text[200];
    snprintf(reason, size, "the CUDA driver does not start: cuInit: %s",
             driver_error(driver, error, text, sizeof(text)));
    return reason;
  }
  return NULL;
}

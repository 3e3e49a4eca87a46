/*
** unimplemented.h - the error object for what cannot be held (internal)
*/
#ifndef GBI_UNIMPLEMENTED_H
#define GBI_UNIMPLEMENTED_H

#include "registry.h"

GBI_INTERN int gbi_unimplemented (lua_State *L, int value,
                                  const char *gb_type);

#endif

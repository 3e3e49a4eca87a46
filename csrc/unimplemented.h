/*
** unimplemented.h - the error object for what cannot be held (internal)
*/
#ifndef GBI_UNIMPLEMENTED_H
#define GBI_UNIMPLEMENTED_H

#include "registry.h"

GBI_INTERN void gbi_checkweak (lua_State *L, int value, int created);

#endif

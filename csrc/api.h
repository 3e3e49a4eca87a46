/*
** api.h - opens the C API (internal)
*/
#ifndef GBI_API_H
#define GBI_API_H

#include "registry.h"

GBI_INTERN void gbi_openapi (lua_State *L);

#endif

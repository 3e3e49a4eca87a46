/*
** compat.h - Lua 5.4's C API on Lua 5.1, 5.2, 5.3, 5.5 and LuaJIT (internal)
**
** The C code here is written for 5.4; only this file knows other versions. It
** gives them 5.4's names, and 5.4's meaning where a name exists but does less.
** It covers only functions that gbi uses. It adds two things that the good and
** well-maintained compat-5.3 lacks: user values allocated in advance, so that
** writing one cannot fail; and integer keys, numbers and formats beyond 32
** bits.
*/
#ifndef GBI_COMPAT_H
#define GBI_COMPAT_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <lua.h>
#include <lauxlib.h>

#if LUA_VERSION_NUM >= 505

#define compat_newstate(f, ud) lua_newstate(f, ud, luaL_makeseed(NULL))
#define compat_gcstep(L, kilobytes) \
  lua_gc(L, LUA_GCSTEP, (size_t)(kilobytes) * 1024)

#else

#define compat_newstate lua_newstate
#define compat_gcstep(L, kilobytes) lua_gc(L, LUA_GCSTEP, (int)(kilobytes))

#endif

#if LUA_VERSION_NUM < 502

#undef LUA_OK
#define LUA_OK 0

#define lua_rawlen lua_objlen
#define lua_getuservalue lua_getfenv
#define lua_setuservalue lua_setfenv
#define luaL_checkversion(L) ((void)(L))

#define lua_absindex(L, i) \
  ((i) > 0 || (i) <= LUA_REGISTRYINDEX ? (i) : lua_gettop(L) + (i) + 1)

static inline void compat_rawsetp (lua_State *L, int t, const void *key) {
  t = lua_absindex(L, t);
  lua_pushlightuserdata(L, (void *)(size_t)key);
  lua_insert(L, -2);
  lua_rawset(L, t);
}
#define lua_rawsetp compat_rawsetp

static inline void compat_setmetatable (lua_State *L, const char *name) {
  luaL_getmetatable(L, name);
  lua_setmetatable(L, -2);
}
#define luaL_setmetatable compat_setmetatable

static inline void *compat_testudata (lua_State *L, int i, const char *name) {
  void *p = lua_touserdata(L, i);
  if (p == NULL || !lua_getmetatable(L, i)) return NULL;
  luaL_getmetatable(L, name);
  if (!lua_rawequal(L, -1, -2)) p = NULL;
  lua_pop(L, 2);
  return p;
}
#define luaL_testudata compat_testudata

#undef luaL_newlibtable
#undef luaL_newlib
#define luaL_newlibtable(L, l) \
  lua_createtable(L, 0, (int)(sizeof(l) / sizeof((l)[0])) - 1)
#define luaL_newlib(L, l) (luaL_newlibtable(L, l), luaL_setfuncs(L, l, 0))

static inline void compat_setfuncs (lua_State *L, const luaL_Reg *l, int n) {
  int i;
  for (; l->name != NULL; l++) {
    for (i = 0; i < n; i++) lua_pushvalue(L, -n);
    lua_pushcclosure(L, l->func, n);
    lua_setfield(L, -2 - n, l->name);
  }
  lua_pop(L, n);
}
#define luaL_setfuncs compat_setfuncs

#ifndef LUA_GCISRUNNING  /* 5.1, and not LuaJIT */

/* 5.1 cannot tell: assume that the collector may be stopped. */
#define LUA_GCISRUNNING 9
#define lua_gc(L, what, data) \
  ((what) == LUA_GCISRUNNING ? 0 : lua_gc(L, what, data))

#endif

#endif

#if LUA_VERSION_NUM < 503

#define LUAI_UACINT lua_Integer

/* Only a number with a whole value is an integer. */
static inline lua_Integer compat_tointegerx (lua_State *L, int i, int *is) {
  const lua_Number end = sizeof(lua_Integer) < 8 ? 2147483648.0
                                                 : 9223372036854775808.0;
  lua_Number n = lua_tonumber(L, i);
  int whole = lua_isnumber(L, i) && n >= -end && n < end
              && (lua_Number)(lua_Integer)n == n;
  if (is != NULL) *is = whole;
  return whole ? (lua_Integer)n : 0;
}
#define lua_tointegerx compat_tointegerx

#undef lua_tointeger
#define lua_tointeger(L, i) lua_tointegerx(L, i, NULL)

static inline lua_Integer compat_checkinteger (lua_State *L, int arg) {
  int is;
  lua_Integer i = lua_tointegerx(L, arg, &is);
  if (!is) {
    luaL_checknumber(L, arg);
    luaL_argerror(L, arg, "number has no integer representation");
  }
  return i;
}
#define luaL_checkinteger compat_checkinteger

/* Functions that push a value return its type. */
static inline int compat_getfield (lua_State *L, int t, const char *key) {
  (lua_getfield)(L, t, key);
  return lua_type(L, -1);
}
#define lua_getfield compat_getfield

static inline int compat_rawget (lua_State *L, int t) {
  (lua_rawget)(L, t);
  return lua_type(L, -1);
}
#define lua_rawget compat_rawget

/* Sets __name. */
static inline int compat_newmetatable (lua_State *L, const char *name) {
  luaL_getmetatable(L, name);
  if (!lua_isnil(L, -1)) return 0;
  lua_pop(L, 1);
  lua_createtable(L, 0, 2);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__name");
  lua_pushvalue(L, -1);
  lua_setfield(L, LUA_REGISTRYINDEX, name);
  return 1;
}
#define luaL_newmetatable compat_newmetatable

/* A metatable without __name gets the name it is registered by. */
static inline int compat_getmetafield (lua_State *L, int i, const char *name) {
  if (luaL_getmetafield(L, i, name)) return lua_type(L, -1);
  if (strcmp(name, "__name") != 0 || lua_type(L, i) != LUA_TUSERDATA
      || !lua_getmetatable(L, i))
    return LUA_TNIL;
  lua_pushnil(L);
  while (lua_next(L, LUA_REGISTRYINDEX)) {
    int found = lua_type(L, -2) == LUA_TSTRING && lua_rawequal(L, -1, -3);
    lua_pop(L, 1);
    if (found) {
      lua_remove(L, -2);
      return LUA_TSTRING;
    }
  }
  lua_pop(L, 1);
  return LUA_TNIL;
}
#define luaL_getmetafield compat_getmetafield

static inline int compat_rawgetp (lua_State *L, int t, const void *key) {
  t = lua_absindex(L, t);
  lua_pushlightuserdata(L, (void *)(size_t)key);
  return lua_rawget(L, t);
}
#define lua_rawgetp compat_rawgetp

/* Pushes the key `i`; returns the index of the table at `t` after that.
** [-0, +1, -] */
static inline int compat_key (lua_State *L, int t, lua_Integer i) {
  t = lua_absindex(L, t);
  lua_pushinteger(L, i);
  return t;
}

/* Before 5.3 these take an int. */
static inline int compat_rawgeti (lua_State *L, int t, lua_Integer i) {
  if (i == (int)i) (lua_rawgeti)(L, t, (int)i);
  else lua_rawget(L, compat_key(L, t, i));
  return lua_type(L, -1);
}
#define lua_rawgeti compat_rawgeti

static inline void compat_rawseti (lua_State *L, int t, lua_Integer i) {
  if (i == (int)i) (lua_rawseti)(L, t, (int)i);
  else {
    t = compat_key(L, t, i);
    lua_insert(L, -2);
    lua_rawset(L, t);
  }
}
#define lua_rawseti compat_rawseti

/* For tables without metamethods. */
#define lua_geti lua_rawgeti
#define lua_seti lua_rawseti

/* The formats s, d, I and p. */
static inline const char *compat_pushvfstring (lua_State *L, const char *fmt,
                                               va_list args) {
  const char *e, *s;
  char text[32];
  lua_pushliteral(L, "");
  while ((e = strchr(fmt, '%')) != NULL) {
    lua_pushlstring(L, fmt, (size_t)(e - fmt));
    s = text;
    switch (e[1]) {
      case 's': s = va_arg(args, const char *); break;
      case 'd': snprintf(text, sizeof(text), "%d", va_arg(args, int)); break;
      case 'I':
        snprintf(text, sizeof(text), "%.0f", (double)va_arg(args, lua_Integer));
        break;
      default: snprintf(text, sizeof(text), "%p", va_arg(args, void *));
    }
    lua_pushstring(L, s == NULL ? "(null)" : s);
    lua_concat(L, 3);
    fmt = e + 2;
  }
  lua_pushstring(L, fmt);
  lua_concat(L, 2);
  return lua_tostring(L, -1);
}

static inline const char *compat_pushfstring (lua_State *L, const char *fmt,
                                              ...) {
  const char *s;
  va_list args;
  va_start(args, fmt);
  s = compat_pushvfstring(L, fmt, args);
  va_end(args);
  return s;
}
#define lua_pushfstring compat_pushfstring

static inline int compat_error (lua_State *L, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  luaL_where(L, 1);
  compat_pushvfstring(L, fmt, args);
  va_end(args);
  lua_concat(L, 2);
  return lua_error(L);
}
#define luaL_error compat_error

/* Uses __name. */
static inline const char *compat_tolstring (lua_State *L, int i, size_t *len) {
  i = lua_absindex(L, i);
  if (luaL_callmeta(L, i, "__tostring")) {
    if (!lua_isstring(L, -1))
      luaL_error(L, "'__tostring' must return a string");
  }
  else switch (lua_type(L, i)) {
    case LUA_TNUMBER: case LUA_TSTRING:
      lua_pushvalue(L, i);  /* lua_tolstring below converts it */
      break;
    case LUA_TBOOLEAN:
      lua_pushstring(L, lua_toboolean(L, i) ? "true" : "false");
      break;
    case LUA_TNIL: lua_pushliteral(L, "nil"); break;
    default: {
      int t = luaL_getmetafield(L, i, "__name");
      lua_pushfstring(L, "%s: %p", t == LUA_TSTRING ? lua_tostring(L, -1)
                                                    : luaL_typename(L, i),
                      lua_topointer(L, i));
      if (t != LUA_TNIL) lua_remove(L, -2);
    }
  }
  return lua_tolstring(L, -1, len);
}
#define luaL_tolstring compat_tolstring

#endif

#if LUA_VERSION_NUM < 504

static inline int compat_typeerror (lua_State *L, int arg, const char *tname) {
  const char *got = luaL_typename(L, arg);
  if (luaL_getmetafield(L, arg, "__name") == LUA_TSTRING)
    got = lua_tostring(L, -1);
  else if (lua_type(L, arg) == LUA_TLIGHTUSERDATA) got = "light userdata";
  return luaL_argerror(L, arg,
                       lua_pushfstring(L, "%s expected, got %s", tname, got));
}
#define luaL_typeerror compat_typeerror

/* Raises its error with luaL_typeerror. */
static inline void *compat_checkudata (lua_State *L, int arg,
                                       const char *name) {
  void *p = luaL_testudata(L, arg, name);
  if (p == NULL) luaL_typeerror(L, arg, name);
  return p;
}
#define luaL_checkudata compat_checkudata

/* User values are elements of a table, the only user value or environment of a
** userdata. The table has room for all of them, so writing one cannot fail. */
static inline void *compat_newuserdatauv (lua_State *L, size_t size, int n) {
  void *p = lua_newuserdata(L, size);
  if (n > 0) {
    lua_createtable(L, n, 0);
    lua_setuservalue(L, -2);
  }
  return p;
}
#define lua_newuserdatauv compat_newuserdatauv

static inline int compat_getiuservalue (lua_State *L, int i, int n) {
  lua_getuservalue(L, i);
  lua_rawgeti(L, -1, n);
  lua_remove(L, -2);
  return lua_type(L, -1);
}
#define lua_getiuservalue compat_getiuservalue

static inline void compat_setiuservalue (lua_State *L, int i, int n) {
  lua_getuservalue(L, i);
  lua_insert(L, -2);
  lua_rawseti(L, -2, n);
  lua_pop(L, 1);
}
#define lua_setiuservalue compat_setiuservalue

#endif

#endif

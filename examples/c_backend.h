/*
** c_backend.h - Lua's values and arithmetic, for the C that c_backend.lua writes
**
** A value of known type is a lua_Integer (I), a lua_Number (F) or an int, for a
** boolean (B). Any other is a V. What is neither number, boolean nor nil is not
** in the V but in a slot of Lua's stack that belongs to the V's variable.
*/
#include <math.h>

#include <lua.h>
#include <lauxlib.h>

#if LUA_VERSION_NUM != LUA_WANTED
#error "lua.h is another Lua's: set LUA_CFLAGS"
#endif

enum { NIL, BOOL, INT, FLT, OBJ };

typedef struct V {
  int t;
  lua_Integer i; /* BOOL, INT; OBJ: the slot */
  lua_Number n;
} V;

static const V nil = { NIL, 0, 0 };

static inline V fromI (lua_Integer i) { V v = { INT, 0, 0 }; v.i = i; return v; }
static inline V fromF (lua_Number n) { V v = { FLT, 0, 0 }; v.n = n; return v; }
static inline V fromB (int b) { V v = { BOOL, 0, 0 }; v.i = b; return v; }
static inline V object (int i) { V v = { OBJ, 0, 0 }; v.i = i; return v; }

static inline int truthy (V v) {
  return v.t != NIL && (v.t != BOOL || v.i);
}

static inline void push (lua_State *L, V v) {
  switch (v.t) {
    case NIL: lua_pushnil(L); break;
    case BOOL: lua_pushboolean(L, (int)v.i); break;
    case INT: lua_pushinteger(L, v.i); break;
    case FLT: lua_pushnumber(L, v.n); break;
    default: lua_pushvalue(L, (int)v.i);
  }
}

/* Pops a value for the variable with this slot. */
static inline V pull (lua_State *L, int slot) {
  V v = nil;
  switch (lua_type(L, -1)) {
    case LUA_TNIL: break;
    case LUA_TBOOLEAN: v = fromB(lua_toboolean(L, -1)); break;
    case LUA_TNUMBER:
      v = lua_isinteger(L, -1) ? fromI(lua_tointeger(L, -1))
                               : fromF(lua_tonumber(L, -1));
      break;
    default:
      lua_replace(L, slot);
      return object(slot);
  }
  lua_pop(L, 1);
  return v;
}

/* A copy of a value, for the variable with this slot. */
static inline V keep (lua_State *L, V v, int slot) {
  if (v.t != OBJ || v.i == slot) return v;
  lua_copy(L, (int)v.i, slot);
  return object(slot);
}

/* For anything but numbers, Lua itself does what is below. */
static inline V arith (lua_State *L, int op, V a, V b, int slot) {
  push(L, a);
  push(L, b);
  lua_arith(L, op);
  return pull(L, slot);
}

static inline V arith1 (lua_State *L, int op, V a, int slot) {
  push(L, a);
  lua_arith(L, op);
  return pull(L, slot);
}

static inline int compare (lua_State *L, int op, V a, V b) {
  int result;
  push(L, a);
  push(L, b);
  result = lua_compare(L, -2, -1, op);
  lua_pop(L, 2);
  return result;
}


/* Integers */

#define WRAPS(name, op) \
  static inline lua_Integer I_##name (lua_State *L, lua_Integer a, \
                                      lua_Integer b) { \
    (void)L; \
    return (lua_Integer)((lua_Unsigned)a op (lua_Unsigned)b); \
  }

WRAPS(add, +)
WRAPS(sub, -)
WRAPS(mul, *)
WRAPS(band, &)
WRAPS(bor, |)
WRAPS(bxor, ^)

static inline lua_Integer I_unm (lua_State *L, lua_Integer a) {
  return I_sub(L, 0, a);
}

static inline lua_Integer I_bnot (lua_State *L, lua_Integer a) {
  return I_bxor(L, a, -1);
}

static inline lua_Integer I_idiv (lua_State *L, lua_Integer a, lua_Integer b) {
  if (b == 0) arith(L, LUA_OPIDIV, fromI(a), fromI(b), 0); /* raises */
  if (b == -1) return I_unm(L, a); /* the least integer has no quotient */
  return a / b - (a % b != 0 && (a ^ b) < 0);
}

static inline lua_Integer I_mod (lua_State *L, lua_Integer a, lua_Integer b) {
  lua_Integer m;
  if (b == 0) arith(L, LUA_OPMOD, fromI(a), fromI(b), 0); /* raises */
  if (b == -1) return 0;
  m = a % b;
  return m != 0 && (m ^ b) < 0 ? m + b : m;
}

static inline lua_Integer I_shr (lua_State *L, lua_Integer a, lua_Integer b) {
  (void)L;
  if (b <= -64 || b >= 64) return 0;
  return b >= 0 ? (lua_Integer)((lua_Unsigned)a >> b)
                : (lua_Integer)((lua_Unsigned)a << -b);
}

static inline lua_Integer I_shl (lua_State *L, lua_Integer a, lua_Integer b) {
  return I_shr(L, a, I_unm(L, b));
}


/* Floats */

#define FLOAT(name, expression) \
  static inline lua_Number F_##name (lua_State *L, lua_Number a, \
                                     lua_Number b) { \
    (void)L; \
    return expression; \
  }

FLOAT(add, a + b)
FLOAT(sub, a - b)
FLOAT(mul, a * b)
FLOAT(div, a / b)
FLOAT(idiv, floor(a / b))
#if LUA_VERSION_NUM >= 504
FLOAT(pow, b == 2 ? a * a : pow(a, b))
#else
FLOAT(pow, pow(a, b))
#endif

static inline lua_Number F_unm (lua_State *L, lua_Number a) {
  (void)L;
  return -a;
}

static inline lua_Number F_mod (lua_State *L, lua_Number a, lua_Number b) {
  lua_Number m = fmod(a, b);
  (void)L;
#if LUA_VERSION_NUM >= 504
  if (m > 0 ? b < 0 : m < 0 && b > 0) m += b;
#else
  if (m * b < 0) m += b;
#endif
  return m;
}


/* Values of any type */

static inline int isnumber (V v) { return v.t == INT || v.t == FLT; }

static inline lua_Number number (V v) {
  return v.t == INT ? (lua_Number)v.i : v.n;
}

#define INTS(name) \
  if (a.t == INT && b.t == INT) return fromI(I_##name(L, a.i, b.i));
#define FLOATS(name) \
  if (isnumber(a) && isnumber(b)) \
    return fromF(F_##name(L, number(a), number(b)));
#define ANY(name, op, fast) \
  static inline V V_##name (lua_State *L, V a, V b, int slot) { \
    fast \
    return arith(L, op, a, b, slot); \
  }

ANY(add, LUA_OPADD, INTS(add) FLOATS(add))
ANY(sub, LUA_OPSUB, INTS(sub) FLOATS(sub))
ANY(mul, LUA_OPMUL, INTS(mul) FLOATS(mul))
ANY(mod, LUA_OPMOD, INTS(mod) FLOATS(mod))
ANY(idiv, LUA_OPIDIV, INTS(idiv) FLOATS(idiv))
ANY(div, LUA_OPDIV, FLOATS(div))
ANY(pow, LUA_OPPOW, FLOATS(pow))
ANY(band, LUA_OPBAND, INTS(band))
ANY(bor, LUA_OPBOR, INTS(bor))
ANY(bxor, LUA_OPBXOR, INTS(bxor))
ANY(shl, LUA_OPSHL, INTS(shl))
ANY(shr, LUA_OPSHR, INTS(shr))

static inline V V_unm (lua_State *L, V a, int slot) {
  if (a.t == INT) return fromI(I_unm(L, a.i));
  if (a.t == FLT) return fromF(-a.n);
  return arith1(L, LUA_OPUNM, a, slot);
}

static inline V V_bnot (lua_State *L, V a, int slot) {
  if (a.t == INT) return fromI(~a.i);
  return arith1(L, LUA_OPBNOT, a, slot);
}

/* Is an integer the same number as a float? */
static inline int exact (V v) {
  return v.t == FLT || (v.t == INT && v.i > -(1LL << 53) && v.i < 1LL << 53);
}

#define ORDER(name, op, sign) \
  static inline int V_##name (lua_State *L, V a, V b) { \
    if (a.t == INT && b.t == INT) return a.i sign b.i; \
    if (exact(a) && exact(b)) return number(a) sign number(b); \
    return compare(L, op, a, b); \
  }

ORDER(lt, LUA_OPLT, <)
ORDER(le, LUA_OPLE, <=)

static inline int V_gt (lua_State *L, V a, V b) { return V_lt(L, b, a); }
static inline int V_ge (lua_State *L, V a, V b) { return V_le(L, b, a); }

static inline int V_eq (lua_State *L, V a, V b) {
  if (isnumber(a) && isnumber(b)) {
    if (a.t == INT && b.t == INT) return a.i == b.i;
    if (exact(a) && exact(b)) return number(a) == number(b);
  }
  else if (a.t != b.t) return 0;
  else if (a.t != OBJ) return a.i == b.i;
  return compare(L, LUA_OPEQ, a, b);
}

/* What compilers are told of branches and functions: rarely taken, or to be part of each caller. */
#ifndef MF_HINTS_H
#define MF_HINTS_H

#if defined(__GNUC__) || defined(__clang__)
#define mf_unlikely(x) __builtin_expect(!!(x), 0)
#define MF_COLD __attribute__((noinline, cold))
#define MF_APART __attribute__((noinline, unused))
#define MF_INLINE static inline __attribute__((always_inline))
#else
#define mf_unlikely(x) (x)
#define MF_COLD
#define MF_APART
#if defined(_MSC_VER)
#define MF_INLINE static __forceinline
#else
#define MF_INLINE static inline
#endif
#endif

#endif

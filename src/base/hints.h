/* What compilers are told of branches and functions that are rarely taken. */
#ifndef MF_HINTS_H
#define MF_HINTS_H

#if defined(__GNUC__) || defined(__clang__)
#define mf_unlikely(x) __builtin_expect(!!(x), 0)
#define MF_COLD __attribute__((noinline, cold))
#else
#define mf_unlikely(x) (x)
#define MF_COLD
#endif

#endif

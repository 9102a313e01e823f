/* The modes in which ops do not record as usual: no_grad and tracing. */
#ifndef MF_MODES_H
#define MF_MODES_H

#include <fenv.h>
#include <stdint.h>

#include "engine/node.h"

#if defined(_MSC_VER)
#define MF_THREAD_LOCAL __declspec(thread)
#else
#define MF_THREAD_LOCAL _Thread_local
#endif

/* Work that an op may not record as usual (no_grad, tracing) is per thread; the plain counter
 * over all threads keeps the usual path to one predictable test. */
static int mf_n_special = 0;
static MF_THREAD_LOCAL int mf_no_grad_depth = 0;
static MF_THREAD_LOCAL int mf_trace_depth = 0;

static inline int mf_no_grad_here(void) { return mf_no_grad_depth > 0; }
static inline int mf_tracing_here(void) { return mf_trace_depth > 0; }

#if defined(__GNUC__) || defined(__clang__)
#define MF_COLD __attribute__((noinline, cold))
#else
#define MF_COLD
#endif

/* The flags of a new node in a mode that is not the usual one. Out of the way of the usual one. */
static MF_COLD uint8_t mf_special_flags(uint8_t flags) {
    if (mf_trace_depth > 0) flags |= MF_F_TRACED;
    /* Inputs of a trace are nan, and comparing nan sets a flag of the processor that NumPy reads
     * after a function over object arrays and takes for an invalid operation of its caller. */
    if (flags & MF_F_TRACED && fetestexcept(FE_INVALID)) feclearexcept(FE_INVALID);
    return flags;
}

#endif

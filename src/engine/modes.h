/* The modes in which ops do not record as usual: no_grad and tracing. */
#ifndef MF_MODES_H
#define MF_MODES_H

#include <fenv.h>
#include <stdint.h>

#include "base/hints.h"
#include "engine/node.h"

#if defined(_MSC_VER)
#define MF_THREAD_LOCAL __declspec(thread)
#else
#define MF_THREAD_LOCAL _Thread_local
#endif

/* A mode is entered per thread; how many are entered, over all threads, keeps the path of ops in no
 * mode to one predictable test. */
static int mf_n_modes = 0;
static MF_THREAD_LOCAL int mf_no_grad_depth = 0;
static MF_THREAD_LOCAL int mf_trace_depth = 0;

static inline int mf_no_grad_here(void) { return mf_no_grad_depth > 0; }
static inline int mf_tracing_here(void) { return mf_trace_depth > 0; }

/* The flags of a new node while some thread is in a mode. */
static MF_COLD uint8_t mf_mode_flags(uint8_t flags) {
    if (mf_trace_depth > 0) flags |= MF_F_TRACED;
    /* Inputs of a trace are nan, and comparing nan sets a flag of the processor that NumPy reads
     * after a function over object arrays and takes for an invalid operation of its caller. */
    if (flags & MF_F_TRACED && fetestexcept(FE_INVALID)) feclearexcept(FE_INVALID);
    return flags;
}

#endif

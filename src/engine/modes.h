/* The modes in which ops do not run as usual: no_grad, detect_anomaly and tracing. */
#ifndef MF_MODES_H
#define MF_MODES_H

#include <fenv.h>
#include <stdint.h>

#include "base/array.h"
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
static MF_THREAD_LOCAL int mf_anomaly_depth = 0;
static MF_THREAD_LOCAL int mf_trace_depth = 0;

static inline int mf_no_grad_here(void) { return mf_no_grad_depth > 0; }
static inline int mf_anomaly_here(void) { return mf_anomaly_depth > 0; }
static inline int mf_tracing_here(void) { return mf_trace_depth > 0; }

/* Where this thread notes the nodes that it makes, for who wants to know which line made them; NULL:
 * nowhere. Looked at in a mode alone, as in a trace. */
typedef struct {
    mf_ints ids; /* in the order of their making; that of a node that was freed may come again */
    int failed;  /* memory has run out: there are more */
} mf_node_log;
static MF_THREAD_LOCAL mf_node_log *mf_log_here = NULL;

/* The flags of a new node while some thread is in a mode. */
static MF_COLD uint8_t mf_mode_flags(int32_t id, uint8_t flags) {
    if (mf_log_here != NULL) mf_ints_add(&mf_log_here->ids, id, &mf_log_here->failed);
    if (mf_trace_depth > 0) flags |= MF_F_TRACED;
    /* Inputs of a trace are nan, and comparing nan sets a flag of the processor that NumPy reads
     * after a function over object arrays and takes for an invalid operation of its caller. */
    if (flags & MF_F_TRACED && fetestexcept(FE_INVALID)) feclearexcept(FE_INVALID);
    return flags;
}

#endif

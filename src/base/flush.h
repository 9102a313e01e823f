/* Results below the smallest normal number (2.2e-308) become 0 between mf_flush_on and mf_flush_off.
 * Such numbers cost some processors a hundred times what others cost, and adjoints and running means
 * fade out into them. Per thread; whoever switches it on switches it off again before anybody else's
 * code runs. Operands below it count as they are: a derivative may multiply them by 1e300. */
#ifndef MF_FLUSH_H
#define MF_FLUSH_H

#include <float.h>
#include <math.h>

#if defined(__x86_64__) || defined(_M_X64)
#include <xmmintrin.h>
#define MF_FLUSHES 1
enum { MF_FLUSH_TO_ZERO = 0x8000 }; /* of the MXCSR */
static inline unsigned mf_flush_on(void) {
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | MF_FLUSH_TO_ZERO);
    return before;
}
static inline void mf_flush_off(unsigned before) { _mm_setcsr(before); }
/* Whether an operand since mf_forget_subnormals was below the normal numbers. */
enum { MF_MET_SUBNORMAL = 0x0002 }; /* of the MXCSR: set by the processor, until it is cleared */
static inline void mf_forget_subnormals(void) {
    _mm_setcsr(_mm_getcsr() & ~(unsigned)MF_MET_SUBNORMAL);
}
static inline int mf_met_subnormals(void) { return (_mm_getcsr() & MF_MET_SUBNORMAL) != 0; }
#else /* elsewhere such numbers cost nothing, as on ARM, or there is no way to say so */
#define MF_FLUSHES 0
static inline unsigned mf_flush_on(void) { return 0; }
static inline void mf_flush_off(unsigned before) { (void)before; }
static inline void mf_forget_subnormals(void) {}
static inline int mf_met_subnormals(void) { return 0; }
#endif

/* What an optimizer keeps from step to step; without a switch it says so itself. */
static inline double mf_flushed(double x) { return !MF_FLUSHES && fabs(x) < DBL_MIN ? 0.0 : x; }

#endif

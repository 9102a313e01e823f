/* Edge coverage for the fuzzer: what -fsanitize-coverage=trace-pc calls at every basic block. One
 * byte a pair of successive blocks; fuzz/__main__.py reads the map through ctypes. */
#include <stdint.h>

#define MF_COVERAGE_SIZE 65536

unsigned char mf_coverage[MF_COVERAGE_SIZE];
static _Thread_local uintptr_t before;

void __sanitizer_cov_trace_pc(void) {
    uintptr_t here = (uintptr_t)__builtin_return_address(0);
    uintptr_t edge = (here ^ (before >> 1) * 0x9E3779B9u) * 0x9E3779B97F4A7C15ull >> 32;
    mf_coverage[edge % MF_COVERAGE_SIZE] = 1;
    before = here & 0xFFFFFF; /* the place in the library, wherever that is loaded */
}

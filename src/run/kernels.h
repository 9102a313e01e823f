/* The lane kernels for each instruction set, and the choice among them when the module is imported:
 * one wheel runs everywhere. GCC and Clang on x86-64 build AVX2 and AVX-512 variants beside the
 * portable one, which is what every other compiler and machine uses. */
#ifndef MF_KERNELS_H
#define MF_KERNELS_H

#include <string.h>

#include "run/kernel_types.h"

#define MF_KERNELS(isa)                                                                      \
    static const mf_kernels MF_ISA(kernels) = {                                              \
        isa, MF_ISA(forward), MF_ISA(backward_x), MF_ISA(backward_y), MF_ISA(axpy4),         \
        MF_ISA(dot_backward4), MF_ISA(axpy), MF_ISA(multiply_add),                           \
        MF_ISA(multiply_add_subnormal), MF_ISA(inner), MF_ISA(row_sum),                      \
        MF_ISA(axpy_reached), MF_ISA(multiply_add_reached), MF_ISA(inner_reached),           \
        MF_ISA(all_finite), MF_ISA(reaches), MF_ISA(fill),                                   \
        MF_ISA(all_below), MF_ISA(blend), MF_ISA(blend_add), MF_ISA(blend_sum),              \
        MF_ISA(any_absent), MF_ISA(adam), MF_ISA(rmsprop), MF_ISA(adagrad),                  \
        MF_ISA(matrix_add), MF_ISA(matrix_set),                                              \
        MF_ISA(vector_add), MF_ISA(transpose), MF_ISA(multiply_adds), MF_ISA(multiply_adds_a_round)};

#include "run/isa_portable.h"
#include "run/vecmath.h"
#include "run/vectrig.h"
#include "run/vecexp.h"
#include "run/powers.h"
#include "run/lanes.h"
#include "run/matrix.h"
MF_KERNELS("portable")
#include "run/no_isa.h"

/* MF_PORTABLE_ALONE: for builds that are to be quick. */
#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__) && !defined(MF_PORTABLE_ALONE)
#define MF_HAS_X86_VARIANTS 1

#include "run/isa_avx2.h"
#include "run/vecmath.h"
#include "run/vectrig.h"
#include "run/vecexp.h"
#include "run/powers.h"
#include "run/lanes.h"
#include "run/matrix.h"
MF_KERNELS("avx2")
#include "run/no_isa.h"

#include "run/isa_avx512.h"
#include "run/vecmath.h"
#include "run/vectrig.h"
#include "run/vecexp.h"
#include "run/powers.h"
#include "run/lanes.h"
#include "run/matrix.h"
MF_KERNELS("avx512")
#include "run/no_isa.h"
#endif

/* The best variant for this machine, or the one named (NULL where it does not run here). */
static const mf_kernels *mf_choose_kernels(const char *name) {
#ifdef MF_HAS_X86_VARIANTS
    __builtin_cpu_init();
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    int avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                 __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
    if (avx512 && (name == NULL || strcmp(name, "avx512") == 0)) return &mf_kernels_avx512;
    if (avx2 && (name == NULL || strcmp(name, "avx2") == 0)) return &mf_kernels_avx2;
#endif
    return name == NULL || strcmp(name, "portable") == 0 ? &mf_kernels_portable : NULL;
}

#endif

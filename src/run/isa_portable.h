/* What the kernels are written with, portable: vectors of two where the compiler has them, else of
 * one. Undefined again by no_isa.h. No include guard. */
#include "run/kernel_types.h"

#define MF_ISA(name) mf_##name##_portable
#define MF_TARGET
#define MF_FMA(a, b, c) ((a) * (b) + (c))
#define MF_PRODUCT_ERROR(a, b, p) mf_product_error(a, b, p)
#define MF_VFMA(a, b, c) ((a) * (b) + (c))
#define MF_MASK_TYPE int
#define MF_MASK(n) (n)
#define MF_BLOCK_ROWS 4
#define MF_BLOCK_VECS 2
#if defined(__GNUC__) || defined(__clang__)
typedef double mf_two __attribute__((vector_size(16), aligned(8), may_alias));
#define MF_VEC mf_two
#define MF_WIDTH 2
#define MF_LOAD(p) (*(const mf_two *)(p))
#define MF_STORE(p, v) (void)(*(mf_two *)(p) = (v))
#define MF_SPREAD(x) ((mf_two){(x), (x)})
#define MF_LOAD_PART(p, mask) ((mask) ? (mf_two){(p)[0], 0.0} : MF_LOAD(p))
#define MF_STORE_PART(p, mask, v) ((mask) ? (void)((p)[0] = (v)[0]) : MF_STORE(p, v))
#define MF_VSUM(v) ((v)[0] + (v)[1])
#else
#define MF_VEC double
#define MF_WIDTH 1
#define MF_LOAD(p) (*(p))
#define MF_STORE(p, v) (void)(*(p) = (v))
#define MF_SPREAD(x) (x)
#define MF_LOAD_PART(p, mask) (*(p))
#define MF_STORE_PART(p, mask, v) (void)(*(p) = (v))
#define MF_VSUM(v) (v)
#endif

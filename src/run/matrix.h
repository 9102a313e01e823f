/* Matrix kernels over float64, for dots that share their inputs: C += A B, C = A B, y += W x.
 * Included once per instruction set, after lanes.h, with the same macros and those of its vectors:
 *
 *   MF_VEC, MF_WIDTH        a vector and how many doubles it holds
 *   MF_LOAD, MF_STORE       of a whole vector; MF_SPREAD: a vector of one number
 *   MF_MASK(n)              of the first n < MF_WIDTH doubles (n = 0: all)
 *   MF_LOAD_PART, MF_STORE_PART(p, mask, ..)  what the mask leaves out reads as 0, is not written
 *   MF_VFMA(a, b, c)        a * b + c;  MF_VSUM(v)  the sum of its doubles
 *   MF_BLOCK_ROWS, MF_BLOCK_VECS  a block of C kept in registers
 *
 * No include guard. */

#ifndef MF_ISA /* compiled by itself */
#include "run/isa_portable.h"
#endif

/* See base/absent.h: C may be grads. */
#define MF_PRESENT(v) MF_VFMA(v, MF_SPREAD(1.0), MF_SPREAD(0.0))

/* Adds to a block of C (fresh: sets it to), mr rows by nr vectors (the last one masked), the product
 * over k. With mr and nr constant the block is registers: each vector of B serves mr products. */
MF_INLINE MF_TARGET void MF_ISA(block)(const int mr, const int nr, int fresh, ptrdiff_t n_k,
                                       const double *a, ptrdiff_t a_row, ptrdiff_t a_col,
                                       const double *b, ptrdiff_t b_row, double *c, ptrdiff_t c_row,
                                       MF_MASK_TYPE mask) {
    MF_VEC sum[MF_BLOCK_ROWS][MF_BLOCK_VECS];
    if (fresh) {
        MF_UNROLL
        for (int i = 0; i < mr; i++) {
            MF_UNROLL
            for (int j = 0; j < nr; j++) sum[i][j] = MF_SPREAD(0.0);
        }
    } else {
        MF_UNROLL
        for (int i = 0; i < mr; i++) {
            MF_UNROLL
            for (int j = 0; j < nr - 1; j++)
                sum[i][j] = MF_PRESENT(MF_LOAD(c + i * c_row + j * MF_WIDTH));
            sum[i][nr - 1] = MF_PRESENT(MF_LOAD_PART(c + i * c_row + (nr - 1) * MF_WIDTH, mask));
        }
    }
    for (ptrdiff_t k = 0; k < n_k; k++, a += a_col, b += b_row) {
        MF_VEC row[MF_BLOCK_VECS];
        MF_UNROLL
        for (int j = 0; j < nr - 1; j++) row[j] = MF_LOAD(b + j * MF_WIDTH);
        row[nr - 1] = MF_LOAD_PART(b + (nr - 1) * MF_WIDTH, mask);
        MF_UNROLL
        for (int i = 0; i < mr; i++) {
            const MF_VEC w = MF_SPREAD(a[i * a_row]);
            MF_UNROLL
            for (int j = 0; j < nr; j++) sum[i][j] = MF_VFMA(w, row[j], sum[i][j]);
        }
    }
    MF_UNROLL
    for (int i = 0; i < mr; i++) {
        MF_UNROLL
        for (int j = 0; j < nr - 1; j++) MF_STORE(c + i * c_row + j * MF_WIDTH, sum[i][j]);
        MF_STORE_PART(c + i * c_row + (nr - 1) * MF_WIDTH, mask, sum[i][nr - 1]);
    }
}

/* A function for each height of a block: mr is a constant in it, nr after the switch. */
#define MF_STRIP(mr)                                                                             \
    static MF_TARGET void MF_ISA(strip##mr)(                                                     \
            int nr, int fresh, ptrdiff_t n_k, const double *a, ptrdiff_t a_row, ptrdiff_t a_col, \
            const double *b, ptrdiff_t b_row, double *c, ptrdiff_t c_row, MF_MASK_TYPE mask) {   \
        switch (nr) {                                                                            \
        case 1:                                                                                  \
            MF_ISA(block)(mr, 1, fresh, n_k, a, a_row, a_col, b, b_row, c, c_row, mask);         \
            return;                                                                              \
        case 2:                                                                                  \
            MF_ISA(block)(mr, 2, fresh, n_k, a, a_row, a_col, b, b_row, c, c_row, mask);         \
            return;                                                                              \
        default:                                                                                 \
            MF_ISA(block)(mr, MF_BLOCK_VECS, fresh, n_k, a, a_row, a_col, b, b_row, c, c_row,    \
                          mask);                                                                 \
        }                                                                                        \
    }
MF_STRIP(1)
MF_STRIP(2)
MF_STRIP(4)
#if MF_BLOCK_ROWS == 8
MF_STRIP(8)
#endif
#undef MF_STRIP

/* C += A B (fresh: C = A B, n_k > 0): C is m rows by n, c_row apart; A m by n_k with any strides;
 * B n_k by n, b_row apart. k goes in pieces so that a panel of B, a piece high and a block wide,
 * stays in cache. */
MF_INLINE MF_TARGET void MF_ISA(product)(int fresh, ptrdiff_t m, ptrdiff_t n, ptrdiff_t n_k,
                                         const double *a, ptrdiff_t a_row, ptrdiff_t a_col,
                                         const double *b, ptrdiff_t b_row, double *c,
                                         ptrdiff_t c_row) {
    enum { PIECE = 192 };
    for (ptrdiff_t k = 0; k < n_k; k += PIECE) {
        const ptrdiff_t piece = n_k - k < PIECE ? n_k - k : PIECE;
        for (ptrdiff_t j = 0; j < n; j += MF_BLOCK_VECS * MF_WIDTH) {
            const ptrdiff_t left = n - j;
            const int whole = left >= MF_BLOCK_VECS * MF_WIDTH;
            const int nr = whole ? MF_BLOCK_VECS : (int)((left + MF_WIDTH - 1) / MF_WIDTH);
            const MF_MASK_TYPE mask = MF_MASK(whole ? 0 : (int)(left % MF_WIDTH));
            const double *bj = b + k * b_row + j;
            ptrdiff_t i = 0;
#define MF_STRIPS(mr)                                                                     \
            for (; i + mr <= m; i += mr)                                                  \
                MF_ISA(strip##mr)(nr, fresh && k == 0, piece, a + i * a_row + k * a_col,  \
                                  a_row, a_col, bj, b_row, c + i * c_row + j, c_row, mask);
#if MF_BLOCK_ROWS == 8
            MF_STRIPS(8)
#endif
            MF_STRIPS(4)
            MF_STRIPS(2)
            MF_STRIPS(1)
#undef MF_STRIPS
        }
    }
}

static MF_TARGET void MF_ISA(matrix_add)(ptrdiff_t m, ptrdiff_t n, ptrdiff_t n_k, const double *a,
                                         ptrdiff_t a_row, ptrdiff_t a_col, const double *b,
                                         ptrdiff_t b_row, double *c, ptrdiff_t c_row) {
    MF_ISA(product)(0, m, n, n_k, a, a_row, a_col, b, b_row, c, c_row);
}

static MF_TARGET void MF_ISA(matrix_set)(ptrdiff_t m, ptrdiff_t n, ptrdiff_t n_k, const double *a,
                                         ptrdiff_t a_row, ptrdiff_t a_col, const double *b,
                                         ptrdiff_t b_row, double *c, ptrdiff_t c_row) {
    MF_ISA(product)(1, m, n, n_k, a, a_row, a_col, b, b_row, c, c_row);
}

/* y[i] += the sum over k of w[i * w_row + k] * x[k]; four rows share the loads of x. */
static MF_TARGET void MF_ISA(vector_add)(ptrdiff_t m, ptrdiff_t n_k, const double *w,
                                         ptrdiff_t w_row, const double *x, double *y) {
    const MF_MASK_TYPE mask = MF_MASK((int)(n_k % MF_WIDTH));
    const ptrdiff_t whole = n_k - n_k % MF_WIDTH;
    for (ptrdiff_t i = 0; i < m; i += 4) {
        const int rows = m - i < 4 ? (int)(m - i) : 4;
        MF_VEC sum[4];
        const double *p[4];
        for (int r = 0; r < 4; r++) {
            sum[r] = MF_SPREAD(0.0);
            p[r] = w + (i + (r < rows ? r : 0)) * w_row;
        }
        for (ptrdiff_t k = 0; k < whole; k += MF_WIDTH) {
            const MF_VEC v = MF_LOAD(x + k);
            MF_UNROLL
            for (int r = 0; r < 4; r++) sum[r] = MF_VFMA(MF_LOAD(p[r] + k), v, sum[r]);
        }
        if (whole < n_k) {
            const MF_VEC v = MF_LOAD_PART(x + whole, mask);
            MF_UNROLL
            for (int r = 0; r < 4; r++)
                sum[r] = MF_VFMA(MF_LOAD_PART(p[r] + whole, mask), v, sum[r]);
        }
        for (int r = 0; r < rows; r++) y[i + r] += MF_VSUM(sum[r]);
    }
}

/* to[k * to_row + l] = from[l * from_row + k]: n rows of n_k become n_k rows of n. */
static MF_TARGET void MF_ISA(transpose)(ptrdiff_t n, ptrdiff_t n_k, const double *restrict from,
                                        ptrdiff_t from_row, double *restrict to, ptrdiff_t to_row) {
    for (ptrdiff_t l = 0; l < n; l += 8) {
        const ptrdiff_t rows = n - l < 8 ? n - l : 8;
        for (ptrdiff_t k = 0; k < n_k; k++)
            for (ptrdiff_t r = 0; r < rows; r++)
                to[k * to_row + l + r] = from[(l + r) * from_row + k];
    }
}

/* Whether n numbers are finite: times 0 they are 0, else nan. */
static MF_TARGET int MF_ISA(all_finite)(ptrdiff_t n, const double *x) {
    const MF_VEC zero = MF_SPREAD(0.0);
    MF_VEC even = zero, odd = zero;
    double rest = 0.0;
    ptrdiff_t k = 0;
    for (; k + 2 * MF_WIDTH <= n; k += 2 * MF_WIDTH) {
        even = MF_VFMA(MF_LOAD(x + k), zero, even);
        odd = MF_VFMA(MF_LOAD(x + k + MF_WIDTH), zero, odd);
    }
    for (; k < n; k++) rest += x[k] * 0.0;
    return rest + MF_VSUM(even) + MF_VSUM(odd) == 0.0;
}

/* n rounds of multiply-adds in registers, eight vectors at a time: as fast as this machine can. Returns
 * a number that depends on all of them. */
static MF_TARGET double MF_ISA(multiply_adds)(ptrdiff_t n) {
    MF_VEC sum[8];
    const MF_VEC a = MF_SPREAD(0.999999), b = MF_SPREAD(1e-6);
    for (int i = 0; i < 8; i++) sum[i] = MF_SPREAD(1.0 + i);
    for (ptrdiff_t k = 0; k < n; k++) {
        MF_UNROLL
        for (int i = 0; i < 8; i++) sum[i] = MF_VFMA(sum[i], a, b);
    }
    double all = 0.0;
    for (int i = 0; i < 8; i++) all += MF_VSUM(sum[i]);
    return all;
}

enum { MF_ISA(multiply_adds_a_round) = 8 * MF_WIDTH };

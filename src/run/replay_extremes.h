/* The step that finds the largest or smallest of its args, lane by lane, and shares its adjoint among
 * those that are equal to it; extremes.h says why. */
#ifndef MF_REPLAY_EXTREMES_H
#define MF_REPLAY_EXTREMES_H

#include "run/tile.h"

enum { MF_EXTREME_BLOCK = 256 }; /* lanes at a time, in the first cache level */

static const double *mf_extreme_operand(const mf_run *r, int32_t slot, ptrdiff_t from) {
    return mf_at(r, slot, 0) + (slot >= 0 ? from : 0);
}

static void mf_extreme_block(const mf_run *r, const mf_step *s, ptrdiff_t from, ptrdiff_t n) {
    const int32_t *a = r->plan->args + s->extreme.args;
    const int op = s->extreme.op == MF_LARGEST ? MF_MAXIMUM : MF_MINIMUM;
    double rows[2][MF_EXTREME_BLOCK], *z = mf_at(r, s->z, 0) + from;
    const double *best = mf_extreme_operand(r, a[0], from);
    if (a[0] < 0 || s->extreme.n == 1) {
        double *start = s->extreme.n == 1 ? z : rows[1];
        for (ptrdiff_t l = 0; l < n; l++) start[l] = best[a[0] >= 0 ? l : 0];
        best = start;
    }
    for (int32_t j = 1; j < s->extreme.n; j++) {
        double *out = j == s->extreme.n - 1 ? z : rows[(j + 1) % 2];
        r->kernels->forward(op, 1, a[j] >= 0, n, best, mf_extreme_operand(r, a[j], from), out);
        best = out;
    }
}

static void mf_extreme_forward(const mf_run *r, const mf_step *s) {
    const ptrdiff_t n = s->z >= 0 ? r->stride : 1;
    for (ptrdiff_t from = 0; from < n; from += MF_EXTREME_BLOCK)
        mf_extreme_block(r, s, from, n - from < MF_EXTREME_BLOCK ? n - from : MF_EXTREME_BLOCK);
}

/* What each operand that is equal to z gets, and in `lost` what the others get: 0, or nan. */
static void mf_extreme_shares(const mf_run *r, const mf_step *s, ptrdiff_t from, ptrdiff_t n,
                              double *share, double *lost) {
    const int32_t *a = r->plan->args + s->extreme.args;
    const double *z = mf_at(r, s->z, 0) + from, *g = mf_grad_at(r, s->z, 0) + from;
    for (ptrdiff_t l = 0; l < n; l++) share[l] = 0.0;
    for (int32_t j = 0; j < s->extreme.n; j++) {
        const double *x = mf_extreme_operand(r, a[j], from);
        if (a[j] >= 0)
            for (ptrdiff_t l = 0; l < n; l++) share[l] += x[l] == z[l] ? 1.0 : 0.0;
        else
            for (ptrdiff_t l = 0; l < n; l++) share[l] += x[0] == z[l] ? 1.0 : 0.0;
    }
    for (ptrdiff_t l = 0; l < n; l++) {
        const double reached = share[l] == 0.0 ? NAN : g[l] / share[l];
        share[l] = g[l] == 0.0 ? 0.0 : reached;
        lost[l] = share[l] != share[l] ? share[l] : 0.0;
    }
}

static void mf_extreme_backward(const mf_run *r, const mf_step *s) {
    const int32_t *a = r->plan->args + s->extreme.args;
    const ptrdiff_t n = s->z >= 0 ? r->stride : 1, n_summed = s->z >= 0 ? r->n : 1;
    double share[MF_EXTREME_BLOCK], lost[MF_EXTREME_BLOCK];
    for (ptrdiff_t from = 0; from < n; from += MF_EXTREME_BLOCK) {
        const ptrdiff_t m = n - from < MF_EXTREME_BLOCK ? n - from : MF_EXTREME_BLOCK;
        const double *z = mf_at(r, s->z, 0) + from;
        mf_extreme_shares(r, s, from, m, share, lost);
        for (int32_t j = 0; j < s->extreme.n; j++) {
            const double *x = mf_extreme_operand(r, a[j], from);
            double *d = mf_grad_at(r, a[j], 0);
            if (!mf_wants(r, a[j])) continue;
            if (a[j] >= 0)
                for (ptrdiff_t l = 0; l < m; l++)
                    d[from + l] += x[l] == z[l] ? share[l] : lost[l];
            else /* a sum takes in the samples only */
                for (ptrdiff_t l = 0; l < m && from + l < n_summed; l++)
                    d[0] += x[0] == z[l] ? share[l] : lost[l];
        }
    }
}

#endif

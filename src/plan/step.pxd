# A plan as the executor reads it (step.h).
from libc.stdint cimport int32_t, uint8_t

cdef extern from "plan/step.h" nogil:
    enum:
        MF_NO_SLOT
        MF_LANE_BLOCK
    ctypedef struct mf_step:
        int32_t op, count, z, x, y, x_move, y_move
        int32_t args, n_rows, n_pairs
        int32_t w, w_row, w_col, n, n_vectors, x_step, link
        uint8_t wants_gradient, wants_w, wants_x, sole_user, puts_off
        int32_t w_node
    ctypedef struct mf_range:
        int32_t first, n
    ctypedef struct mf_plan:
        const mf_step *steps
        int32_t n_uniform_steps, n_steps
        const int32_t *args
        int32_t n_args
        int32_t n_rows, n_uniforms
        const uint8_t *row_wants
        const uint8_t *uniform_wants
        const mf_range *wanted_rows
        int32_t n_wanted_rows
        const mf_range *summed_uniforms
        int32_t n_summed_uniforms
        int32_t n_columns
        const int32_t *outputs
        int32_t n_outputs
        int32_t tile
        int32_t scratch
        int32_t partly_used

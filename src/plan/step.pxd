# A plan as an executor reads it (step.h).
from libc.stdint cimport int32_t, int64_t, uint8_t

cdef extern from "plan/step.h" nogil:
    enum:
        MF_NO_SLOT
        MF_STEP_OPS
        MF_STEP_DETACH
        MF_STEP_DOT
        MF_STEP_MATRIX
        MF_STEP_INNER
        MF_STEP_GATHER
        MF_STEP_CHAIN
        MF_STEP_TAKE
        MF_STEP_EXTREME
        MF_N_STEP_KINDS
    ctypedef struct mf_ops_step:
        int32_t op, x, y, x_move, y_move
    ctypedef struct mf_dot_step:
        int32_t bias, args, n_rows, n_pairs
    ctypedef struct mf_matrix_step:
        int32_t n, w, w_row, w_col, x, bias, bias_move, n_vectors, vector_move
        uint8_t wants_w, wants_x, sole_user
    ctypedef struct mf_inner_step:
        int32_t n, w, w_move, x, bias
        uint8_t wants_w, wants_x
    ctypedef struct mf_gather_step:
        int32_t args
    ctypedef struct mf_chain_step:
        int32_t op, x, args
    ctypedef struct mf_take_step:
        int32_t index, args, n
    ctypedef struct mf_extreme_step:
        int32_t op, args, n
    ctypedef struct mf_step:
        int32_t kind, count, z
        uint8_t wants_gradient
        mf_ops_step ops   # these share their memory: the kind says which is there
        mf_dot_step dot
        mf_matrix_step matrix
        mf_inner_step inner
        mf_gather_step gather
        mf_chain_step chain
        mf_take_step take
        mf_extreme_step extreme
    ctypedef struct mf_range:
        int32_t first, n
    ctypedef struct mf_number_slot:
        int32_t slot
        double number
    ctypedef struct mf_plan:
        mf_step *steps
        int32_t n_uniform_steps, n_steps
        int32_t *args
        int32_t n_args
        int32_t n_rows, n_uniforms
        uint8_t *row_wants
        uint8_t *uniform_wants
        mf_range *wanted_rows
        int32_t n_wanted_rows
        mf_range *summed_uniforms
        int32_t n_summed_uniforms
        int32_t *input_slots
        int32_t *captured_slots
        int32_t n_inputs, n_captured
        mf_number_slot *numbers
        int32_t n_numbers
        int32_t n_columns
        int32_t *outputs
        int32_t n_outputs
        int32_t tile
        int32_t scratch
        int32_t partly_reached
    void mf_plan_free(mf_plan *p)
    int64_t mf_n_results(const mf_step *s)

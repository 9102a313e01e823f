# Every plan is verified before it runs, and again when steps put gradients off. What
# makes a plan valid stands in verify.h.
#
# A fault is one of the compiler, whatever the traced function does: RuntimeError. The pass costs
# 2 % of tracing and compiling, so it is not left to debug builds.

from plan.step cimport MF_NO_SLOT, mf_plan, mf_range, mf_step
from plan.verify cimport MF_SLOT_KNOWN, mf_plan_fault


cdef class IdRuns


cdef int verify_plan(Plan plan, IdRuns reads) except -1:
    """Raises RuntimeError where the executor may not run the plan. reads: of which nodes uniforms
    are the data, where steps put gradients off."""
    cdef const mf_plan *p = &plan.plan
    cdef bytearray slots = bytearray(p.n_rows + p.n_uniforms)
    cdef bytearray nodes_of
    cdef int32_t *slot_nodes = NULL
    cdef int32_t step = -1
    cdef const char *fault = NULL
    if not mark_given(plan, <uint8_t *><char *>slots):
        fault = b"what is given is not where it should be"
    if reads is not None:
        nodes_of = bytearray(4 * p.n_uniforms)
        slot_nodes = <int32_t *><char *>nodes_of
        reads.name_nodes(slot_nodes, p.n_uniforms)
    if fault is NULL:
        fault = mf_plan_fault(p, <uint8_t *><char *>slots, slot_nodes, &step)
    if fault is NULL:
        return 0
    line = f"step {step} ({step_line(&p.steps[step])})" if step >= 0 else "the plan"
    raise RuntimeError(f"micrograd_fast compiled a function wrongly, please report it: {line}: "
                       f"{fault.decode()}")


cdef bint mark_given(Plan plan, uint8_t *slots) noexcept:
    """Marks the uniforms that a call fills in before steps run. False where two of them share a
    slot, or the inputs over lanes are not the first rows."""
    cdef const int32_t *given
    cdef const number_slot *number = <const number_slot *>plan.numbers.data
    cdef int32_t k, n_columns = 0
    cdef bint valid = True
    given = <const int32_t *>plan.input_slots.data
    for k in range(plan.input_slots.n):
        if given[k] >= 0:
            n_columns += 1
            valid = valid and given[k] < plan.plan.n_columns
        else:
            valid = valid and mark_uniform(plan, given[k], slots)
    given = <const int32_t *>plan.captured_slots.data
    for k in range(plan.captured_slots.n):
        valid = valid and mark_uniform(plan, given[k], slots)
    for k in range(plan.numbers.n):
        valid = valid and mark_uniform(plan, number[k].slot, slots)
    return valid and n_columns == plan.plan.n_columns


cdef bint mark_uniform(Plan plan, int32_t slot, uint8_t *slots) noexcept:
    cdef int32_t place = plan.plan.n_rows + ~slot
    if slot == MF_NO_SLOT:
        return True
    if slot >= 0 or ~slot >= plan.plan.n_uniforms or slots[place]:
        return False
    slots[place] = MF_SLOT_KNOWN
    return True


# ---- for tests: plans as plain data ----


cdef list integers(const int32_t *items, int32_t n):
    return [items[k] for k in range(n)]


cdef dict plan_parts(Plan plan):
    cdef const mf_plan *p = &plan.plan
    cdef bytearray slots = bytearray(p.n_rows + p.n_uniforms)
    mark_given(plan, <uint8_t *><char *>slots)
    return {
        "steps": [dict(p.steps[k]) for k in range(p.n_steps)],
        "n_uniform_steps": p.n_uniform_steps,
        "args": integers(p.args, p.n_args),
        "row_wants": [p.row_wants[k] for k in range(p.n_rows)],
        "uniform_wants": [p.uniform_wants[k] for k in range(p.n_uniforms)],
        "given": list(slots[p.n_rows:]),
        "wanted_rows": [dict(p.wanted_rows[k]) for k in range(p.n_wanted_rows)],
        "summed_uniforms": [dict(p.summed_uniforms[k]) for k in range(p.n_summed_uniforms)],
        "n_columns": p.n_columns,
        "outputs": integers(p.outputs, p.n_outputs),
        "tile": p.tile,
        "scratch": p.scratch,
    }


cdef Block filled(size_t size):
    """An empty block that has memory, for items of that size."""
    cdef Block block = Block(size)
    cdef char nothing[256]
    memset(nothing, 0, sizeof(nothing))
    block.add(nothing)
    block.n = 0
    return block


cdef Block block_of(list items, size_t size):
    """Of integers: bytes or int32."""
    cdef Block block = filled(size)
    cdef uint8_t byte
    for item in items:
        if size == 1:
            byte = item
            block.add(&byte)
        else:
            block.add_int(item)
    return block


def _plan_fault(dict parts not None, list slot_nodes=None):
    """Test hook: what the verifier says of a plan that is given as data, (step, fault) or None.
    slot_nodes: the node that each uniform is the data of, or -1."""
    cdef mf_plan p
    cdef mf_step step
    cdef mf_range run
    cdef int32_t number = -1
    cdef const char *fault
    cdef Block steps = filled(sizeof(mf_step))
    cdef Block ranges = filled(sizeof(mf_range)), sums = filled(sizeof(mf_range))
    cdef Block args = block_of(parts["args"], 4), outputs = block_of(parts["outputs"], 4)
    cdef Block row_wants = block_of(parts["row_wants"], 1)
    cdef Block uniform_wants = block_of(parts["uniform_wants"], 1)
    cdef Block named = None if slot_nodes is None else block_of(slot_nodes, 4)
    cdef bytearray slots = bytearray(row_wants.n) + bytes(parts["given"])
    for item in parts["steps"]:
        step = item
        steps.add(&step)
    for item in parts["wanted_rows"]:
        run = item
        ranges.add(&run)
    for item in parts["summed_uniforms"]:
        run = item
        sums.add(&run)
    memset(&p, 0, sizeof(p))
    p.steps, p.n_steps = <mf_step *>steps.data, steps.n
    p.n_uniform_steps = parts["n_uniform_steps"]
    p.args, p.n_args = <int32_t *>args.data, args.n
    p.n_rows, p.row_wants = row_wants.n, <uint8_t *>row_wants.data
    p.n_uniforms, p.uniform_wants = uniform_wants.n, <uint8_t *>uniform_wants.data
    p.wanted_rows, p.n_wanted_rows = <mf_range *>ranges.data, ranges.n
    p.summed_uniforms, p.n_summed_uniforms = <mf_range *>sums.data, sums.n
    p.n_columns, p.tile, p.scratch = parts["n_columns"], parts["tile"], parts["scratch"]
    p.outputs, p.n_outputs = <int32_t *>outputs.data, outputs.n
    fault = mf_plan_fault(&p, <uint8_t *><char *>slots,
                          <int32_t *>named.data if named is not None else NULL, &number)
    return None if fault is NULL else (number, fault.decode())

# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False, nonecheck=False, binding=False, embedsignature=False
# cython: freethreading_compatible=False, autotestdict=False, auto_pickle=False
# cython: embedsignature.format=clinic
"""The compiled core of micrograd_fast: node records, order, backward and the Value over them.

One translation unit from several files, a folder for each part, included from the ground up: a
file uses what stands above it, a folder nothing below it, which test_layers.py holds them to.
Private: import micrograd_fast.engine instead.
"""

cdef extern from "engine/no_frames.h":   # first: it changes what Cython's own code does
    pass

# ---- the graph core ----
include "engine/memory.pxi"       # growing blocks
include "engine/store.pxi"        # the store that all Values live in
include "engine/state.pxi"        # what Python hangs on a node: Values by id, attributes
include "engine/cycles.pxi"       # what the garbage collector is shown of them
include "engine/asides.pxi"       # code that runs during a trace and is no part of it
include "engine/errors.pxi"       # what is raised, and its words
include "engine/anomaly.pxi"      # nans, infinities and the lines that made them
include "engine/modes.pxi"        # no_grad, detect_anomaly, and whether a trace runs
include "engine/order.pxi"        # backward over steps in Python
include "engine/value.pxi"        # Value: construction, attributes, pickling
include "engine/views.pxi"        # _prev and __dict__ as Python containers
include "engine/copies.pxi"       # copies and pickles, of subclasses too
include "engine/constructed.pxi"  # results by a constructor that a program has replaced
include "engine/custom.pxi"       # nodes that the user makes: steps in Python, local gradients
include "engine/operators.pxi"    # what every operator does: operands in, one node out
include "engine/conditions.pxi"   # comparisons in a trace
include "engine/build.pxi"        # many nodes in one call: affine, sum, dot
include "engine/extremes.pxi"     # the largest of many Values, the smallest, as one node
include "engine/watched.pxi"      # backward() step by step, for who wants to see it
include "engine/idmap.pxi"        # a number for each of some nodes
include "engine/derivatives.pxi"  # derivatives as graphs, by the rules of the op table
include "engine/jacobian_rows.pxi"  # all derivatives that are not 0 at once
include "engine/runs.pxi"         # many nodes at once: data read, grads added and cleared
include "engine/op_rows.pxi"      # the op table for Python
include "engine/value_setup.pxi"  # the last touches to Value's type

# ---- a compiled function's calls, over the compiler and the executor in C ----
include "call/program.pxi"        # programs and passes as Python objects
include "call/deferred.pxi"       # gradients of large matrices, computed when they are passed on
include "call/plan.pxi"           # plans as Python objects
include "call/trace.pxi"          # a function of Values run once, its nodes made a Program
include "call/watch.pxi"          # what a trace read, looked at before each replay
include "call/executor.pxi"       # the executor and the kernels in use
include "call/workspace.pxi"      # the memory that a run borrows
include "call/threads.pxi"        # large batches split over threads
include "call/arrays.pxi"         # numbers of callers' arrays
include "call/call_memory.pxi"    # the memory of a call: one block, carved in one place
include "call/arguments.pxi"      # the arguments that one call took
include "call/signature.pxi"      # what a call's arguments look like: a kind for each
include "call/dependence.pxi"     # which operands the gradient of each result reaches
include "call/reached.pxi"        # backward over what some results reach
include "call/specialization.pxi"  # a trace for one signature, and its plan
include "call/run.pxi"            # one run of a plan
include "call/seeds.pxi"          # what results count for in a backward()
include "call/gradient.pxi"       # the way of a call's gradients back into the graph
include "call/results.pxi"        # the nodes of what calls return
include "call/batch.pxi"          # the results of a batched call
include "call/kinds.pxi"          # the kinds of arguments that there are
include "call/param_gradient.pxi"  # where the gradient of a list of leaves lies
include "call/numbers.pxi"        # values and gradients without a graph
include "call/look.pxi"           # what arguments look like, as a number
include "call/call.pxi"           # a call: arguments, a run, results
include "call/dispatch.pxi"       # which trace serves a call
include "call/profile.pxi"        # the time of each step, and which values it computes
include "call/nonfinite.pxi"      # where a nan came from
include "call/readable.pxi"       # what a function may read, found

# ---- what goes over all parameters ----
include "train/params.pxi"        # zero_grad and optimizer steps
include "train/modules.pxi"       # what modules do to their parameters
include "train/clip.pxi"          # norms and limits of gradients

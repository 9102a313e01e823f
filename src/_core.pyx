# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False, nonecheck=False, binding=False, embedsignature=False
# cython: freethreading_compatible=False, autotestdict=False, auto_pickle=False
"""The compiled core of micrograd_fast: node records, order, backward and the Value over them.

One translation unit from several files, included from the ground up; each names at its head
what it needs from those above it. Private: import micrograd_fast.engine instead.
"""

cdef extern from "no_frames.h":   # first: it changes what Cython's own code does
    pass

include "store.pxi"      # node records: allocation, counts, freeing
include "state.pxi"      # what Python hangs on a node: Values by id, attributes, references
include "cycles.pxi"     # what the garbage collector is shown of them
include "order.pxi"      # topological order and backward
include "value.pxi"      # Value: construction, attributes, pickling
include "views.pxi"      # _prev and __dict__ as Python containers
include "copies.pxi"     # copies and pickles, of subclasses too
include "constructed.pxi"  # results by a constructor that a program has replaced
include "custom.pxi"     # nodes that the user makes: steps in Python, local gradients
include "operators.pxi"  # what every operator does: operands in, one node out
include "build.pxi"      # many nodes in one call: affine, sum, dot
include "idmap.pxi"      # a number for each of some nodes
include "extremes.pxi"   # the largest of many Values, the smallest, as one node
include "program.pxi"    # what a traced function computes, as plain data
include "passes.pxi"     # Program in, faster Program out
include "trace.pxi"      # a function of Values run once, its nodes made a Program
include "asides.pxi"     # code that runs during a trace and is no part of it
include "watch.pxi"      # what a trace read, looked at before each replay
include "schedule.pxi"   # which values are rows, how early each is known
include "plan.pxi"       # a Program laid out in slots for replay.h
include "plan_verify.pxi"  # every plan is verified before it runs
include "layout.pxi"     # the slots, and equal ops of a level as one step
include "grouping.pxi"   # dots over the same inputs as one matrix step
include "runs.pxi"       # many nodes at once: data read, grads added and cleared
include "deferred.pxi"   # gradients of large matrices, computed when they are passed on
include "threads.pxi"    # large batches split over threads
include "signature.pxi"  # what a call's arguments look like, and which trace serves them
include "dependence.pxi"   # which operands the gradient of each result reaches
include "arrays.pxi"     # numbers of callers' arrays
include "call.pxi"       # calls of compiled functions: arguments, runs, gradients
include "bad_index.pxi"  # what an index of take() was that is none of its values'
include "seeds.pxi"      # what results count for in a backward(), and the run for it
include "dispatch.pxi"   # which trace serves a call
include "reach.pxi"      # finds what a function may read
include "results.pxi"    # the nodes of what calls return
include "batch.pxi"      # the results of a batched call
include "params.pxi"     # lists of parameters: zero_grad and optimizer steps
include "module.pxi"     # what the module itself holds: OPS, no_grad, the type's slots

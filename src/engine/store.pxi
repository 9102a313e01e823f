# The store that all Values live in (store.h).

from base.memory cimport mf_n_allocs_left
from engine.node cimport MF_MAX_NODES
from engine.store cimport mf_store, mf_store_init

cdef mf_store store

if not mf_store_init(&store):
    raise MemoryError("no room for the first node")


def live_nodes() -> int:
    """How many node records are in use, constants and hidden ones included."""
    return store.n_live


def _set_limits(*, max_nodes_to=None, fail_after=None) -> None:
    """Test hook: lower the id limit (None: the real one); let the n-th allocation from now fail."""
    global mf_n_allocs_left
    # One more: record 0 is nobody's.
    store.max_nodes = MF_MAX_NODES if max_nodes_to is None else min(max_nodes_to + 1, MF_MAX_NODES)
    mf_n_allocs_left = -1 if fail_after is None else fail_after

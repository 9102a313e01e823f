"""Training on several processes or machines, over Dask: pip install 'micrograd-fast[dask]'

Each worker holds shards of the samples and a copy of the compiled loss. A step sends the parameters
out, and a sum of gradients comes back; the optimizer runs where the client is.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

try:
    import cloudpickle
    from distributed import CancelledError, Client, Future, KilledWorker, TimeoutError
    from distributed.comm import CommClosedError
except ImportError as error:
    raise ImportError(
        f"micrograd_fast.distributed needs Dask ({error}): pip install 'micrograd-fast[dask]'",
        name=error.name,
    ) from error

from micrograd_fast.compiler import CompiledFunction
from micrograd_fast.engine import Value
from micrograd_fast.nn.utils import parameters_to_vector, vector_to_parameters

__all__ = ["DataParallel"]

KEPT = 8  # losses that a worker remembers
CHECKED = 64  # samples on which a copy of the loss is compared with the original

Floats = NDArray[np.float64]

# What ends a step when a worker is gone: the step is done again with the samples sent anew.
_LOST = (CancelledError, KilledWorker, CommClosedError, TimeoutError)


class DataParallel:
    """The mean of a compiled loss over samples that lie on the workers, and its gradient.

        parallel = DataParallel(loss, model.parameters(), client)
        parallel.scatter(X, y)
        for _ in range(100):
            optimizer.zero_grad()
            value = parallel.backward()
            optimizer.step()

    loss: what `mg.compile(..., batch=True)` returned, of one Value a sample. params: leaf Values
    that it uses, trained here; the workers' copies get their data at every step. retries: how
    often a step begins again after workers were lost.

    Numbers agree with one process to 1e-12 of the size of the terms. Raises TypeError for what is
    no batched compiled function, ValueError for params that are no leaves or twice there.
    """

    def __init__(
        self, loss: Any, params: Iterable[Value], client: Client, *, retries: int = 5
    ) -> None:
        if not isinstance(loss, CompiledFunction) or not loss._batch:
            raise TypeError("loss must be what mg.compile(function, batch=True) returned")
        if not isinstance(client, Client):
            raise TypeError(f"client must be a distributed.Client, not {type(client).__name__!r}")
        self.params = list(params)
        for k, p in enumerate(self.params):
            if not isinstance(p, Value):
                raise TypeError(f"params[{k}] must be a Value, not {type(p).__name__!r}")
            if p._prev:
                raise ValueError(f"params[{k}] is the result of an op: only leaves are trained")
        if len(set(self.params)) != len(self.params) or not self.params:
            raise ValueError("params must hold at least one Value, each once")
        self.loss = loss
        self.client = client
        self.retries = retries
        self.n_samples = 0
        self._token = uuid.uuid4().hex
        self._shards: list[tuple[NDArray[Any], ...]] = []
        self._sent: list[Future] = []
        self._pickled = b""
        self._program: Future | None = None

    def scatter(self, *arrays: NDArray[Any], shards: int | None = None) -> None:
        """Send the samples out, each once: the loss's arguments, samples first.

        shards: into how many parts; by default one for each worker.

        Raises ValueError for arrays of different lengths or without samples, and where the loss
        would not use `params` on a worker: see docs/distributed.md.
        """
        lengths = {len(a) for a in arrays}
        if len(lengths) != 1 or lengths == {0}:
            raise ValueError(f"arrays must have one length, at least 1, not {sorted(lengths)}")
        self.n_samples = lengths.pop()
        n = min(shards or max(1, len(self.client.nthreads())), self.n_samples)
        columns = [np.array_split(np.asarray(a), n) for a in arrays]
        self._shards = list(zip(*columns, strict=True))
        self._pickled = self._checked_pickle()
        self._send()

    def value_and_grad(self) -> tuple[float, Floats]:
        """The mean loss, and its gradient in params, shape (len(params),).

        Raises what the loss raises on a worker, RuntimeError where workers are lost every time.
        """
        if not self._shards:
            raise RuntimeError("there are no samples: call scatter(...) first")
        theta = parameters_to_vector(self.params)
        for attempt in range(self.retries + 1):
            try:
                if attempt:
                    self._send()
                total: Floats = self._total(theta).result()
            except _LOST as error:
                lost = error
            else:
                return float(total[0]) / self.n_samples, total[1:] / self.n_samples
        raise RuntimeError(f"{self.retries + 1} times workers were lost in a step") from lost

    def backward(self) -> float:
        """Adds the mean loss's gradient to the grad of params; the mean loss."""
        value, gradient = self.value_and_grad()
        for p, g in zip(self.params, gradient.tolist(), strict=True):
            p.grad += g
        return value

    def _send(self) -> None:
        """The samples and the loss to the workers, anew: what a lost worker had is lost."""
        self.client.wait_for_workers(1)
        self._sent = self.client.scatter(self._shards, hash=False)
        self._program = self.client.scatter(self._pickled, broadcast=True, hash=False)

    def _total(self, theta: Floats) -> Future:
        """The future of [sum of the losses, *sum of the gradients]: shards first, then pairs."""
        submit = partial(self.client.submit, pure=False)
        parts = [
            submit(_shard_total, self._token, self._program, shard, theta) for shard in self._sent
        ]
        while len(parts) > 1:
            pairs = [submit(_add, a, b) for a, b in zip(*[iter(parts)] * 2, strict=False)]
            parts = [*pairs, *parts[2 * len(pairs) :]]
        return parts[0]

    def _checked_pickle(self) -> bytes:
        """The loss and params as the workers get them: a copy must have the same gradient here."""
        pickled: bytes = cloudpickle.dumps((self.loss.__wrapped__, self.params))
        samples = [a[:CHECKED] for a in self._shards[0]]
        value, gradient = self.loss.value_and_grad(*samples, params=self.params)
        copied_loss, copied_params = _unpickled(pickled)
        _, copied_gradient = copied_loss.value_and_grad(*samples, params=copied_params)
        # A copy that reads these parameters, not its own, would not notice new numbers in its own.
        vector_to_parameters(np.full(len(copied_params), np.nan), copied_params)
        blind = copied_loss.value_and_grad(*samples, params=copied_params)[0] == value
        # Not bit by bit: two programs may be laid out differently and add in another order.
        atol = 1e-9 * float(np.abs(gradient).max())
        same = np.allclose(gradient, copied_gradient, rtol=1e-9, atol=atol, equal_nan=True)
        if not same or (blind and gradient.any()):
            raise ValueError(
                "a copy of the loss does not use the copies of params: what it uses is pickled by "
                "its name in a module. Make model and loss in a function that returns them, or "
                "call cloudpickle.register_pickle_by_value(module)"
            )
        return pickled


# ---- on the workers ------------------------------------------------------------------------------

_loaded: dict[str, tuple[Any, list[Value], threading.Lock]] = {}
_loading = threading.Lock()


def _unpickled(pickled: bytes) -> tuple[CompiledFunction, list[Value]]:
    function, params = cloudpickle.loads(pickled)
    return CompiledFunction(function, batch=True), params


def _shard_total(
    token: str, pickled: bytes, shard: Sequence[NDArray[Any]], theta: Floats
) -> Floats:
    """[sum of the losses, *sum of the gradients] over a shard, at theta."""
    with _loading:
        if token not in _loaded:
            while len(_loaded) >= KEPT:
                del _loaded[next(iter(_loaded))]
            _loaded[token] = (*_unpickled(pickled), threading.Lock())
    loss, params, lock = _loaded[token]
    with lock:  # one copy of the parameters for all threads of the process
        vector_to_parameters(theta, params)
        value, gradient = loss.value_and_grad(*shard, params=params)
    return np.concatenate([[value], gradient]) * len(shard[0])


def _add(a: Floats, b: Floats) -> Floats:
    return a + b

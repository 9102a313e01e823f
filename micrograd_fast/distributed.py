"""Training on several processes or machines, over Dask: pip install 'micrograd-fast[dask]'

Each worker holds shards of the samples and a copy of the compiled loss. A step sends the parameters
out, and a sum of gradients comes back; the optimizer runs where the client is.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

try:
    import cloudpickle
    from distributed import CancelledError, Client, Future, KilledWorker, TimeoutError
    from distributed.comm import CommClosedError
except ImportError as _error:
    raise ImportError(
        f"micrograd_fast.distributed needs Dask ({_error}): pip install 'micrograd-fast[dask]'",
        name=_error.name,
    ) from _error

from micrograd_fast.arguments import Wanted, refuse_masked
from micrograd_fast.compiler import CompiledFunction
from micrograd_fast.engine import Value
from micrograd_fast.nn.utils import parameters_to_vector, vector_to_parameters

__all__ = ["DataParallel"]


def __dir__() -> list[str]:
    return __all__


KEPT = 8  # losses that a worker remembers
_POLL = 1.0  # seconds after which a step that has no result asks whether there are workers
CHECKED = 64  # samples on which a copy of the loss is compared with the original

Floats = NDArray[np.float64]

_BY_NAME = (
    "a copy of the loss does not use the copies of params: what it uses is pickled by its name in "
    "a module. Make model and loss in a function that returns them, or call "
    "cloudpickle.register_pickle_by_value(module)"
)

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
    that it uses, trained here; the workers' copies get their data at every step, and that of the
    other leaves that the loss reads. What else it reads (numbers, flags, layers) is sent anew where
    compile() sees that it has changed. retries: how often a step begins again after workers were
    lost. timeout: seconds to wait for a worker where there is none.

    Numbers agree with one process to 1e-12 of the size of the terms. Raises TypeError for what is
    no batched compiled function, ValueError for params that are no leaves or twice there.
    """

    def __init__(
        self,
        loss: Any,
        params: Iterable[Value],
        client: Client,
        *,
        retries: int = 5,
        timeout: float = 60.0,
    ) -> None:
        if not isinstance(loss, CompiledFunction) or not loss._batch:
            raise TypeError("loss must be what mg.compile(function, batch=True) returned")
        if not isinstance(client, Client):
            raise TypeError(f"client must be a distributed.Client, not {type(client).__name__!r}")
        self.params: list[Value] = list(params)
        for k, p in enumerate(self.params):
            if not isinstance(p, Value):
                raise TypeError(f"params[{k}] must be a Value, not {type(p).__name__!r}")
            if p._prev:
                raise ValueError(f"params[{k}] is the result of an op: only leaves are trained")
        if len({id(p) for p in self.params}) != len(self.params) or not self.params:
            raise ValueError("params must hold at least one Value, each once")
        self.loss: CompiledFunction[..., Any] = loss
        self.client = client
        self.retries = retries
        self.timeout = timeout
        self.n_samples: int = 0
        self._shards: list[tuple[NDArray[Any], ...]] = []
        self._sent: list[Future] = []
        self._others: list[Value] = []  # leaves that the loss reads beside params
        self._trace: Any = None  # of the loss as it was pickled
        self._token = ""  # of that pickle
        self._pickled = b""
        self._program: Future | None = None

    def scatter(self, *arrays: NDArray[Any], shards: int | None = None) -> None:
        """Send the samples out, each once: the loss's arguments, samples first.

        They are copied. shards: into how many parts; by default one for each worker.

        Raises TypeError for arrays with masked entries; ValueError for arrays of different lengths
        or without samples, and where the loss would not use `params` on a worker: see
        docs/distributed.md; RuntimeError without workers.
        """
        for k, a in enumerate(arrays):
            refuse_masked(a, f"array {k}")
        lengths = {len(a) for a in arrays}
        if len(lengths) != 1 or lengths == {0}:
            raise ValueError(f"arrays must have one length, at least 1, not {sorted(lengths)}")
        n = min(shards or max(1, len(self.client.nthreads())), *lengths)
        columns = [np.array_split(np.array(a), n) for a in arrays]
        new = list(zip(*columns, strict=True))
        self._pickle(new[0])
        self._shards, self.n_samples, self._sent = new, lengths.pop(), []
        self._retried(lambda: None)

    def value_and_grad(self) -> tuple[float, Floats]:
        """The mean loss, and its gradient in params, shape (len(params),).

        Raises what the loss raises on a worker, RuntimeError where workers are lost every time or
        there is none for `timeout` seconds.
        """
        if not self._shards:
            raise RuntimeError("there are no samples: call scatter(...) first")
        if self._traced(self._shards[0]) is not self._trace:
            self._pickle(self._shards[0])
            self._sent = []
        theta = parameters_to_vector([*self.params, *self._others])
        total: Floats = self._retried(lambda: self._result(self._total(theta)))
        return float(total[0]) / self.n_samples, total[1:] / self.n_samples

    def _retried(self, work: Callable[[], Any], sends: bool = True) -> Any:
        """What the work returns, with samples and loss on the workers (sends); both again where
        some were lost meanwhile."""
        for _ in range(self.retries + 1):
            try:
                if sends and not self._sent:
                    self._send()
                return work()
            except _LOST as error:
                lost = error
                self._sent = []
        raise RuntimeError(f"{self.retries + 1} times workers were lost in a step") from lost

    def _result(self, future: Future) -> Any:
        """The future's result. Raises RuntimeError where no worker is left to compute it."""
        alone_since = None
        while True:
            try:
                return future.result(timeout=_POLL)
            except TimeoutError:
                if future.done():  # it is the work's own
                    return future.result()
                if self.client.nthreads():
                    alone_since = None
                    continue
            alone_since = alone_since or time.monotonic()
            if time.monotonic() - alone_since >= self.timeout:
                raise RuntimeError(self._no_worker())

    def _no_worker(self) -> str:
        return f"no worker is left, nor came one within {self.timeout} seconds"

    def backward(self) -> float:
        """Adds the mean loss's gradient to the grad of params; the mean loss."""
        value, gradient = self.value_and_grad()
        for p, g in zip(self.params, gradient.tolist(), strict=True):
            p.grad += g
        return value

    def _send(self) -> None:
        """The samples and the loss to the workers, anew: what a lost worker had is lost."""
        try:
            self.client.wait_for_workers(1, timeout=self.timeout)
        except TimeoutError as error:
            raise RuntimeError(self._no_worker()) from error
        self._sent = self.client.scatter(self._shards, hash=False)
        self._program = self.client.scatter(self._pickled, broadcast=True, hash=False)

    def _total(self, theta: Floats) -> Future:
        """The future of [sum of the losses, *sum of the gradients]: shards first, then pairs."""
        submit = partial(self.client.submit, pure=False)
        parts = [
            submit(_shard_total, self._token, self._program, shard, theta, len(self.params))
            for shard in self._sent
        ]
        while len(parts) > 1:
            pairs = [submit(_add, a, b) for a, b in zip(*[iter(parts)] * 2, strict=False)]
            parts = [*pairs, *parts[2 * len(pairs) :]]
        return parts[0]

    def _traced(self, shard: Sequence[NDArray[Any]]) -> Any:
        """The trace of the loss as it is now: another one where what it reads has changed."""
        return self.loss._read(tuple(a[:1] for a in shard), {}, Wanted.PARAMS)[0]

    def _pickle(self, shard: Sequence[NDArray[Any]]) -> None:
        """The loss and the leaves that it reads, as the workers get them; a worker tries them."""
        trace = self._traced(shard)
        known = {id(p) for p in self.params}
        others = [v for v in trace.plan.captured if id(v) not in known and not v._prev]
        pickled: bytes = cloudpickle.dumps((self.loss.__wrapped__, [*self.params, *others]))
        samples = [a[:CHECKED] for a in shard]
        _, gradient = self.loss.value_and_grad(*samples, params=self.params)
        # On a worker: what is unpickled here could change the classes of the model here.
        try:
            copied, blind = self._retried(
                lambda: self._result(
                    self.client.submit(_tried, pickled, samples, len(self.params), pure=False)
                ),
                sends=False,
            )
        except ImportError as error:
            raise ValueError(_BY_NAME) from error
        # Not bit by bit: two programs may be laid out differently and add in another order.
        atol = 1e-9 * float(np.abs(gradient).max())
        same = np.allclose(gradient, copied, rtol=1e-9, atol=atol, equal_nan=True)
        if not same or (blind and gradient.any()):
            raise ValueError(_BY_NAME)
        if self._traced(shard) is not trace:
            raise ValueError(
                "a worker in this process changed the classes that the loss uses: give the "
                "cluster processes of its own, LocalCluster(processes=True)"
            )
        self._trace, self._others, self._pickled = trace, others, pickled
        self._token = uuid.uuid4().hex


# ---- on the workers ------------------------------------------------------------------------------

_loaded: dict[str, tuple[Any, list[Value], threading.Lock]] = {}
_loading = threading.Lock()


def _unpickled(pickled: bytes) -> tuple[CompiledFunction[..., Any], list[Value]]:
    """The loss, and the leaves that it reads: params first."""
    function, leaves = cloudpickle.loads(pickled)
    return CompiledFunction(function, batch=True), leaves


def _tried(pickled: bytes, samples: Sequence[NDArray[Any]], n_params: int) -> tuple[Floats, bool]:
    """The gradient of a copy of the loss, and whether it does not see its parameters change."""
    loss, leaves = _unpickled(pickled)
    params = leaves[:n_params]
    value, gradient = loss.value_and_grad(*samples, params=params)
    # A copy that reads the originals, not its own, would not notice new numbers in its own.
    vector_to_parameters(np.full(n_params, np.nan), params)
    return gradient, loss.value_and_grad(*samples, params=params)[0] == value


def _shard_total(
    token: str, pickled: bytes, shard: Sequence[NDArray[Any]], theta: Floats, n_params: int
) -> Floats:
    """[sum of the losses, *sum of the gradients] over a shard, at theta: the data of all leaves, of
    which the first n_params have a gradient."""
    with _loading:
        if token not in _loaded:
            while len(_loaded) >= KEPT:
                del _loaded[next(iter(_loaded))]
            _loaded[token] = (*_unpickled(pickled), threading.Lock())
    loss, leaves, lock = _loaded[token]
    with lock:  # one copy of the parameters for all threads of the process
        vector_to_parameters(theta, leaves)
        value, gradient = loss.value_and_grad(*shard, params=leaves[:n_params])
    return np.concatenate([[value], gradient]) * len(shard[0])


def _add(a: Floats, b: Floats) -> Floats:
    return a + b

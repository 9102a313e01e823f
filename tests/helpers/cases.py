"""A function of Values with its numbers, computed eagerly, compiled and by PyTorch.

Where a test compares compiled code with eager code, it makes a Case and asks it for both.
"""

import numpy as np
import pytest
from bounds import Bound, assert_near, backward_bound, take_bound
from hypothesis import assume, currently_in_test_context
from references import torch_function

import micrograd_fast as mg
from micrograd_fast import _core
from micrograd_fast.engine import Value


class Case:
    """make(params, take) gives function(x, k, v): a list of inputs, an index 0..2, Value arguments;
    it returns a list. `function.between`: Values that it computed before, outside of the trace.

    Draws the numbers; rejects those at which the function is ill-conditioned or near a kink.
    """

    def __init__(self, make, seed, n_rows, n_inputs, n_params, n_arguments=2, size=2.0, limit=200):
        rng = np.random.default_rng(seed)
        self.make, self.n_rows = make, n_rows
        self.x = rng.uniform(-2, 2, (n_rows, n_inputs))
        self.k = rng.integers(0, 3, n_rows)
        self.params = [Value(p) for p in rng.uniform(-size, size, n_params)]
        self.arguments = [Value(a) for a in rng.uniform(-2, 2, n_arguments)]
        self._measure(rng, limit)
        self.function = make(self.params, mg.take)

    def _measure(self, rng, limit):
        """What results and gradients may be off by, from arithmetic on arrays."""

        def uniform(values):
            return [Bound(np.full(self.n_rows, v.data)) for v in values]

        columns = [Bound(column) for column in self.x.T]
        arguments, params = uniform(self.arguments), uniform(self.params)
        with np.errstate(all="ignore"):
            outputs = self.make(params, take_bound)(columns, self.k, arguments)
            n_outputs = len(outputs)
            self.weights = rng.uniform(0.5, 2, n_outputs) * rng.choice([-1, 1], n_outputs)
            order = backward_bound(outputs, self.weights)
        fit = all(np.all(v.scale < limit) and v.margin > 1e-9 for v in order)
        if not currently_in_test_context():
            assert fit
        else:
            assume(fit)
        zeros = np.zeros(self.n_rows)
        self.reference = np.column_stack([o.z + zeros for o in outputs])
        self.scale = np.column_stack([o.scale + zeros for o in outputs])
        self.x_reach = np.column_stack([c.reach + zeros for c in columns])
        self.reach = np.array([np.sum(v.reach + zeros) for v in arguments + params])

    def weighted(self, outputs):
        return sum((o * w for o, w in zip(outputs, self.weights, strict=True)), Value(0.0))

    def total(self, x, k, v):
        """The function with one result, which has the gradients of all of them."""
        return self.weighted(self.function(x, k, v))

    def take_grads(self):
        """Gradients of arguments and parameters; afterwards all are 0."""
        leaves = [*self.arguments, *self.params]
        grads = [v.grad for v in leaves]
        for v in [*leaves, *getattr(self.function, "between", ())]:
            v.grad = 0.0
        return grads

    def eager(self):
        """(results, gradients of the columns, gradients of arguments and parameters)"""
        inputs = [[Value(v) for v in row] for row in self.x]
        rows = zip(inputs, self.k.tolist(), strict=True)
        outputs = [self.function(row, k, self.arguments) for row, k in rows]
        sum(map(self.weighted, outputs), Value(0.0)).backward()
        data = np.array([[v.data for v in row] for row in outputs])
        columns = np.array([[v.grad for v in row] for row in inputs])
        return data, columns, self.take_grads()


def assert_agrees(case, variants=(None,)):
    """Compiled in every way, on every variant of the kernels, the case is what it is eagerly."""
    eager = case.eager()
    assert_near(eager[0], case.reference, case.scale)
    rows = mg.compile(case.function, batch=True)
    total = mg.compile(case.total, batch=True)
    single = mg.compile(case.function)
    putting_off = compiled_putting_off(case)
    before = _core.kernel_variant()
    try:
        for variant in variants:
            if _core._set_kernel_variant(variant):
                assert_batch_agrees(case, rows, total, *eager)
                assert_calls_agree(case, single, eager[0], eager[1])
                assert_agrees_put_off(case, putting_off, eager[2])
    finally:
        _core._set_kernel_variant(before)


def assert_batch_agrees(case, rows, total, data, columns, leaves):
    with mg.no_grad():
        assert_near(rows(case.x, case.k, case.arguments).data, data, case.scale)
    batch = rows(case.x, case.k, case.arguments)
    assert_near(batch.data, data, case.scale)
    case.weighted(batch.sum()).backward()
    assert_near(case.take_grads(), leaves, case.reach)
    batch = total(case.x, case.k, case.arguments)
    batch.sum().backward()
    assert_near(case.take_grads(), leaves, case.reach)
    values, gradients = total.value_and_grad(case.x, case.k, case.arguments)
    assert_near(values, data @ case.weights, case.scale @ np.abs(case.weights))
    assert_near(gradients[0], columns, case.x_reach)


def compiled_putting_off(case):
    """The function with one result, gradients of matrices of any size left until backward."""
    compiled = mg.compile(case.total, batch=True)
    _core._set_least_put_off(1)
    try:
        compiled(case.x, case.k, case.arguments)
    finally:
        _core._set_least_put_off()
    return compiled


def assert_agrees_put_off(case, compiled, leaves):
    """Passed on once, with other calls in between, and once more; by two results of the call."""
    batch = compiled(case.x, case.k, case.arguments)
    other = compiled(case.x[::-1].copy(), case.k[::-1].copy(), case.arguments)
    mean, total = batch.mean(), batch.sum()
    for result, samples in ((mean, case.n_rows), (mean, case.n_rows), (total, 1)):
        result.grad = 0.0
        result.backward()
        assert_near(np.asarray(case.take_grads()) * samples, leaves, case.reach)
    other.sum().backward()
    assert_near(case.take_grads(), leaves, case.reach)


def assert_calls_agree(case, single, data, columns):
    """The first samples one by one, as calls without a batch."""
    for row, k, expected, slopes, scale, reach in zip(
        case.x[:2], case.k, data, columns, case.scale, case.x_reach, strict=False
    ):
        inputs = [Value(v) for v in row]
        outputs = single(inputs, k, case.arguments)
        assert_near([o.data for o in outputs], expected, scale)
        case.weighted(outputs).backward()
        assert_near([v.grad for v in inputs], slopes, reach)
        ours = case.take_grads()
        case.total(inputs, int(k), case.arguments).backward()
        assert_near(ours, case.take_grads(), case.reach)


# ---- PyTorch ----


class Torch:
    """A PyTorch tensor with Value's operators and methods."""

    def __init__(self, tensor):
        self.tensor = tensor

    def __getattr__(self, name):
        function = torch_function(name)
        if function is None:
            assume(False)  # PyTorch has no such function
        return lambda *y: Torch(function(self.tensor, *map(_tensor, y)))


def _tensor(x):
    import torch

    return x.tensor if isinstance(x, Torch) else torch.tensor(float(x), dtype=torch.float64)


def _forward(name):
    def method(self, *y):
        return Torch(getattr(self.tensor, name)(*map(_tensor, y)))

    return method


for _name in ("add", "sub", "mul", "truediv", "pow", "neg"):
    setattr(Torch, f"__{_name}__", _forward(f"__{_name}__"))
    setattr(Torch, f"__r{_name}__", _forward(f"__r{_name}__"))


def assert_agrees_with_pytorch(case):
    """Results and gradients of a batch are PyTorch's."""
    torch = pytest.importorskip("torch")
    n = case.n_rows

    def tensors(numbers):
        return [Torch(torch.tensor(v, dtype=torch.float64, requires_grad=True)) for v in numbers]

    def take(values, index):
        rows = torch.stack([_tensor(v) + torch.zeros(n, dtype=torch.float64) for v in values])
        return Torch(rows.gather(0, torch.tensor(index)[None, :])[0])

    columns = tensors(case.x.T)
    arguments, params = (tensors([v.data for v in p]) for p in (case.arguments, case.params))
    outputs = [o.tensor.expand(n) for o in case.make(params, take)(columns, case.k, arguments)]
    total = sum(w * o for o, w in zip(outputs, case.weights, strict=True))
    if total.requires_grad:
        total.sum().backward()
    batch = mg.compile(case.function, batch=True)(case.x, case.k, case.arguments)
    theirs = np.column_stack([o.detach().numpy() for o in outputs])
    assert_near(batch.data, theirs, case.scale)
    case.weighted(batch.sum()).backward()
    zero = torch.zeros(n)
    grads = [zero[0] if v.tensor.grad is None else v.tensor.grad for v in arguments + params]
    assert_near(case.take_grads(), [g.item() for g in grads], case.reach)
    whole = mg.compile(case.total, batch=True)
    _, gradients = whole.value_and_grad(case.x, case.k, case.arguments)
    slopes = [zero if v.tensor.grad is None else v.tensor.grad for v in columns]
    assert_near(gradients[0], torch.stack(slopes, dim=1).numpy(), case.x_reach)

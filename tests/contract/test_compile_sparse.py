"""Sparse Jacobians and Hessians: the pattern is exact, the values are those of dense ones."""

import builtins
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import micrograd_fast as mg
from micrograd_fast import patterns

scipy_sparse = pytest.importorskip("scipy.sparse")


def rosenbrock(x):
    return sum(100.0 * (b - a**2) ** 2 + (1 - a) ** 2 for a, b in pairwise(x))


def test_the_hessian_of_a_chain_is_tridiagonal():
    f = mg.compile(rosenbrock)
    x = np.linspace(-1, 1, 9)
    found = f.hessian(x, sparse=True)
    assert type(found) is scipy_sparse.csr_array and found.shape == (9, 9) and found.nnz == 25
    np.testing.assert_array_equal(found.toarray(), f.hessian(x))
    np.testing.assert_array_equal(found.toarray(), found.toarray().T)
    again = f.hessian(x + 1, sparse=True)
    assert again.indices is found.indices and again.indptr is found.indptr
    np.testing.assert_allclose(again @ np.ones(9), f.hvp(x + 1, np.ones(9)), rtol=1e-12)
    assert not np.array_equal(again.data, found.data)  # the caller's, each
    step = scipy_sparse.linalg.spsolve(found.tocsc(), f.grad(x))
    np.testing.assert_allclose(found @ step, f.grad(x), rtol=1e-9)


def test_the_pattern_is_what_can_be_other_than_0():
    @mg.compile
    def f(x, k):
        zero = x[3] * 0.0
        return [x[0] * x[1], x[1].relu() + zero, x[2].detach() * x[0], x[0].compare(x[1]), x[0] * k]

    x = np.array([0.0, -1.0, 2.0, 3.0])
    pattern = f.sparsity(x, 2.0)
    assert pattern.dtype == bool and pattern.shape == (5, 4)
    expected = [[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
    np.testing.assert_array_equal(pattern.toarray(), np.array(expected, bool))
    found = f.jacobian(x, 2.0, sparse=True)
    assert found.nnz == 5  # zeros of these numbers are stored
    np.testing.assert_array_equal(found.toarray(), f.jacobian(x, 2.0))
    nothing = mg.compile(lambda x: [x[0].detach(), x[1] * 0.0 + 1.0])
    assert nothing.jacobian(x, sparse=True).nnz == 0
    np.testing.assert_array_equal(nothing.jacobian(x), np.zeros((2, 4)))
    np.testing.assert_array_equal(mg.compile(lambda x: x[0] * 3.0).hessian(x), np.zeros((4, 4)))
    assert mg.compile(lambda x: x[0] * 3.0).hessian(x, sparse=True).nnz == 0


@settings(max_examples=40)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 10**6))
def test_random_sparse_maps(n, m, seed):
    rng = np.random.default_rng(seed)
    uses = rng.random((m, n)) < 0.4
    weights = rng.normal(size=(m, n)).tolist()

    def f(x):
        found = []
        for row, w in zip(uses, weights, strict=True):
            terms = [(x[k] * w[k]).sin() * x[k] for k in range(n) if row[k]]
            found.append(sum(terms) if terms else x[0] * 0.0)
        return found

    x, w = rng.normal(size=n), rng.normal(size=m)
    compiled = mg.compile(f)
    jacobian = compiled.jacobian(x, sparse=True)
    np.testing.assert_array_equal(compiled.sparsity(x).toarray(), uses)
    np.testing.assert_allclose(jacobian.toarray(), compiled.jacobian(x), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(
        jacobian.toarray(), compiled.jacobian(x, mode="reverse"), rtol=1e-13, atol=1e-15
    )
    np.testing.assert_allclose(jacobian.T @ w, compiled.vjp(x, w), rtol=1e-12, atol=1e-13)
    squares = mg.compile(lambda x: sum(r * r for r in f(x)))
    hessian = squares.hessian(x, sparse=True).toarray()
    dense = np.stack([squares.hvp(x, row) for row in np.eye(n)])
    np.testing.assert_allclose(hessian, dense, rtol=1e-11, atol=1e-12)
    used = uses.T.astype(int) @ uses.astype(int) > 0
    np.testing.assert_array_equal(squares.hessian(x, sparse=True).toarray() != 0, used)


def test_shapes_and_several_arguments():
    f = mg.compile(lambda a, b: [a[1][0] * b, a[0][1]])
    found = f.jacobian(np.ones((2, 2)), 3.0, sparse=True, argnums=(0, 1))
    np.testing.assert_array_equal(found.toarray(), [[0, 0, 3, 0, 1], [0, 1, 0, 0, 0]])
    w = [mg.Value(2.0), mg.Value(3.0)]
    g = mg.compile(lambda x: [w[0] * x, w[1] * x, x])
    by_params = g.jacobian(5.0, params=w, sparse=True)
    np.testing.assert_array_equal(by_params.toarray(), [[5, 0], [0, 5], [0, 0]])


def test_few_results_of_many_numbers():
    """Rows of what stands before a result may be long where that of the result is not."""
    n = 300
    f = mg.compile(lambda x: [sum(v * v for v in x), x[0] * x[1]])
    x = np.linspace(1, 2, n)
    found = f.jacobian(x, sparse=True)
    assert found.nnz == n + 2
    np.testing.assert_allclose(found.toarray(), f.jacobian(x), rtol=1e-14)
    for mode in ("forward", "reverse"):
        again = f.jacobian(x, sparse=True, mode=mode)
        np.testing.assert_allclose(again.toarray(), found.toarray(), rtol=1e-14)
    kinds = {key[0] for key in f._traces.derived if len(key) == 4}
    assert "jacobian reverse sparse" in kinds


# ---- batches ----


def dense_blocks(f, args, argnums, index):
    """The Jacobian of a batch, put together entry by entry from those of samples."""
    taken = list(args)
    for k, i in zip(argnums, index, strict=True):
        taken[k] = args[k] if i is None else args[k][i]
    blocks = f.jacobian(*taken, argnums=argnums)
    n_samples = len(taken[argnums[0]])
    m = int(np.prod(blocks[0].shape[1 : blocks[0].ndim - args[argnums[0]].ndim + 1]))
    starts = np.cumsum([0, *[args[k].size for k in argnums]])
    whole = np.zeros((n_samples * m, starts[-1]))
    for s in range(n_samples):
        for block, k, i, start in zip(blocks, argnums, index, starts[:-1], strict=True):
            width = args[k][0].size
            at = start + (s if i is None else i[s]) * width
            whole[s * m : (s + 1) * m, at : at + width] += block[s].reshape(m, width)
    return whole


@mg.compile(batch=True)
def block(camera, point, weight, seen):
    ahead = camera[1][0] * point[2] + camera[0][0]
    return [
        weight * (point[0] / ahead - seen[0]),
        weight * (point[1] / ahead * camera[1][1] - seen[1]),
        1 - weight * weight,
    ]


def some_blocks(rng, n_samples=9, n_cameras=2, n_points=4):
    cameras, points = rng.normal(size=(n_cameras, 2, 2)), rng.normal(size=(n_points, 3))
    weights, seen = rng.normal(size=n_samples), rng.normal(size=(n_samples, 2))
    i, j = rng.integers(0, n_cameras, n_samples), rng.integers(0, n_points, n_samples)
    return (cameras, points, weights, seen), i, j


@pytest.mark.parametrize("mode", [None, "forward", "reverse"])
def test_blocks_that_share_arguments(mode):
    args, i, j = some_blocks(np.random.default_rng(1))
    for argnums, index in [
        ((0, 1, 2), (i, j, None)),
        ((1, 0), (j, i.tolist())),
        ((2, 1), (None, j[::-1])),
    ]:
        given = list(args)
        for k, taken in [(0, i), (1, j)]:
            given[k] = args[k] if k in argnums else args[k][taken]
        found = block.jacobian(*given, argnums=argnums, index=index, sparse=True, mode=mode)
        want = dense_blocks(
            block, given, argnums, [None if k is None else np.array(k) for k in index]
        )
        np.testing.assert_allclose(found.toarray(), want, rtol=1e-13, atol=1e-15)
        assert found.has_canonical_format or sorted(argnums) != list(argnums)
        pattern = block.sparsity(*given, argnums=argnums, index=index)
        np.testing.assert_array_equal(pattern.toarray(), want != 0)
    own = block.jacobian(args[0][i], args[1][j], *args[2:], argnums=1, sparse=True, mode=mode)
    dense = block.jacobian(args[0][i], args[1][j], *args[2:], argnums=1)
    assert own.shape == (27, 27)
    np.testing.assert_allclose(own.toarray()[3:6, 3:6], dense[1], rtol=1e-13)


def test_a_structure_is_shared_until_an_index_changes():
    args, i, j = some_blocks(np.random.default_rng(2))
    options = {"argnums": (0, 1), "sparse": True}
    first = block.jacobian(*args, index=(i, j), **options)
    again = block.jacobian(*args, index=(i.copy(), j), **options)
    assert again.indices is first.indices and again.indptr is first.indptr
    before = first.toarray()
    j[0] = 1 - j[0] if j[0] in (0, 1) else 0  # in place: it is looked at at each call
    moved = block.jacobian(*args, index=(i, j), **options)
    assert not np.array_equal(moved.indices, first.indices)
    np.testing.assert_array_equal(first.toarray(), before)
    np.testing.assert_allclose(
        moved.toarray(), dense_blocks(block, args, (0, 1), (i, j)), rtol=1e-13
    )
    other, k, m = some_blocks(np.random.default_rng(3), n_samples=5)
    found = block.jacobian(*other, index=(k, m), **options)
    np.testing.assert_allclose(
        found.toarray(), dense_blocks(block, other, (0, 1), (k, m)), rtol=1e-13
    )


def test_results_are_written_where_they_are_wanted():
    args, i, j = some_blocks(np.random.default_rng(4))
    options = {"argnums": (0, 1), "index": (i, j), "sparse": True}
    kept = block.jacobian(*args, **options)
    data = kept.data
    scaled = (args[0] * 2, *args[1:])
    assert block.jacobian(*scaled, **options, out=kept) is kept and kept.data is data
    np.testing.assert_array_equal(data, block.jacobian(*scaled, **options).data)
    copied = kept.copy()  # of the same structure, though not the same arrays
    block.jacobian(*args, **options, out=copied)
    np.testing.assert_array_equal(copied.toarray(), block.jacobian(*args, **options).toarray())
    f = mg.compile(rosenbrock)
    x = np.linspace(-1, 1, 9)
    hessian = f.hessian(x, sparse=True)
    assert f.hessian(x + 1, sparse=True, out=hessian) is hessian
    np.testing.assert_array_equal(hessian.toarray(), f.hessian(x + 1))
    g = mg.compile(lambda x: [x[0] * x[1], x[2] ** 2])
    jacobian = g.jacobian(x[:3], sparse=True)
    g.jacobian(x[3:6], sparse=True, out=jacobian)
    np.testing.assert_array_equal(jacobian.toarray(), g.jacobian(x[3:6]))


def test_batches_by_params_and_of_nothing():
    w = [mg.Value(2.0), mg.Value(3.0), mg.Value(4.0)]
    f = mg.compile(lambda x: [w[0] * x, w[2] * w[2] * x], batch=True)
    found = f.jacobian(np.array([5.0, 7.0]), params=w, sparse=True)
    assert found.nnz == 4
    np.testing.assert_array_equal(found.toarray(), [[5, 0, 0], [0, 0, 40], [7, 0, 0], [0, 0, 56]])
    f.jacobian(np.array([1.0, 2.0]), params=w, sparse=True, out=found)
    np.testing.assert_array_equal(found.toarray(), [[1, 0, 0], [0, 0, 8], [2, 0, 0], [0, 0, 16]])
    constant = mg.compile(lambda x: [x[0].detach()], batch=True)
    assert constant.jacobian(np.ones((3, 2)), sparse=True).nnz == 0
    assert constant.jacobian(np.ones((0, 2)), sparse=True).shape == (0, 0)
    empty = f.jacobian(np.ones(0), sparse=True, argnums=0)
    assert empty.shape == (0, 0)
    assert f.jacobian(np.ones(3), sparse=True, index=[]).shape == (0, 3)


def test_a_function_that_changes_changes_the_structure():
    class Holder:
        wide = False

    holder = Holder()
    f = mg.compile(lambda x: [x[0] * x[1] if holder.wide else x[0]], batch=True)
    x = np.ones((3, 2))
    assert f.jacobian(x, sparse=True).nnz == 3
    holder.wide = True
    assert f.jacobian(x, sparse=True).nnz == 6


ARGS, AT, J = some_blocks(np.random.default_rng(5))
KEPT = block.jacobian(*ARGS, argnums=(0, 1), index=(AT, J), sparse=True)


def wrong_data():
    found = KEPT.copy()
    found.indices, found.indptr = KEPT.indices, KEPT.indptr
    found.data = found.data.astype(np.float32)
    return found


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"index": AT}, ValueError, "index must have an array or None for each of argnums"),
        ({"index": (AT,)}, ValueError, "index must have an array or None for each of argnums"),
        ({"index": (AT * 1.0, J)}, TypeError, r"index\[0\] must be of integers, not float64"),
        ({"index": (AT, J[:, None])}, ValueError, r"index\[1\] must have one axis, not .*\(9, 1\)"),
        (
            {"index": (AT + 1, J)},
            IndexError,
            r"index\[0\] must be from 0 to 1, samples of argument 0",
        ),
        ({"index": (np.ma.array(AT, mask=AT > 0), J)}, TypeError, r"index\[0\] .*masked"),
        ({"index": (AT, -J - 1)}, IndexError, r"index\[1\] must be from 0 to 3"),
        ({"index": (AT[:5], J)}, ValueError, "samples"),
        ({"index": (AT, J), "sparse": False}, ValueError, "index is for sparse=True"),
        ({"out": KEPT, "sparse": False}, ValueError, "out is for sparse=True"),
        (
            {"index": (AT, J), "out": KEPT.tocsc()},
            TypeError,
            "out must be a csr_array, not 'csc_array",
        ),
        ({"index": (AT, J), "out": KEPT[:5]}, ValueError, "must have the structure of"),
        (
            {"index": (AT, J), "out": wrong_data()},
            ValueError,
            r"out.data must be \d+ float64 in a row",
        ),
        ({"argnums": None, "params": [mg.Value(1.0)], "index": AT}, ValueError, "no index of them"),
    ],
)
def test_bad_input_for_blocks(options, error, words):
    before = KEPT.toarray()
    with pytest.raises(error, match=words):
        block.jacobian(*ARGS, **{"argnums": (0, 1), "sparse": True, **options})
    np.testing.assert_array_equal(KEPT.toarray(), before)


def test_patterns_are_kept_within_bounds():
    for n in range(1, patterns.KEPT + 20):
        patterns.of(patterns.text_of([1], [n]), n + 1)
    assert len(patterns._known) <= patterns.KEPT


def test_bad_input(monkeypatch):
    f = mg.compile(lambda x: x[0] * x[1], batch=True)
    with pytest.raises(ValueError, match="a sparse array has two axes"):
        f.hessian(np.ones((3, 2)), sparse=True)
    g = mg.compile(lambda x: [x[0], x[1]])
    with pytest.raises(ValueError, match="index is for functions with batch=True"):
        g.jacobian(np.ones(2), sparse=True, index=[0])
    with pytest.raises(ValueError, match="must have the structure of"):
        g.jacobian(np.ones(2), sparse=True, out=KEPT)
    with pytest.raises(ValueError, match="must return one Value, not a list"):
        g.hessian(np.ones(2), sparse=True)
    real = builtins.__import__

    def without_scipy(name, *args, **kwargs):
        if name.startswith("scipy"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_scipy)
    g = mg.compile(lambda x: [x[1], x[0] * x[2], x[1]])
    with pytest.raises(ImportError, match="pip install scipy"):
        g.jacobian(np.ones(3), sparse=True)

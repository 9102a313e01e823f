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


def test_patterns_are_kept_within_bounds():
    for n in range(1, patterns.KEPT + 20):
        patterns.of(patterns.text_of([1], [n]), n + 1, False)
    assert len(patterns._known) <= patterns.KEPT


def test_bad_input(monkeypatch):
    f = mg.compile(lambda x: x[0] * x[1], batch=True)
    with pytest.raises(ValueError, match="a sparse array has two axes"):
        f.jacobian(np.ones((3, 2)), sparse=True)
    g = mg.compile(lambda x: [x[0], x[1]])
    with pytest.raises(ValueError, match="returns several Values"):
        g.hessian(np.ones(2), sparse=True)
    real = builtins.__import__

    def without_scipy(name, *args, **kwargs):
        if name.startswith("scipy"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_scipy)
    with pytest.raises(ImportError, match="pip install scipy"):
        g.jacobian(np.ones(2), sparse=True)

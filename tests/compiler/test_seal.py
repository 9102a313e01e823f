"""The seal of large arrays, which are not copied: whatever was written into them is seen."""

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import Value, _core

RNG = np.random.default_rng(11)
ARRAYS = {
    "normal": RNG.normal(size=1000),
    "odd length": RNG.normal(size=1003),
    "zeros": np.zeros(1000),
    "ones": np.ones(999),
    "whole numbers": RNG.integers(-3, 4, 1001).astype(float),
    "powers of two": 2.0 ** RNG.integers(-40, 40, 1000),
    "float32": RNG.normal(size=1000).astype(np.float32).astype(float),
    "inf": np.full(1000, np.inf),
    "nan": np.full(1000, np.nan),
    "short": np.array([1.0, 2.0, 3.0]),
}


def seal(array):
    return _core._seal(np.ascontiguousarray(array, dtype=np.float64))


def bits(array):
    return np.array(array, dtype=np.float64).view(np.uint64)


def differ(array, changed):
    """Whether the seal tells them apart; they must not be the same."""
    assert array.tobytes() != changed.tobytes()
    return seal(array) != seal(changed)


@pytest.mark.parametrize("name", ARRAYS)
def test_no_flipped_bit_is_missed(name):
    array, want = bits(ARRAYS[name]), seal(ARRAYS[name])
    for k in [*range(min(len(array), 40)), *range(max(len(array) - 20, 0), len(array))]:
        for bit in range(64):
            array[k] ^= np.uint64(1 << bit)
            assert seal(array.view(float)) != want, (k, bit)
            array[k] ^= np.uint64(1 << bit)


@pytest.mark.parametrize("bit", [0, 31, 51, 52, 62, 63])
@pytest.mark.parametrize("name", ARRAYS)
def test_no_two_flips_cancel(name, bit):
    """Signs, bit 63, did: the products kept each in the highest bit, and two were none."""
    array, want, one = bits(ARRAYS[name])[:64], seal(ARRAYS[name][:64]), np.uint64(1 << bit)
    for i in range(len(array)):
        for j in range(i):
            array[[i, j]] ^= one
            assert seal(array.view(float)) != want, (i, j)
            array[[i, j]] ^= one
    assert differ(array.view(float), (array ^ one).view(float))  # all
    assert len(array) < 4 or differ(
        array.view(float), (array ^ one * (np.arange(len(array)) & 1 > 0)).view(float)
    )


CHANGES = {
    "the other sign": lambda a: -a,
    "half the signs": lambda a: np.concatenate([-a[: len(a) // 2], a[len(a) // 2 :]]),
    "one zero": lambda a: np.where(np.arange(len(a)) == len(a) // 2, 0.0, a),
    "zeros": np.zeros_like,
    "backwards": lambda a: a[::-1],
    "sorted": np.sort,
    "shuffled": RNG.permutation,
    "by one": lambda a: np.roll(a, 1),
    "by eight": lambda a: np.roll(a, 8),
    "neighbours swapped": lambda a: a[: len(a) // 2 * 2].reshape(-1, 2)[:, ::-1].ravel(),
    "two swapped": lambda a: np.concatenate([a[1:2], a[:1], a[2:]]),
    "blocks swapped": lambda a: np.concatenate([a[8:16], a[:8], a[16:]]),
    "twice": lambda a: 2.0 * a,
    "one longer": lambda a: np.append(a, 0.0),
    "one shorter": lambda a: a[:-1],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_what_people_do_to_arrays_is_seen(array, change):
    changed = change(array)
    same = changed.tobytes() == array.tobytes()  # zeros backwards, say
    assert (seal(array) == seal(changed)) == same


def test_no_swap_in_an_array_of_distinct_numbers_is_missed():
    array = np.arange(1.0, 41.0)
    seals = {seal(array)}
    for i in range(40):
        for j in range(i):
            array[[i, j]] = array[[j, i]]
            seals.add(seal(array))
            array[[i, j]] = array[[j, i]]
    assert len(seals) == 1 + 40 * 39 // 2


def test_every_bit_reaches_every_bit():
    """Flipping any bit of 21 numbers flips each of the seal's 64 in about half of 96 arrays."""
    n, n_arrays = 21, 96
    flips = np.zeros((n * 64, 64))
    for _ in range(n_arrays):
        array = RNG.normal(size=n) * 10.0 ** RNG.integers(-5, 5)
        words, seals = bits(array), np.empty(n * 64, np.uint64)
        want = np.uint64(seal(array))
        for k in range(n):
            for bit in range(64):
                words[k] ^= np.uint64(1 << bit)
                seals[64 * k + bit] = _core._seal(words.view(float))
                words[k] ^= np.uint64(1 << bit)
        flips += (seals ^ want)[:, None] >> np.arange(64, dtype=np.uint64) & np.uint64(1)
    share = flips / n_arrays
    assert 0.5 - 7 * 0.5 / n_arrays**0.5 < share.min()
    assert share.max() < 0.5 + 7 * 0.5 / n_arrays**0.5
    assert np.abs(share.mean(axis=0) - 0.5).max() < 0.01  # of each output bit
    assert np.abs(share.mean(axis=1) - 0.5).max() < 0.05  # of each input bit


@pytest.mark.parametrize(
    "write",
    [
        lambda X: X.__imul__(-1.0),
        lambda X: X[:, 0].__imul__(-1.0),
        lambda X: X[:2].__imul__(-1.0),
        lambda X: X.sort(axis=0),
        lambda X: np.copyto(X, X[::-1].copy()),
    ],
    ids=["all signs", "a column's signs", "four signs", "sorted", "backwards"],
)
def test_backward_refuses_the_gradient_of_an_array_that_was_written(write):
    X = RNG.normal(size=(600_000, 2))
    p = Value(0.5)
    batch = mg.compile(lambda x: x[0] * x[1] * p * x[0], batch=True)(X)
    loss = batch[3] + batch[-1]
    write(X)
    with pytest.raises(RuntimeError, match="array argument 0 was written"):
        loss.backward()


def test_the_seal_takes_float64_only():
    with pytest.raises(TypeError, match="float64"):
        _core._seal(np.ones(3, np.float32))

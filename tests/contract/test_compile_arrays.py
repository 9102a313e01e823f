"""Arrays of every real type, byte order and layout are the numbers that NumPy says they are.

Read in C from the second call on, which is seen by taking away the way through NumPy."""

import numpy as np
import pytest
from inputs import read_only, unaligned

import micrograd_fast as mg
from micrograd_fast import arguments
from micrograd_fast.engine import Value

CODES = "?bBhHiIlLqQefdg"
DTYPES = [np.dtype(c) for c in CODES]
DTYPES += [d.newbyteorder() for d in DTYPES if d.itemsize > 1 and d.char != "g"]

NUMBERS = np.array(
    [[0.0, 1.0, 2.0], [3.0, 100.0, 5.0], [6.0, 7.0, 8.0], [90.0, 10.0, 11.0], [1.0, 13.0, 14.0]]
)


LAYOUTS = {
    "plain": lambda x: x,
    "Fortran": np.asfortranarray,
    "every second row": lambda x: np.repeat(x, 2, axis=0)[::2],
    "every second column": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "some columns": lambda x: np.hstack([x, x])[:, : x.shape[1]],
    "backwards": lambda x: x[::-1].copy()[::-1],
    "mirrored": lambda x: x[:, ::-1].copy()[:, ::-1],
    "one row for all": lambda x: np.broadcast_to(x[1], x.shape),
    "one number for all": lambda x: np.broadcast_to(x[1, 2], x.shape),
    "unaligned": unaligned,
    "read-only": read_only,
    "no rows": lambda x: x[:0],
    "one row": lambda x: x[2:3],
}


@pytest.fixture
def in_c(monkeypatch):
    """From its call on arrays are not made plain by NumPy any more."""

    def forbidden(arg, name):
        raise AssertionError(f"{name} went through NumPy")

    return lambda: monkeypatch.setattr(arguments, "plain_array", forbidden)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_array_is_its_numbers_by_every_door(dtype, layout, in_c):
    x = LAYOUTS[layout](NUMBERS.astype(dtype))
    plain = np.array(x, dtype=float)
    p = Value(0.5)
    rows = mg.compile(lambda r: (r[0] * 3 + r[1] * p) * r[2], batch=True)
    one = mg.compile(lambda a: sum((k + 1.0) * v * p for k, r in enumerate(a) for v in r) + p)
    numbers, slopes = rows.value_and_grad(plain)
    total, gradient = one.value_and_grad(plain)
    mean, by_p = rows.value_and_grad(plain, params=[p])
    one(plain), rows(plain)
    in_c()
    for _ in range(2):
        assert rows(x).data.tolist() == numbers.tolist()
        assert one(x).data == total
        for found, expected in ((rows, (numbers, slopes)), (one, (total, gradient))):
            value, slope = found.value_and_grad(x)
            assert np.array_equal(value, expected[0])
            assert np.array_equal(slope, expected[1])
        found = rows.value_and_grad(x, params=[p])
        assert np.array_equal(found[0], mean, equal_nan=True)
        assert np.array_equal(found[1], by_p)


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d.kind in "iu"], ids=str)
def test_integers_to_the_ends_of_their_range(dtype, in_c):
    info = np.iinfo(dtype)
    x = np.array([info.min, info.max, info.max // 3, 0, 1], dtype)
    f = mg.compile(lambda v: v * 1.0, batch=True)
    f(np.ones(2))
    in_c()
    assert f(x).data.tolist() == x.astype(float).tolist()
    assert f(np.repeat(x, 3)[::3]).data.tolist() == x.astype(float).tolist()


@pytest.mark.parametrize("order", ["<", ">"])
def test_every_half_is_the_number_that_numpy_says(order, in_c):
    x = np.arange(65536, dtype=np.uint16).view(np.float16).astype(order + "f2")
    f = mg.compile(lambda v: v.detach(), batch=True)
    f(np.ones(2))
    in_c()
    expected = x.astype(float)
    found = f(x).data
    assert np.array_equal(found, expected, equal_nan=True)
    assert np.array_equal(np.signbit(found), np.signbit(expected))


@pytest.mark.parametrize("dtype", ["f4", ">f8", "f8"])
def test_numbers_that_are_none_stay_what_they_are(dtype, in_c):
    x = np.array(
        [np.nan, np.inf, -np.inf, -0.0, np.finfo(dtype).tiny / 4, np.finfo(dtype).max], dtype
    )
    f = mg.compile(lambda v: v.detach(), batch=True)
    f(np.ones(2))
    in_c()
    found = f(np.repeat(x, 2)[::2]).data
    assert np.array_equal(found, x.astype(float), equal_nan=True)
    assert np.array_equal(np.signbit(found), np.signbit(x))


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 0, 3, 2), (2, 0, 3, 1)])
@pytest.mark.parametrize("step", [1, 2, -1])
@pytest.mark.parametrize("dtype", ["f8", "f4", ">i2"])
def test_axes_in_any_order(axes, step, dtype, in_c):
    x = np.random.default_rng(0).integers(-99, 99, (2, 3, 4, 6)).astype(dtype)
    x = x.transpose(axes)[:, ::step]

    def total(a, k=1.0):
        return sum(
            total(v, k * (j + 1.5)) if isinstance(v, list) else v * k for j, v in enumerate(a)
        )

    one, rows = mg.compile(total), mg.compile(total, batch=True)
    plain = np.array(x, dtype=float)
    expected = one(plain).data, rows(plain).data.tolist()
    in_c()
    assert (one(x).data, rows(x).data.tolist()) == expected


@pytest.mark.parametrize("dtype", ["f8", "i4"])
def test_an_array_without_axes_is_a_number(dtype, in_c):
    f = mg.compile(lambda v, w: v * w)
    assert f(2.0, 3.0).data == 6.0
    in_c()
    assert f(np.array(4, dtype), np.float32(5.0)).data == 20.0
    assert f(np.array(4, dtype), np.array(2.5, ">f8")).data == 10.0
    assert len(f._traces.by_signature) == 1


@pytest.mark.parametrize("make", [LAYOUTS[k] for k in ("plain", "Fortran", "some columns")])
@pytest.mark.parametrize("dtype", ["f8", "f4", ">f8", "i2"])
@pytest.mark.parametrize("n", [5, 500_000])
def test_gradients_are_those_of_the_numbers_that_the_call_saw(make, dtype, n):
    """500,000 rows of doubles are above the size up to which plain ones are copied."""
    numbers = np.resize(NUMBERS, (n, 3))
    x = make(numbers.astype(dtype))
    p = Value(2.0)
    f = mg.compile(lambda r: [r[0] * p, r[1] * p * p], batch=True)
    for _ in range(2):
        p.grad = 0.0
        _, second = f(x).sum()
        x_then = x.copy()
        x[...] = 7
        if n * 24 > 2**23 and x.dtype == float and x.flags.c_contiguous:
            with pytest.raises(RuntimeError, match="argument 0 was written after the call"):
                second.backward()
        else:
            second.backward()
            assert p.grad == pytest.approx(4.0 * x_then[:, 1].astype(float).sum(), rel=1e-12)
        x[...] = x_then


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.ones((5, 3), complex), "argument 0 has dtype complex128"),
        (np.ones((5, 3), object), "argument 0 has dtype object"),
        (np.ones((5, 3), "M8[s]"), r"argument 0 has dtype datetime64"),
        (np.full((5, 3), "a"), "argument 0 has dtype <U1"),
        (np.zeros((5, 3), [("a", float)]), "argument 0 has dtype"),
    ],
)
def test_what_has_no_real_numbers_is_refused_at_every_call(array, text):
    f = mg.compile(lambda r: r[0] * 2, batch=True)
    for call in (f, f.value_and_grad, f, f.value_and_grad):
        with pytest.raises(TypeError, match=text):
            call(array)
        call(NUMBERS)


def test_arrays_beside_each_other_keep_to_their_own_numbers(in_c):
    f = mg.compile(lambda a, b, c: a[0] * 1.0 + b * 10.0 + c[1] * 100.0, batch=True)
    a, b, c = NUMBERS, NUMBERS[:, 0], NUMBERS[::-1]
    f(a.copy(), b.copy(), c.copy())
    in_c()
    expected = a[:, 0] + 10 * b + 100 * c[:, 1]
    for x in (a, a.astype("f4"), np.asfortranarray(a)):
        for z in (c, c.astype(">i4")):
            assert f(x, b, z).data.tolist() == expected.tolist()
    with pytest.raises(AssertionError):
        f(a, b[:4], c)

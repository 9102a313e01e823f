"""mg.take in compiled functions: what is said of choices and indices that do not fit."""

import numpy as np
import pytest

import micrograd_fast as mg

p = mg.Value(2.0)
VALUES = [p, p * 2.0, p * 3.0]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    ("index", "text"),
    [
        (3.0, "index 3 of sample 777 is out of range for 3 values"),
        (-1.0, "index -1 of sample 777 is out of range for 3 values"),
        (0.5, "index 0.5 of sample 777 is not a whole number"),
        (float("nan"), "index nan of sample 777 is not a whole number"),
        (float("inf"), "index inf of sample 777 is out of range for 3 values"),
    ],
)
def test_a_bad_index_of_a_sample_is_named(index, text, threads):
    f = mg.compile(lambda x, k: mg.take(VALUES, k) * mg.take(VALUES, x[1]) * x[0], batch=True)
    n = 100_000 if threads > 1 else 2000
    X = np.stack([np.linspace(0.0, 1.0, n), np.arange(n) % 3.0], axis=1)
    K = np.arange(n) % 3.0
    K[777] = X[1500, 1] = index
    before = mg.get_num_threads()
    mg.set_num_threads(threads)
    try:
        for call in (lambda: f(X, K), lambda: f.value_and_grad(X, K, params=[p])):
            with pytest.raises(IndexError, match=f"^mg.take: {text}$"):
                call()
    finally:
        mg.set_num_threads(before)
    K[777] = 1.0
    with pytest.raises(IndexError, match="of sample 1500 is"):
        f(X, K)
    X[1500, 1] = 2.0
    assert f(X, K)[777].data == p.data * 2.0 * [p, VALUES[1], VALUES[2]][777 % 3].data * X[777, 0]


def test_a_bad_index_for_all_samples_or_of_a_single_call_has_no_sample():
    f = mg.compile(lambda x, k: mg.take(VALUES, k) * x, batch=True)
    g = mg.compile(lambda k: mg.take(VALUES, k + 1.0))
    for call in (lambda: f(np.ones(4), 7.0), lambda: g(6.0)):
        with pytest.raises(IndexError, match=r"^mg.take: index 7 is out of range for 3 values$"):
            call()


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([[p], [p, p]], r"values\[1\] has 2 items, values\[0\] has 1 item"),
        ([p, [p]], r"values\[1\] has 1 item, values\[0\] has one Value"),
        ([[p], [p], p], r"values\[2\] has one Value, values\[0\] has 1 item"),
        ([[[p]], [[p, p]]], r"values\[1\] has 2 items"),
    ],
)
def test_choices_of_different_structure_are_named(values, text):
    with pytest.raises(ValueError, match=f"take: {text}"):
        mg.compile(lambda k: mg.take(values, k))(0.0)


def test_what_float_and_math_say_names_what_to_write():
    import math

    for function in (float, int, range, math.exp, [1].__getitem__):
        with pytest.raises(TypeError, match=r"no plain number.*v\.exp\(\).*mg\.take.*v\.data"):
            function(p)
        with pytest.raises(TypeError, match=r"no plain number.*v\.exp\(\).*mg\.take.*v\.data"):
            mg.compile(lambda x, function=function: function(x))(1.0)

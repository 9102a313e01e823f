"""Do the engines agree? Only a result that most others share gets a figure."""

import numpy as np


class Disagreement(Exception):
    """Why a row's result cannot be right."""


def check_all(results, rows, shares):
    """{row name: (deviation, reason)}; reason is empty where the row agrees.

    results: {row name: {key: floats}}; rows: {row name: Row}; shares: the part that each did.
    An engine has one vote, however many rows it has; float32 rows have none.
    """
    votes = {}
    for name, numbers in results.items():
        row = rows[name]
        if row.rtol <= 1e-6 and shares[name] == 1.0:
            votes.setdefault(row.engine, numbers)
    if not votes:
        votes = {rows[name].engine: numbers for name, numbers in results.items()}
    reference = consensus(list(votes.values()))
    verdicts = {}
    for name, numbers in results.items():
        try:
            deviation = compare(numbers, reference, partial=shares[name] < 1.0)
        except Disagreement as reason:
            verdicts[name] = (None, str(reason))
            continue
        wrong = deviation > rows[name].rtol
        verdicts[name] = (deviation, f"off by {deviation:.1e}" if wrong else "")
    return verdicts, len(votes)


def consensus(votes):
    """The median, number by number, over the votes that have the most common shape."""
    reference = {}
    for key in {key for numbers in votes for key in numbers}:
        arrays = [np.asarray(v[key], dtype=float).ravel() for v in votes if key in v]
        lengths = [len(a) for a in arrays]
        common = max(set(lengths), key=lengths.count)
        stack = np.stack([a for a in arrays if len(a) == common])
        # A vote of nan sorts last, so that one broken engine does not silence the others.
        reference[key] = np.median(np.where(np.isnan(stack), np.inf, stack), axis=0)
    return reference


def compare(numbers, reference, partial=False):
    """The largest deviation, relative to the largest number under the same key."""
    worst = 0.0
    for key, expected in reference.items():
        if key not in numbers:
            raise Disagreement(f"gives no {key}")
        found = np.asarray(numbers[key], dtype=float).ravel()
        if len(found) != len(expected) and not (partial and len(found) < len(expected)):
            raise Disagreement(f"{key}: {len(found)} numbers instead of {len(expected)}")
        expected = expected[: len(found)]
        if not np.isfinite(found).all():
            raise Disagreement(f"{key} is not finite")
        if not np.isfinite(expected).all():
            raise Disagreement(f"no agreement on {key}")
        if len(found):
            scale = np.abs(expected).max() or 1.0
            worst = max(worst, float(np.abs(found - expected).max() / scale))
    return worst

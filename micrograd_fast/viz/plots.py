"""Plots on Matplotlib: what a classifier of points in the plane learned, and how; which entries a
Jacobian has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from micrograd_fast import _types as t
from micrograd_fast.engine import Value, no_grad
from micrograd_fast.viz.picture import check_count


def decision_boundary(
    model: Callable[[list[float]], Any],
    X: t.ArrayLike,
    y: t.ArrayLike,
    *,
    axes: t.Axes | None = None,
    margin: float = 1.0,
    resolution: int = 100,
) -> t.Axes:
    """Colours the plane by the model's answer and puts the samples on it; the Axes.

    model: called with [x0, x1] without gradients. One Value is a score: its sign is the class, its
    size the shade, and the line is where it is 0. A list of Values, one a class, colours by the
    largest. Where an answer is nan the plane stays white. X: shape (n, 2). y: shape (n,), the
    samples' classes. margin: how far beyond the samples the plane goes. resolution: points along
    each side.

    Raises ValueError for X and y of other shapes, for X that is not finite and a model whose
    answers are all nan, ImportError where Matplotlib is missing.
    """
    import numpy as np

    check_count("resolution", resolution, 2)
    X, y = np.asarray(X, dtype=float), np.asarray(y)
    if X.ndim != 2 or X.shape[1] != 2 or not len(X):
        raise ValueError(f"X must have the shape (n, 2), not {X.shape}")
    if not np.isfinite(X).all():
        raise ValueError("X must be finite: it says which part of the plane is drawn")
    if y.shape != (len(X),):
        raise ValueError(f"y must have the shape ({len(X)},), not {y.shape}")
    axes = _axes(axes)
    low, high = X.min(axis=0) - margin, X.max(axis=0) + margin
    xx, yy = np.meshgrid(*np.linspace(low, high, resolution).T)
    with no_grad():
        answers = [model(point) for point in np.c_[xx.ravel(), yy.ravel()].tolist()]
    scores = np.array([a.data if isinstance(a, Value) else [v.data for v in a] for a in answers])
    if np.isnan(scores).all():
        raise ValueError("the model's answer is nan on the whole plane")
    if isinstance(answers[0], Value):
        _shade_scores(axes, xx, yy, scores.reshape(xx.shape))
        colours: dict[str, Any] = {"cmap": "RdBu"}
    else:
        unknown = np.isnan(scores).any(axis=1)
        largest = np.ma.masked_array(scores.argmax(axis=1), unknown)
        last = len(answers[0]) - 1
        colours = {"cmap": "tab10", "vmin": 0, "vmax": 9 if last < 10 else last}
        axes.pcolormesh(xx, yy, largest.reshape(xx.shape), alpha=0.35, shading="auto", **colours)
    axes.scatter(X[:, 0], X[:, 1], c=y, s=36, edgecolors="black", zorder=3, **colours)
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])
    axes.set_xlabel("x[0]")
    axes.set_ylabel("x[1]")
    return axes


def training_curve(
    losses: Sequence[float], *, axes: t.Axes | None = None, **curves: Sequence[float]
) -> t.Axes:
    """Loss by step, and further curves by name: training_curve(losses, accuracy=...); the Axes.

    A curve may have another number of entries than losses: each starts at step 1.

    Raises ValueError where losses is empty, ImportError where Matplotlib is missing.
    """
    if not len(losses):
        raise ValueError("losses must have at least one entry")
    axes = _axes(axes)
    colours = ["tab:red", "tab:blue", "tab:green", "tab:purple", "tab:orange", "tab:brown"]
    for k, (name, numbers) in enumerate({"loss": losses, **curves}.items()):
        marker = "." if len(numbers) < 20 else ""  # a line of one point is invisible
        steps = range(1, len(numbers) + 1)
        axes.plot(steps, numbers, color=colours[k % 6], label=name, marker=marker)
    if min(min(numbers, default=0.0) for numbers in (losses, *curves.values())) >= 0.0:
        axes.set_ylim(bottom=0.0)
    locator: Any = axes.xaxis.get_major_locator()
    locator.set_params(integer=True)
    axes.set_xlabel("step")
    axes.legend(loc="best")
    axes.grid(alpha=0.3)
    return axes


def spy(pattern: Any, *, axes: t.Axes | None = None) -> t.Axes:
    """Where a Jacobian or Hessian is not 0: `viz.spy(f.sparsity(x))`; the Axes.

    pattern: two axes, a sparse array of SciPy, whose entries are drawn whatever they are, or an
    array of NumPy, of which those that are not 0 are.

    Raises ValueError for another number of axes and for an empty one, ImportError where Matplotlib
    is missing.
    """
    import numpy as np

    sparse = hasattr(pattern, "tocoo")
    matrix: Any = pattern if sparse else np.asarray(pattern)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ValueError(f"pattern must have rows and columns, not the shape {matrix.shape}")
    axes = _axes(axes)
    # As large as an entry is on axes of some 300 points, as long as it can be seen.
    size = max(0.5, min(20.0, 240.0 / max(*matrix.shape, 1)))
    axes.spy(matrix, precision="present" if sparse else 0, markersize=size, markeredgewidth=0)
    axes.xaxis.tick_bottom()
    axes.set_xlabel("number of x")
    axes.set_ylabel("result")
    entries = matrix.nnz if sparse else np.count_nonzero(matrix)
    axes.set_title(f"{entries:,} of {matrix.shape[0]:,} x {matrix.shape[1]:,}")
    return axes


def _axes(axes: t.Axes | None) -> t.Axes:
    if axes is not None:
        return axes
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            "plots need Matplotlib: pip install 'micrograd-fast[viz]'", name="matplotlib"
        ) from error
    return pyplot.subplots(layout="constrained")[1]


def _shade_scores(axes: t.Axes, xx: t.Floats, yy: t.Floats, scores: t.Floats) -> None:
    import numpy as np

    finite = np.abs(scores[np.isfinite(scores)])
    # The range is kept symmetric, so that the colour map turns at the boundary itself.
    reach = max(float(finite.max(initial=0.0)), 1e-9)
    scores = np.ma.masked_invalid(np.clip(scores, -reach, reach))  # infinite ones are the darkest
    levels = np.linspace(-reach, reach, 21)
    axes.contourf(xx, yy, scores, levels=levels, cmap="RdBu", alpha=0.7)
    if scores.min() < 0.0 < scores.max():
        axes.contour(xx, yy, scores, levels=[0.0], colors="black", linewidths=1.5)

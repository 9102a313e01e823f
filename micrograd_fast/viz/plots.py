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

    plane = Plane(X, y, margin, resolution)
    axes = on_axes(axes)
    plane.draw(axes, plane.scores(model))
    return axes


class Plane:
    """The plane around some samples, as a grid of points, and pictures of answers on it."""

    def __init__(self, X: t.ArrayLike, y: t.ArrayLike, margin: float, resolution: int) -> None:
        import numpy as np

        check_count("resolution", resolution, 2)
        self.X: t.Floats = np.asarray(X, dtype=float)
        self.y: t.Floats = np.asarray(y)
        if self.X.ndim != 2 or self.X.shape[1] != 2 or not len(self.X):
            raise ValueError(f"X must have the shape (n, 2), not {self.X.shape}")
        if not np.isfinite(self.X).all():
            raise ValueError("X must be finite: it says which part of the plane is drawn")
        if self.y.shape != (len(self.X),):
            raise ValueError(f"y must have the shape ({len(self.X)},), not {self.y.shape}")
        self.low: t.Floats = self.X.min(axis=0) - margin
        self.high: t.Floats = self.X.max(axis=0) + margin
        grid = np.meshgrid(*np.linspace(self.low, self.high, resolution).T)
        self.xx: t.Floats = grid[0]
        self.yy: t.Floats = grid[1]
        self.points: t.Floats = np.c_[self.xx.ravel(), self.yy.ravel()]

    def scores(self, model: Callable[[list[float]], Any], which: slice = slice(None)) -> t.Floats:
        """The answers at the grid's points: (points,) scores, or (points, classes)."""
        import numpy as np

        with no_grad():
            answers = [model(point) for point in self.points[which].tolist()]
        scores = [a.data if isinstance(a, Value) else [v.data for v in a] for a in answers]
        return np.array(scores)

    def draw(self, axes: t.Axes, scores: t.Floats) -> None:
        """Raises ValueError for scores that are all nan."""
        import numpy as np

        if np.isnan(scores).all():
            raise ValueError("the model's answer is nan on the whole plane")
        if scores.ndim == 1:
            _shade_scores(axes, self.xx, self.yy, scores.reshape(self.xx.shape))
            colours: dict[str, Any] = {"cmap": "RdBu"}
        else:
            unknown = np.isnan(scores).any(axis=1)
            largest = np.ma.masked_array(scores.argmax(axis=1), unknown)
            last = scores.shape[1] - 1
            colours = {"cmap": "tab10", "vmin": 0, "vmax": 9 if last < 10 else last}
            shown = largest.reshape(self.xx.shape)
            axes.pcolormesh(self.xx, self.yy, shown, alpha=0.35, shading="auto", **colours)
        X = self.X
        axes.scatter(X[:, 0], X[:, 1], c=self.y, s=36, edgecolors="black", zorder=3, **colours)
        axes.set_xlim(self.low[0], self.high[0])
        axes.set_ylim(self.low[1], self.high[1])
        axes.set_xlabel("x[0]")
        axes.set_ylabel("x[1]")


def training_curve(
    losses: Sequence[float], *, axes: t.Axes | None = None, **curves: Sequence[float]
) -> t.Axes:
    """Loss by step, and further curves by name: training_curve(losses, accuracy=...); the Axes.

    A curve may have another number of entries than losses: each starts at step 1.

    Raises ValueError where losses is empty, ImportError where Matplotlib is missing.
    """
    if not len(losses):
        raise ValueError("losses must have at least one entry")
    axes = on_axes(axes)
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
    axes = on_axes(axes)
    # As large as an entry is on axes of some 300 points, as long as it can be seen.
    size = max(0.5, min(20.0, 240.0 / max(*matrix.shape, 1)))
    axes.spy(matrix, precision="present" if sparse else 0, markersize=size, markeredgewidth=0)
    axes.xaxis.tick_bottom()
    axes.set_xlabel("number of x")
    axes.set_ylabel("result")
    entries = matrix.nnz if sparse else np.count_nonzero(matrix)
    axes.set_title(f"{entries:,} of {matrix.shape[0]:,} x {matrix.shape[1]:,}")
    return axes


def on_axes(axes: t.Axes | None) -> t.Axes:
    """Some axes, or those of a new figure."""
    if axes is not None:
        return axes
    require_matplotlib()
    from matplotlib import pyplot

    return pyplot.subplots(layout="constrained")[1]


def require_matplotlib() -> None:
    """Raises ImportError with the cure where Matplotlib is missing."""
    try:
        import matplotlib.figure
        import matplotlib.pyplot  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "plots need Matplotlib: pip install 'micrograd-fast[viz]'", name="matplotlib"
        ) from error


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

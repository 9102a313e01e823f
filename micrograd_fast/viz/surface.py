"""The loss as a landscape over two parameters, or over two directions through all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from micrograd_fast.engine import Value, no_grad
from micrograd_fast.viz.picture import check_count
from micrograd_fast.viz.plots import on_axes, require_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray


def loss_surface(
    loss: Callable[[], Any],
    params: Iterable[Value],
    *,
    along: Sequence[Any] | None = None,
    span: float | None = None,
    resolution: int = 31,
    path: ArrayLike | None = None,
    seed: int = 0,
    axes: Axes | None = None,
) -> Axes:
    """Draws the loss around where the parameters stand; the Axes. A cross marks that place.

    loss: called without arguments and without gradients for each point, resolution**2 times; a
    Value or a number. params: a list of Values, such as model.parameters(); they are as before
    afterwards, whatever happens. along: two of the params, or two directions of one number a param.
    None is the params themselves where there are two; else with a path the two directions in which
    it goes farthest, without one two directions drawn at random, from seed, orthogonal and as long
    as the params together. path: rows of one number a param, where training went: drawn as a line.
    span: how far the picture goes each way, in units of two params or lengths of the directions; by
    default 1, or as far as the path.

    Raises ValueError for other shapes, for a span that is not above 0 and a loss that is nowhere
    finite, TypeError for what are no Values, ImportError where Matplotlib is missing.
    """
    import numpy as np

    require_matplotlib()
    check_count("resolution", resolution, 2)
    if span is not None and not 0.0 < span < float("inf"):
        raise ValueError(f"span must be above 0 and finite, not {span!r}")
    values = _values(params)
    start = np.array([p.data for p in values])
    steps = None if path is None else _steps(path, start)
    directions, names, origin = _directions(values, start, along, steps, seed)
    places = None if steps is None else np.linalg.lstsq(directions.T, steps.T, rcond=None)[0].T
    if span is None:
        span = 1.0 if places is None else 1.25 * float(np.abs(places).max(initial=0.0)) or 1.0
    at = np.linspace(-span, span, resolution)
    heights = _heights(loss, values, start, directions, at)
    axes = on_axes(axes)
    _draw(axes, origin[0] + at, origin[1] + at, heights, names)
    axes.plot(*origin, "x", color="white", markersize=9, markeredgewidth=2.5)
    if places is not None:
        places += origin
        axes.plot(places[:, 0], places[:, 1], "-o", color="tab:orange", markersize=2.5)
    axes.set_xlim(origin[0] - span, origin[0] + span)
    axes.set_ylim(origin[1] - span, origin[1] + span)
    return axes


def _values(params: Iterable[Value]) -> list[Value]:
    values = list(params)
    for k, p in enumerate(values):
        if not isinstance(p, Value):
            raise TypeError(f"params must be Values, params[{k}] is {type(p).__name__!r}")
    if len(values) < 2:
        raise ValueError(f"params must be at least two Values, not {len(values)}")
    return values


def _directions(
    values: list[Value],
    start: NDArray[Any],
    along: Sequence[Any] | None,
    steps: NDArray[Any] | None,
    seed: int,
) -> tuple[NDArray[Any], list[str], NDArray[Any]]:
    """Two rows of one number a param, what they are called, and where the params stand on them."""
    import numpy as np

    if along is None and len(values) == 2:
        along = values
    if along is None and steps is not None and np.linalg.matrix_rank(steps) > 1:
        main = np.linalg.svd(steps, full_matrices=False)[2][:2]
        names = ["where the path goes farthest", "where it goes next farthest"]
        return main, names, np.zeros(2)
    if along is None:
        drawn = np.random.default_rng(seed).normal(size=(2, len(values)))
        drawn = np.linalg.qr(drawn.T)[0].T * max(float(np.linalg.norm(start)), 1.0)
        return drawn, ["first direction", "second direction"], np.zeros(2)
    if len(along) != 2:
        raise ValueError(f"along must be two params or two directions, not {len(along)}")
    if all(isinstance(p, Value) for p in along):
        places = []
        for k, p in enumerate(along):
            found = [n for n, v in enumerate(values) if v is p]
            if not found:
                raise ValueError(f"along[{k}] is none of the params")
            places.append(found[0])
        names = [str(p.label or f"params[{n}]") for n, p in zip(places, along, strict=True)]
        return np.eye(len(values))[places], names, start[places]
    given = np.asarray(along, dtype=float)
    if given.shape != (2, len(values)):
        raise ValueError(
            f"along must have one number a param, the shape (2, {len(values)}), not {given.shape}"
        )
    if np.linalg.matrix_rank(given) < 2:
        raise ValueError("along must be two directions of which neither is a multiple of the other")
    return given, ["first direction", "second direction"], np.zeros(2)


def _heights(
    loss: Callable[[], Any],
    values: list[Value],
    start: NDArray[Any],
    directions: NDArray[Any],
    at: NDArray[Any],
) -> NDArray[Any]:
    """The losses, rows along the second direction; nan where the loss raises what numbers out of
    range raise. The params are written and written back."""
    import numpy as np

    heights = np.full((len(at), len(at)), np.nan)
    trouble = None
    try:
        for i, b in enumerate(at):
            for j, a in enumerate(at):
                _write(values, start + a * directions[0] + b * directions[1])
                try:
                    with no_grad():
                        found = loss()
                    heights[i, j] = found.data if isinstance(found, Value) else found
                except (OverflowError, ZeroDivisionError, ValueError) as error:
                    trouble = error
    finally:
        _write(values, start)
    if not np.isfinite(heights).any():
        raise ValueError(
            "the loss is nowhere finite in the picture: make span smaller"
        ) from trouble
    return heights


def _write(values: list[Value], numbers: NDArray[Any]) -> None:
    for p, number in zip(values, numbers.tolist(), strict=True):
        p.data = number


def _draw(
    axes: Axes, xs: NDArray[Any], ys: NDArray[Any], heights: NDArray[Any], names: list[str]
) -> None:
    """Colours by rank, so that a valley is seen beside a cliff; lines at the same heights."""
    import numpy as np

    finite = heights[np.isfinite(heights)]
    levels = np.unique(np.quantile(finite, np.linspace(0.0, 1.0, 25)))
    if len(levels) < 2:
        levels = np.array([levels[0] - 0.5, levels[0] + 0.5])
    from matplotlib.colors import BoundaryNorm

    shown = np.ma.masked_invalid(heights)
    norm = BoundaryNorm(levels, 256)
    drawn = axes.contourf(xs, ys, shown, levels=levels, cmap="viridis", norm=norm)
    axes.contour(xs, ys, shown, levels=levels[1:-1:3], colors="white", linewidths=0.4)
    figure: Any = axes.figure
    figure.colorbar(drawn, ax=axes, label="loss", format="%.3g")
    axes.set_xlabel(names[0])
    axes.set_ylabel(names[1])


def _steps(path: ArrayLike, start: NDArray[Any]) -> NDArray[Any]:
    """How far the path's places are from where the params stand."""
    import numpy as np

    rows = np.asarray(path, dtype=float)
    if rows.ndim != 2 or rows.shape[1] != len(start) or not len(rows):
        raise ValueError(f"path must have the shape (n, {len(start)}), not {rows.shape}")
    if not np.isfinite(rows).all():
        raise ValueError("path must be finite: it says which part of the landscape is drawn")
    difference: NDArray[Any] = rows - start
    return difference

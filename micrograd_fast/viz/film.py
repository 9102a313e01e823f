"""A decision boundary that moves while a model trains: in a notebook, as HTML and as GIF."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from micrograd_fast import _types as t
from micrograd_fast.compiler import TraceError, compile
from micrograd_fast.engine import Value
from micrograd_fast.nn import Module
from micrograd_fast.viz.picture import check_count
from micrograd_fast.viz.plots import Plane, require_matplotlib

LAST = 12  # times that the last frame is shown, so that a film that repeats rests there
DPI = 80
CHECKED = 16  # points at which a compiled model is compared with the model itself
# Matplotlib's player takes its signs from a font in the network.
SIGNS = {
    "fa-minus": "-",
    "fa-plus": "+",
    "fa-fast-backward": "|<",
    "fa-step-backward": "<",
    "fa-play fa-flip-horizontal": "\u25c0",
    "fa-pause": "||",
    "fa-play": "\u25b6",
    "fa-step-forward": ">",
    "fa-fast-forward": ">|",
}


class Film:
    """A picture of what a classifier answers, for each add(). A notebook shows it as a player.

    model, X, y, margin, resolution: as in decision_boundary(). losses: of all steps that train()
    made. fps: pictures a second.
    """

    def __init__(
        self,
        model: Callable[[list[float]], Any],
        X: t.ArrayLike,
        y: t.ArrayLike,
        *,
        margin: float = 0.5,
        resolution: int = 40,
        fps: int = 8,
    ) -> None:
        require_matplotlib()
        check_count("fps", fps, 1)
        self.model: Callable[[list[float]], Any] = model
        self.fps: int = fps
        self.losses: list[float] = []
        self._plane = Plane(X, y, margin, resolution)
        self._frames: list[tuple[str, t.Floats]] = []
        self._html = ""
        self._compiled = _compiled(model, self._plane.points[:1])

    def __len__(self) -> int:
        return len(self._frames)

    def __repr__(self) -> str:
        return f'<Film of {len(self)} pictures: .save("film.gif") or .save("film.html")>'

    def add(self, title: str = "") -> None:
        """A picture of the model as it is now."""
        self._frames.append((title, self._scores()))
        self._html = ""

    def _scores(self) -> t.Floats:
        """A Module's compiled, if these are its answers: it is faster by far."""
        import numpy as np

        if self._compiled is not None:
            found = self._compiled.values(self._plane.points)
            scores = np.stack(found, axis=1) if isinstance(found, list) else np.asarray(found)
            few = slice(None, None, max(1, len(scores) // CHECKED))
            if np.allclose(
                scores[few], self._plane.scores(self.model, few), rtol=1e-9, equal_nan=True
            ):
                return np.asarray(scores, dtype=float)
            self._compiled = None
        return self._plane.scores(self.model)

    def save(self, path: str | PathLike[str]) -> None:
        """Writes a film, which replaces one that is there.

        path: ends in .gif, or in .html for a player with buttons, which needs no network.

        Raises ValueError for another ending and for a film without pictures.
        """
        target = Path(fspath(path))
        if target.suffix.lower() == ".html":
            target.write_text(self._player(), encoding="utf-8")
        elif target.suffix.lower() == ".gif":
            from matplotlib.animation import PillowWriter

            self._animation(LAST).save(target, writer=PillowWriter(fps=self.fps), dpi=DPI)
        else:
            raise ValueError(f"path must end in .gif or .html, not {target.suffix!r}")

    def _repr_html_(self) -> str:
        return self._player()

    def _player(self) -> str:
        if not self._html:
            made = self._animation(1).to_jshtml(fps=self.fps, default_mode="once")
            self._html = _without_network(made)
        return self._html

    def _animation(self, last: int) -> t.FuncAnimation:
        """last: times that the last frame is shown."""
        from matplotlib.animation import FuncAnimation
        from matplotlib.figure import Figure

        if not self._frames:
            raise ValueError("the film has no pictures: call add() first")
        figure: Any = Figure(figsize=(5.6, 4.6), dpi=DPI)
        axes = figure.add_axes((0.12, 0.11, 0.85, 0.81))  # a layout found anew each time is slow

        def draw(k: int) -> list[Any]:
            title, scores = self._frames[k]
            axes.clear()
            self._plane.draw(axes, scores)
            axes.set_title(title)
            return []

        end = len(self._frames) - 1
        order = [*range(end), *[end] * last]
        return FuncAnimation(figure, draw, frames=order, init_func=list)


def _compiled(model: Any, points: t.Floats) -> Any:
    """A Module as a compiled function of the points; None for what cannot be compiled."""
    if not isinstance(model, Module):
        return None
    made = compile(lambda x: model(x), batch=True)  # type: ignore[operator]
    try:
        made.values(points)
    except (TypeError, TraceError):
        return None
    return made


def train(
    step: Callable[[int], Any],
    model: Callable[[list[float]], Any],
    X: t.ArrayLike,
    y: t.ArrayLike,
    *,
    steps: int = 100,
    frames: int = 40,
    margin: float = 0.5,
    resolution: int = 40,
    fps: int = 8,
) -> Film:
    """Trains, and films the decision boundary meanwhile; the Film, with all losses in `.losses`.

    step: called as step(0), step(1), ...: it trains once and returns the loss, a number or a
    Value, or a tuple that begins with it. steps: how often. frames: pictures at most, the first of
    the model before training, the last after it. model, X, y, margin, resolution: as in
    decision_boundary(). fps: pictures a second.

    Raises what step and decision_boundary() raise, TypeError for a loss that is no number,
    ImportError where Matplotlib is missing.
    """
    check_count("steps", steps, 1)
    check_count("frames", frames, 2)
    film = Film(model, X, y, margin=margin, resolution=resolution, fps=fps)
    shown = moments(steps, frames)
    film.add("before training")
    for k in range(steps):
        film.losses.append(_number(step(k)))
        if k + 1 in shown:
            film.add(f"step {k + 1}, loss {film.losses[-1]:.4f}")
    return film


def moments(steps: int, frames: int) -> set[int]:
    """After which steps there is a picture: evenly, the last always."""
    count = min(steps, frames - 1)
    return {round(steps * k / count) for k in range(1, count + 1)}


def _number(result: Any) -> float:
    loss = result[0] if isinstance(result, tuple) and result else result
    loss = loss.data if isinstance(loss, Value) else loss
    try:
        return float(loss)
    except (TypeError, ValueError):
        raise TypeError(
            f"step must return the loss, a number or a Value, not {type(loss).__name__!r}"
        ) from None


def _without_network(player: str) -> str:
    """Matplotlib's player with signs instead of the icons of a font that it would load."""
    player = re.sub(r"<link[^>]*>", "", player)
    for name, sign in SIGNS.items():
        player = player.replace(f'<i class="fa {name}"></i>', escape(sign))
    return player

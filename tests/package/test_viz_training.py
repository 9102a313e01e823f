"""Pictures of a training: the film of a decision boundary, and the landscape of a loss."""

import math
import re

import numpy as np
import pytest
from pages import chromium, open_pages

from micrograd_fast import Value, nn, optim, viz
from micrograd_fast.viz.film import moments

browser = pytest.fixture(chromium, scope="module")
opened = pytest.fixture(open_pages)

figures = pytest.importorskip("matplotlib.figure")
X = np.array([[-1.0, 0.5], [1.0, -0.5], [0.5, 1.0], [-0.5, -1.0]])
Y = np.array([-1.0, 1.0, 1.0, -1.0])


def axes():
    return figures.Figure().subplots()


class Line(nn.Module):
    """w * x0 + b: its boundary is where x0 is -b / w."""

    def __init__(self):
        self.w, self.b = Value(1.0), Value(0.5)

    def __call__(self, x):
        return self.w * x[0] + self.b


def training_of(model, rate=0.1):
    optimizer = optim.SGD(model.parameters(), lr=rate)

    def step(k):
        losses = [(model(x) - t) ** 2 for x, t in zip(X.tolist(), Y, strict=True)]
        loss = sum(losses) * (1.0 / len(losses))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


# ---- films ----


def test_train_trains_and_films_before_meanwhile_and_after():
    model, alone = Line(), Line()
    film = viz.train(training_of(model), model, X, Y, steps=7, frames=4, resolution=5)
    losses = [training.data for training in map(training_of(alone), range(7))]
    assert film.losses == losses
    assert (model.w.data, model.b.data) == (alone.w.data, alone.b.data)
    assert len(film) == 4
    assert repr(film) == '<Film of 4 pictures: .save("film.gif") or .save("film.html")>'


@pytest.mark.parametrize("steps", [1, 2, 5, 40, 1000])
@pytest.mark.parametrize("frames", [2, 3, 40])
def test_pictures_are_spread_evenly_and_the_last_is_there(steps, frames):
    found = sorted(moments(steps, frames))
    assert len(found) == min(steps, frames - 1)
    assert found[-1] == steps and found[0] >= 1
    gaps = np.diff([0, *found])
    assert gaps.max() - gaps.min() <= 1


def test_a_picture_is_of_the_model_as_it_was():
    model = Line()
    film = viz.Film(model, X, Y, resolution=3, margin=0.0)
    film.add()
    model.b.data = -4.0
    film.add()
    (_, first), (_, second) = film._frames
    assert first.tolist() == [-0.5, 0.5, 1.5] * 3
    assert second.tolist() == [-5.0, -4.0, -3.0] * 3


def test_a_module_of_many_classes_is_filmed_as_it_answers():
    model = nn.MLP(2, [4, 3])
    film = viz.Film(model, X, Y > 0, resolution=4)
    film.add()
    expected = [[v.data for v in model(p)] for p in film._plane.points.tolist()]
    assert film._compiled is not None
    assert np.allclose(film._frames[0][1], expected, rtol=1e-12)


def test_what_cannot_be_compiled_or_answers_otherwise_is_called_point_by_point():
    class Choice(Line):
        def __call__(self, x):
            return self.w * x[0] if x[0] > 0 else self.b * x[1]

    class ByType(Line):
        def __call__(self, x):
            return self.w * x[0] + (1.0 if isinstance(x[0], float) else 2.0)

    for model in (Choice(), ByType(), lambda x: Value(x[0])):
        film = viz.Film(model, X, Y, resolution=4)
        film.add()
        points = film._plane.points.tolist()
        assert film._frames[0][1].tolist() == [model(p).data for p in points]
        assert film._compiled is None


def test_a_gif_has_a_picture_for_each_frame_and_rests_at_the_last(tmp_path):
    image = pytest.importorskip("PIL.Image")
    model = Line()
    film = viz.train(training_of(model), model, X, Y, steps=3, frames=4, resolution=4)
    film.save(tmp_path / "film.gif")
    with image.open(tmp_path / "film.gif") as gif:
        lengths = []
        for k in range(gif.n_frames):
            gif.seek(k)
            lengths.append(gif.info["duration"])
    assert len(lengths) == 4
    assert lengths[-1] > 5 * lengths[0]


def test_the_player_needs_no_network(tmp_path):
    film = viz.Film(Line(), X, Y, resolution=4)
    film.add()
    film.add()
    film.save(tmp_path / "film.html")
    text = (tmp_path / "film.html").read_text("utf-8")
    assert text == film._repr_html_()
    assert text.count("data:image/png;base64") == 2
    assert "<link" not in text and 'class="fa ' not in text
    assert not re.search(r"https?://", text)


def test_the_player_plays_in_a_browser(opened):
    film = viz.Film(Line(), X, Y, resolution=4)
    film.add()
    film.model.b.data = 5.0
    film.add()
    tab = opened(f"<!doctype html><title>Film</title>{film._repr_html_()}")
    first = tab.locator("img").get_attribute("src")
    tab.locator("input[type=range]").fill("1")
    assert tab.locator("img").get_attribute("src") != first


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda m: viz.train(lambda k: None, m, X, Y), TypeError, "step must return the loss"),
        (lambda m: viz.train(lambda k: 0.0, m, X, Y, steps=0), ValueError, "steps must be at"),
        (lambda m: viz.train(lambda k: 0.0, m, X, Y, frames=1), ValueError, "frames must be at"),
        (lambda m: viz.Film(m, [1.0], Y), ValueError, r"X must have the shape \(n, 2\)"),
        (lambda m: viz.Film(m, X, Y, fps=0), ValueError, "fps must be at least 1"),
        (lambda m: viz.Film(m, X, Y).save("a.gif"), ValueError, "the film has no pictures"),
        (lambda m: viz.Film(m, X, Y).save("a.mp4"), ValueError, "path must end in .gif or .html"),
    ],
)
def test_bad_arguments_of_films_are_named(call, error, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=text):
        call(Line())
    assert list(tmp_path.iterdir()) == []


def test_a_loss_may_be_the_first_of_several_results():
    film = viz.train(lambda k: (Value(2.0), 0.5), Line(), X, Y, steps=1, resolution=2)
    assert film.losses == [2.0]


# ---- landscapes ----


def bowl():
    a, b = Value(1.0, label="a"), Value(-2.0, label="b")
    return a, b, lambda: a * a + 3 * b * b


def test_two_params_are_the_axes_and_stay_as_they_were():
    a, b, loss = bowl()
    shown = viz.loss_surface(loss, [a, b], span=2.0, resolution=5, axes=axes())
    assert (shown.get_xlabel(), shown.get_ylabel()) == ("a", "b")
    assert (shown.get_xlim(), shown.get_ylim()) == ((-1.0, 3.0), (-4.0, 0.0))
    cross = shown.lines[0]
    assert cross.get_xydata().tolist() == [[1.0, -2.0]]
    levels = shown.collections[0].levels
    assert (levels[0], levels[-1]) == (0.0, 9.0 + 48.0)
    assert (a.data, b.data) == (1.0, -2.0)


def test_two_of_many_params_are_chosen_by_themselves():
    a, b, loss = bowl()
    c = Value(5.0)
    shown = viz.loss_surface(loss, [a, c, b], along=[b, c], resolution=3, axes=axes())
    assert (shown.get_xlabel(), shown.get_ylabel()) == ("b", "params[1]")
    assert shown.get_xlim() == (-3.0, -1.0)


def test_random_directions_are_as_long_as_the_params_and_the_same_for_a_seed():
    values = [Value(float(k)) for k in range(5)]
    seen = []

    def loss():
        seen.append([v.data for v in values])
        return sum(v * v for v in values)

    viz.loss_surface(loss, values, resolution=2, axes=axes())
    first = list(seen)
    seen.clear()
    viz.loss_surface(loss, values, resolution=2, axes=axes())
    assert seen == first
    start = np.arange(5.0)
    right = (np.array(first[1]) - np.array(first[0])) / 2
    up = (np.array(first[2]) - np.array(first[0])) / 2
    assert np.linalg.norm(right) == pytest.approx(np.linalg.norm(start))
    assert np.linalg.norm(up) == pytest.approx(np.linalg.norm(start))
    assert right @ up == pytest.approx(0.0, abs=1e-9)
    assert np.allclose(np.mean(first, axis=0), start)


def test_a_path_is_drawn_in_the_plane_in_which_it_goes_farthest():
    values = [Value(0.0) for _ in range(4)]
    path = [[4.0, 0.0, 0.0, 0.0], [2.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]
    shown = viz.loss_surface(
        lambda: sum(v * v for v in values), values, path=path, resolution=3, axes=axes()
    )
    drawn = shown.lines[1].get_xydata()
    lengths = np.linalg.norm(np.diff(drawn, axis=0), axis=1)
    assert np.allclose(lengths, math.sqrt(5.0))  # nothing of it lies outside the plane
    assert np.allclose(drawn[-1], 0.0)
    assert shown.get_xlim()[1] == pytest.approx(1.25 * np.abs(drawn).max())


def test_a_path_that_stands_still_has_a_picture():
    a, b, loss = bowl()
    shown = viz.loss_surface(loss, [a, b], path=[[1.0, -2.0]], resolution=3, axes=axes())
    assert shown.get_xlim() == (0.0, 2.0)


def test_params_are_as_before_when_the_loss_raises():
    a, b, _ = bowl()

    def loss():
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        viz.loss_surface(loss, [a, b], axes=axes())
    assert (a.data, b.data) == (1.0, -2.0)


def test_a_loss_may_be_undefined_somewhere_and_not_everywhere():
    a, b, _ = bowl()
    shown = viz.loss_surface(lambda: a.log() * b, [a, b], span=2.0, resolution=5, axes=axes())
    assert np.isfinite(shown.collections[0].levels).all()
    with pytest.raises(ValueError, match="the loss is nowhere finite"):
        viz.loss_surface(lambda: math.nan, [a, b], resolution=2, axes=axes())


def test_a_flat_loss_is_drawn():
    a, b, _ = bowl()
    assert viz.loss_surface(lambda: 3.0, [a, b], resolution=2, axes=axes()).get_xlabel() == "a"


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"params": [Value(1.0)]}, ValueError, "params must be at least two Values, not 1"),
        ({"params": [1.0, Value(1.0)]}, TypeError, r"params\[0\] is 'float'"),
        ({"span": 0.0}, ValueError, "span must be above 0"),
        ({"resolution": 1}, ValueError, "resolution must be at least 2"),
        ({"along": [[1.0, 0.0]]}, ValueError, "along must be two params or two directions"),
        ({"along": [[1.0], [0.0]]}, ValueError, r"the shape \(2, 2\), not \(2, 1\)"),
        ({"along": [[1.0, 1.0], [2.0, 2.0]]}, ValueError, "neither is a multiple"),
        ({"along": [Value(1.0), Value(2.0)]}, ValueError, r"along\[0\] is none of the params"),
        ({"path": [[1.0]]}, ValueError, r"path must have the shape \(n, 2\), not \(1, 1\)"),
        ({"path": [[1.0, math.nan]]}, ValueError, "path must be finite"),
    ],
)
def test_bad_arguments_of_landscapes_are_named(options, error, text):
    a, b, loss = bowl()
    with pytest.raises(error, match=text):
        viz.loss_surface(**{"loss": loss, "params": [a, b], "axes": axes(), **options})

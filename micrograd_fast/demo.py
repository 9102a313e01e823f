"""What `micrograd-fast demo` runs: micrograd's moons demo, and handwritten digits.

Owns the training loops, the summary lines and the pictures. `run` is the only entry. The packages
of the `demo` extra are imported inside functions: a missing one is reported before any training.
Ctrl-C during training keeps what was reached: summary and picture show it, and so does the exit
code.
"""

from __future__ import annotations

import gc
import importlib
import random
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from micrograd_fast import functional, nn, optim, viz
from micrograd_fast.compiler import compile
from micrograd_fast.engine import Value, no_grad
from micrograd_fast.viz.film import moments

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MISSING_EXTRA = 2
FAILED = 1
INTERRUPTED = 130

MOONS_STEPS = 100
FRAMES = 40  # of a film
MICROGRAD_STEPS = 2  # micrograd takes about a second for each
OTHER_STEPS = 20  # of the engine that was not asked for

EPOCHS = 20
BATCH = 64
TEST_SHARE = 0.2
DIGITS_LR = 1e-2


class MissingExtraError(RuntimeError):
    """A package of the `demo` extra cannot be imported."""


@dataclass
class Training:
    """What a training loop reached: one entry a finished step in each list."""

    steps: int
    losses: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    interrupted: bool = False
    film: viz.Film | None = None


def run(
    data: str,
    *,
    engine: str = "eager",
    steps: int | None = None,
    seed: int = 1337,
    out: Path | None = None,
    gif: Path | None = None,
) -> int:
    """Run the demo on `data` ("moons" or "digits"); the exit code. No picture if `out` is None.

    engine: "eager" or "compiled" trains; the other one is timed on the first steps. gif: where a
    film of the training is written, of moons alone.
    """
    try:
        require_extra(plot=out is not None or gif is not None)
    except MissingExtraError as error:
        print(f"micrograd-fast: {error}", file=sys.stderr)
        return MISSING_EXTRA
    if data == "moons":
        steps = MOONS_STEPS if steps is None else steps
        training, figure = moons(engine, steps, seed, out is not None, gif is not None)
    else:
        training, figure = digits(engine, steps, seed, out is not None)
    if out is not None and not saved(out, "picture", lambda: figure.savefig(out, dpi=120)):
        return FAILED
    film = training.film
    if gif is not None and film and not saved(gif, "film", lambda: film.save(gif)):
        return FAILED
    return INTERRUPTED if training.interrupted else 0


def saved(path: Path, what: str, save: Callable[[], object]) -> bool:
    """Whether what was drawn could be written; it says so."""
    try:
        save()
    except OSError as error:
        print(f"micrograd-fast: cannot write {path}: {error.strerror}", file=sys.stderr)
        return False
    print(f"{what}: {path.resolve()}")
    return True


def require_extra(*, plot: bool) -> None:
    """Import what the demo needs beyond NumPy, or raise MissingExtraError with the cure."""
    wanted = ["sklearn.datasets", "sklearn.model_selection", "tqdm"]
    if plot:
        wanted.append("matplotlib.figure")
    for name in wanted:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise MissingExtraError(
                f"the demo needs packages that are not here ({error}): "
                "pip install 'micrograd-fast[demo]'"
            ) from error


def train(
    name: str,
    steps: int,
    step: Callable[[int], tuple[float, float]],
    film: viz.Film | None = None,
) -> Training:
    """Call step(0), step(1), ... under a progress bar; each returns its loss and accuracy."""
    from tqdm import tqdm

    training = Training(steps, film=film)
    shown = moments(steps, FRAMES)
    if film is not None:
        film.add("before training")
    with tqdm(total=steps, desc=name, unit="step", dynamic_ncols=True) as bar:
        try:
            for k in range(steps):
                start = perf_counter()
                loss, accuracy = step(k)
                training.seconds.append(perf_counter() - start)
                training.losses.append(loss)
                training.accuracies.append(accuracy)
                bar.set_postfix_str(f"loss {loss:.4f}, accuracy {accuracy:.1%}", refresh=False)
                bar.update()
                if film is not None and k + 1 in shown:
                    film.add(f"step {k + 1}, loss {loss:.4f}, accuracy {accuracy:.0%}")
        except KeyboardInterrupt:
            training.interrupted = True
    return training


def report(name: str, training: Training) -> None:
    """Print what training reached and the time that a step took."""
    done = len(training.losses)
    stopped = " (interrupted)" if training.interrupted else ""
    print(f"{name}: {done} of {training.steps} steps{stopped}", end="")
    if not done:
        print()
        return
    print(f", loss {training.losses[-1]:.6f}, accuracy {training.accuracies[-1]:.1%}")
    print(f"time per step: {milliseconds(statistics.median(training.seconds))} (median of {done})")


def milliseconds(seconds: float) -> str:
    if seconds < 1e-3:
        return f"{1e3 * seconds:.3f} ms"
    return f"{1e3 * seconds:.2f} ms" if seconds < 0.1 else f"{1e3 * seconds:.0f} ms"


def time_other(training: Training, engine: str, step: Callable[[int], tuple[float, float]]) -> None:
    """Time the engine that was not asked for on the first steps of the same training."""
    steps = min(OTHER_STEPS, len(training.losses))
    seconds, losses = [], []
    for k in range(steps):
        start = perf_counter()
        losses.append(step(k)[0])
        seconds.append(perf_counter() - start)
    same = np.allclose(losses, training.losses[:steps], rtol=1e-9, atol=0.0)
    print(
        f"the {engine} engine: {milliseconds(statistics.median(seconds))} per step "
        f"(median of {steps}), "
        f"{'the same losses to 1e-9' if same else f'DIFFERENT losses: {losses}'}"
    )


# ---- moons: micrograd's demo.ipynb ---------------------------------------------------------------


def moons(
    engine: str, steps: int, seed: int, plot: bool, filmed: bool = False
) -> tuple[Training, Any]:
    """Train on the moons, print the summary; the training and its figure (None without plot)."""
    from sklearn.datasets import make_moons

    np.random.seed(seed)
    X, y = make_moons(n_samples=100, noise=0.1)
    y = y * 2 - 1  # make y be -1 or 1

    def steps_of(which: str) -> tuple[nn.MLP, Callable[[int], tuple[float, float]]]:
        random.seed(seed)
        model = nn.MLP(2, [16, 16, 1])
        if which == "compiled":
            return model, compiled_moons(model, X, y)
        return model, lambda k: moons_step(Value, model, X, y, k)

    model, step = steps_of(engine)
    print(f"moons: 100 samples, MLP(2, [16, 16, 1]) with {len(model.parameters())} parameters")
    film = viz.Film(model, X, y) if filmed else None
    training = train(f"moons, {engine}", steps, step, film)
    report("moons", training)
    if training.losses and not training.interrupted:
        try:
            other = "eager" if engine == "compiled" else "compiled"
            time_other(training, other, steps_of(other)[1])
            compare_with_micrograd(training, X, y, seed)
        except KeyboardInterrupt:
            training.interrupted = True
    return training, moons_figure(model, X, y, training) if plot else None


def compiled_moons(model: nn.MLP, X: Floats, y: Ints) -> Callable[[int], tuple[float, float]]:
    """Steps of the moons model, the loss compiled: traced once, replayed over the whole batch."""
    alpha = 1e-4
    optimizer = optim.SGD(model.parameters())
    targets = y.astype(float)
    hinge = compile(lambda x, t: (1 + -t * model(x)).relu(), batch=True)
    penalty = compile(lambda: alpha * sum(p * p for p in model.parameters()))

    def step(k: int) -> tuple[float, float]:
        losses = hinge(X, targets)
        total_loss = losses.mean() + penalty()
        optimizer.zero_grad()
        total_loss.backward()
        optimizer.lr = max(0.1, 1.0 - 0.9 * k / 100)
        optimizer.step()
        # A loss below 1 is a score on the right side of 0.
        return total_loss.data, float((losses.data < 1.0).mean())

    return step


def moons_step(value: Any, model: Any, X: Floats, y: Ints, k: int) -> tuple[float, float]:
    """Step k, line for line as micrograd's notebook writes it, on either engine; loss, accuracy."""
    inputs = [list(map(value, xrow)) for xrow in X]

    # forward the model to get scores
    scores = list(map(model, inputs))

    # svm "max-margin" loss
    losses = [(1 + -yi * scorei).relu() for yi, scorei in zip(y, scores, strict=True)]
    data_loss = sum(losses) * (1.0 / len(losses))
    # L2 regularization
    alpha = 1e-4
    reg_loss = alpha * sum(p * p for p in model.parameters())
    total_loss = data_loss + reg_loss

    # also get accuracy
    accuracy = [(yi > 0) == (scorei.data > 0) for yi, scorei in zip(y, scores, strict=True)]

    # backward
    model.zero_grad()
    total_loss.backward()

    # update (sgd); past the notebook's 100 steps the rate stays where its schedule ends
    learning_rate = max(0.1, 1.0 - 0.9 * k / 100)
    for p in model.parameters():
        p.data -= learning_rate * p.grad

    return float(total_loss.data), float(sum(accuracy) / len(accuracy))


def compare_with_micrograd(training: Training, X: Floats, y: Ints, seed: int) -> None:
    """Time micrograd on the first steps of the same training and print the ratio."""
    try:
        from micrograd.engine import Value as MicrogradValue
        from micrograd.nn import MLP as MicrogradMLP
    except ImportError:
        print("micrograd is not installed here: no ratio (pip install micrograd==0.1.0)")
        return
    steps = min(MICROGRAD_STEPS, len(training.losses))
    print(f"micrograd itself, {steps} of the same steps ...", flush=True)
    # make_moons draws from NumPy's generator, so this alone gives the same weights again.
    random.seed(seed)
    model = MicrogradMLP(2, [16, 16, 1])
    seconds: list[float] = []
    losses: list[float] = []
    for k in range(steps):
        start = perf_counter()
        losses.append(moons_step(MicrogradValue, model, X, y, k)[0])
        seconds.append(perf_counter() - start)
    same = np.allclose(losses, training.losses[:steps], rtol=1e-9, atol=0.0)
    collector = "on, as Python starts it" if gc.isenabled() else "off"
    theirs = statistics.median(seconds)
    ratio = theirs / statistics.median(training.seconds)
    print(
        f"micrograd {metadata.version('micrograd')}: {milliseconds(theirs)} per step "
        f"(garbage collector {collector}), "
        f"{'the same losses to 1e-9' if same else f'DIFFERENT losses: {losses}'}"
    )
    print(f"ratio: micrograd_fast's step is {ratio:.{0 if ratio >= 10 else 1}f} times as fast")


def moons_figure(model: Any, X: Floats, y: Ints, training: Training) -> Any:
    """The decision boundary over the samples, and the way there."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    boundary, course = figure.subplots(1, 2, width_ratios=(3, 2))
    viz.decision_boundary(model, X, y, axes=boundary)
    accuracy = f", accuracy {training.accuracies[-1]:.1%}" if training.accuracies else ""
    boundary.set_title(f"Decision boundary after {len(training.losses)} steps{accuracy}")
    if training.losses:
        viz.training_curve(training.losses, axes=course, accuracy=training.accuracies)
    course.set_title("Training")
    return figure


# ---- digits: scikit-learn's 1797 scans -----------------------------------------------------------


def digits(engine: str, steps: int | None, seed: int, plot: bool) -> tuple[Training, Any]:
    """Train on the digits, print the summary; the training and its figure (None without plot)."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X / 16.0, y, test_size=TEST_SHARE, stratify=y, random_state=seed
    )
    if steps is None:
        steps = EPOCHS * -(-len(X_train) // BATCH)

    def steps_of(which: str) -> tuple[nn.MLP, Callable[[int], tuple[float, float]]]:
        random.seed(seed)
        model = nn.MLP(64, [32, 10])
        shrink_weights(model)
        step = compiled_digits if which == "compiled" else eager_digits
        return model, step(model, X_train, y_train, batches(len(X_train), seed))

    model, step = steps_of(engine)
    print(
        f"digits: {len(X_train)} for training, {len(X_test)} held out, "
        f"MLP(64, [32, 10]) with {len(model.parameters())} parameters"
    )
    start = perf_counter()
    training = train(f"digits, {engine}", steps, step)
    report("digits", training)
    predicted = predict(model, X_test)
    right = float((predicted == y_test).mean())
    print(f"test accuracy: {right:.1%} of {len(y_test)} held-out digits")
    print(f"training and test: {perf_counter() - start:.1f} s")
    if training.losses and not training.interrupted:
        try:
            other = "eager" if engine == "compiled" else "compiled"
            time_other(training, other, steps_of(other)[1])
        except KeyboardInterrupt:
            training.interrupted = True
    return training, digits_figure(X_test, y_test, predicted) if plot else None


def eager_digits(
    model: nn.MLP, X: Floats, y: Ints, order: Iterator[list[int]]
) -> Callable[[int], tuple[float, float]]:
    """Steps over mini-batches, sample by sample."""
    optimizer = optim.Adam(model.parameters(), lr=DIGITS_LR)
    rows: list[list[float]] = X.tolist()
    targets: list[int] = y.tolist()

    def step(k: int) -> tuple[float, float]:
        batch = next(order)
        return digits_step(model, optimizer, [rows[i] for i in batch], [targets[i] for i in batch])

    return step


def compiled_digits(
    model: nn.MLP, X: Floats, y: Ints, order: Iterator[list[int]]
) -> Callable[[int], tuple[float, float]]:
    """Steps over mini-batches, the loss compiled; a class is an input that picks a logit."""
    optimizer = optim.Adam(model.parameters(), lr=DIGITS_LR)
    cross_entropy = compile(lambda x, t: functional.cross_entropy(model(x), t), batch=True)

    def step(k: int) -> tuple[float, float]:
        batch = next(order)
        losses = cross_entropy(X[batch], y[batch])
        loss = losses.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        # Only the likeliest class can have a probability over one half; a close call counts wrong.
        return loss.data, float((losses.data < np.log(2.0)).mean())

    return step


def shrink_weights(model: nn.MLP) -> None:
    """Divide each neuron's weights by the root of their number.

    micrograd draws from (-1, 1) whatever the number of inputs; with 64 of them the first layer
    would start saturated, and the same steps would end one percent lower on the test digits.
    """
    for layer in model.layers:
        for neuron in layer.neurons:
            for w in neuron.w:
                w.data /= len(neuron.w) ** 0.5


def batches(samples: int, seed: int) -> Iterator[list[int]]:
    """Indices of one mini-batch after another, each sample once an epoch, for ever."""
    generator = np.random.default_rng(seed)
    while True:
        shuffled = generator.permutation(samples).tolist()
        for start in range(0, samples, BATCH):
            yield shuffled[start : start + BATCH]


def digits_step(
    model: nn.MLP, optimizer: optim.Adam, rows: list[list[float]], targets: list[int]
) -> tuple[float, float]:
    """One mini-batch; its loss and its accuracy before the update."""
    outputs = [model(row) for row in rows]
    pairs = list(zip(outputs, targets, strict=True))
    loss = functional.mean([functional.cross_entropy(logits, target) for logits, target in pairs])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    right = sum(largest(logits) == target for logits, target in pairs)
    return float(loss.data), right / len(pairs)


def largest(logits: list[Value]) -> int:
    return max(range(len(logits)), key=lambda c: logits[c].data)


def predict(model: nn.MLP, X: Floats) -> Ints:
    with no_grad():
        return np.array([largest(model(row)) for row in X.tolist()])


def digits_figure(X: Floats, y: Ints, predicted: Ints) -> Any:
    """Held-out digits with what was read in them, up to eight mistakes last, and the confusion."""
    from matplotlib.figure import Figure
    from sklearn.metrics import ConfusionMatrixDisplay

    wrong = np.flatnonzero(predicted != y)[:8]
    correct = np.flatnonzero(predicted == y)[: 40 - len(wrong)]
    figure: Any = Figure(figsize=(12, 5.5), layout="constrained")
    left, right = figure.subfigures(1, 2)
    left.suptitle("Held-out digits and what was read; last, in red, mistakes: read (true)")
    cells = left.subplots(5, 8).ravel()
    for cell in cells:
        cell.set_axis_off()
    for cell, i in zip(cells, [*correct, *wrong], strict=False):
        cell.imshow(X[i].reshape(8, 8), cmap="gray_r", vmin=0.0, vmax=1.0)
        read_right = predicted[i] == y[i]
        text = str(predicted[i]) if read_right else f"{predicted[i]} ({y[i]})"
        cell.set_title(text, fontsize=10, color="black" if read_right else "red", pad=2)

    axes = right.subplots()
    confusion = ConfusionMatrixDisplay.from_predictions(
        y, predicted, labels=range(10), ax=axes, cmap="Blues", colorbar=False
    )
    for cell in confusion.text_.ravel():
        cell.set_visible(cell.get_text() != "0")
    title = f"{(predicted == y).mean():.1%} of {len(y)} right"
    axes.set(xlabel="read as", ylabel="true digit", title=title)
    return figure

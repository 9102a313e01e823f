"""The pictures: who is how much faster, a bar a workload, and time per node against nodes."""

import matplotlib

matplotlib.use("Agg")

import textwrap

import matplotlib.pyplot as plt

from .reading import LEVEL, Reading, time, workload_words
from .texts import short

OURS = "#1b7f3b"
THEIRS = "#c0561b"
OTHERS = "#8a94a6"
COLOURS = {
    "eager": OURS,
    "compiled": "#0b5d8c",
    "micrograd": "#c0392b",
    "pure": "#e08e0b",
    "torch": "#7d3c98",
    "autograd": "#5d6d7e",
}
PHASES = {"build": "building it", "backward": "going backward", "free": "freeing it"}


def save(run, path):
    """Write path and, where series were measured, path with -scaling in its name."""
    reading = Reading(run)
    path.parent.mkdir(parents=True, exist_ok=True)
    written = []
    if any(reading.best(w) for w in reading.single()):
        save_figure(leads(reading), run, path)
        written.append(path)
    series = [r for r in reading.ok.values() if r["size"] is not None]
    if series:
        scaling_path = path.with_name(f"{path.stem}-scaling{path.suffix or '.png'}")
        save_figure(scaling(series, reading), run, scaling_path)
        written.append(scaling_path)
    return written


def save_figure(figure, run, path):
    machine = run["machine"]
    text = f"{machine['cpu']}, {machine['threads']} thread(s) each, {machine['date'][:10]}"
    figure.text(0.99, 0.004, text, ha="right", fontsize=8, color="#666666")
    figure.savefig(path, dpi=130)
    plt.close(figure)


def leads(reading):
    """A bar a workload: to the right where ours is faster than the best of the others, to the
    left where that one is faster than ours. The scale is logarithmic."""
    found = []
    for workload in reading.single():
        best = reading.best(workload)
        if best:
            found.append((time(best) / time(reading.ours(workload)), workload, best))
    found.sort(key=lambda item: item[0])
    figure, axis = plt.subplots(figsize=(10.5, 1.6 + 0.36 * len(found)), layout="constrained")
    for place, (ratio, _, best) in enumerate(found):
        axis.barh(place, ratio - 1, left=1, color=OURS if ratio >= 1 else THEIRS, height=0.66)
        name = reading.words(best["row"]).replace("`", "")
        label = (
            f"{short(max(ratio, 1 / ratio))} x {'faster' if ratio >= 1 else 'slower'} than {name}"
        )
        if 1 / LEVEL <= ratio <= LEVEL:
            label = f"as fast as {name}"
        side = {"ha": "left"} if ratio >= 1 else {"ha": "right"}
        shift = 1.06 if ratio >= 1 else 1 / 1.06
        axis.text(ratio * shift, place, label, va="center", fontsize=8, **side)
    axis.set_yticks(range(len(found)))
    axis.set_yticklabels(
        ["\n".join(textwrap.wrap(workload_words(w), 52)) for _, w, _ in found], fontsize=8
    )
    axis.axvline(1, color="#333333", linewidth=1)
    axis.set_xscale("log")
    low, high = min(1, found[0][0]), max(1, found[-1][0])
    axis.set_xlim(low / 30, high * 30)  # room for the labels
    axis.set_ylim(-0.7, len(found) - 0.3)
    ticks = [t for t in (0.01, 0.1, 0.2, 0.5, 1, 2, 5, 10, 100) if low / 2 <= t <= high * 2]
    axis.set_xticks(ticks)
    axis.set_xticklabels([tick_text(t) for t in ticks])
    axis.minorticks_off()
    axis.tick_params(length=0, labelsize=8)
    axis.set_title(
        "micrograd_fast beside the fastest other engine that we know for the same work\n"
        "green: micrograd_fast is faster;  orange: the other one is",
        fontsize=10,
        loc="left",
    )
    axis.set_xlabel("how many times faster or slower (log scale)", fontsize=8)
    axis.spines[["top", "right", "left"]].set_visible(False)
    return figure


def tick_text(ratio):
    if ratio == 1:
        return "equal"
    return f"{short(max(ratio, 1 / ratio)).rstrip('0').rstrip('.')} x"


def scaling(results, reading):
    """For every series: build, backward, free and memory, per node, against nodes."""
    names = list(dict.fromkeys(r["workload"] for r in results))
    figure, axes = plt.subplots(
        len(names), 4, figsize=(16, 3.8 * len(names)), layout="constrained", squeeze=False
    )
    for line, name in zip(axes, names, strict=True):
        found = [r for r in results if r["workload"] == name]
        words = workload_words(name)
        for axis, phase in zip(line, PHASES, strict=False):
            curves(axis, found, reading, lambda r, p=phase: 1e9 * r["phases"][p] / r["size"])
            axis.set_title(f"{words}: {PHASES[phase]}", fontsize=11, loc="left")
            axis.set_ylabel("nanoseconds a node")
        curves(line[3], found, reading, lambda r: r["memory"] / r["size"])
        line[3].set_title(f"{words}: memory", fontsize=11, loc="left")
        line[3].set_ylabel("bytes a node")
    handles = {}
    for axis in axes.flat:
        handles.update(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=8)
    return figure


def curves(axis, results, reading, value):
    for row in dict.fromkeys(r["row"] for r in results):
        found = [r for r in results if r["row"] == row and value(r) > 0]
        engine = found[0]["engine"] if found else ""
        plain = row == engine
        axis.plot(
            [r["size"] for r in found],
            [value(r) for r in found],
            marker="o",
            markersize=4,
            linestyle="-" if plain else "--",
            linewidth=2.4 if engine in ("eager", "compiled") else 1.3,
            color=COLOURS.get(engine, OTHERS),
            label=reading.words(row),
        )
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("nodes in the graph (N)")
    axis.grid(True, which="major", alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)

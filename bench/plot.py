"""The plots: one panel a workload, and time per node against nodes."""

import matplotlib

matplotlib.use("Agg")

import math

import matplotlib.pyplot as plt

from .texts import time_text

OURS = "#1b7f3b"
OTHERS = "#8a94a6"
COLOURS = {
    "eager": OURS,
    "compiled": "#0b5d8c",
    "micrograd": "#c0392b",
    "pure": "#e08e0b",
    "torch": "#7d3c98",
    "autograd": "#5d6d7e",
}


def save(run, path):
    """Write path and, where series were measured, path with -scaling in its name."""
    results = [r for r in run["results"] if r["status"] == "ok" and not r.get("control")]
    single = [r for r in results if r["size"] is None]
    series = [r for r in results if r["size"] is not None]
    path.parent.mkdir(parents=True, exist_ok=True)
    written = []
    if single:
        save_figure(panels(single), run, path)
        written.append(path)
    if series:
        scaling_path = path.with_name(f"{path.stem}-scaling{path.suffix or '.png'}")
        save_figure(scaling(series), run, scaling_path)
        written.append(scaling_path)
    return written


def save_figure(figure, run, path):
    machine = run["machine"]
    text = f"{machine['cpu']}, {machine['threads']} thread(s) each, {machine['date'][:10]}"
    figure.suptitle(text, x=0.995, ha="right", fontsize=8, color="#666666")
    figure.savefig(path, dpi=130)
    plt.close(figure)


def panels(results):
    """Bars on a log scale, fastest on top, each with its time."""
    names = list(dict.fromkeys(r["workload"] for r in results))
    columns = min(3, len(names))
    rows = math.ceil(len(names) / columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(5.2 * columns, 3.4 * rows), layout="constrained", squeeze=False
    )
    for axis in axes.flat[len(names) :]:
        axis.set_axis_off()
    for axis, name in zip(axes.flat, names, strict=False):
        panel(axis, name, [r for r in results if r["workload"] == name])
    return figure


def panel(axis, name, results):
    results = sorted(results, key=lambda r: -r["seconds"]["median"])
    medians = [r["seconds"]["median"] for r in results]
    colours = [
        COLOURS[r["engine"]] if r["engine"] in ("eager", "compiled") else OTHERS for r in results
    ]
    bars = axis.barh([r["row"] for r in results], medians, color=colours, height=0.7)
    labels = [
        ("~" if r["share"] < 1 else "") + time_text(m)
        for r, m in zip(results, medians, strict=True)
    ]
    axis.bar_label(bars, labels, padding=3, fontsize=8)
    axis.set_xscale("log")
    axis.set_xlim(min(medians) / 2, max(medians) * 12)
    axis.set_title(name, fontsize=11, fontweight="bold", loc="left")
    axis.set_xlabel("seconds (log scale)", fontsize=8)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)


def scaling(results):
    """For every series: build, backward, free and memory, per node, against nodes."""
    names = list(dict.fromkeys(r["workload"] for r in results))
    phases = ("build", "backward", "free")
    figure, axes = plt.subplots(
        len(names), 4, figsize=(16, 3.8 * len(names)), layout="constrained", squeeze=False
    )
    for line, name in zip(axes, names, strict=True):
        found = [r for r in results if r["workload"] == name]
        for axis, phase in zip(line, phases, strict=False):
            curves(axis, found, lambda r, p=phase: 1e9 * r["phases"][p] / r["size"])
            axis.set_title(f"{name}: {phase}", fontsize=11, fontweight="bold", loc="left")
            axis.set_ylabel("ns per node")
        curves(line[3], found, lambda r: r["memory"] / r["size"])
        line[3].set_title(f"{name}: peak memory", fontsize=11, fontweight="bold", loc="left")
        line[3].set_ylabel("bytes per node")
    handles = {}
    for axis in axes.flat:
        handles.update(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=8)
    return figure


def curves(axis, results, value):
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
            label=row,
        )
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("nodes")
    axis.grid(True, which="major", alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)

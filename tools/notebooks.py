"""Makes examples/*.ipynb of examples/*.py, and runs them.

Usage: notebooks.py [--tiny] [NAME ...]

A script is cut at its `# %%` lines; `# %% [markdown]` cells are text. Each notebook is executed and
saved with its output, progress bars as they ended. With --tiny nothing is saved: the notebooks that
are there are executed with small numbers in place of those of their `parameters` cell. Needs
micrograd-fast[examples].
"""

import argparse
import json
import re
import sys
import tempfile
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
TINY = {
    "STEPS": 2,
    "EPOCHS": 1,
    "EAGER_STEPS": 2,
    "COMPILED_STEPS": 5,
    "OPTIONS": 100,
    "PATIENTS": 60,
    "NUMBERS": 10,
    "POINTS": 5,
}
SECONDS = 600
AUTO, TEXT = "from tqdm.auto import tqdm", "from tqdm import tqdm"
BAR = re.compile(r"\d+%\|.*\|")


def cells(script):
    """(type, tags, text) of each cell of a script."""
    head, *parts = re.split(r"^# %%(.*)\n", script, flags=re.M)
    if head.strip():
        raise ValueError("the script starts before its first # %%")
    for options, text in zip(parts[::2], parts[1::2], strict=True):
        text = text.strip("\n")
        if "[markdown]" in options:
            yield "markdown", [], re.sub(r"^# ?", "", text, flags=re.M)
        else:
            yield "code", ["parameters"] if "parameters" in options else [], text


def notebook(script):
    """The notebook of a script, without output, as nbformat 4.5 has it."""
    found = []
    for k, (kind, tags, text) in enumerate(cells(script)):
        cell = {"cell_type": kind, "id": f"cell-{k}", "metadata": {}, "source": text}
        if kind == "code":
            cell |= {"execution_count": None, "outputs": []}
        if tags:
            cell["metadata"] = {"tags": tags}
        found.append(cell)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": found, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def shrink(text):
    """The code of a parameters cell with small numbers in it."""

    def small(match):
        return f"{match[1]} = {TINY[match[1]]}"

    return re.sub(r"^(\w+) = [\d_]+$", small, text, flags=re.M)


def execute(book, folder):
    """Run a notebook in a kernel of this Python, in `folder`; raises where a cell fails."""
    import nbformat
    from nbclient import NotebookClient

    ready = nbformat.from_dict(book)
    for cell in ready.cells:  # bars as text: a widget is nothing to who reads the file
        cell.source = cell.source.replace(AUTO, TEXT)
    resources = {"metadata": {"path": folder}}
    NotebookClient(ready, timeout=SECONDS, kernel_name="python3", resources=resources).execute()
    for cell in ready.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [*filter(None, map(ended, cell.outputs))]
        cell.source = cell.source.replace(TEXT, AUTO)
    return ready


def ended(output):
    """An output without what came before the last state of each progress bar; None: nothing is
    left. What else stands on stderr are warnings of others, with paths of this machine."""
    if output.get("name") != "stderr":
        return output
    lines = [line.rpartition("\r")[2].rstrip() for line in output["text"].split("\n")]
    bars = [line for line in lines if BAR.search(line)]
    return {**output, "text": "".join(f"{bar}\n" for bar in bars)} if bars else None


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tiny", action="store_true", help="run what is there, save nothing")
    parser.add_argument("names", nargs="*", metavar="NAME", help="an example (default: all)")
    args = parser.parse_args(argv)
    for name in args.names or sorted(path.stem for path in EXAMPLES.glob("*.py")):
        print(name, flush=True)
        target = EXAMPLES / f"{name}.ipynb"
        with tempfile.TemporaryDirectory() as folder:
            if args.tiny:
                book = json.loads(target.read_text("utf-8"))
                for cell in book["cells"]:
                    if "parameters" in cell["metadata"].get("tags", []):
                        cell["source"] = shrink("".join(cell["source"]))
                execute(book, folder)
                continue
            book = notebook((EXAMPLES / f"{name}.py").read_text("utf-8"))
            executed = execute(book, folder)
        text = json.dumps(executed, indent=1, sort_keys=True, ensure_ascii=False)
        target.write_text(text + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Finds the engines and the workloads: one file each, nothing to register.

Engine files import their libraries at the top, and the parent process must not: what it needs to
know about an engine (literals at the top level, and the names in CASES) is read from the source.
"""

import ast
import importlib
import importlib.util
import shutil
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
LITERALS = ("REQUIRES", "INSTALL", "IMPORT", "ROWS", "CONTROL", "LEFT_OUT")
FIRST = ("eager", "compiled", "micrograd", "pure")
ORDER = (
    *("tiny", "small", "moons", "digits", "mnist_size", "names", "rosenbrock", "black_scholes"),
    *("lstm", "lstm_large", "gmm", "gmm_large", "libor", "lennard_jones"),
    *("rosenbrock_hessian", "oscillator", "lotka_volterra", "brusselator", "moons_hvp"),
    *("options", "functions"),
    *("kmeans", "hand", "hand_large", "hand_complicated", "ba", "ba_large"),
)


@dataclass(frozen=True)
class Row:
    """One line of the tables: an engine with one set of options."""

    name: str
    engine: str
    options: dict = field(default_factory=dict)
    only: tuple[str, ...] = ()
    rtol: float = 1e-9
    collector: bool = True
    not_quick: tuple[str, ...] = ()
    left_out: dict = field(default_factory=dict)
    requires: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    install: str = ""
    control: bool = False
    words: str = ""  # the name that readers know
    why: str = ""  # what makes it faster than ours where it is, in one line

    def spared(self, workload, mode):
        """Why this row does not do a workload that it has, in this mode; empty if it does."""
        if mode == "toy":
            return ""
        if mode == "quick" and ("*" in self.not_quick or workload in self.not_quick):
            return "left out by --quick"
        return self.left_out.get(workload, "")

    def missing(self):
        """What keeps this row from running here, as a line for the user; empty if nothing."""
        absent = [m for m in self.requires if importlib.util.find_spec(m) is None]
        if absent:
            return f"{self.name}: {', '.join(absent)} not installed ({self.install})"
        absent = [p for p in self.programs if shutil.which(p) is None]
        if absent:
            return f"{self.name}: needs the program {', '.join(absent)}"
        return ""


@dataclass(frozen=True)
class Engine:
    name: str
    rows: tuple[Row, ...]
    workloads: frozenset[str]
    IMPORT: str = ""


@dataclass(frozen=True)
class Problem:
    """One workload at one size: what is timed together in one table."""

    workload: str
    size: int | None
    arguments: dict

    @property
    def label(self):
        return self.workload if self.size is None else f"{self.workload} {self.size:,}"


def names_in(folder):
    return sorted(p.stem for p in (HERE / folder).glob("*.py") if not p.stem.startswith("_"))


def read_engine(name):
    tree = ast.parse((HERE / "engines" / f"{name}.py").read_text())
    found = {}
    workloads = set()
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            target = node.targets[0].id
            if target in LITERALS:
                found[target] = ast.literal_eval(node.value)
            elif target == "CASES":
                workloads = {ast.literal_eval(key) for key in node.value.keys}
    requires, install = tuple(found["REQUIRES"]), found["INSTALL"]
    if found.get("IMPORT"):
        workloads.add("import")
    rows = []
    for row_name, settings in found["ROWS"].items():
        settings = dict(settings)
        extra = tuple(settings.pop("requires", ()))
        left_out = found.get("LEFT_OUT", {}) | settings.pop("left_out", {})
        rows.append(
            Row(
                row_name,
                name,
                requires=requires + extra,
                install=install,
                control=found.get("CONTROL", False),
                left_out=left_out,
                **settings,
            )
        )
    return Engine(name, tuple(rows), frozenset(workloads), found.get("IMPORT", ""))


def engines():
    """All engines by name: this project first, then micrograd and pure, then the others."""
    known = names_in("engines")
    order = [n for n in FIRST if n in known] + [n for n in known if n not in FIRST]
    return {name: read_engine(name) for name in order}


def load_workload(name):
    """The module of a workload, by the name that users type."""
    return importlib.import_module(f"bench.workloads.{'imports' if name == 'import' else name}")


def workloads():
    """Their names, the single problems first, the series and the import last."""
    known = ["import" if n == "imports" else n for n in names_in("workloads")]
    late = [n for n in ("chain", "fan", "import") if n in known]
    middle = [n for n in known if n not in ORDER and n not in late]
    return [n for n in ORDER if n in known] + middle + late


def problems(name, mode):
    """The sizes of a workload; mode is full, quick or toy."""
    module = load_workload(name)
    series = getattr(module, "SERIES", None)
    if series is not None:
        return [Problem(name, n, {"nodes": n}) for n in series[mode]]
    return [Problem(name, None, module.TOY if mode == "toy" else module.FULL)]


def workload_missing(name):
    """What keeps a workload from running here; empty if nothing."""
    module = load_workload(name)
    absent = [m for m in getattr(module, "REQUIRES", ()) if importlib.util.find_spec(m) is None]
    return f"{name}: {', '.join(absent)} not installed ({module.INSTALL})" if absent else ""


def runs(row, engine, workload):
    """Whether this row has this workload."""
    if row.control:
        return workload != "import"
    if workload == "import":
        return "import" in engine.workloads and row.name == engine.rows[0].name
    if workload not in engine.workloads:
        return False
    return not row.only or workload in row.only or workload in row.left_out


def make_case(row, problem, data):
    """Import the engine and build its case; for the child process and the tests."""
    workload = load_workload(problem.workload)
    if hasattr(workload, "case") and not row.control:
        return workload.case(read_engine(row.engine))
    module = importlib.import_module(f"bench.engines.{row.engine}")
    cases = module.CASES
    return cases["*" if row.control else problem.workload](data, **row.options)

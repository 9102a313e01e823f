"""What a saved run says: who is fastest, who is ahead, and by how much."""

import json
from pathlib import Path

from . import registry

RESULTS = Path(__file__).parent / "results"
OURS = ("compiled", "eager")
LEVEL = 1.03  # closer than this is no lead


def newest():
    """The saved run that the documents are written from: names begin with the date."""
    return max(RESULTS.glob("*.json"))


def half(result):
    """Whether it computes in half the digits."""
    return "float32" in result["row"]


class Reading:
    """One saved run, by workload and row. Only what was measured counts, never the control."""

    def __init__(self, run):
        self.run = run
        self.machine = run["machine"]
        self.results = [r for r in run["results"] if not r.get("control")]
        self.ok = {
            (r["workload"], r["row"], r["size"]): r for r in self.results if r["status"] == "ok"
        }
        self.rows = {row.name: row for e in registry.engines().values() for row in e.rows}

    @classmethod
    def load(cls, path):
        return cls(json.loads(Path(path).read_text("utf-8")))

    def find(self, workload, row):
        """The result, or None where it has no figure."""
        return self.ok.get((workload, row, None))

    def seconds(self, workload, row):
        return self.ok[workload, row, None]["seconds"]["median"]

    def single(self):
        """Workloads of one size, but for the import."""
        names = dict.fromkeys(r["workload"] for r in self.results if r["size"] is None)
        return [n for n in names if n != "import" and self.ours(n)]

    def series(self):
        return list(dict.fromkeys(r["workload"] for r in self.results if r["size"] is not None))

    def ours(self, workload):
        """The faster of `eager` and `compiled`."""
        return min(filter(None, (self.find(workload, row) for row in OURS)), key=time, default=None)

    def peers(self, workload):
        """All that others measured, the fastest first."""
        found = [r for (w, _, size), r in self.ok.items() if w == workload and size is None]
        return sorted((r for r in found if r["engine"] not in OURS), key=time)

    def best(self, workload):
        """The fastest of the others in full precision, or None."""
        return next((r for r in self.peers(workload) if not half(r)), None)

    def ahead(self, workload):
        """Those of the others that are faster than ours, with how many times."""
        ours = time(self.ours(workload))
        return [(r, ours / time(r)) for r in self.peers(workload) if ours > LEVEL * time(r)]

    def words(self, row):
        return self.rows[row].words if row in self.rows and self.rows[row].words else row

    def why(self, row):
        return self.rows[row].why if row in self.rows else ""


def time(result):
    return result["seconds"]["median"]


def first(result):
    """Seconds until the first result: building the model, tracing, compiling, one step."""
    if "first" in result:
        return result["first"]
    return result["setup"] + time(result) * result["share"]


def workload_words(name):
    return registry.load_workload(name).WORDS

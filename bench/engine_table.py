"""The table of what each engine takes up and can do, in Markdown."""

from .run_tables import table as markdown
from .texts import memory_text, time_text

IMPORTS = {"ours": "eager"}  # the row of the workload `import`, where it is not the engine's


def table(reading):
    engines = reading.run.get("engines")
    if not engines:
        return "This run did not look at it."
    imports = {}
    for entry in engines:
        row = IMPORTS.get(entry["engine"], entry["engine"])
        found = reading.find("import", row)
        if found:
            imports[entry["engine"]] = found["seconds"]["median"]
    return of_engines(engines, imports)


def of_engines(engines, imports):
    """A column an engine; imports: {engine: seconds}."""
    rows = [
        ["installed, itself", *(size(e["size"]) for e in engines)],
        ["installed, with all that it requires", *(size(e["with_all"]) for e in engines)],
        ["import", *(seconds(imports.get(e["engine"])) for e in engines)],
    ]
    rows += [[q, *(e["can"][q] for e in engines)] for q in engines[0]["can"]]
    return markdown(["", *(e["name"] for e in engines)], rows)


def size(count):
    return "-" if count is None else memory_text(count)


def seconds(found):
    return "-" if found is None else time_text(found)

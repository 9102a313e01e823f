"""The pages of the site as plain Markdown, made of docs/ and of what docs/ takes from elsewhere.

- `<!-- include FILE -->` or `<!-- include FILE: HEADING -->` in a page stands for that file, or for
  the section under that heading.
- `<!-- api MODULE -->` stands for the reference of that module (site_reference.py).
- `![...](...)<!-- live NAME -->`: in place of the picture, the page that NAME.save() writes, after
  the code up to there has run.
- A notebook that a page links to is a page too, with its output.
- A link to any other file outside docs/ leads to a copy of it in the site.
"""

import linecache
import os
import re
import shutil
from pathlib import Path

from site_reference import reference

ROOT = Path(__file__).resolve().parent.parent
COPIES = "files"  # where the site keeps files from outside docs/
LINK = re.compile(r"(!?\[[^\]]*\]\()([^)#\s]+)((?:#[^)]*)?\))")
INCLUDE = re.compile(r"^<!-- include ([\w./-]+)(?:: (.+?))? -->$", re.M)
LIVE = re.compile(r"^!\[([^\]]*)\]\([^)]*\)<!-- live (\w+) -->$", re.M)
CODE = re.compile(r"^```python\n(.*?)^```", re.M | re.S)
API = re.compile(r"^<!-- api ([\w.]+) -->$", re.M)

# Output of cells in a box of its own, as on the other pages.
CELLS = """{% extends 'markdown/index.md.j2' %}
{% block stream %}
```text title="Output"
{{ output.text | strip_ansi | trim }}
```
{% endblock stream %}
{% block data_text %}
```text title="Output"
{{ output.data['text/plain'] | trim }}
```
{% endblock data_text %}"""


def write_pages(target):
    """Writes all pages, and the files that they show or link to, below `target`."""
    waiting = [path for path in sorted((ROOT / "docs").rglob("*")) if path.is_file()]
    done = set()
    while waiting:  # a file may link to further ones
        source = waiting.pop()
        if source in done:
            continue
        done.add(source)
        place = target / site_path(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".md":
            text, linked = page(source)
            text = alive(text, place)
        elif source.suffix == ".ipynb":
            text, linked = notebook(source, place)
        else:
            shutil.copyfile(source, place)
            continue
        place.write_text(text, "utf-8")
        waiting += linked


def site_path(path):
    """Where the site has a file of the repository."""
    inside = path.relative_to(ROOT)
    if inside.parts[0] == "docs":
        return inside.relative_to("docs")
    if path.suffix == ".ipynb":
        return inside.with_suffix(".md")
    return COPIES / inside


def page(source):
    """A page's text, and the files that it links to."""
    linked, shown = set(), {}
    where = site_path(source).parent
    text = relinked(source.read_text("utf-8"), source.parent, where, linked)

    def included(match):
        path = ROOT / match[1]
        found = path.read_text("utf-8")
        if match[2]:
            heading = re.escape(match[2])
            section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", found, re.M | re.S)
            if section is None:
                raise ValueError(f"{match[1]} has no section {match[2]!r}")
            found = section[1]
        return relinked(found, path.parent, where, linked)

    if source.is_relative_to(ROOT / "docs"):
        text = INCLUDE.sub(included, text)
        text = API.sub(lambda match: reference(match[1], shown), text)
    return text, linked


def alive(text, place):
    """A page whose pictures of pages are these pages; writes them beside it."""

    def shown(match):
        made, code = {}, "\n".join(CODE.findall(text[: match.start()]))
        # What shows the lines of code looks for them here.
        linecache.cache["page.py"] = len(code), None, code.splitlines(keepends=True), "page.py"
        exec(compile(code, "page.py", "exec"), made)
        name = f"{place.stem}_{match[2]}.html"
        made[match[2]].save(place.with_name(name))
        return f'<iframe src="{name}" title="{match[1]}" class="live"></iframe>'

    return LIVE.sub(shown, text)


def notebook(source, place):
    """A notebook as a page; writes its pictures beside it."""
    from nbconvert import MarkdownExporter

    exporter = MarkdownExporter(raw_template=CELLS)
    text, resources = exporter.from_filename(str(source))
    pictures = place.with_suffix("")
    for name, picture in resources["outputs"].items():
        pictures.mkdir(exist_ok=True)
        (pictures / name).write_bytes(picture)
        text = text.replace(f"]({name})", f"]({pictures.name}/{name})")
    linked = {source.with_suffix(".py")}
    text = relinked(text, source.parent, site_path(source).parent, linked)
    script = os.path.relpath(site_path(source.with_suffix(".py")), site_path(source).parent)
    return text + f"\nAs a script: [{source.stem}.py]({script}).\n", linked


def relinked(markdown, folder, where, linked):
    """Markdown whose links, relative to `folder`, are those of a page in the site's folder `where`.

    The files are added to `linked`."""

    def new_link(match):
        path = (folder / match[2]).resolve()
        if re.match(r"\w+:", match[2]) or not path.is_file():
            return match[0]
        linked.add(path)
        return match[1] + Path(os.path.relpath(site_path(path), where)).as_posix() + match[3]

    return LINK.sub(new_link, markdown)

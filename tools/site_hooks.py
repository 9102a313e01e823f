"""Hooks of mkdocs.yml: what the site takes from the rest of the repository.

- `<!-- include FILE -->` or `<!-- include FILE: HEADING -->` in a page stands for that file, or for
  the section under that heading.
- A link to a file outside docs/ leads to a copy of it in the site.
- `![...](...)<!-- live NAME -->`: in place of the picture the site shows what a notebook would show
  for NAME, after the code of the page up to there.
- `<!-- api MODULE -->` stands for the reference of that module, from its docstrings; the signatures
  of Value come from the stub.
- Pages of OPTIONAL are in the navigation where they exist.
"""

import ast
import importlib
import inspect
import linecache
import re
from pathlib import Path

from mkdocs.structure.files import File, InclusionLevel

ROOT = Path(__file__).resolve().parent.parent
OPTIONAL = {"promises.md": "What it promises"}
COPIES = "files/"  # where the site keeps files from outside docs/
NOT_IN_NAV = InclusionLevel.NOT_IN_NAV
MADE_BY_OTHERS = ("Batch", "CompiledFunction")  # no user calls these constructors
LINK = re.compile(r"(!?\[[^\]]*\]\()([^)#\s]+)((?:#[^)]*)?\))")
INCLUDE = re.compile(r"^<!-- include ([\w./-]+)(?:: (.+?))? -->$", re.M)
LIVE = re.compile(r"^!\[[^\]]*\]\([^)]*\)<!-- live (\w+) -->$", re.M)
CODE = re.compile(r"^```python\n(.*?)^```", re.M | re.S)
API = re.compile(r"^<!-- api ([\w.]+) -->$", re.M)


def on_config(config):
    docs = Path(config.docs_dir)
    config.nav += [{title: page} for page, title in OPTIONAL.items() if (docs / page).exists()]
    return config


def on_files(files, config):
    pages = list(files.documentation_pages())
    for page in pages:  # grows: a copy may link to further files
        text = page_text(page, Path(page.abs_src_path).read_text("utf-8"))
        for target in sorted(set(re.findall(r"\]\((?:\.\./)*files/([^)#]+)", text))):
            source = f"{COPIES}{target}"
            if files.get_file_from_path(source) is None:
                copy = File.generated(
                    config, source, abs_src_path=str(ROOT / target), inclusion=NOT_IN_NAV
                )
                files.append(copy)
                if copy.is_documentation_page():
                    pages.append(copy)
    return files


def on_page_markdown(markdown, page, config, files):
    shown = {}
    page.live = [alive(markdown[: match.start()], match[1]) for match in LIVE.finditer(markdown)]
    places = iter(range(len(page.live)))
    markdown = LIVE.sub(lambda match: f'<div data-live="{next(places)}"></div>', markdown)
    return API.sub(lambda match: reference(match[1], shown), page_text(page.file, markdown))


def on_page_content(content, page, config, files):
    """What is alive comes last: Markdown would read it as text."""
    for k, shown in enumerate(page.live):
        content = content.replace(f'<div data-live="{k}"></div>', shown)
    return content


def alive(markdown, name):
    """What a notebook shows for that name after the code so far."""
    made, code = {}, "\n".join(CODE.findall(markdown))
    # What shows the lines of code looks for them here.
    linecache.cache["page.py"] = len(code), None, code.splitlines(keepends=True), "page.py"
    exec(compile(code, "page.py", "exec"), made)
    return made[name]._repr_html_()


def page_text(file, markdown):
    """A page as the site shows it; links of a copy lead out of the folder of copies again."""
    if not file.src_uri.startswith(COPIES):
        return expanded(markdown)
    source = Path(file.src_uri.removeprefix(COPIES))
    up = "../" * len(source.parts)
    return relinked(markdown, source.parent, up)


def expanded(markdown):
    """A page with its includes, and links that stay within the site."""
    return INCLUDE.sub(lambda m: included(m[1], m[2]), relinked(markdown, Path("docs")))


def included(name, heading):
    text = (ROOT / name).read_text("utf-8")
    if heading is None:
        return relinked(text, Path(name).parent)
    section = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    if section is None:
        raise ValueError(f"{name} has no section {heading!r}")
    return relinked(section[1], Path(name).parent)


def relinked(markdown, folder, up=""):
    """Links of a file in `folder`: to pages, or to copies of other files of the repository.

    up: the way from the page that shows the text to the top of the site."""

    def new_link(match):
        target = match[2]
        if re.match(r"\w+:", target):
            return match[0]
        path = (ROOT / folder / target).resolve()
        if path.is_file() and path.is_relative_to(ROOT / "docs"):
            target = up + path.relative_to(ROOT / "docs").as_posix()
        elif path.is_file():
            target = f"{up}{COPIES}{path.relative_to(ROOT).as_posix()}"
        return match[1] + target + match[3]

    return LINK.sub(new_link, markdown)


# ---- the reference -------------------------------------------------------------------------------


def reference(name, shown):
    """A module: its text, then each of its public names; `shown` has those that came before."""
    module = importlib.import_module(name)
    parts = [inspect.getdoc(module) or ""]
    for public in dir(module) if "__dir__" in vars(module) else module.__all__:
        item = getattr(module, public)
        if not callable(item):
            continue
        parts.append(f"### {name}.{public}")
        if id(item) in shown:
            parts.append(f"The same as {shown[id(item)]}.")
            continue
        shown[id(item)] = f"{name}.{public}"
        if inspect.isclass(item):
            parts += class_reference(public, item)
        else:
            parts += [signature(public, item), inspect.getdoc(item) or ""]
    return "\n\n".join(escaped(part) for part in parts)


def class_reference(name, item):
    stub = stub_of(name)
    if not stub and name not in MADE_BY_OTHERS and "__init__" in vars(item):
        yield signature(name, item)
    yield inspect.getdoc(item) or ""
    for member, value in vars(item).items():
        if member.startswith("_") and member not in ("_prev", "_op", "_backward"):
            continue
        if inspect.isclass(value) or isinstance(value, (str, int, float, tuple)):
            continue
        text = inspect.getdoc(value)
        if text:
            shown = f"`{member}`" if not callable(value) else signature(member, value)
            yield f"{stub.get(member, shown)}\n:   " + text.replace("\n", "\n    ")


def signature(name, item):
    try:
        text = str(inspect.signature(item))
    except (TypeError, ValueError):
        return f"`{name}(...)`"
    # Annotations are texts: without their quotes.
    text = re.sub(r"(: |-> )'([^']*)'", r"\1\2", text)
    text = re.sub(r"\(self(, /)?(, )?", "(", text)
    return f"`{name}{text}`"


def stub_of(name):
    """Signatures of a compiled class's methods, from the stub; empty for a class in Python."""
    tree = ast.parse((ROOT / "micrograd_fast" / "_core.pyi").read_text("utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return {
                f.name: f"`{f.name}({stub_arguments(f)}) -> {ast.unparse(f.returns)}`"
                for f in node.body
                if isinstance(f, ast.FunctionDef) and not f.decorator_list
            }
    return {}


def stub_arguments(function):
    texts = ast.unparse(function.args).removeprefix("self").removeprefix(", ")
    return texts.replace("_Operand", "Value | float")


def escaped(text):
    """Docstrings are plain text: what Markdown would take for emphasis stays as it is."""
    return re.sub(r"(?<!`)(\*\*?)(?=\w)", r"\\\1", text) if "`" not in text else text

"""The README's code runs, and the marker that CI looks for is there."""

import re
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"


def test_python_code_runs_from_top_to_bottom(capsys):
    blocks = re.findall(r"^```python\n(.*?)^```", README.read_text("utf-8"), re.M | re.S)
    assert len(blocks) >= 4
    names = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert names["Value"].__module__.startswith("micrograd_fast")
    assert capsys.readouterr().out.count("Value(data=") == 3


def test_test_command_is_marked_for_ci():
    assert re.search(
        r"^<!-- test-command -->\n```sh\n.+pytest\n```$", README.read_text("utf-8"), re.M
    )

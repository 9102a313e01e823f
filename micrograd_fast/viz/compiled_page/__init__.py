"""`viz.compiled(f, *args)`: how a function's scalars became matrices, as one HTML file.

steps.py says what each step of the plan computes and which of the traced nodes became part of it;
boxes.py what the graph shows of these; page.py makes the page of both, page.html, page.css and
page.js.
"""

from micrograd_fast.viz.compiled_page.page import CompiledPage, compiled

__all__ = ["CompiledPage", "compiled"]

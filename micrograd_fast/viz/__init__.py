"""Pictures: graphs and programs as Graphviz draws them, decision boundaries, training curves.

to_dot() and program_to_dot() need nothing but this package. draw_dot() and draw_program() need the
`graphviz` package and Graphviz itself, decision_boundary(), training_curve() and spy() Matplotlib:
pip install 'micrograd-fast[viz]'
"""

from micrograd_fast.viz.backprop_page import BackpropPage, backprop
from micrograd_fast.viz.compiled_page import CompiledPage, compiled
from micrograd_fast.viz.graph import draw_dot, svg, to_dot, trace
from micrograd_fast.viz.plots import decision_boundary, spy, training_curve
from micrograd_fast.viz.program import draw_program, program_to_dot

__all__ = [
    "BackpropPage",
    "CompiledPage",
    "backprop",
    "compiled",
    "decision_boundary",
    "draw_dot",
    "draw_program",
    "program_to_dot",
    "spy",
    "svg",
    "to_dot",
    "trace",
    "training_curve",
]

"""Pictures: graphs and programs, backward() and compiled calls as pages to go through, decision
boundaries and how they came about, training curves and loss surfaces.

Graphs and pages need nothing but this package. Graphviz draws the graphs where its program and the
package `graphviz` are installed. Plots and films need Matplotlib: pip install 'micrograd-fast[viz]'
"""

from micrograd_fast.viz.backprop_page import BackpropPage, backprop
from micrograd_fast.viz.compiled_page import CompiledPage, compiled
from micrograd_fast.viz.drawing import Drawing
from micrograd_fast.viz.film import Film, train
from micrograd_fast.viz.graph import draw_dot, svg, to_dot, trace
from micrograd_fast.viz.plots import decision_boundary, spy, training_curve
from micrograd_fast.viz.program import draw_program, program_to_dot
from micrograd_fast.viz.surface import loss_surface

__all__ = [
    "BackpropPage",
    "CompiledPage",
    "Drawing",
    "Film",
    "backprop",
    "compiled",
    "decision_boundary",
    "draw_dot",
    "draw_program",
    "loss_surface",
    "program_to_dot",
    "spy",
    "svg",
    "to_dot",
    "trace",
    "train",
    "training_curve",
]

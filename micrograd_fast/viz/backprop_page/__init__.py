"""viz.backprop: what happens when loss.backward() is called, as a page that goes step by step.

recording.py lets the engine run and takes every addition down; symbols.py reads the op table's
derivatives, update.py asks an optimizer, story.py says each step in words; folds.py folds large
graphs and drawing.py lays them out; page.html, .css and .js show it; page.py puts that together.
"""

from micrograd_fast.viz.backprop_page.page import BackpropPage, backprop

__all__ = ["BackpropPage", "backprop"]

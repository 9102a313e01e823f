"""Stands for typed.py in annotations, `t.Any`: what that imports costs more than the package.

Annotations are texts until something reads them; a name of this module is looked up then.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from graphviz import Digraph as Digraph
    from matplotlib.animation import FuncAnimation as FuncAnimation
    from matplotlib.axes import Axes as Axes

    from micrograd_fast.typed import *  # noqa: F403
else:
    EXTRAS = {
        "Axes": "matplotlib.axes",
        "Digraph": "graphviz",
        "FuncAnimation": "matplotlib.animation",
    }

    def __getattr__(name):
        if name.startswith("__"):
            raise AttributeError(name)
        from importlib import import_module

        from micrograd_fast import typed

        if name not in EXTRAS:
            return getattr(typed, name)
        try:
            return getattr(import_module(EXTRAS[name]), name)
        except ImportError:
            return typed.Any  # the extra is not installed

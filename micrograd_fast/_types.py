"""Stands for typed.py in annotations, `t.Any`: what that imports costs more than the package.

Annotations are texts until something reads them; a name of this module is looked up then.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from micrograd_fast.typed import *  # noqa: F403
else:

    def __getattr__(name):
        if name.startswith("__"):
            raise AttributeError(name)
        from micrograd_fast import typed

        return getattr(typed, name)

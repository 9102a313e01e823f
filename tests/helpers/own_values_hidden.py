"""Programs whose own Value differs from ours where a first look does not show it.

HIDDEN: by name, as REFUSED of own_values_refused.py: a program, a piece of the line that the
refusal names, and a piece of its text.
"""

from own_values import HEAD, LECTURE, changed, program

ADDS = "        out = Value(self.data + other"


def with_effect(head, effect, *after):
    """The lecture's, with a statement in its addition."""
    own = changed(LECTURE, (ADDS, f"        {effect}\n{ADDS}"))
    return program(own, *after, head=HEAD + head)


EFFECTS = {
    "the second module of an import writes": (
        with_effect("import math, sys\n", "sys.stdout.write('SIDE')"),
        "sys.stdout.write",
        "uses sys of the module sys, which may do more",
    ),
    "the second module of an import draws": (
        with_effect("import cmath, random\n", "x = random.random()").replace(
            "import random\n", "", 1
        ),
        "x = random.random()",
        "uses random of the module random, which may do more",
    ),
    "the second module of an import, renamed": (
        with_effect("import math, os as o\n", "o.write(1, b'SIDE')"),
        "o.write",
        "uses o of the module os",
    ),
    "an import within an op": (
        with_effect("", "import os; os.write(1, b'SIDE')"),
        "import os",
        "uses os of the module os",
    ),
    "numpy's random numbers": (
        with_effect("import numpy as np\n", "x = np.random.rand()"),
        "np.random.rand()",
        "uses np.random of the module numpy",
    ),
    "numpy's generator": (
        with_effect("import numpy as np\nrng = np.random.default_rng(1)\n", "x = rng.random()"),
        "rng = np.random",
        "uses np.random of the module numpy",
    ),
    "numpy.random as nr": (
        with_effect("import numpy.random as nr\n", "x = nr.rand()"),
        "nr.rand()",
        "uses nr of the module numpy.random",
    ),
    "rand of numpy.random": (
        with_effect("from numpy.random import rand\n", "x = rand()"),
        "x = rand()",
        "uses rand of the module numpy.random",
    ),
    "random of numpy": (
        with_effect("from numpy import random as nr\n", "x = nr.rand()"),
        "x = nr.rand()",
        "uses random of the module numpy",
    ),
    "numpy itself handed on": (
        with_effect("import numpy as np\n", "x = getattr(np, 'random').rand()"),
        "getattr(np",
        "uses np of the module numpy",
    ),
    "numpy's files": (
        with_effect("import numpy as np\n", "np.save('x.npy', 1.0)"),
        "np.save",
        "uses np.save of the module numpy",
    ),
    "scipy's distributions": (
        with_effect("from scipy import stats\n", "x = stats.norm.rvs()"),
        "stats.norm",
        "uses stats of the module scipy",
    ),
    "all of numpy": (
        with_effect("from numpy import *\n", "x = random.rand()").replace("import random\n", "", 1),
        "x = random.rand()",
        "uses random, which the program does not define",
    ),
    "a default that is drawn": (
        program(changed(LECTURE, ('label=""', "label='', start=random.random()"))),
        "start=random.random()",
        "uses random of the module random",
    ),
    "a constant set through globals()": (
        with_effect("EPS = 0.0\n", "x = EPS", "globals()['EPS'] = 1.0"),
        "x = EPS",
        "uses EPS, which changes",
    ),
    "constants set through globals()": (
        with_effect("EPS = 0.0\n", "x = EPS", "globals().update(EPS=1.0)"),
        "x = EPS",
        "uses EPS, which changes",
    ),
    "a constant set through the module": (
        with_effect("EPS = 0.0\n", "x = EPS", "import __main__\n__main__.EPS = 1.0"),
        "x = EPS",
        "uses EPS, which changes",
    ),
}

HIDDEN = {**EFFECTS}

"""Seven operations: a=-41, b=2, c=a+b, d=a*b+b**3, e=c-d, f=e**2, g=f/2."""

TITLE = "tiny: a graph of 7 operations, built and differentiated"
WORDS = "a formula of 7 operations"
UNIT = "graph"
FULL = TOY = {}


def make():
    return {}

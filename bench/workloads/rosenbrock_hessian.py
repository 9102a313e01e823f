"""All second derivatives of the Rosenbrock function: what Newton's method asks for."""

from .rosenbrock import make as make

TITLE = "rosenbrock_hessian: the whole Hessian of the 100-dimensional Rosenbrock function"
WORDS = "Hessian of Rosenbrock's function, 100 x 100"
UNIT = "Hessian"
FULL = {"dimensions": 100}
TOY = {"dimensions": 5}

"""Makes a failing program small: deletes statements, puts parts in the place of wholes.

A program is text, so the shrinker works on Python's syntax tree and knows nothing of programs.
"""

import ast
import copy
import time


def _edits(tree):
    """Functions that change the tree in one place, the large changes first."""
    bodies, expressions, numbers = [], [], []
    for node in ast.walk(tree):
        for name in ("body", "orelse"):
            body = getattr(node, name, None)
            if isinstance(body, list):
                bodies.append((node, name))
        for name, value in ast.iter_fields(node):
            items = value if isinstance(value, list) else [value]
            for k, item in enumerate(items):
                if isinstance(item, ast.expr):
                    where = (node, name, k if isinstance(value, list) else None)
                    expressions.append((where, item))
                    if isinstance(item, ast.Constant) and type(item.value) in (int, float):
                        numbers.append(item)
    for node, name in bodies:
        size = len(getattr(node, name))
        step = size
        while step:
            for k in range(0, size, step):
                yield ("cut", node, name, k, step)
            step //= 2
    for (node, name, k), item in expressions:
        if isinstance(item, (ast.List, ast.Tuple)):
            for at in range(len(item.elts)):
                yield ("drop", item, "elts", at, None)
        if isinstance(item, ast.Call):
            for at in range(len(item.args)):
                yield ("drop", item, "args", at, None)
        if not isinstance(item, (ast.Constant, ast.Name)):
            for child in ast.iter_child_nodes(item):
                if isinstance(child, ast.expr):
                    yield ("put", node, name, k, child)
            yield ("put", node, name, k, ast.Constant(value=1.0))
    for item in numbers:
        for smaller in (0, 1, 2, item.value // 2, item.value - 1):
            if 0 <= smaller < item.value:
                yield ("number", item, None, None, type(item.value)(smaller))


def _apply(tree, index):
    """A copy of the tree with its edit of that index; None where there is none."""
    tree = copy.deepcopy(tree)
    for k, (kind, node, name, at, what) in enumerate(_edits(tree)):
        if k < index:
            continue
        if kind == "cut":
            part = getattr(node, name)
            del part[at : at + what]
            if not part and not isinstance(node, ast.Module) and name == "body":
                part.append(ast.Pass())
        elif kind == "drop":
            del getattr(node, name)[at]
        elif kind == "number":
            node.value = what
        elif at is None:
            setattr(node, name, what)
        else:
            getattr(node, name)[at] = what
        return tree
    return None


def shrink(source, fails, seconds=60.0):
    """The smallest text found for which fails(text) is true."""
    end = time.monotonic() + seconds
    tree, best = ast.parse(source), source
    index, tried = 0, set()
    while time.monotonic() < end:
        other = _apply(tree, index)
        if other is None:
            if not index:
                break
            index = 0
            if best in tried:  # a whole round without a change
                break
            tried.add(best)
            continue
        try:
            text = ast.unparse(ast.fix_missing_locations(other))
            other = ast.parse(text)
        except (ValueError, SyntaxError, AttributeError, TypeError):
            index += 1
            continue
        if text != best and len(text) <= len(best) and fails(text):
            tree, best = other, text
        else:
            index += 1
    return best

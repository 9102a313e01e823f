"""Adjoints flow down: the referee's backward()."""

import numpy as np
from referee import both
from rounding import S, rounded

SMALLEST_NORMAL = 2.0**-1022


def pull(roots, adjoints, eager):
    """Adjoints down from the roots: into `grad` of eager values, and into `adjoints`.

    An adjoint is (numbers, which samples it reaches or None for all, sum of absolute terms, wild).
    What is not reached is not computed. With eager=False eager values are where it ends.
    """
    for node in reversed(_order(roots, eager)):
        if not node.parents:
            continue
        if node.inner:
            if id(node) not in adjoints:
                continue
            adjoint = adjoints[id(node)]
        elif eager:
            adjoint = (node.gradient, None, node.gmag, node.gwild)
        else:
            continue
        g, mask, mag, wild = adjoint
        g = rounded(g, mag)
        if S.flush:
            g = np.where(np.abs(g) < SMALLEST_NORMAL, 0, g)
        for parent, back in node.parents:
            contribution = _step(node, parent, back, (g, mask, mag, wild))
            _add(parent, contribution, adjoints, eager)


def _order(roots, eager):
    """The values that adjoints come through, operands first."""
    order, seen, stack = [], set(), [(r, False) for r in roots]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            if node.inner or eager:
                stack.extend((p, False) for p, _ in node.parents if id(p) not in seen)
    return order


def _step(node, parent, back, adjoint):
    """What the node's adjoint adds to that of a parent."""
    g, mask, mag, wild = adjoint
    node.gopen = None
    node.reach = mask
    c, chosen, *other = back(node, g)
    open_ = both(wild, node.gopen, node.wild)
    if other:  # samples were picked: what is reached is said for those of the parent
        reach = chosen
        open_ = None if open_ is None else reach & open_.any()
    open_ = both(open_, *[p.wild for p, _ in node.parents])
    if not other:
        reach = mask if chosen is None else chosen if mask is None else mask & chosen
        if not S.zeros:  # each replica by its own zeros: a cancellation is one in some
            c = np.where(g != 0, c, 0)
            nonzero = (g != 0).any(axis=0, keepdims=True)
            reach = nonzero if reach is None else reach & nonzero
    if reach is not None:
        c = np.where(reach, c, 0)
        open_ = None if open_ is None else open_ & reach
    size = _bound(c, g, mag, bool(other))
    c = rounded(c, size, 4.0)
    if parent._data.shape[1] == 1 and c.shape[1] != 1:
        return _summed(c, reach, size, open_)
    return c, reach, size, open_


def _bound(c, g, mag, picked):
    """The sum of absolute terms in c, which is made of g. Terms are added in some order of the
    engine's: the sum's bound is that of all terms."""
    ratio = mag / np.where(np.abs(g) > 0, np.abs(g), 1)
    ratio = ratio.max(axis=1, keepdims=True, initial=0) if picked else ratio
    size = np.abs(c)
    return np.where(np.isfinite(ratio) & (ratio > 1), size * ratio, size)


def _summed(c, reach, size, open_):
    """A contribution of all samples to one number."""
    if not c.shape[1]:  # no samples: nothing arrives
        reach = np.zeros((1, 0), bool)
    c, size = c.sum(axis=1, keepdims=True), size.sum(axis=1, keepdims=True)
    reach = None if reach is None else reach.any(axis=1, keepdims=True)
    open_ = None if open_ is None else open_.any(axis=1, keepdims=True)
    return rounded(c, size), reach, size, open_


def _add(parent, contribution, adjoints, eager):
    c, reach, size, open_ = contribution
    if parent.inner:
        shape = np.broadcast_shapes(parent._data.shape, c.shape)
        if c.shape != shape:
            c, size = np.broadcast_to(c, shape), np.broadcast_to(size, shape)
        if id(parent) in adjoints:
            g, mask, mag, wild = adjoints[id(parent)]
            reach = None if reach is None or mask is None else reach | mask
            c, size, open_ = g + c, mag + size, both(wild, open_)
        adjoints[id(parent)] = (c, reach, size, open_)
    elif eager:
        parent.gradient = parent.gradient + c
        parent.gmag = parent.gmag + size
        parent.gwild = both(parent.gwild, open_)
    else:
        g, mag, wild = adjoints.get(id(parent), (0, 0, None))
        adjoints[id(parent)] = (g + c, mag + size, both(wild, open_))

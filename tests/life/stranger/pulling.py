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
                if S.stale and node.call is not None:
                    stack.extend((p, False) for p in node.call.all_operands())
    for node in reversed(order):
        if node.inner:
            if id(node) not in adjoints:
                continue
            g, mask, mag, wild = adjoints[id(node)]
        else:
            if not eager:
                continue
            g, mask, mag, wild = node.gradient, None, node.gmag, node.gwild
        if not node.parents:
            continue
        g = rounded(g, mag)
        if S.flush:
            g = np.where(np.abs(g) < SMALLEST_NORMAL, 0, g)
        for parent, back in node.parents:
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
            size = np.abs(c)
            # Terms are added in some order of the engine's: the sum's bound is that of all terms.
            ratio = mag / np.where(np.abs(g) > 0, np.abs(g), 1)
            ratio = ratio.max(axis=1, keepdims=True, initial=0) if other else ratio
            size = np.where(np.isfinite(ratio) & (ratio > 1), size * ratio, size)
            c = rounded(c, size, 4.0)
            if parent._data.shape[1] == 1 and c.shape[1] != 1:
                if not c.shape[1]:  # no samples: nothing arrives
                    reach = np.zeros((1, 0), bool)
                c, size = c.sum(axis=1, keepdims=True), size.sum(axis=1, keepdims=True)
                c = rounded(c, size)
                reach = None if reach is None else reach.any(axis=1, keepdims=True)
                open_ = None if open_ is None else open_.any(axis=1, keepdims=True)
            if parent.inner:
                shape = np.broadcast_shapes(parent._data.shape, c.shape)
                if c.shape != shape:
                    c, size = np.broadcast_to(c, shape), np.broadcast_to(size, shape)
                if id(parent) in adjoints:
                    g0, mask0, mag0, wild0 = adjoints[id(parent)]
                    reach = None if reach is None or mask0 is None else reach | mask0
                    adjoints[id(parent)] = (g0 + c, reach, mag0 + size, both(wild0, open_))
                else:
                    adjoints[id(parent)] = (c, reach, size, open_)
            elif eager:
                parent.gradient = parent.gradient + c
                parent.gmag = parent.gmag + size
                parent.gwild = both(parent.gwild, open_)
            else:
                g0, mag0, wild0 = adjoints.get(id(parent), (0, 0, None))
                adjoints[id(parent)] = (g0 + c, mag0 + size, both(wild0, open_))

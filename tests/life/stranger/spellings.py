"""Functions that drawn programs may use, as text: a program brings those that it uses."""

HELPERS = {
    "dot_sum": """def dot_sum(w, x, b):
    return sum(a * c for a, c in zip(w, x)) + b
""",
    "dot_first": """def dot_first(w, x, b):
    return sum((a * c for a, c in zip(w, x)), b)
""",
    "dot_loop": """def dot_loop(w, x, b):
    s = b
    for a, c in zip(w, x):
        s += c * a
    return s
""",
    "dot_zero": """def dot_zero(w, x, b):
    s = 0
    for a, c in zip(w, x):
        s = s + a * c
    return b + s
""",
    "dot_left": """def dot_left(w, x, b):
    s = b
    for a, c in zip(w, x):
        s = a * c + s
    return s
""",
    "dot_back": """def dot_back(w, x, b):
    return sum(a * c for a, c in reversed(list(zip(w, x)))) + b
""",
    "dot_middle": """def dot_middle(w, x, b):
    terms = [a * c for a, c in zip(w, x)]
    terms.insert(len(terms) // 2, b)
    return sum(terms[1:], terms[0])
""",
    "dot_pairs": """def dot_pairs(w, x, b):
    terms = [a * c for a, c in zip(w, x)] + [b]
    while len(terms) > 1:
        terms = [sum(terms[k : k + 2]) for k in range(0, len(terms), 2)]
    return terms[0]
""",
    "dot_minus": """def dot_minus(w, x, b):
    s = b
    for k, (a, c) in enumerate(zip(w, x)):
        s = s - a * c if k % 2 else s + a * c
    return s
""",
    "dot_library": """def dot_library(w, x, b):
    return mg.functional.dot(w, x) + b
""",
    "dot_numpy": """def dot_numpy(w, x, b):
    return np.dot(np.array(w, dtype=object), np.array(x, dtype=object)) + b
""",
    "dot_over": """def dot_over(w, x, b):
    s = b
    for a, c in zip(w, x):
        s += a / (c * c + 1.5)
    return s
""",
    "frozen": """def frozen(a):
    a.flags.writeable = False
    return a
""",
    "unaligned": """def unaligned(a):
    b = np.zeros(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)
    b[...] = a
    return b
""",
    "sprinkle": """def sprinkle(a, p):
    a = np.array(a, dtype=float)
    odd = [np.inf, -np.inf, np.nan, 0.0, -0.0, 1e300, -1e-300, 5e-324, 1e160, -1e-160, 1.0, -1.0]
    here = rng.random(a.shape) < p
    a[here] = rng.choice(odd, size=int(here.sum()))
    return a
""",
    "by_hand": """def by_hand(z):
    top = mg.maximum(*z).detach()
    e = [(v - top).exp() for v in z]
    total = sum(e)
    return [v / total for v in e]
""",
    "rms": """def rms(x):
    scale = (sum(v * v for v in x) / len(x) + 1e-5) ** -0.5
    return [v * scale for v in x]
""",
}

# Numbers of samples, around multiples of the lanes and tiles.
SIZES = (0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257)

# How samples are picked from a batch.
PICKS = ["[::-1]", "[1:]", "[::3]", "[:-1]", "a list", "a mask"]

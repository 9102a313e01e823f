"""The functions of the derivative workloads in scalar code, for whatever has + - * and powers.

The hand has a file of its own, scalar_hand.py."""


def oscillation(parameters, t, exp, cos):
    amplitude, damping, frequency, phase = parameters
    return amplitude * exp(-damping * t) * cos(frequency * t + phase)


def lotka_volterra(parameters, start, h, steps):
    """Prey and predators after each step of the classical Runge-Kutta method."""
    birth, eaten, death, fed = parameters

    def slope(x, y):
        meetings = x * y
        return birth * x - eaten * meetings, fed * meetings - death * y

    x, y = start
    found = []
    for _ in range(steps):
        k1, l1 = slope(x, y)
        k2, l2 = slope(x + h / 2 * k1, y + h / 2 * l1)
        k3, l3 = slope(x + h / 2 * k2, y + h / 2 * l2)
        k4, l4 = slope(x + h * k3, y + h * l3)
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        y = y + h / 6 * (l1 + 2 * l2 + 2 * l3 + l4)
        found += [x, y]
    return found


def brusselator(u, cells):
    """du/dt: all of the first substance, then all of the second; cells x cells on a torus."""
    a, b = 3.4, 1.0
    diffusion = 10.0 * (cells - 1) ** 2 / cells**2
    n = cells * cells

    def spread(first, i, j):
        at = [
            ((i - 1) % cells, j),
            ((i + 1) % cells, j),
            (i, (j - 1) % cells),
            (i, (j + 1) % cells),
        ]
        return sum(u[first + k * cells + m] for k, m in at) - 4 * u[first + i * cells + j]

    first, second = [], []
    for i in range(cells):
        for j in range(cells):
            x, y = u[i * cells + j], u[n + i * cells + j]
            reaction = x * x * y
            first.append(b + reaction - (a + 1) * x + diffusion * spread(0, i, j))
            second.append(a * x - reaction + diffusion * spread(n, i, j))
    return first + second


# ---- bundle adjustment: ADBench's, after Triggs et al. (2000) ----


def cross(a, b):
    return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]


def turned(axis_angle, x):
    """x rotated, by the formula of Rodrigues."""
    angle = sum(a * a for a in axis_angle).sqrt()
    cos, sin, inverse = angle.cos(), angle.sin(), angle**-1
    w = [a * inverse for a in axis_angle]
    along = sum(a * b for a, b in zip(w, x, strict=True)) * (1 - cos)
    pairs = zip(x, cross(w, x), w, strict=True)
    return [a * cos + b * sin + c * along for a, b, c in pairs]


def observation(camera, point, weight, seen):
    """How far off a point is in a picture, weighted, and how far the weight is from 1."""
    x, y, z = turned(camera[:3], [p - c for p, c in zip(point, camera[3:6], strict=True)])
    x, y = x / z, y / z
    square = x * x + y * y
    distorted = (1 + camera[9] * square + camera[10] * square * square) * camera[6]
    return [
        weight * (x * distorted + camera[7] - seen[0]),
        weight * (y * distorted + camera[8] - seen[1]),
        1 - weight * weight,
    ]

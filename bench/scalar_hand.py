"""ADBench's hand tracking in scalar code: a skeleton that 26 numbers pose, and the skin on it.

After Taylor et al., Efficient and precise interactive hand tracking (2016), and ADBench (Srajer,
Kukelova, Fitzgibbon 2018). theta: an axis-angle rotation and a translation of the whole, then four
angles for each of five fingers.
"""

import math

FINGERS = 5
BONES = 2 + 4 * FINGERS  # an arm, a palm, and four bones a finger, the last of which stays straight


def parent_of(bone):
    """-1: none."""
    return bone - 1 if bone < 2 or (bone - 2) % 4 else 1


def angles_of(theta, bone):
    """The angles about x and z of a bone: 0.0 where it cannot turn."""
    finger, joint = divmod(bone - 2, 4)
    if bone < 2 or joint == 3:
        return 0.0, 0.0
    first = 6 + 4 * finger
    return (theta[first], theta[first + 1]) if joint == 0 else (theta[first + joint + 1], 0.0)


def cos_sin(x):
    return (math.cos(x), math.sin(x)) if isinstance(x, float) else (x.cos(), x.sin())


def is_zero(x):
    """For good: a Value that happens to be 0 is none."""
    return isinstance(x, float) and x == 0.0


def times(a, b):
    """The product of two transforms, rows of 3 x 4; what is 0 for good is left out."""
    rows = []
    for row in a:
        found = []
        for j in range(4):
            pairs = [(row[k], b[k][j]) for k in range(3)]
            terms = [x * y for x, y in pairs if not (is_zero(x) or is_zero(y))]
            found.append(sum(terms[1:], terms[0]) if terms else 0.0)
        found[3] = found[3] + row[3]
        rows.append(found)
    return rows


def turn(theta, bone):
    """The rotation of a bone, first about x, then about z."""
    about_x, about_z = angles_of(theta, bone)
    (cx, sx), (cz, sz) = cos_sin(about_x), cos_sin(about_z)
    return [[cz, -sz * cx, sz * sx, 0.0], [sz, cz * cx, -cz * sx, 0.0], [0.0, sx, cx, 0.0]]


def moved(theta, bone):
    return any(not isinstance(a, float) for a in angles_of(theta, bone))


def transforms(theta, relatives, inverses):
    """Of each bone from where it was at rest to where it is; 3 x 4. relatives, inverses: 4 x 4."""
    absolutes = []
    for bone in range(BONES):
        relative = relatives[bone][:3]
        if moved(theta, bone):
            relative = times(relative, turn(theta, bone))
        up = parent_of(bone)
        absolutes.append(relative if up < 0 else times(absolutes[up], relative))
    return [times(a, inverse[:3]) for a, inverse in zip(absolutes, inverses, strict=True)]


def rotation(axis_angle):
    """3 x 3, by the formula of Rodrigues."""
    norm = sum(a * a for a in axis_angle).sqrt()
    x, y, z = [a / norm for a in axis_angle]
    c, s = norm.cos(), norm.sin()
    d = 1 - c
    return [
        [x * x * d + c, x * y * d - z * s, x * z * d + y * s],
        [x * y * d + z * s, y * y * d + c, y * z * d - x * s],
        [x * z * d - y * s, z * y * d + x * s, z * z * d + c],
    ]


def place(theta, bones, skin):
    """Where a point of the skin is. bones: transforms(). skin: for each bone its weight times the
    point at rest, and its weight."""
    rows = range(3)
    local = [sum(bones[b][r][c] * skin[b][c] for b in range(BONES) for c in range(4)) for r in rows]
    turned = rotation(theta[:3])
    return [sum(turned[r][k] * local[k] for k in rows) + theta[3 + r] for r in rows]


def between(u, corners):
    """The skin at a point of a triangle: u are the first two of its barycentric coordinates."""
    a, b, c = corners
    w = (u[0], u[1], 1 - u[0] - u[1])
    return [
        [w[0] * a[k][j] + w[1] * b[k][j] + w[2] * c[k][j] for j in range(4)] for k in range(BONES)
    ]

"""The derivative workloads for JAX: forward mode where the results are many, jitted."""

import jax
import jax.numpy as jnp
import numpy as np

from ..layers import flatten_layers
from ..scalar_derivatives import oscillation
from ..scalar_hand import FINGERS
from ..workloads.ba import block_numbers
from ._jax_base import JaxCase, Training, perceptron, rosenbrock


class RosenbrockHessian(JaxCase):
    def setup(self):
        self.inputs = jnp.array(self.data["x"])
        self.run = jax.jit(jax.hessian(rosenbrock))
        self.step()

    def step(self):
        return self.run(self.inputs)

    def numbers(self, out):
        return {"hessian": np.asarray(out).ravel()}


class Oscillator(JaxCase):
    def setup(self):
        times, seen = jnp.array(self.data["times"]), jnp.array(self.data["seen"])
        self.inputs = jnp.array(self.data["parameters"])
        self.run = jax.jit(jax.jacfwd(lambda p: oscillation(p, times, jnp.exp, jnp.cos) - seen))
        self.step()

    def step(self):
        return self.run(self.inputs)

    def numbers(self, out):
        return {"jacobian": np.asarray(out).ravel()}


class LotkaVolterra(Oscillator):
    """The steps are a scan."""

    def setup(self):
        h, start = self.data["step"], jnp.array(self.data["start"])

        def after(p):
            birth, eaten, death, fed = p

            def slope(u):
                x, y = u
                return jnp.array([birth * x - eaten * x * y, fed * x * y - death * y])

            def step(u, _):
                k1 = slope(u)
                k2 = slope(u + h / 2 * k1)
                k3 = slope(u + h / 2 * k2)
                k4 = slope(u + h * k3)
                u = u + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
                return u, u

            return jax.lax.scan(step, start, None, length=self.data["steps"])[1].ravel()

        self.inputs = jnp.array(self.data["parameters"])
        self.run = jax.jit(jax.jacfwd(after))
        self.step()


class MoonsHvp(Training):
    """Forward over reverse."""

    def setup(self):
        X, y = jnp.array(self.data["X"]), jnp.array(self.data["y"])

        def loss(layers):
            return jax.nn.relu(1 - y * perceptron(layers, X)[:, 0]).mean()

        def product(layers, v):
            return jax.jvp(jax.grad(loss), (layers,), (v,))[1]

        self.run = jax.jit(product)
        self.state = self.model()
        v, first, self.v = self.data["v"], 0, []
        for w, b in self.state:
            block = v[first : first + w.size + b.size].reshape(len(b), -1)
            first += block.size
            self.v.append((jnp.array(block[:, :-1].T), jnp.array(block[:, -1])))
        self.step()

    def step(self):
        return self.run(self.state, self.v)

    def numbers(self, out):
        return {"product": flatten_layers([(np.asarray(w).T, np.asarray(b)) for w, b in out])}


class KMeans(JaxCase):
    def setup(self):
        points = jnp.array(self.data["points"])

        def cost(centres):
            squares = ((points[:, None, :] - centres[None, :, :]) ** 2).sum(axis=2)
            return squares.min(axis=1).sum()

        def both(centres):
            return jax.jvp(jax.grad(cost), (centres,), (jnp.ones_like(centres),))

        self.inputs = jnp.array(self.data["centres"])
        self.run = jax.jit(both)
        self.step()

    def step(self):
        return self.run(self.inputs)

    def numbers(self, out):
        return {"gradient": np.asarray(out[0]).ravel(), "diagonal": np.asarray(out[1]).ravel()}


def hand_rotation(axis_angle):
    angle = jnp.sqrt(axis_angle @ axis_angle)
    x, y, z = axis_angle / angle
    k = jnp.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return jnp.eye(3) + jnp.sin(angle) * k + (1 - jnp.cos(angle)) * (k @ k)


def hand_transforms(theta, relatives, inverses):
    """Of all bones, a level of the skeleton at a time: the four bones of five fingers in turn."""
    joints = theta[6:].reshape(FINGERS, 4)
    none = jnp.zeros(FINGERS)
    about_x = [joints[:, 0], joints[:, 2], joints[:, 3], none]
    about_z = [joints[:, 1], none, none, none]
    palm = relatives[0] @ relatives[1]
    found, up = [], jnp.broadcast_to(palm, (FINGERS, 4, 4))
    for level, (x, z) in enumerate(zip(about_x, about_z, strict=True)):
        cx, sx, cz, sz = jnp.cos(x), jnp.sin(x), jnp.cos(z), jnp.sin(z)
        zero, one = jnp.zeros(FINGERS), jnp.ones(FINGERS)
        turned = jnp.stack(
            [
                jnp.stack([cz, -sz * cx, sz * sx, zero], -1),
                jnp.stack([sz, cz * cx, -cz * sx, zero], -1),
                jnp.stack([zero, sx, cx, zero], -1),
                jnp.stack([zero, zero, zero, one], -1),
            ],
            axis=1,
        )
        up = up @ relatives[2 + level :: 4] @ turned
        found.append(up)
    fingers = jnp.stack(found, axis=1).reshape(-1, 4, 4)
    absolutes = jnp.concatenate([jnp.stack([relatives[0], palm]), fingers])
    return absolutes @ inverses


class Hand(JaxCase):
    """jacfwd; the skin that is asked for, or all of it where that is less."""

    def setup(self):
        data = {name: jnp.array(array) for name, array in self.data.items()}
        at, points = self.data["at"], data["points"]
        few = at.size <= len(data["at_rest"])
        weights, rest = data["weights"], data["at_rest"]
        if few:
            weights, rest = weights[at.ravel()], rest[at.ravel()]

        def corners(theta):
            bones = hand_transforms(theta, data["relatives"], data["inverses"])
            local = jnp.einsum("vb,bij,vj->vi", weights, bones[:, :3], rest)
            found = local @ hand_rotation(theta[:3]).T + theta[3:6]
            return found.reshape(*at.shape, 3) if few else found[at]

        self.inputs = [data["theta"]]
        self.run = jax.jit(jax.jacfwd(lambda theta: points - corners(theta)))
        self.prepare(corners, data["u"], points)
        self.step()

    def prepare(self, corners, u, points):
        pass

    def step(self):
        return self.run(*self.inputs)

    def numbers(self, out):
        return {"jacobian": np.asarray(out).ravel()}


class HandComplicated(Hand):
    """The derivatives by u are those in two directions, the same for all points."""

    def prepare(self, corners, u, points):
        def residuals(theta, u):
            a, b, c = jnp.moveaxis(corners(theta), 1, 0)
            rest = 1 - u[:, :1] - u[:, 1:]
            return points - (u[:, :1] * a + u[:, 1:] * b + rest * c)

        def jacobian(theta, u):
            by_pose = jax.jacfwd(residuals)(theta, u)
            ways = [jnp.zeros_like(u).at[:, k].set(1.0) for k in range(2)]
            by_u = [jax.jvp(lambda u: residuals(theta, u), (u,), (way,))[1] for way in ways]
            return jnp.concatenate([by_pose, jnp.stack(by_u, axis=-1)], axis=2)

        self.inputs = [self.inputs[0], u]
        self.run = jax.jit(jacobian)


class BundleAdjustment(JaxCase):
    """The blocks, which a sparse matrix is made of afterwards, untimed."""

    def setup(self):
        data = {name: jnp.array(array) for name, array in self.data.items()}

        def residual(camera, point, weight, seen):
            angle = jnp.sqrt(camera[:3] @ camera[:3])
            w, x = camera[:3] / angle, point - camera[3:6]
            cos, sin = jnp.cos(angle), jnp.sin(angle)
            x = x * cos + jnp.cross(w, x) * sin + w * (w @ x) * (1 - cos)
            x = x[:2] / x[2]
            square = x @ x
            x = x * (1 + camera[9] * square + camera[10] * square**2) * camera[6] + camera[7:9]
            return weight * (x - seen)

        block = jax.vmap(jax.jacfwd(residual, argnums=(0, 1, 2)))

        def blocks(cameras, points, weights):
            i, j = data["camera_of"], data["point_of"]
            return block(cameras[i], points[j], weights, data["seen"]), -2 * weights

        self.inputs = [data["cameras"], data["points"], data["weights"]]
        self.run = jax.jit(blocks)
        self.step()

    def step(self):
        return self.run(*self.inputs)

    def numbers(self, out):
        blocks, last = [np.asarray(b) for b in out[0]], np.asarray(out[1])
        return block_numbers(self.data, *blocks, last)

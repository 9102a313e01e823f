"""Training for JAX without Python between the steps: as many as are wanted in one lax.fori_loop."""

from time import perf_counter

import jax
import jax.numpy as jnp


def looped(case, inputs_of):
    """The case as one call for all steps of a turn. inputs_of(self): a function of the number of a
    step, traced, that gives the arguments of that step after the state."""

    class Looped(case):
        def setup(self):
            super().setup()
            one, inputs = self.run.__wrapped__, inputs_of(self)

            def many(state, loss, first, n):
                def body(i, carry):
                    return one(carry[0], *inputs(first + i))

                return jax.lax.fori_loop(0, n, body, (state, loss))

            self.many = jax.jit(many, donate_argnums=0)
            self.loss = jnp.zeros(
                ()
            )  # not array(0.0), whose weak type would cost a second compilation

        def run_steps(self, n):
            self.state, self.loss = self.many(self.state, self.loss, self.k, n)
            self.k += n
            return self.loss

        def step(self):
            return self.run_steps(1)

        def turn(self, steps):
            start = perf_counter()
            self.finish((self.run_steps(steps), self.state))
            return {"step": perf_counter() - start}

    return lambda data, loop=False: (Looped if loop else case)(data)


def scheduled(case):
    return lambda k: (1.0 - 0.9 * (k % 100) / 100,)


def in_turn(batches):
    """Tuples of arrays, picked one after the other."""
    columns = [jnp.stack(column) for column in zip(*batches, strict=True)]
    return lambda k: tuple(c[k % len(batches)] for c in columns)


def batches(case):
    return in_turn(case.batches)


def documents(case):
    return in_turn(case.documents)

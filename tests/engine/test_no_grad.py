"""`@no_grad`, with and without parentheses, on everything that has a body: no body records, and
nobody else stops recording, however the two take turns."""

import asyncio
import contextlib
import contextvars
import functools
import gc
import inspect
import subprocess
import sys
import weakref

import pytest
from inputs import unplaced

from micrograd_fast.engine import Value, no_grad

FORMS = {"no_grad": no_grad, "no_grad()": no_grad()}


def records():
    """Whether an op records its operands now."""
    return bool((Value(2.0) * 3)._prev)


@pytest.fixture(params=FORMS)
def decorate(request):
    """Each form in turn; afterwards ops must record as before."""
    assert records()
    yield FORMS[request.param]
    assert records()


def test_a_function_computes_and_records_nothing(decorate):
    @decorate
    def evaluate(x, *, scale=2.0):
        """Says what it does."""
        return x * scale, records()

    out, recorded = evaluate(Value(4.0), scale=3.0)
    assert (out.data, out._prev, recorded) == (12.0, set(), False)
    assert (evaluate.__name__, evaluate.__doc__) == ("evaluate", "Says what it does.")
    assert evaluate.__wrapped__ is not evaluate
    assert list(inspect.signature(evaluate).parameters) == ["x", "scale"]


def test_methods_and_class_methods_and_static_methods_work(decorate):
    class Model:
        @decorate
        def plain(self, x):
            return self, x, records()

        @classmethod
        @decorate
        def of_class(cls, x):
            return cls, x, records()

        @staticmethod
        @decorate
        def static(x):
            return x, records()

    model = Model()
    assert model.plain(1) == (model, 1, False)
    assert model.of_class(2) == Model.of_class(2) == (Model, 2, False)
    assert model.static(3) == (3, False)


def test_an_error_ends_the_block(decorate):
    @decorate
    def fails():
        raise KeyError("in the function")

    with pytest.raises(KeyError):
        fails()
    assert records()


@pytest.mark.parametrize("thing", [5, "f", classmethod(len), property(len), [len]], ids=unplaced)
def test_what_cannot_be_called_is_refused_when_decorated(thing, decorate):
    with pytest.raises(TypeError, match=type(thing).__name__):
        decorate(thing)


# ---- generators: the same turns as without the decorator, but for what is recorded ----


def chatty(log):
    """A generator that is sent to, thrown at and closed; it says what it saw."""
    got = "start"
    try:
        while got != "stop":
            try:
                log.append((got, records()))
                got = yield got
            except ValueError as error:
                log.append(("caught", str(error), records()))
                got = "caught"
        return "returned"
    finally:
        log.append(("finally", records()))


def turns(make):
    """What the caller sees of a chatty generator, and that it records between all turns."""
    seen, log = [], []
    body = make(log)
    assert records()
    seen.append(next(body))
    assert records()
    seen.append(body.send("one"))
    assert records()
    seen.append(body.throw(ValueError("thrown")))
    assert records()
    with pytest.raises(StopIteration) as end:
        body.send("stop")
    seen.append(end.value.value)
    closed = make(log)
    next(closed)
    closed.close()
    with pytest.raises(StopIteration):
        next(closed)
    failing = make(log)
    next(failing)
    with pytest.raises(KeyError, match="passes through"):
        failing.throw(KeyError("passes through"))
    assert records()
    return seen, [entry[:-1] for entry in log], {entry[-1] for entry in log}


def test_a_generator_runs_in_the_block_and_yields_outside_of_it(decorate):
    seen, log, recorded = turns(decorate(chatty))
    plain_seen, plain_log, plain_recorded = turns(chatty)
    assert (seen, log) == (plain_seen, plain_log)
    assert (recorded, plain_recorded) == ({False}, {True})
    assert inspect.isgeneratorfunction(decorate(chatty))


def test_a_generator_that_is_dropped_is_closed_in_the_block(decorate):
    log = []
    body = decorate(chatty)(log)
    next(body)
    del body
    gc.collect()
    assert log[-1] == ("finally", False)


def test_two_generators_may_take_turns(decorate):
    def numbers(n):
        for k in range(n):
            yield k, records()

    mixed = zip(decorate(numbers)(3), numbers(3), strict=True)
    assert list(mixed) == [((k, False), (k, True)) for k in range(3)]


@pytest.mark.usefixtures("gc_off")
def test_an_error_thrown_into_a_generator_is_not_kept(decorate):
    class Thing:
        pass

    def fails():
        thing = Thing()
        things.append(weakref.ref(thing))
        yield
        yield

    things, body = [], None
    body = decorate(fails)()
    next(body)
    with contextlib.suppress(KeyError):
        body.throw(KeyError())
    del body
    assert things[0]() is None


# ---- coroutines and asynchronous generators ----


async def pause(log):
    """Hands over to the loop; others run meanwhile."""
    log.append(("waits", records()))
    await asyncio.sleep(0)
    log.append(("goes on", records()))


def test_a_coroutine_runs_in_the_block_and_waits_outside_of_it(decorate):
    mine, others = [], []

    @decorate
    async def evaluate(x):
        await pause(mine)
        try:
            await asyncio.wait_for(asyncio.sleep(10), 0.001)
        except (asyncio.TimeoutError, TimeoutError):
            mine.append(("timed out", records()))
        return x * 2

    async def other():
        for _ in range(3):
            others.append(records())
            await asyncio.sleep(0)

    async def main():
        out, _ = await asyncio.gather(evaluate(Value(3.0)), other())
        return out, records()

    out, recorded = asyncio.run(main())
    assert (out.data, out._prev, recorded) == (6.0, set(), True)
    assert mine == [("waits", False), ("goes on", False), ("timed out", False)]
    assert others == [True] * 3
    assert inspect.iscoroutinefunction(evaluate)


def test_a_cancelled_coroutine_cleans_up_in_the_block(decorate):
    log = []

    @decorate
    async def sleeps():
        try:
            await asyncio.sleep(10)
        finally:
            log.append(records())

    async def main():
        task = asyncio.ensure_future(sleeps())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return records()

    assert asyncio.run(main())
    assert log == [False]


def test_an_asynchronous_generator_runs_in_the_block_and_yields_outside_of_it(decorate):
    log = []

    async def body(n):
        try:
            for k in range(n):
                await pause(log)
                try:
                    sent = yield k, records()
                    log.append((sent, records()))
                except ValueError:
                    log.append(("caught", records()))
                    yield "caught"
        finally:
            log.append(("finally", records()))

    async def main(make):
        seen = []
        async for item, recorded in make(2):
            seen.append((item, recorded, records()))
        agen = make(3)
        seen.append(await agen.asend(None))
        seen.append(await agen.asend("sent"))
        seen.append(await agen.athrow(ValueError()))
        await agen.aclose()
        failing = make(1)
        await failing.asend(None)
        with pytest.raises(KeyError):
            await failing.athrow(KeyError())
        seen.append(records())
        return seen

    wrapped = decorate(body)
    assert inspect.isasyncgenfunction(wrapped)
    seen = asyncio.run(main(wrapped))
    assert seen == [(0, False, True), (1, False, True), (0, False), (1, False), "caught", True]
    mine = [entry[0] for entry in log]
    assert {entry[1] for entry in log} == {False}
    log.clear()
    asyncio.run(main(body))
    assert [entry[0] for entry in log] == mine


def test_partial_functions_of_generators_are_generators_too(decorate):
    make = decorate(functools.partial(chatty, log := []))
    assert next(make()) == "start"
    assert log == [("start", False), ("finally", False)]


def test_context_variables_are_seen_as_without_the_decorator(decorate):
    variable = contextvars.ContextVar("variable", default=0)

    @decorate
    async def sets():
        variable.set(1)
        await asyncio.sleep(0)
        return variable.get()

    assert asyncio.run(sets()) == 1


def test_importing_the_package_does_not_import_what_decorating_needs():
    code = (
        "import sys; before = set(sys.modules); import micrograd_fast; "
        "print({'inspect', 'asyncio', 'functools'} & (set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"

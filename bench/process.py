"""The parent's side of a child process, and the environment that pins its threads."""

import contextlib
import os
import pickle
import selectors
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic

ROOT = Path(__file__).parents[1]
# The checkout comes last on the path: in front, its micrograd_fast would hide an installed one.
PATH = "import sys; sys.path[:1] = []; sys.path.append(sys.argv[1]); "
START = PATH + "from bench.worker import main; main()"
THREAD_VARIABLES = (
    "BENCH_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NPROC",  # XLA's thread pool
)


def pinned_environment(threads):
    """os.environ with every library told the same number of threads, and JAX kept on the CPU."""
    env = dict(os.environ)
    env.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    flags = f"--xla_cpu_multi_thread_eigen={str(threads > 1).lower()}"
    env["XLA_FLAGS"] = f"{env.get('XLA_FLAGS', '')} {flags}".strip()
    env["JAX_PLATFORMS"] = "cpu"
    env["BENCH_CORES"] = ",".join(map(str, cores_for(threads) or ()))
    env.setdefault("PYTHONWARNINGS", "ignore")
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # a user's second import has the bytecode at hand
    return env


def cores_for(threads):
    """The cores that every child works on, as many as threads; None where that cannot be said."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    return sorted(os.sched_getaffinity(0))[-threads:]


class Failure(Exception):
    """The child could not do it: its own error, a crash or the end of its time."""


class Child:
    """One engine on one problem in a process of its own."""

    def __init__(self, row, problem, data_file, threads):
        self.row = row
        self.ended = False
        self.stderr = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the child
        folder = os.path.dirname(data_file)  # gone afterwards, so that every set-up is a first one
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, str(ROOT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.stderr,
            cwd=folder,  # compilers leave files behind when their user is ended
            env=pinned_environment(threads) | {"TORCHINDUCTOR_CACHE_DIR": folder},
            start_new_session=True,  # so that compilers that it started end with it
        )
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ)
        self.send((row, problem, data_file))

    def send(self, message):
        with contextlib.suppress(BrokenPipeError):
            pickle.dump(message, self.process.stdin)
            self.process.stdin.flush()

    def answer(self, limit):
        """The child's next message; Failure when it has an error, is gone or takes too long."""
        start = monotonic()
        if not self.selector.select(limit):
            self.end()
            raise Failure(f"over {limit:.0f} s")
        try:
            message = pickle.load(self.process.stdout)
        except (EOFError, pickle.UnpicklingError):
            code = self.process.wait()
            raise Failure(f"ended with code {code}{self.last_words()}") from None
        if "error" in message:
            self.end()
            raise Failure(message["error"])
        message["waited"] = monotonic() - start
        return message

    def ask(self, limit, method, *arguments):
        self.send((method, arguments))
        return self.answer(limit)

    def last_words(self):
        self.stderr.seek(0)
        lines = self.stderr.read().decode(errors="replace").strip().splitlines()
        return f": {lines[-1]}"[:200] if lines else ""

    def kill(self):
        """With all that it started, where the system has process groups."""
        if hasattr(os, "killpg") and not self.ended:
            self.ended = True
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()

    def end(self):
        """Ends the process at once, asked or not."""
        self.selector.close()
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        self.kill()
        self.process.wait()
        self.process.stdout.close()
        self.stderr.close()

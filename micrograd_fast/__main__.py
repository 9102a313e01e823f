"""The command line: `micrograd-fast demo`, `run`, `info`; also as `python -m micrograd_fast`.

Parses and checks options, nothing else. What a command does is in a module of its own, imported
only when that command runs, so that `--help` and `--version` answer at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from micrograd_fast._version import __version__

INTERRUPTED = 130  # what a shell reports for a program that Ctrl-C ended

EXAMPLES = """\
examples:
  micrograd-fast demo                          train micrograd's demo, save a picture
  micrograd-fast demo --data digits            the same with handwritten digits
  micrograd-fast run train.py --epochs 3       run a program that imports micrograd, unchanged
  micrograd-fast run -m pytest tests           the same for a module; -c "code" and - as well
  micrograd-fast info                          what to put into a report of a fault
"""

DEMO_EXAMPLES = """\
examples:
  micrograd-fast demo                          the moons demo, 100 steps
  micrograd-fast demo --data digits            handwritten digits, with a held-out test split
  micrograd-fast demo --engine compiled        the same loss, traced once and replayed
  micrograd-fast demo --steps 20 --no-plot     a short run without a picture
  micrograd-fast demo --out pictures/moons.png
  micrograd-fast demo --gif                    and a film of the decision boundary
"""

RUN_EXAMPLES = """\
examples:
  micrograd-fast run train.py --epochs 3
  micrograd-fast run -m pytest tests
  micrograd-fast run -c "from micrograd.engine import Value; print(Value(2.0) ** 3)"
  generate_program | micrograd-fast run - --epochs 3
  python -m micrograd_fast run train.py
  micrograd-fast run --swap-value microgpt.py            its own Value class is replaced
  micrograd-fast run --swap-value --compare microgpt.py  both ways: times and outputs
"""

COMPLETION = """\
completion in the shell, with micrograd-fast[completion] installed:
  eval "$(register-python-argcomplete micrograd-fast)"      bash and zsh; once a session
"""


def whole_number(low: int, high: int | None = None) -> Callable[[str], int]:
    """An argparse type: an integer from low to high, both included."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if number < low:
            raise argparse.ArgumentTypeError(f"must be at least {low}, not {number}")
        if high is not None and number > high:
            raise argparse.ArgumentTypeError(f"must be at most {high}, not {number}")
        return number

    return parse


def picture_problem(path: Path, suffix: str) -> str | None:
    """Why a picture cannot be written to path, or None. Leaves no file behind."""
    if path.suffix.lower() != suffix:
        return f"{path} must end in {suffix}"
    try:
        existed = path.exists()
        # Opening is the only test that holds everywhere: permission bits do not bind root, and
        # say little on Windows and on read-only file systems.
        path.open("ab").close()
        if not existed:
            path.unlink()
    except OSError as error:
        return f"cannot write {path}: {error.strerror}"
    return None


def run_demo(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    out: Path | None = None
    if not args.no_plot:
        out = args.out or Path(f"micrograd_fast_{args.data}.png")
        problem = picture_problem(out, ".png")
        if problem:
            parser.error(f"argument --out: {problem}")
    gif: Path | None = args.gif
    if gif is not None:
        problem = picture_problem(gif, ".gif")
        if args.data != "moons":
            problem = "only --data moons has a decision boundary to film"
        if problem:
            parser.error(f"argument --gif: {problem}")

    from micrograd_fast import demo

    return demo.run(
        args.data, engine=args.engine, steps=args.steps, seed=args.seed, out=out, gif=gif
    )


def run_program(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    words, kind = args.program, "script"
    # argparse ends what belongs to -m and -c at a "--"; that and the rest it takes for a script.
    if args.module is not None:
        words, kind = args.module + args.program, "module"
    elif args.code is not None:
        words, kind = args.code + args.program, "code"
    if not words:
        parser.error("a script is needed, - for the standard input, -m MODULE or -c CODE")

    if args.if_possible and (args.compare or not args.swap_value):
        parser.error("--if-possible goes with --swap-value, and without --compare")
    if args.swap_value and not args.compare and (kind == "code" or words[0] == "-"):
        parser.error("--swap-value reads a program's file: it needs a script, or -m MODULE")
    if args.compare:
        if not args.swap_value:
            parser.error("--compare goes with --swap-value")
        if kind == "code" or words[0] == "-":
            parser.error("--compare runs a program twice: it needs a script, or -m MODULE")
        from micrograd_fast.swap_value import side_by_side

        return side_by_side.compare(["-m", *words] if kind == "module" else words, local=args.local)

    from micrograd_fast import runner

    return runner.run(
        words[0],
        words[1:],
        kind=kind,
        local=args.local,
        swap=args.swap_value,
        if_possible=args.if_possible,
    )


def run_info() -> int:
    from micrograd_fast import info

    return info.run()


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="micrograd-fast",
        description="micrograd's scalar autograd, compiled.",
        epilog=f"{EXAMPLES}\n{COMPLETION}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    add_demo(commands)
    add_run(commands)
    info = commands.add_parser(
        "info",
        help="show the build, the kernels in use and the versions of what it works with",
        description="Show the build, the kernels that this processor gets, and versions.",
    )
    info.set_defaults(run=lambda args: run_info())
    return parser


def add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    demo = commands.add_parser(
        "demo",
        help="train a small network and save a picture of the result",
        description="Train a small network, show loss and accuracy on the way, save a picture.",
        epilog=DEMO_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    demo.add_argument(
        "--data",
        choices=("moons", "digits"),
        default="moons",
        help="moons: micrograd's own demo (default); digits: 1797 scanned digits",
    )
    demo.add_argument(
        "--engine",
        choices=("eager", "compiled"),
        default="eager",
        help="eager: node by node, as micrograd does (default); compiled: mg.compile()",
    )
    demo.add_argument(
        "--steps",
        type=whole_number(1),
        metavar="N",
        help="optimization steps (default: 100 for moons, 460 for digits, which is 20 epochs)",
    )
    demo.add_argument(
        "--seed",
        type=whole_number(0, 2**32 - 1),
        default=1337,
        metavar="N",
        help="of data, weights and batches (default: 1337)",
    )
    picture = demo.add_mutually_exclusive_group()
    picture.add_argument(
        "--out",
        type=Path,
        metavar="FILE.png",
        help="the picture (default: micrograd_fast_DATA.png in the current folder)",
    )
    picture.add_argument("--no-plot", action="store_true", help="save no picture")
    demo.add_argument(
        "--gif",
        type=Path,
        nargs="?",
        const=Path("micrograd_fast_moons.gif"),
        metavar="FILE.gif",
        help="film the decision boundary while it trains (default: micrograd_fast_moons.gif)",
    )
    demo.set_defaults(run=lambda args: run_demo(demo, args))


def add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = commands.add_parser(
        "run",
        help="run a program that imports micrograd, unchanged",
        usage="%(prog)s [-h] [--local] [--swap-value [--if-possible | --compare]] "
        "SCRIPT [ARGUMENT ...]\n"
        "       %(prog)s [...] -m MODULE [ARGUMENT ...]\n"
        "       %(prog)s [-h] [--local] -c CODE [ARGUMENT ...]\n"
        "       %(prog)s [-h] [--local] - [ARGUMENT ...]",
        description="Run a script, a module, code or the standard input as Python does, "
        "with micrograd, micrograd.engine and micrograd.nn resolved to micrograd_fast.",
        epilog=RUN_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument(
        "--local",
        action="store_true",
        help="keep a micrograd that stands in the program's own folder",
    )
    run.add_argument(
        "--swap-value",
        action="store_true",
        help="replace a Value class that the program defines itself, where both agree",
    )
    run.add_argument(
        "--if-possible",
        action="store_true",
        help="with --swap-value: run the program as it is where its class cannot be replaced",
    )
    run.add_argument(
        "--compare",
        action="store_true",
        help="with --swap-value: run the program both ways, compare time and output",
    )
    run.add_argument("-m", dest="module", nargs=argparse.REMAINDER, help="a module, as python -m")
    run.add_argument("-c", dest="code", nargs=argparse.REMAINDER, help="code, as python -c")
    run.add_argument(
        "program",
        nargs=argparse.REMAINDER,
        help="a script, or - for the standard input, and its arguments",
    )
    run.set_defaults(run=lambda args: run_program(run, args))


def complete(parser: argparse.ArgumentParser) -> None:
    """Answers the shell and ends, where argcomplete is installed."""
    try:
        import argcomplete
    except ImportError:
        return
    argcomplete.autocomplete(parser)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. Wrong options leave by SystemExit(2), as argparse does."""
    parser = build_parser()
    if "_ARGCOMPLETE" in os.environ:  # a shell asks
        complete(parser)
    args = parser.parse_args(argv)
    if "run" not in args:
        parser.print_help()
        return 0
    try:
        return int(args.run(args))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())

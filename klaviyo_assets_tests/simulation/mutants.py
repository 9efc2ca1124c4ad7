"""What the simulation overlooks: small changes of the product's code with which every history still comes out right.

`python -m klaviyo_assets_tests.simulation.mutants sync.ranges api.windows` changes these modules in one place at a
time, lives through histories with each change, and prints those that none of them has found; `--tests` lets tests
judge these, in processes of their own, of which this module is a plugin.
"""

from __future__ import annotations

import ast
import copy
import gc
import importlib
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import types
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from pathlib import Path

import click
import pytest

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_OPERATIONS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr
}  # fmt: skip
_TEXT = (
    (" AND ", " OR "), (" OR ", " AND "), (" < ", " <= "), (" <= ", " < "), (" > ", " >= "), (" >= ", " > "),
    (" = ", " <> "), (" IS NULL", " IS NOT NULL"), (" IS NOT NULL", " IS NULL"), ("NOT ", ""), ("true", "false"),
    ("false", "true"), ("max(", "min("), ("min(", "max("),
)  # fmt: skip
"""What is changed in SQL."""

_SECONDS, _SECONDS_OF_TESTS = 60, 300
"""Of a processor, after which a change counts as found, by histories and by tests: something goes on for ever."""

_PATIENCE = 5
"""So many times that long it may take, beside other work."""


@dataclass(frozen=True)
class Mutant:
    """A change. number: of those of the module. function: name of what it is in. what: the line before and after it."""

    module: str
    number: int
    function: str
    line: int
    what: str
    code: types.CodeType


def mutants(module: str) -> Iterator[Mutant]:
    """Yield the changes of a module's functions."""
    path = importlib.import_module(module).__file__ or ""
    source = Path(path).read_text()
    original = ast.parse(source)
    unchanged = set(_functions(compile(original, path, "exec")))
    texts = {id(node.value) for node in ast.walk(original) if isinstance(node, ast.Expr)}  # of docstrings
    numbers = count()
    for place, node in enumerate(ast.walk(original)):
        for change, told in () if id(node) in texts and isinstance(node, ast.Constant) else _changes(node):
            changed = copy.deepcopy(original)
            same = next(found for at, found in enumerate(ast.walk(changed)) if at == place)
            change(same)
            code = compile(ast.fix_missing_locations(changed), path, "exec")
            line = getattr(node, "lineno", 0)
            for function in _functions(code):
                if function not in unchanged and function.co_firstlineno <= line <= _last_line(function):
                    what = f"{source.splitlines()[line - 1].strip()}  ({told})"
                    yield Mutant(module, next(numbers), function.co_qualname, line, what, function)


def _changes(node: ast.AST) -> Iterator[tuple[Callable[[ast.AST], None], str]]:
    """Yield what may be changed of a part of the code, in words as well."""

    def put(**given: object) -> Callable[[ast.AST], None]:
        def change(same: ast.AST) -> None:
            for name, value in given.items():
                setattr(same, name, value)

        return change

    match node:
        case ast.Compare(ops=[operator]):
            for other in _COMPARISONS.get(type(operator), ()):
                yield put(ops=[other()]), f"{type(operator).__name__} to {other.__name__}"
        case ast.BoolOp(op=operator):
            other_op = ast.Or if isinstance(operator, ast.And) else ast.And
            yield put(op=other_op()), f"{type(operator).__name__} to {other_op.__name__}"
        case ast.BinOp(op=operator) if type(operator) in _OPERATIONS:
            yield put(op=_OPERATIONS[type(operator)]()), f"{type(operator).__name__} changed"
        case ast.UnaryOp(op=ast.Not()):
            yield put(op=ast.UAdd(), operand=ast.Call(ast.Name("bool", ast.Load()), [node.operand], [])), "no not"
        case ast.IfExp():
            yield put(body=node.orelse), "always the other"
            yield put(orelse=node.body), "never the other"
        case ast.Constant(value=bool() as value):
            yield put(value=not value), f"{value} to {not value}"
        case ast.Constant(value=int() | float() as value):
            yield put(value=value + 1), f"{value} to {value + 1}"
        case ast.Constant(value=str() as value):
            for old, new in _TEXT:
                if old in value:
                    yield put(value=value.replace(old, new, 1)), f"{old!r} to {new!r}"
        case ast.Expr(value=ast.Call()):
            yield put(value=ast.Constant(None)), "not called"
        case ast.Call(func=ast.Name(id="min" | "max" as name)):
            yield put(func=ast.Name("max" if name == "min" else "min", ast.Load())), f"{name} changed"


def _functions(code: types.CodeType) -> Iterator[types.CodeType]:
    """Yield the functions of a module and of its classes, not those within them."""
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            if inner.co_flags & 0x2:  # has local variables of its own: no class
                yield inner
            else:
                yield from _functions(inner)


def _last_line(code: types.CodeType) -> int:
    inner = [_last_line(each) for each in code.co_consts if isinstance(each, types.CodeType)]
    return max([line for *_, line in code.co_lines() if line] + inner)


def _put_in_place(mutant: Mutant) -> bool:
    """Have the function be the changed one; return whether it is there at all."""
    found = [
        each
        for each in gc.get_objects()
        if isinstance(each, types.FunctionType)
        and each.__code__.co_filename == mutant.code.co_filename
        and each.__code__.co_firstlineno == mutant.code.co_firstlineno
        and each.__code__.co_qualname == mutant.function
    ]
    for function in found:
        function.__code__ = mutant.code
    return bool(found)


def _tried(mutant: Mutant, seeds: range, tier: int) -> None:
    """Leave with 0 if all histories come out right, 4 if not, 3 if the function is nowhere."""
    from klaviyo_assets_tests.simulation.__main__ import live

    gc.unfreeze()
    if not _put_in_place(mutant):
        os._exit(3)
    _limit(_SECONDS)
    signal.alarm(_SECONDS * _PATIENCE)
    if live(seeds, tier) is not None:
        os._exit(4)
    os._exit(0)


def _limit(seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--mutant", nargs=2, metavar=("MODULE", "NUMBER"), help="Run the tests with this change.")


def pytest_configure(config: pytest.Config) -> None:
    if given := config.getoption("--mutant"):
        _put_in_place(next(islice(mutants(given[0]), int(given[1]), None)))


def _found_by_tests(tests: Sequence[str], mutant: Mutant | None) -> bool:
    """Return whether tests fail with a change, or without any."""
    given = ["--mutant", mutant.module, str(mutant.number)] if mutant else []
    plugins = ["-p", __spec__.name, "-p", "no:cacheprovider", "-n", "0"]
    command = [sys.executable, "-m", "pytest", *plugins, *given, *tests, "-x"]
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS_OF_TESTS * _PATIENCE,
            preexec_fn=partial(_limit, _SECONDS_OF_TESTS),
        )
    except subprocess.TimeoutExpired:
        return True
    return done.returncode != 0


def survivors(found: list[Mutant], seeds: range, tier: int, tests: Sequence[str] = ()) -> Counter[str]:
    """Return how many mutants the histories of the seeds have found, the tests of the rest, and nobody.

    Each is tried in a fork of this process, by tests in a process of its own. Those that no history has found are
    printed.
    """
    from klaviyo_assets_tests.simulation.__main__ import lived
    from klaviyo_assets_tests.simulation.plan import history

    if wrong := lived(seeds[0], history(seeds[0])[:1], tier):  # also imports everything, once
        raise click.ClickException(str(wrong))
    if tests and _found_by_tests(tests, None):
        raise click.ClickException("The tests fail without any change.")
    forks = multiprocessing.get_context("fork")
    by: Counter[str] = Counter()

    def judge(mutant: Mutant) -> None:
        process = forks.Process(target=_tried, args=(mutant, seeds, tier))
        process.start()
        process.join()
        judged = _JUDGED[process.exitcode or 0]  # an error of this module's own is none of a mutant's
        if tests and judged in ("overlooked", "nowhere") and _found_by_tests(tests, mutant):
            judged = "found by tests"
        by[judged] += 1
        if judged not in ("found by histories", "never ended"):
            where = f"{mutant.module.removeprefix('klaviyo_assets.')}:{mutant.line} {mutant.function}"
            click.echo(f"{by.total()} of {len(found)}, {judged}: {where}: {mutant.what}")

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        list(threads.map(judge, found))
    return by


_JUDGED = {
    0: "overlooked",
    3: "nowhere",
    4: "found by histories",
    -signal.SIGALRM: "never ended",
    -signal.SIGXCPU: "never ended",
}
"""Status of a mutant's process -> what it says."""


@click.command()
@click.argument("modules", nargs=-1, required=True)
@click.option("--seeds", default=30, show_default=True, help="How many histories each change has to come through.")
@click.option("--first", default=0, show_default=True, help="The first of their seeds.")
@click.option("--tier", default=1, show_default=True, help="1: of dictionaries, 2: DuckDB.")
@click.option("--tests", multiple=True, help="Tests that judge what no history has found; may be repeated.")
@click.option("--sample", type=int, help="Try only so many changes, chosen at random.")
def main(
    modules: tuple[str, ...], seeds: int, first: int, tier: int, tests: tuple[str, ...], sample: int | None
) -> None:
    """Change MODULES, such as sync.ranges, in one place at a time, and print what no history has found."""
    found = [mutant for module in modules for mutant in mutants(f"klaviyo_assets.{module}")]
    if sample is not None and sample < len(found):
        found = random.Random(0).sample(found, sample)
    by = survivors(found, range(first, first + seeds), tier, tests)
    click.echo(f"Of {len(found):,} changes: " + ", ".join(f"{by[each]:,} {each}" for each in sorted(by)) + ".")
    sys.exit(by["overlooked"] > 0)


if __name__ == "__main__":
    main()

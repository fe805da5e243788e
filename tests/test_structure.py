"""The structure of the package: imports go one way, stages are independent, and nothing heavy is imported early.

The tests mirror the package, and use none of its private names.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import fercli

PACKAGE = Path(fercli.__file__).parent
LAYERS = (
    {"cli", "__main__"},
    {"fercli", "_api", "_functions", "_stubs", "results", "summaries"},
    {"serving"},
    {"stages"},
    {"stages.train_run"},
    {"stages.train_epochs"},
    {"stages.train_setup"},
    {"stages.train_jobs"},
    {"stages.train_options"},
    {"stages.model_options"},
    {"stages.options"},
    {"stages.base"},
    {"publishing"},
    {"training", "generation", "evaluation", "explanation", "verification"},
    {"packs", "datasets", "faces", "models", "recipes", "report"},
)
"""From top to bottom; subpackages that are not listed belong to the lowest layer."""
SHARED = (
    "stages.base",
    "stages.options",
    "stages.model_options",
    "stages.train_options",
    "stages.train_setup",
    "stages.train_epochs",
    "stages.train_jobs",
    "stages.train_run",
)
"""Modules of `stages` that every stage may import."""
HEAVY = {"torch", "torchvision", "timm", "cv2", "matplotlib", "sklearn", "h5py"}
WITHOUT_TORCH = (
    "sample", "import_dataset", "detect", "clean", "balance", "pack", "compare",
)  # fmt: skip
TESTS = Path(__file__).parent
PRIVATE_MODULES = {"_api", "_functions", "_stubs", "_version"}
"""Modules that are private for users of the package, but may be imported by tests."""
FOREIGN = {"_forward_hooks", "_forward_pre_hooks", "_repr_html_"}
"""Private attributes of torch, and the method that IPython calls."""
CROSS_CUTTING = {
    "cli": {"inert", "model_commands"},
    "datasets/readers": {"any_tree", "folder_trees", "lab_readers"},
    "recipes": {"claims"},
    "serving": {"page"},
    "stages": {"paths", "workers"},
    "stages/clean": {"memory", "resuming"},
    "stages/crossvalidate": {"noise"},
    "stages/detect": {"search", "videos"},
    "stages/evaluate": {"parts", "published_weights", "split_all"},
    "stages/import_dataset": {"published", "resuming"},
    "stages/train": {"phases", "probe", "resume", "snapshots"},
    "videos": {"backend"},
    ".": {"docs", "notebook", "plugins", "public_api", "readme", "structure"},
}
"""Test modules that cover several modules of their package, by folder."""


def modules() -> dict[str, Path]:
    """Return every module of the package by its dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(module: str) -> Iterator[str]:
    """Yield the modules of the package that a module imports, including in functions and under TYPE_CHECKING."""
    for node in ast.walk(ast.parse(MODULES[module].read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "fercli":
            assert node.module is not None
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)


def subpackage(module: str) -> str:
    """Return a module's subpackage; for a stage its package in `stages`."""
    parts = module.split(".")[1:]
    if not parts:
        return "fercli"
    return ".".join(parts[:2]) if parts[0] == "stages" else parts[0]


def layer(module: str) -> int:
    """Return the number of a module's layer, 0 at the top."""
    name = subpackage(module)
    for number, subpackages in enumerate(LAYERS):
        if name in subpackages or (name.startswith("stages.") and name not in SHARED and "stages" in subpackages):
            return number
    return len(LAYERS)


GRAPH = {module: set(imports(module)) for module in MODULES}


def cycles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Return the strongly connected components (Tarjan 1972) of more than one node."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[set[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph[node]:
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            at = stack.index(node)
            if len(stack) - at > 1:
                found.append(set(stack[at:]))
            del stack[at:]

    for node in graph:
        if node not in index:
            visit(node)
    return found


@pytest.mark.parametrize("module", MODULES)
def test_imports_never_go_up(module: str) -> None:
    # `_version` is in the lowest layer, and is not imported through the package.
    up = sorted(other for other in GRAPH[module] if layer(other) < layer(module))
    assert up == []


def test_no_import_cycles_of_modules() -> None:
    # A module and its package do not form a cycle: importing it always runs the package first.
    graph = {m: {o for o in others if not m.startswith(f"{o}.") and o != m} for m, others in GRAPH.items()}
    assert cycles(graph) == []


def test_no_import_cycles_of_subpackages() -> None:
    subpackages: dict[str, set[str]] = {subpackage(module): set() for module in MODULES}
    for module, others in GRAPH.items():
        subpackages[subpackage(module)] |= {subpackage(other) for other in others} - {subpackage(module)}
    assert cycles(subpackages) == []


def test_cycles_are_found() -> None:
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [{"a", "b", "c"}]


def test_stages_do_not_import_each_other() -> None:
    across = [
        (module, other)
        for module, others in GRAPH.items()
        for other in others
        if subpackage(module).startswith("stages.") and subpackage(other).startswith("stages.")
        and subpackage(other) not in (subpackage(module), *SHARED)
    ]  # fmt: skip
    assert across == []


def test_no_long_files() -> None:
    long = {str(p.relative_to(PACKAGE)): n for p in MODULES.values() if (n := len(p.read_text().splitlines())) > 300}
    assert long == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("fercli", HEAVY),
        ("fercli.cli.main", HEAVY),
        *((f"fercli.stages.{stage}.stage", {"torch", "torchvision", "timm"}) for stage in WITHOUT_TORCH),
    ],
)
def test_nothing_heavy_is_imported_early(module: str, heavy: set[str]) -> None:
    code = f"import {module}, sys; print(*sorted(set(sys.modules) & {heavy!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


# --- the tests ---


def is_private(name: object) -> bool:
    """Return whether a name is private to the package: not dunder, foreign, or a module allowed in tests."""
    return isinstance(name, str) and bool(re.fullmatch(r"_[A-Za-z]\w*", name)) and name not in PRIVATE_MODULES | FOREIGN


def private_names(code: str) -> list[str]:
    """Return the private names used by a test: imported, as an attribute, or in the target of a patch."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "fercli":
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [p for alias in node.names if alias.name.startswith("fercli") for p in alias.name.split(".")]
        elif isinstance(node, ast.Attribute) and not (isinstance(node.value, ast.Name) and node.value.id == "self"):
            names = [node.attr]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("setattr", "getattr", "delattr")):
            names = [arg.value for arg in node.args[1:2] if isinstance(arg, ast.Constant)]
        elif isinstance(node, ast.Tuple) and len(node.elts) > 1:  # a module and its attribute
            texts = [one.value if isinstance(one, ast.Constant) else None for one in node.elts[:2]]
            names = texts[1:] if str(texts[0]).startswith("fercli.") else []
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = re.findall(r"\bfercli(?:\.\w+)*?\.(_\w+)", node.value)
            names += re.findall(r"\bfrom fercli[\w.]* import .*?\b(_\w+)", node.value)
        else:
            continue
        found += [name for name in names if is_private(name)]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(TESTS.rglob("*.py")), ids=lambda path: path.relative_to(TESTS).as_posix())
def test_tests_use_no_private_names(path: Path) -> None:
    if path != Path(__file__):
        assert private_names(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "code",
    [
        "from fercli.images import _x",
        "import fercli._x",
        "images._x",
        "monkeypatch.setattr(images, '_x', 1)",
        "monkeypatch.setattr('fercli.images._x', 1)",
        "PLACE = ('fercli.images', '_x', 3)",
        "CODE = 'from fercli.images import a, _x'",
    ],
)
def test_private_names_are_found(code: str) -> None:
    assert private_names(code) == ["_x"]


def test_tests_mirror_the_package() -> None:
    """A test module is named after a module or package, optionally with an aspect (`show_hostile`), or is listed."""
    misplaced = []
    for path in sorted(TESTS.rglob("test_*.py")):
        relative, name = path.relative_to(TESTS).parent, path.stem.removeprefix("test_")
        folder = PACKAGE / relative
        if not (folder / "__init__.py").exists():
            continue  # whole pipelines
        known = {p.stem for p in folder.glob("*.py")} | {p.parent.name for p in folder.glob("*/__init__.py")}
        known |= {folder.name} | CROSS_CUTTING.get(relative.as_posix(), set())
        words = name.split("_")
        if not known & {"_".join(words[:count]) for count in range(1, len(words) + 1)}:
            misplaced.append(f"{relative}/{path.name}")
    assert misplaced == []


def test_cross_cutting_suites_exist() -> None:
    missing = [
        f"{p}/{n}" for p, names in CROSS_CUTTING.items() for n in names if not (TESTS / p / f"test_{n}.py").exists()
    ]
    assert missing == []

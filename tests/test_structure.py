"""The law of the house: imports run one way, stages do not know each other, and nothing heavy is imported early."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import fercli

PACKAGE = Path(fercli.__file__).parent
LAYERS = (
    {"cli", "__main__"},
    {"fercli", "_api", "_stubs", "results"},
    {"stages"},
    {"stages.model_options"},
    {"stages.options"},
    {"stages.base"},
    {"training", "generation", "evaluation", "explanation", "verification"},
    {"packs", "datasets", "faces", "models", "recipes", "report"},
)
"""From the top down; a room that is named nowhere belongs to the ground, the lowest layer."""
SHARED = ("stages.base", "stages.options", "stages.model_options")
"""What every stage may import of `stages`."""
HEAVY = {"torch", "torchvision", "timm", "cv2", "matplotlib", "sklearn", "h5py"}
WITHOUT_TORCH = (
    "sample", "import_dataset", "detect", "clean", "balance", "pack",
)  # fmt: skip


def modules() -> dict[str, Path]:
    """Return every module of the package by its dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(module: str) -> Iterator[str]:
    """Yield the modules of the package that a module imports, anywhere: in functions and for types alone as well."""
    for node in ast.walk(ast.parse(MODULES[module].read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "fercli":
            assert node.module is not None
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)


def room(module: str) -> str:
    """Return a module's room: the stage's own, or the first part of its name."""
    parts = module.split(".")[1:]
    if not parts:
        return "fercli"
    return ".".join(parts[:2]) if parts[0] == "stages" else parts[0]


def layer(module: str) -> int:
    """Return the number of a module's layer, 0 at the top."""
    name = room(module)
    for number, rooms in enumerate(LAYERS):
        if name in rooms or (name.startswith("stages.") and name not in SHARED and "stages" in rooms):
            return number
    return len(LAYERS)


GRAPH = {module: set(imports(module)) for module in MODULES}


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Return the sets of nodes that reach each other (Tarjan 1972), those of one node left out."""
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
def test_imports_never_run_up(module: str) -> None:
    # The version's one place is read through the package by nobody: `_version` is of the ground.
    up = sorted(other for other in GRAPH[module] if layer(other) < layer(module))
    assert up == []


def test_there_is_no_circle_of_files() -> None:
    # A module is not in a circle with the package that it lies in: importing it runs the package first.
    graph = {m: {o for o in others if not m.startswith(f"{o}.") and o != m} for m, others in GRAPH.items()}
    assert circles(graph) == []


def test_there_is_no_circle_of_rooms() -> None:
    rooms: dict[str, set[str]] = {room(module): set() for module in MODULES}
    for module, others in GRAPH.items():
        rooms[room(module)] |= {room(other) for other in others} - {room(module)}
    assert circles(rooms) == []


def test_circles_are_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [{"a", "b", "c"}]


def test_stages_do_not_import_each_other() -> None:
    across = [
        (module, other)
        for module, others in GRAPH.items()
        for other in others
        if room(module).startswith("stages.") and room(other).startswith("stages.")
        and room(other) not in (room(module), *SHARED)
    ]  # fmt: skip
    assert across == []


def test_no_file_is_long() -> None:
    long = {str(p.relative_to(PACKAGE)): n for p in MODULES.values() if (n := len(p.read_text().splitlines())) > 300}
    assert long == {}


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

"""The law of the house: imports run one way, stages do not know each other, and nothing heavy is imported early.

The tests follow the source: they lie where it lies, and reach into none of its private names.
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
TESTS = Path(__file__).parent
PRIVATE_MODULES = {"_api", "_stubs", "_version"}
"""Modules that are private for users of the package, and that tests may import."""
FOREIGN = {"_forward_hooks", "_forward_pre_hooks", "_repr_html_"}
"""Private attributes of torch, and IPython's name of what a notebook shows."""
CROSS_CUTTING = {
    "cli": {"inert", "model_commands"},
    "datasets/readers": {"any_tree", "folder_trees", "lab_readers"},
    "recipes": {"claims"},
    "stages": {"places", "workers"},
    "stages/clean": {"memory"},
    "stages/detect": {"search", "videos"},
    "stages/evaluate": {"published_weights", "split_all"},
    "stages/import_dataset": {"published"},
    "stages/train": {"phases", "resume", "snapshots"},
    "videos": {"backend"},
    ".": {"docs", "notebook", "plugins", "public_api", "readme", "structure"},
}
"""Suites that are about several modules of the package they lie in, by its folder."""


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


# --- the tests ---


def is_private(name: object) -> bool:
    """Tell whether a name is a private one of the package: neither dunder, nor of others, nor a module for tests."""
    return isinstance(name, str) and bool(re.fullmatch(r"_[A-Za-z]\w*", name)) and name not in PRIVATE_MODULES | FOREIGN


def private_names(code: str) -> list[str]:
    """Return the private names that a test reaches into: imported, as an attribute, or as text of a patch."""
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


@pytest.mark.parametrize("path", sorted(TESTS.rglob("*.py")), ids=lambda path: path.relative_to(TESTS).as_posix())
def test_tests_reach_into_nothing_private(path: Path) -> None:
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


def test_tests_lie_where_the_source_lies() -> None:
    """A suite has a module's name, that of its package, a module's and an aspect (`show_hostile`), or is listed."""
    lost = []
    for path in sorted(TESTS.rglob("test_*.py")):
        place, name = path.relative_to(TESTS).parent, path.stem.removeprefix("test_")
        folder = PACKAGE / place
        if not (folder / "__init__.py").exists():
            continue  # whole pipelines
        known = {p.stem for p in folder.glob("*.py")} | {p.parent.name for p in folder.glob("*/__init__.py")}
        known |= {folder.name} | CROSS_CUTTING.get(place.as_posix(), set())
        words = name.split("_")
        if not known & {"_".join(words[:count]) for count in range(1, len(words) + 1)}:
            lost.append(f"{place}/{path.name}")
    assert lost == []


def test_cross_cutting_suites_exist() -> None:
    gone = [
        f"{p}/{n}" for p, names in CROSS_CUTTING.items() for n in names if not (TESTS / p / f"test_{n}.py").exists()
    ]
    assert gone == []

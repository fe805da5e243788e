"""The documentation: mentioned paths, links, stages and table entries exist, and it builds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import fercli
from fercli.cli.commands import COMMANDS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [
    *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md")),
    *(path for path in sorted(DOCS.rglob("*.md")) if not {"generated", "_build"} & set(path.parts)),
]
STAGES = sorted(path.parent.name for path in (ROOT / "fercli" / "stages").glob("*/config.py"))


def name_of(path: Path) -> str:
    """Return a page's path within the repository."""
    return str(path.relative_to(ROOT))


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """Return the Sphinx extension that generates the reference."""
    spec = spec_from_file_location("reference_pages", DOCS / "reference_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def generated(target: Path) -> str | None:
    """Return the stem of a generated page, or None for another file."""
    return target.stem if target.parent == DOCS / "reference" / "generated" else None


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_mentioned_paths_exist(page: Path) -> None:
    mentioned = re.findall(r"`((?:fercli|tests|docs|benchmarks|\.github|\.ci)/[^`\s]*)`", page.read_text("utf-8"))
    missing = [path for path in mentioned if not re.search(r"[<*…]", path) and not (ROOT / path).exists()]
    assert missing == []
    folders = [path[: path.index("<")].rpartition("/")[0] for path in mentioned if "<" in path]
    assert [folder for folder in folders if not (ROOT / folder).is_dir()] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_relative_links_resolve(page: Path, reference: ModuleType) -> None:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"https?:|#", link)]
    written = reference.stems()
    for link in links:
        target = Path(os.path.normpath(page.parent / link.partition("#")[0]))
        assert target.exists() or generated(target) in written, link
        assert target.is_relative_to(ROOT), link


def test_every_page_is_in_a_table_of_contents(reference: ModuleType) -> None:
    listed = set()
    for page in PAGES:
        for block in re.findall(r"```\{toctree\}\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
            names = [line for line in block.splitlines() if line and not line.startswith(":")]
            listed |= {os.path.normpath(page.parent / name) for name in names}
    written = {str(DOCS / "reference" / "generated" / stem) for stem in reference.stems()}
    own = {str(page.with_suffix("")) for page in PAGES if page.is_relative_to(DOCS)} - {str(DOCS / "index")}
    assert listed == written | own


def test_reference_has_the_options_of_every_stage(reference: ModuleType) -> None:
    configs = reference.configs()
    assert sorted(reference.function_of(config) for config in configs.values()) == STAGES
    assert {reference.page_of(command) for command in COMMANDS} <= set(reference.stems())
    for config in configs.values():
        table = "\n".join(reference.options_table(config))
        assert all(f"| `{name}` |" in table for name in config.model_fields)
        assert all(field.description for field in config.model_fields.values()), config


def test_table_pages_list_every_entry(reference: ModuleType) -> None:
    tables = {"models": reference.MODELS, "readers": reference.READERS, "detectors": reference.DETECTORS}
    for subject, entries in tables.items():
        text = "\n".join(reference.SUBJECTS[subject]())
        assert all(f"| `{entry.name}` |" in text for entry in entries)
    text = "\n".join(reference.SUBJECTS["python"]())
    assert all(f"| `fercli.{name}` |" in text for name in fercli.__all__)


def test_table_cells_are_escaped(reference: ModuleType) -> None:
    assert reference.cell("none|flip <b> [^/]+\n*") == "none\\|flip &lt;b> \\[^/]+ \\*"


def test_citation_has_this_version() -> None:
    text = (ROOT / "CITATION.cff").read_text("utf-8")
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert f"\nversion: {fercli.__version__}\n" in text
    assert f"\nlicense: {project['license']}\n" in text
    assert [{"name": name} for name in re.findall(r"^  - name: (.*)$", text, re.MULTILINE)] == project["authors"]


def test_mentioned_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    callers = [*PAGES, ROOT / ".ci" / "run", ROOT / ".github" / "workflows" / "ci.yml"]
    for page in callers:
        mentioned = set(re.findall(r"(?:`|^|run: |real )make ([a-z-]+)", page.read_text("utf-8"), re.MULTILINE))
        assert mentioned <= targets, page


@pytest.mark.long
def test_documentation_builds_without_warnings(tmp_path: Path) -> None:
    pytest.importorskip("sphinx")
    call = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-d",
        tmp_path / "trees",
        DOCS,
        tmp_path / "html",
    ]
    build = subprocess.run(call, capture_output=True, text=True, timeout=900)
    assert build.returncode == 0, build.stderr
    for name in fercli.__all__:
        found = [
            page for page in (tmp_path / "html").rglob("*.html") if f'id="fercli.{name}"' in page.read_text("utf-8")
        ]
        assert found, name

"""Shell completion of commands, options and names: by Typer's protocol, and in a real bash."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fercli.cli.commands import COMMANDS
from fercli.cli.completion import rejoin_words
from fercli.datasets.readers import READERS
from fercli.faces.detectors import DETECTORS
from fercli.models.registry import MODELS
from tests.helpers.datasets import ROOT, python

CODE = """
import os, sys
from fercli.cli.main import main
sys.argv = ["fer"]
try:
    main()
finally:
    heavy = {"torch", "torchvision", "timm", "sklearn", "matplotlib"} & set(sys.modules)
    print(sorted(heavy), file=sys.stderr)
"""


def bash(*words: str) -> list[str]:
    """Return the completions of the last word in bash."""
    return _ask("complete_bash", COMP_WORDS="\n".join(words), COMP_CWORD=str(len(words) - 1)).splitlines()


def _ask(instruction: str, **environment: str) -> str:
    call = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, cwd=ROOT,
        env={**os.environ, "_FER_COMPLETE": instruction, **environment},
    )  # fmt: skip
    assert (call.returncode, call.stderr) == (0, "[]\n")
    return call.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("fer", ""), list(COMMANDS)),
        (("fer", "tr"), ["train"]),
        (("fer", "train", "--mod"), ["--model"]),
        (("fer", "train", "--model", "emon"), [s.name for s in MODELS if s.name.startswith("emon")]),
        (("fer", "train", "--model", "=", "emo"), [s.name for s in MODELS if s.name.startswith("emo")]),
        (("fer", "train", "--model", "timm"), ["timm/"]),
        (("fer", "train", "--quie"), ["--quiet"]),
        (("fer", "models", "quick"), ["quick", "quick-vgg"]),
        (("fer", "models", "quick", "arb"), ["arbex"]),
        (("fer", "import", "--format", ""), [r.name for r in READERS]),
        (("fer", "detect", "p", "--detector", ""), [s.name for s in DETECTORS]),
        (("fer", "detect", "p", "--detector", "deepface", ":", "op"), ["opencv"]),
        (("fer", "detect", "p", "--detector", "=", "deepface", ":", "op"), ["opencv"]),
        (("fer", "clean", "x", "--detector", "yu"), ["yunet"]),
        (("fer", "explain", "run", "--faces", ""), ["auto", "photograph", "crop"]),
        (("fer", "evaluate", "run", "--tta", "t"), ["ten-crop"]),
        (("fer", "ensemble", "a", "b", "--method", "w"), ["weighted"]),
        (("fer", "balance", "x", "--method", "ga"), ["gan"]),
        (("fer", "balance", "--target", "fer20"), ["fer2013"]),
        (("fer", "train", "--device", "c"), ["cpu", "cuda"]),
        (("fer", "show", "--sort", "ma"), ["macro-f1"]),
        (("fer", "weights", ""), ["get"]),
        (("fer", "weights", "get", "yu"), ["yunet"]),
        (("fer", "train", "pa"), []),  # left to the shell: file names
        (("fer", "nonsense", "--x"), []),
        (("fer", "train", "'a quote", "--mod"), ["--model"]),
    ],
)
def test_completions(words: tuple[str, ...], expected: list[str]) -> None:
    assert bash(*words) == expected


@pytest.mark.slow
def test_fish_and_zsh() -> None:
    line = "fer train --model resemotenet-"
    names = [spec.name for spec in MODELS if spec.name.startswith("resemotenet-")]
    fish = _ask("complete_fish", _TYPER_COMPLETE_ARGS=line, _TYPER_COMPLETE_FISH_ACTION="get-args")
    assert fish.splitlines() == names
    zsh = _ask("complete_zsh", _TYPER_COMPLETE_ARGS=line)
    assert re.findall(r'"([^"]+)"', zsh) == names


def test_words_split_by_bash_are_rejoined() -> None:
    assert rejoin_words(["fer", "a", "deepface", ":"], 3) == (["fer", "a", "deepface:"], "deepface:")
    assert rejoin_words(["fer", "--x", "=", "a", ":", "b", "c"], 5) == (["fer", "--x", "a:b"], "a:")
    assert rejoin_words(["fer", "--x", "="], 2) == (["fer", "--x", ""], "")
    assert rejoin_words(["fer", "--x", ""], 2) == (["fer", "--x", ""], "")


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
def test_in_bash(tmp_path: Path) -> None:
    """Source the script of `fer --show-completion` in bash, and call its function as the Tab key does."""
    fer = tmp_path / "fer"
    fer.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fercli "$@"\n')
    fer.chmod(0o755)
    script = """
fer --show-completion > script; source script
complete -p fer
COMP_WORDS=(fer train --model "=" emonext-t) COMP_CWORD=4
_fer_completion fer
printf '%s\\n' "${COMPREPLY[@]}"
"""
    call = subprocess.run(
        ["bash", "--norc", "-c", script], capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert call.stdout.splitlines() == ["complete -o default -F _fer_completion fer", "emonext-tiny"], call.stderr


def test_help_imports_nothing_slow() -> None:
    code = "import sys\nfrom fercli.cli.main import main\nsys.argv = ['fer', '--help']\ntry: main()\n"
    code += "finally: print(sorted({'rich', 'pydantic', 'numpy', 'torch'} & set(sys.modules)))"
    out, errors = python(code).communicate()
    assert out.splitlines()[-1] == "[]", errors
    assert "--install-completion" in out

"""Commands without the folders of a machine."""

from __future__ import annotations

import pytest

from fercli.sanitize import without_folders


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("fer train pack run --model timm/resnet18", "fer train pack run --model timm/resnet18"),
        ("fer train /data/anna/pack ./run", "fer train pack run"),
        ("fer train ~/pack ../../anna/run ~anna/x", "fer train pack run x"),
        ("fer pack data/faces out --config=/home/anna/a.toml", "fer pack data/faces out --config=a.toml"),
        ("fer evaluate 'my runs/a' '/home/my runs/b c'", "fer evaluate 'my runs/a' 'b c'"),
        ("fer tune p --storage sqlite:////home/anna/s.db", "fer tune p --storage sqlite:///s.db"),
        ("fer predict hf://anna/faces@main /tmp/x.jpg", "fer predict hf://anna/faces@main x.jpg"),
        ("fer ensemble /a/b,/c/d /", "fer ensemble b,d ."),
        ("fer 'broken", ""),
        ("", ""),
    ],
)
def test_paths_are_shortened(command: str, shown: str) -> None:
    assert without_folders(command) == shown

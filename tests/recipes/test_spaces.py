"""Search spaces: what a file may say, and the errors for what it may not."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fercli.errors import UsageError
from fercli.recipes.spaces import Choice, Range, describe, grid_points, named_spaces, read_space
from fercli.stages.tune.config import searchable

SETTINGS = ["lr", "epochs", "batch_size", "optimizer", "flip"]


def read(folder: Path, text: str, **recipe: object) -> dict[str, object]:
    (folder / "space.toml").write_text(text)
    return dict(read_space(str(folder / "space.toml"), recipe, SETTINGS))


def test_entries(tmp_path: Path) -> None:
    space = read(
        tmp_path,
        "lr = {times = [0.1, 10], log = true}\nepochs = {low = 2, high = 8, step = 3}\n"
        'batch-size = [8, 16]\noptimizer = ["sgd"]',
        lr=0.05,
    )
    assert space == {
        "lr": Range(0.005, 0.5, log=True),
        "epochs": Range(2, 8, step=3),
        "batch_size": Choice((8, 16)),
        "optimizer": Choice(("sgd",)),
    }
    assert [describe(one) for one in space.values()] == ["0.005 to 0.5 (log)", "2 to 8, in steps of 3", "8, 16", "sgd"]  # type: ignore[arg-type]
    assert read(tmp_path, "[space]\nlr = [0.1]") == {"lr": Choice((0.1,))}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"space .*space\.toml: has no settings"),
        ("lr = [", "Invalid value|Unclosed array|unclosed|Expected"),
        ("lrr = [0.1]", r"no setting 'lrr'; did you mean lr\?"),
        ("lr = []", "lr: the list is empty; give at least one value"),
        ("lr = [0.1, 0.1]", "lr: a value is listed twice"),
        ("lr = [[0.1]]", "lr: values must be numbers, texts or true and false"),
        ("lr = 0.1", "lr: expected a list of values or a table with low and high, not 0.1"),
        ("lr = {low = 0.1}", "lr: a range needs low and high, two numbers"),
        ("lr = {low = 0.1, high = true}", "lr: a range needs low and high, two numbers"),
        ("lr = {low = 0.1, high = nan}", "lr: a range needs low and high, two numbers"),
        ("lr = {low = 0.2, high = 0.1}", r"lr: the range is empty: low 0\.2 is not below high 0\.1"),
        ("lr = {low = 0.0, high = 0.1, log = true}", "lr: a logarithmic range must start above 0, not at 0"),
        ("lr = {low = 0.1, high = 1.0, log = true, step = 0.1}", "lr: a logarithmic range has no steps"),
        ("lr = {low = 0.1, high = 1.0, step = 2}", "lr: step must be a number above 0"),
        ("lr = {low = 0.1, high = 1.0, lgo = true}", "lr: no key 'lgo'; did you mean low or log"),
        ("lr = {low = 0.1, high = 1.0, log = 1}", "lr: log must be true or false"),
        (f"lr = {{low = 0.1, high = 1{'0' * 400}}}", "lr: a range needs low and high, two numbers"),
        (f"lr = {{times = [0.1, 1{'0' * 400}]}}", "lr: times needs two factors"),
        ("lr = {low = 0.1, high = 1.0, step = 1e-320}", "lr: more than 1,000,000 steps; give a larger step, or none"),
        ("lr = {times = [0.1]}", "lr: times must be two factors"),
        ("lr = {times = [0.1, 1]}", "lr: times needs two factors, and a recipe whose value is a number"),
    ],
)
def test_invalid_entries(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read(tmp_path, text)


def test_ranges_of_whole_numbers_stay_whole(tmp_path: Path) -> None:
    assert read(tmp_path, "epochs = {times = [0.3, 2]}", epochs=8) == {"epochs": Range(2, 16)}
    assert read(tmp_path, "epochs = {times = [0.3, 2]}", epochs=8.0) == {"epochs": Range(2.4, 16.0)}
    found = read(tmp_path, "epochs = {times = [0.3, 2], log = true}", epochs=8)["epochs"]
    assert isinstance(found, Range)
    assert found.whole


def test_a_range_ends_at_its_last_step(tmp_path: Path) -> None:
    space = read(tmp_path, "epochs = {low = 1, high = 4, step = 2}\nlr = {low = 0.1, high = 0.45, step = 0.1}")
    assert space == {"epochs": Range(1, 3, step=2), "lr": Range(0.1, 0.4, step=0.1)}


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no space 'around-recpie'; did you mean around-recipe\?"):
        read_space("around-recpie", {}, SETTINGS)
    with pytest.raises(UsageError, match=r"space .*none\.toml: No such file"):
        read_space(str(tmp_path / "none.toml"), {}, SETTINGS)
    (tmp_path / "b.toml").write_bytes(b"\xff")
    with pytest.raises(UsageError, match=r"b\.toml: not UTF-8 text"):
        read_space(str(tmp_path / "b.toml"), {}, SETTINGS)


@pytest.mark.parametrize("name", named_spaces())
def test_named_spaces_are_valid(name: str) -> None:
    assert read_space(name, {"lr": 0.1}, searchable())


def test_paper_grid() -> None:
    space = read_space("resnet50-cbam-paper", {}, searchable())
    points = list(grid_points(space))
    assert len(points) == len({tuple(point.values()) for point in points}) == 243
    assert points[0] == {"optimizer": "sgd", "lr": 0.001, "batch_size": 30, "weight_decay": 0.001, "epochs": 50}


@given(
    st.dictionaries(
        st.sampled_from(SETTINGS), st.lists(st.integers(0, 99), min_size=1, max_size=4, unique=True), min_size=1
    )
)
def test_grid_is_the_product(values: dict[str, list[int]]) -> None:
    points = list(grid_points({name: Choice(tuple(listed)) for name, listed in values.items()}))
    assert [tuple(point.values()) for point in points] == list(product(*values.values()))


def test_steps_of_a_grid() -> None:
    points = grid_points({"lr": Range(0.1, 0.5, step=0.2), "epochs": Range(1, 6, step=2)})
    assert [tuple(point.values()) for point in points] == list(product([0.1, 0.3, 0.5], [1, 3, 5]))
    with pytest.raises(UsageError, match="space: lr is a range, which has no grid; list its values, or give step"):
        list(grid_points({"lr": Range(0.1, 0.5)}))


def test_too_many_points_are_refused() -> None:
    wide = Choice(tuple(range(1001)))
    with pytest.raises(UsageError, match="space: a grid of 1,002,001 points; list fewer values, at most 1,000,000"):
        next(grid_points({"epochs": wide, "batch_size": wide}))

"""Training settings: what may be said, what later stages make of it, and how wrong values are told."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from fercli.errors import format_validation_error
from fercli.recipes.phases import read_stage
from fercli.recipes.settings import Settings


def settings(**values: Any) -> Settings:
    return Settings(**{"lr": 0.1, **values})


def told(**values: Any) -> str:
    """Return what is said of wrong values, in one line."""
    with pytest.raises(ValidationError) as error:
        settings(**values)
    line = format_validation_error(error.value)
    assert "\n" not in line
    return line


# --- later stages ---


def test_a_plan_without_later_stages_is_the_settings_alone() -> None:
    one = settings(epochs=3)
    assert one.plan() == (one,)
    for nothing in ("none", ["none"], ("none",), [], ()):
        assert settings(then=nothing).then == ()


def test_later_stages_say_what_differs_from_the_one_before() -> None:
    first, second, third = settings(
        epochs=100,
        batch_size=8,
        optimizer="adam",
        freeze="backbone",
        patience=5,
        then=["epochs=20, lr=1e-5, freeze=backbone,norms, class-weights=true", "optimizer=sgd,freeze="],
    ).plan()
    assert (first.epochs, first.lr, first.frozen, first.class_weights) == (100, 0.1, {"backbone"}, False)
    assert (second.epochs, second.lr, second.frozen) == (20, 1e-5, {"backbone", "norms"})
    assert (second.batch_size, second.optimizer, second.patience, second.class_weights) == (8, "adam", 5, True)
    assert (third.epochs, third.lr, third.frozen, third.optimizer) == (20, 1e-5, frozenset(), "sgd")
    assert second.then == third.then == ()
    assert settings(then="lr=0.01").then == ("lr=0.01",)


@pytest.mark.parametrize(
    ("text", "changes", "back"),
    [
        ("epochs=20", {"epochs": "20"}, set()),
        (" Lr = 1e-5 , clip-norm=3", None, None),
        (" lr = 1e-5 , clip-norm=3", {"lr": "1e-5", "clip_norm": "3"}, set()),
        ("sizes=32=0.5,48=0.5,lr=1", {"sizes": "32=0.5,48=0.5", "lr": "1"}, set()),
        ("freeze=backbone, norms", {"freeze": "backbone,norms"}, set()),
        ("dropout=,freeze=", {}, {"dropout", "freeze"}),
    ],
)
def test_stages_are_read(text: str, changes: dict[str, str] | None, back: set[str] | None) -> None:
    known = ("epochs", "lr", "clip_norm", "sizes", "freeze", "dropout")
    if changes is None:
        with pytest.raises(ValueError, match="no option 'Lr'"):
            read_stage(text, known)
    else:
        assert read_stage(text, known) == (changes, back)


def test_an_empty_value_is_the_default() -> None:
    first, second = settings(dropout=0.3, sizes="32=1", mixup=0.4, then=["dropout=,sizes=,mixup="]).plan()
    assert (first.dropout, first.sizes, first.mixup) == (0.3, "32=1", 0.4)
    assert (second.dropout, second.sizes, second.mixup) == (None, "", 0.0)


@pytest.mark.parametrize(
    ("then", "message"),
    [
        ("epochs=abc", "then: stage 2: epochs: input should be a valid integer"),
        ("epochs=0", "then: stage 2: epochs: input should be greater than or equal to 1 (given: '0')"),
        ("nosuch=1", "then: stage 2: no option 'nosuch'"),
        ("epoch=1", "then: stage 2: no option 'epoch'; did you mean epochs?"),
        ("lr=", "then: stage 2: lr: field required"),
        ("lr=1e-3,lr=1e-4", "then: stage 2: lr: given twice"),
        ("freeze=foo", "then: stage 2: freeze: no part 'foo'; there are backbone, norms"),
        ("optimizer=adm", "then: stage 2: optimizer: input should be 'sgd'"),
        ("lr=nan", "then: stage 2: lr: input should be "),
        ("", "then: stage 2: write options with values, as epochs=20,lr=1e-5 (given: '')"),
        ("20", "then: stage 2: write options with values"),
        ("=3", "then: stage 2: write options with values"),
        ("then=lr=1", "then: stage 2: then: belongs to the whole training"),
        ("select=loss", "then: stage 2: select: belongs to the whole training"),
        ("snapshots=3", "then: stage 2: snapshots: belongs to the whole training"),
        (["lr=0.1", "cycle=0"], "then: stage 3: cycle: input should be greater than or equal to 1"),
        (["lr=0.1", "none"], "then: stage 3: none leaves out all later stages"),
        ("lr_min=0.2", "then: stage 2: lr-min: should not be above lr, 0.1"),
        (3, "then: input should be a valid tuple"),
    ],
)
def test_wrong_stages_are_told_by_number_and_option(then: Any, message: str) -> None:
    assert message in told(then=then)


# --- snapshots ---


def test_snapshots() -> None:
    assert settings(snapshots="30, 40,50").snapshot_epochs() == {30, 40, 50}
    assert settings(snapshots="none").snapshots == settings().snapshots == ""
    assert settings().snapshot_epochs() == frozenset()
    by_cycle = settings(schedule="cyclic", cycle=25, snapshots="cycles")
    assert by_cycle.snapshots_by_cycle
    assert by_cycle.snapshot_epochs() == frozenset()
    assert not settings(snapshots="3").snapshots_by_cycle
    assert settings(epochs=5, snapshots="7", then=["epochs=2"]).snapshot_epochs() == {7}
    assert settings(snapshots="cycles", then=["schedule=warm-restarts,cycle=5"]).snapshots_by_cycle


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"snapshots": "0,-3"}, "snapshots: epochs from 1 up, as 30,40,50, or cycles, or none (given: '0,-3')"),
        ({"snapshots": "a"}, "snapshots: epochs from 1 up"),
        ({"snapshots": "3,,4"}, "snapshots: epochs from 1 up"),
        ({"snapshots": "1.5"}, "snapshots: epochs from 1 up"),
        ({"snapshots": "5,6", "epochs": 5}, "snapshots: epoch 6 lies beyond the last one, 5"),
        ({"snapshots": "8", "epochs": 5, "then": ["epochs=2"]}, "snapshots: epoch 8 lies beyond the last one, 7"),
        ({"snapshots": "cycles"}, "snapshots: cycles are those of the schedules cyclic and warm-restarts"),
        (
            {"snapshots": "cycles", "schedule": "cyclic", "cycle": 10, "epochs": 9},
            "snapshots: no cycle of 10 epochs ends within the 9 of the training",
        ),
    ],
)
def test_wrong_snapshots(values: dict[str, Any], message: str) -> None:
    assert message in told(**values)


# --- other values ---


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"cycle": 0}, "cycle: input should be greater than or equal to 1"),
        ({"cycle_growth": 0}, "cycle-growth: input should be greater"),
        ({"freeze": "foo"}, "freeze: no part 'foo'; there are backbone, norms"),
        ({"freeze": "norm"}, "freeze: no part 'norm'; did you mean norms?"),
        ({"mixup": -1}, "mixup: input should be greater than or equal to 0"),
        ({"mixup": 1e-3}, "mixup: should be 0 (none) or at least 0.05"),
        ({"cutmix": float("inf")}, "cutmix: input should be less than or equal to 100"),
        ({"dropout": 1.0}, "dropout: input should be less than 1"),
        ({"l1": -1}, "l1: input should be greater"),
        ({"l1": float("inf")}, "l1: input should be a finite number"),
        ({"decay_steps": 0}, "decay-steps: input should be greater"),
        ({"decay_rate": float("nan")}, "decay-rate: input should be "),
        ({"lr_min": 0.2}, "lr-min: should not be above lr, 0.1 (given: 0.2)"),
        ({"schedule": "foo"}, "'cyclic', 'warm-restarts' or 'inverse-time' (given: 'foo')"),
        ({"optimizer": "ranger"}, "'radam', 'ranger-adabelief' or 'muon' (given: 'ranger')"),
    ],
)
def test_wrong_values_are_told_in_a_line(values: dict[str, Any], message: str) -> None:
    assert message in told(**values)


def test_none_freezes_nothing() -> None:
    assert settings(freeze="none").frozen == settings(freeze="").frozen == frozenset()
    assert settings(freeze=" norms , backbone ").frozen == {"backbone", "norms"}

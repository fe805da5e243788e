"""Training settings: allowed values, what later phases change, and the errors for wrong values."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from fercli.errors import format_validation_error
from fercli.recipes.phases import Phase, parse_changes
from fercli.recipes.settings import Settings


def settings(**values: Any) -> Settings:
    return Settings(**{"lr": 0.1, **values})


def message_of(**values: Any) -> str:
    """Return the error for wrong values, in one line."""
    with pytest.raises(ValidationError) as error:
        settings(**values)
    line = format_validation_error(error.value)
    assert "\n" not in line
    return line


# --- phases ---


def test_settings_without_later_phases_have_one_phase() -> None:
    single = settings(epochs=3)
    assert single.phases == (single,)
    for nothing in ("none", ["none"], ("none",), [], ()):
        assert settings(phase=nothing).phase == ()


def test_phases_inherit_from_the_phase_before() -> None:
    first, second, third = settings(
        epochs=100,
        batch_size=8,
        optimizer="adam",
        freeze="backbone",
        patience=5,
        phase=["epochs=20, lr=1e-5, freeze=backbone,norms, class-weights=true", "optimizer=sgd,freeze="],
    ).phases
    assert (first.epochs, first.lr, first.freeze, first.class_weights) == (100, 0.1, {"backbone"}, False)
    assert (second.epochs, second.lr, second.freeze) == (20, 1e-5, {"backbone", "norms"})
    assert (second.batch_size, second.optimizer, second.patience, second.class_weights) == (8, "adam", 5, True)
    assert (third.epochs, third.lr, third.freeze, third.optimizer) == (20, 1e-5, frozenset(), "sgd")
    assert settings(phase="lr=0.01").phases[1].lr == 0.01


def test_phases_as_tables_and_json_round_trip() -> None:
    chosen = settings(
        dropout=0.3,
        phase=[{"epochs": 20, "freeze": ["norms"], "dropout": None}, "progressive-sizes=32=0.5,48=0.5,freeze="],
        snapshots=[3, 1],
    )
    written = chosen.model_dump(mode="json")
    assert written["phase"] == [
        {"epochs": 20, "dropout": None, "freeze": ["norms"]},
        {"freeze": [], "progressive_sizes": [[32, 0.5], [48, 0.5]]},
    ]
    assert written["snapshots"] == [1, 3]
    assert Settings(**written) == chosen
    assert settings(dropout=0.3, phase=[str(phase) for phase in chosen.phase]).phase == chosen.phase
    assert str(chosen.phase[0]) == "epochs=20,dropout=,freeze=norms"


def test_equivalent_phases_are_equal() -> None:
    first, second = (settings(phase=text) for text in ("lr=1e-2, epochs=020", "epochs=20,lr=0.01"))
    assert first == second
    assert isinstance(first.phase[0], Phase)
    assert hash(first) == hash(second)


@pytest.mark.parametrize(
    ("text", "changes", "back"),
    [
        ("epochs=20", {"epochs": "20"}, set()),
        (" Lr = 1e-5 , clip-norm=3", None, None),
        (" lr = 1e-5 , clip-norm=3", {"lr": "1e-5", "clip_norm": "3"}, set()),
        ("progressive-sizes=32=0.5,48=0.5,lr=1", {"progressive_sizes": "32=0.5,48=0.5", "lr": "1"}, set()),
        ("freeze=backbone, norms", {"freeze": "backbone,norms"}, set()),
        ("dropout=,freeze=", {}, {"dropout", "freeze"}),
    ],
)
def test_changes_are_parsed(text: str, changes: dict[str, str] | None, back: set[str] | None) -> None:
    known = ("epochs", "lr", "clip_norm", "progressive_sizes", "freeze", "dropout")
    if changes is None:
        with pytest.raises(ValueError, match="no option 'Lr'"):
            parse_changes(text, known)
    else:
        assert parse_changes(text, known) == (changes, back)


def test_empty_value_resets_to_the_default() -> None:
    first, second = settings(
        dropout=0.3, progressive_sizes="32=1", mixup=0.4, phase=["dropout=,progressive-sizes=,mixup="]
    ).phases
    assert (first.dropout, first.progressive_sizes, first.mixup) == (0.3, ((32, 1.0),), 0.4)
    assert (second.dropout, second.progressive_sizes, second.mixup) == (None, (), 0.0)


@pytest.mark.parametrize(
    ("phase", "message"),
    [
        ("epochs=abc", "phase: phase 2: epochs: input should be a valid integer"),
        ("epochs=0", "phase: phase 2: epochs: input should be greater than or equal to 1 (given: '0')"),
        ("nosuch=1", "phase: phase 2: no option 'nosuch'"),
        ("epoch=1", "phase: phase 2: no option 'epoch'; did you mean epochs?"),
        ("lr=", "phase: phase 2: lr: field required"),
        ("lr=1e-3,lr=1e-4", "phase: phase 2: lr: given twice"),
        ("freeze=foo", "phase: phase 2: freeze: no part 'foo'; there are backbone, norms"),
        ("optimizer=adm", "phase: phase 2: optimizer: input should be 'sgd'"),
        ("lr=nan", "phase: phase 2: lr: input should be "),
        ("", "phase: phase 2: write options with values, such as epochs=20,lr=1e-5 (given: '')"),
        ("20", "phase: phase 2: write options with values"),
        ("=3", "phase: phase 2: write options with values"),
        ("phase=lr=1", "phase: phase 2: phase: applies to the whole training"),
        ("select=loss", "phase: phase 2: select: applies to the whole training"),
        ("snapshots=3", "phase: phase 2: snapshots: applies to the whole training"),
        (["lr=0.1", "cycle=0"], "phase: phase 3: cycle: input should be greater than or equal to 1"),
        (["lr=0.1", "none"], "phase: phase 3: none removes all phases but the first"),
        ("lr_min=0.2", "phase: phase 2: lr-min: should not be above lr, 0.1"),
        (3, "phase: write each phase as options with values"),
    ],
)
def test_errors_name_the_phase_and_the_option(phase: Any, message: str) -> None:
    assert message in message_of(phase=phase)


# --- snapshots ---


def test_snapshots() -> None:
    assert settings(snapshots="30, 40,50").snapshots == settings(snapshots=[30, 40, 50]).snapshots == {30, 40, 50}
    assert settings(snapshots="none").snapshots == settings().snapshots == frozenset()
    by_cycle = settings(schedule="cyclic", cycle=25, snapshots="cycles")
    assert by_cycle.snapshots == "cycles"
    assert settings(epochs=5, snapshots=7, phase=["epochs=2"]).snapshots == {7}
    assert settings(snapshots="cycles", phase=["schedule=warm-restarts,cycle=5"]).snapshots == "cycles"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"snapshots": "0,-3"}, "snapshots: epochs from 1, such as 30,40,50, or cycles, or none (given: '0,-3')"),
        ({"snapshots": "a"}, "snapshots: epochs from 1"),
        ({"snapshots": "3,,4"}, "snapshots: epochs from 1"),
        ({"snapshots": "1.5"}, "snapshots: epochs from 1"),
        ({"snapshots": "5,6", "epochs": 5}, "snapshots: epoch 6 is beyond the last one, 5"),
        ({"snapshots": "8", "epochs": 5, "phase": ["epochs=2"]}, "snapshots: epoch 8 is beyond the last one, 7"),
        ({"snapshots": "cycles"}, "snapshots: cycles are those of the schedules cyclic and warm-restarts"),
        (
            {"snapshots": "cycles", "schedule": "cyclic", "cycle": 10, "epochs": 9},
            "snapshots: no cycle of 10 epochs ends within the 9 of the training",
        ),
    ],
)
def test_wrong_snapshots(values: dict[str, Any], message: str) -> None:
    assert message in message_of(**values)


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
        ({"focal": -1}, "focal: input should be greater than or equal to 0 (given: -1)"),
        ({"sam": "rho"}, "sam: input should be a valid number"),
        ({"sam_every": 0}, "sam-every: input should be greater than or equal to 1 (given: 0)"),
        ({"attention_consistency": float("nan")}, "attention-consistency: input should be "),
        (
            {"logit_adjustment": 1, "class_weights": True},
            "logit-adjustment: corrects for rare emotions, as class-weights does; use one of them",
        ),
        ({"lr_min": 0.2}, "lr-min: should not be above lr, 0.1 (given: 0.2)"),
        ({"schedule": "foo"}, "'cyclic', 'warm-restarts' or 'inverse-time' (given: 'foo')"),
        ({"optimizer": "ranger"}, "'radam', 'ranger-adabelief' or 'muon' (given: 'ranger')"),
    ],
)
def test_errors_are_one_line(values: dict[str, Any], message: str) -> None:
    assert message in message_of(**values)


def test_none_freezes_nothing() -> None:
    assert settings(freeze="none").freeze == settings(freeze="").freeze == frozenset()
    assert settings(freeze=" norms , backbone ").freeze == {"backbone", "norms"}

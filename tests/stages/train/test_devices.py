"""Training on several devices: the same run as on one, whatever happens to the processes."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from fercli.artifacts import Artifact, open_artifact
from fercli.environment import child_environment
from fercli.errors import FerError, UsageError
from fercli.models.devices import count_devices, nth_device
from fercli.models.preprocessing import Preprocessing
from fercli.models.registry import find_model
from fercli.packs.loading import PackDataset
from fercli.stages.train.config import TrainConfig
from fercli.training.loop import Trainer
from tests.helpers.packs import QUICK, make_pack
from tests.helpers.training import Listener, go, table

CPU = torch.device("cpu")
DRAWN = {"rotation": 10.0, "shift": 0.1, "flip": 0.5, "erasing": 0.5}


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A pack whose splits cannot be divided by two."""
    return make_pack(tmp_path_factory.mktemp("pack") / "pack", {"train": 61, "validation": 19, "test": 7})


def assert_same_curve(one: Artifact, other: Artifact, tolerance: float = 1e-5) -> None:
    for mine, theirs in zip(table(one), table(other), strict=True):
        for name in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "learning_rate"):
            assert theirs[name] == pytest.approx(mine[name], abs=tolerance), (mine["epoch"], name)


# --- parts of a batch, in one process ---


class Linear(nn.Module):
    """A model without batch norm or dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.LazyLinear(7))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers(x)
        return logits


def linear_weights(accumulate: int, votes: bool = False, **options: Any) -> list[torch.Tensor]:
    """Train a linear model for two epochs; return its weights, and the metrics."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (23, 16, 16), dtype=torch.uint8, generator=generator)
    labels = torch.arange(23) % 5
    soft = torch.softmax(torch.randn(23, 7, generator=generator), 1) if votes else None
    config = TrainConfig.of(**{**QUICK, "optimizer": "sgd", "lr": 0.1, "ema": 0.0, **options})
    torch.manual_seed(0)
    model = Linear()
    preprocessing = Preprocessing.of(find_model("quick"), 16)
    model(preprocessing.normalise(torch.zeros(1, 1, 16, 16)))
    faces = PackDataset(images, labels, CPU, True, soft)
    one = Trainer(config.phases, model, preprocessing, faces, 7, CPU, accumulate=accumulate)
    metrics = [one.train_epoch(lambda count, note: None) for _ in range(2)]
    losses = torch.tensor([[found[name] for name in ("train_loss", "train_accuracy")] for found in metrics])
    return [*model.state_dict().values(), losses]


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {},
        DRAWN,
        {"class_weights": True, "label_smoothing": 0.1},
        {"class_weights": True, "votes": True},
        {"mixup": 0.4},
        {"cutmix": 1.0, "class_weights": True, **DRAWN},
        {"alternating_flip": True, "l1": 1e-4, "clip_norm": 0.5},
        {"sam": 0.1, "focal": 2.0, "logit_adjustment": 1.0},
    ],
    ids=str,
)
@pytest.mark.parametrize("accumulate", [2, 3])
def test_accumulated_parts_give_the_gradient_of_the_batch(options: dict[str, Any], accumulate: int) -> None:
    whole, parts = linear_weights(1, **options), linear_weights(accumulate, **options)
    for mine, theirs in zip(whole, parts, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_accumulation_is_recorded(pack: Artifact, tmp_path: Path) -> None:
    plain, parts = go(pack, tmp_path / "plain"), go(pack, tmp_path / "parts", accumulate=2)
    assert "accumulate" not in plain.manifest.options
    assert parts.manifest.options["accumulate"] == 2
    assert "devices" not in plain.summary
    assert {name: parts.summary[name] for name in ("devices", "accumulate", "batch_norm")} == {
        "devices": 1,
        "accumulate": 2,
        "batch_norm": "parts",
    }


# --- options ---


@pytest.mark.parametrize(
    ("device", "devices", "gpus", "wanted"),
    [
        ("auto", "1", 4, 1), ("auto", "all", 4, 4), ("cuda", "3", 4, 3), ("auto", "2", 0, 2), ("cpu", "3", 4, 3),
        ("auto", "all", 0, 1), ("cuda:1", "1", 4, 1), ("cuda:1", "all", 4, 1),
    ],
)  # fmt: skip
def test_number_of_devices(device: str, devices: str, gpus: int, wanted: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert count_devices(device, devices) == wanted


def test_too_many_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(FerError, match=r"--devices 2: this machine has 1 CUDA device$"):
        count_devices("auto", "2")
    with pytest.raises(UsageError, match="devices: 2 devices cannot all be cuda:0"):
        count_devices("cuda:0", "2")


def test_jobs_take_turns_at_the_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [nth_device("auto", "2", number) for number in range(3)] == ["auto"] * 3  # the CPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [nth_device("auto", "all", number) for number in range(3)] == ["cuda:0", "cuda:1", "cuda:0"]
    assert [nth_device("cuda:1", "1", number) for number in range(2)] == ["cuda:1"] * 2


@pytest.mark.parametrize("devices", ["0", "-1", "two", "1.5", "", True])
def test_invalid_numbers_of_devices(devices: Any) -> None:
    with pytest.raises(UsageError, match="devices: "):
        TrainConfig.of(devices=devices)


def test_the_number_of_devices_is_not_part_of_the_run() -> None:
    assert TrainConfig.of(devices=2).options() == TrainConfig.of().options()
    assert TrainConfig.of(local_batch_norm=True).options() != TrainConfig.of().options()


@pytest.mark.slow
def test_under_torchrun_the_number_is_not_an_option(
    pack: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "1")
    with pytest.raises(UsageError, match="under torchrun, --nproc-per-node sets the number"):
        go(pack, tmp_path / "run", devices=2)


# --- two processes ---


@pytest.mark.long
@pytest.mark.parametrize(
    "options",
    [
        {"epochs": 3, **DRAWN},
        {"epochs": 2, "mixup": 0.4, "class_weights": True, "phase": ["epochs=1,freeze=norms"]},
        {"epochs": 2, "sam": 0.05, "sam_every": 2, "attention_consistency": 5.0, "focal": 1.0, "optimizer": "sgd"},
    ],
    ids=["batch norm, augmentation", "MixUp, class weights, two phases", "two passes a step"],
)
def test_two_processes_train_like_one(options: dict[str, Any], uneven: Artifact, tmp_path: Path) -> None:
    options = {"batch_size": 16, **options}
    listener = Listener()
    one, two = go(uneven, tmp_path / "one", **options), go(uneven, tmp_path / "two", listener, devices=2, **options)
    assert_same_curve(one, two)
    assert one.manifest.key == two.manifest.key
    assert (two.manifest.device, two.summary["devices"], two.summary["batch_norm"]) == ("cpu x 2", 2, "whole batch")
    assert sum(line.startswith("epoch ") for line in listener.lines) == two.summary["epochs"]
    assert listener.done == listener.totals[-1]
    assert sorted(p.name for p in one.path.iterdir()) == sorted(p.name for p in two.path.iterdir())
    np.testing.assert_array_equal(*(np.load(run.path / "training_sha256.npy") for run in (one, two)))
    again = go(uneven, tmp_path / "two", devices=2, **options)
    assert again.up_to_date


@pytest.mark.long
def test_a_run_resumes_on_another_number_of_devices(uneven: Artifact, tmp_path: Path) -> None:
    options = {"batch_size": 16, "epochs": 4}
    whole = go(uneven, tmp_path / "whole", **options)
    for devices, epoch in ((2, 0), (1, 1), (2, 2)):

        class Stop(Listener):
            def log(self, message: str) -> None:
                super().log(message)
                if message.startswith(f"epoch {epoch + 1}/"):  # noqa: B023 - used within this turn of the loop
                    raise KeyboardInterrupt

        listener = Stop()
        with pytest.raises(KeyboardInterrupt):
            go(uneven, tmp_path / "run", listener, devices=devices, **options)
        assert listener.resumed == ([f"resuming from epoch {epoch}/4"] if epoch else [])
    run = go(uneven, tmp_path / "run", **options)
    assert_same_curve(whole, run)


@pytest.mark.long
def test_local_batch_norm_is_recorded(uneven: Artifact, tmp_path: Path) -> None:
    run = go(uneven, tmp_path / "run", devices=2, epochs=1, batch_size=16, local_batch_norm=True)
    parts = go(uneven, tmp_path / "parts", epochs=1, batch_size=16, accumulate=2)
    assert run.summary["batch_norm"] == "parts"
    # Each device normalises its half of each batch, as one does that processes the halves one after the other.
    assert table(run)[0]["train_loss"] == pytest.approx(table(parts)[0]["train_loss"], abs=1e-5)


@pytest.mark.long
def test_an_error_in_a_process_keeps_its_kind(uneven: Artifact, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"a batch of 3 faces cannot be divided among 2 devices x 2 parts \(accumulate\)"
    ):
        go(uneven, tmp_path / "run", devices=2, batch_size=3, accumulate=2)
    assert list(tmp_path.iterdir()) == []


# --- torchrun ---


def torchrun(*arguments: object, processes: int = 2, nodes: int = 1) -> list[subprocess.Popen[str]]:
    """Start `fer` under torchrun, as on `nodes` machines."""
    common = [sys.executable, "-m", "torch.distributed.run", f"--nnodes={nodes}", f"--nproc-per-node={processes}"]
    common += ["--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:29471", "--local-addr=127.0.0.1", "--rdzv-id=test"]
    environment = child_environment() | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    command = [*common, "-m", "fercli", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return [subprocess.Popen(command, text=True, env=environment, **pipes) for _ in range(nodes)]  # type: ignore[call-overload]


def flags(**options: object) -> list[str]:
    return [f"--{name.replace('_', '-')}={value}" for name, value in {**QUICK, **options}.items()]


@pytest.mark.long
def test_two_nodes_of_torchrun_train_one_run(uneven: Artifact, tmp_path: Path) -> None:
    options = {"batch_size": 16, "epochs": 2}
    whole = go(uneven, tmp_path / "whole", **options)
    nodes = torchrun("train", uneven.path, tmp_path / "run", *flags(**options), processes=1, nodes=2)
    answers = [node.communicate(timeout=240) for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], answers
    run = open_artifact(tmp_path / "run", "run")
    assert run.summary["devices"] == 2
    assert_same_curve(whole, run)
    printed = [out for out, _ in answers if out]  # by the leader alone
    assert len(printed) == 1
    assert "validation accuracy" in printed[0]


@pytest.mark.long
def test_a_killed_process_ends_all_nodes_within_30_seconds(uneven: Artifact, tmp_path: Path) -> None:
    options = {"batch_size": 16, "epochs": 500}
    nodes = torchrun("train", uneven.path, tmp_path / "run", *flags(**options), processes=1, nodes=2)
    state = tmp_path / ".run.partial" / "resume" / "state.pt"
    until = time.monotonic() + 240
    while not state.is_file() and time.monotonic() < until:
        time.sleep(0.1)
    workers = subprocess.run(["pgrep", "-P", str(nodes[1].pid)], capture_output=True, text=True, check=True)
    killed_at = time.monotonic()
    subprocess.run(["kill", f"-{int(signal.SIGKILL)}", workers.stdout.split()[0]], check=True)
    answers = [node.communicate(timeout=60) for node in nodes]
    assert time.monotonic() - killed_at < 30
    assert all(node.returncode for node in nodes)
    assert any(re.search("another process of this training has ended; repeat the call", err) for _, err in answers)
    assert not (tmp_path / "run").exists()
    assert state.is_file()  # for the next call

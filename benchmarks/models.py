"""Measure every model, and write benchmarks/models.md of it.

    python benchmarks/models.py                  # those not measured yet, then the page
    python benchmarks/models.py resnet50-cbam    # these anew
    python benchmarks/models.py --page           # the page alone
    python benchmarks/models.py --count          # fercli/models/parameters.json anew

FLOPs are counted on the meta device for one face of the model's input size, a multiplication and an addition being
two. Speeds are of random faces of 48 px in memory: training is preprocessing, forward, backward and the step of the
recipe's optimiser; evaluation is `fercli.models.inference.predict`. Figures that are measured stay in
benchmarks/models.json, and our own accuracies in fercli/recipes/measured/figures.toml.
"""

from __future__ import annotations

import argparse
import gc
import json
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from fercli.models.devices import find_device, training_type, type_name
from fercli.models.inference import predict
from fercli.models.naming import combinations
from fercli.models.preprocessing import Preprocessing
from fercli.models.registry import MODELS, create_model, find_model
from fercli.models.spec import ModelSpec
from fercli.recipes import load_recipe
from fercli.recipes.measured import measured_of, read_measured
from fercli.stages.train.config import TrainConfig
from fercli.training.optim.factory import make_optimizer

HERE = Path(__file__).parent
COUNTS = HERE.parent / "fercli" / "models" / "parameters.json"
SPEEDS, PAGE = HERE / "models.json", HERE / "models.md"
CLASSES = 7
FACE = 48


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="models to measure anew (default: those not measured yet)")
    parser.add_argument("--count", action="store_true", help="count parameters only")
    parser.add_argument("--page", action="store_true", help="write the page only")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each timing, at least")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop measuring after so many")
    arguments = parser.parse_args()
    if arguments.count:
        counts = {spec.name: count(spec) for spec in combinations()}
        COUNTS.write_text(json.dumps(counts, indent=1) + "\n")
        return
    measured: dict[str, Any] = json.loads(SPEEDS.read_text()) if SPEEDS.is_file() else {}
    wanted = [find_model(name) for name in arguments.models] or [s for s in MODELS if s.name not in measured]
    started = perf_counter()
    for spec in [] if arguments.page else wanted:
        if perf_counter() - started > 60 * arguments.minutes:
            break
        measured[spec.name] = measure(spec, find_device(arguments.device), arguments.seconds)
        print(spec.name, measured[spec.name], flush=True)
        SPEEDS.write_text(json.dumps(measured, indent=1) + "\n")
    PAGE.write_text(page(measured))


def count(spec: ModelSpec) -> int:
    """Return a model's number of parameters for seven classes."""
    with torch.device("meta"):
        return sum(p.numel() for p in create_model(spec.name, CLASSES).parameters())


def measure(spec: ModelSpec, device: torch.device, seconds: float) -> dict[str, Any]:
    """Count a model's FLOPs and time its training and its evaluation."""
    preprocessing = Preprocessing.of(spec)
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        create_model(spec.name, CLASSES).eval()(torch.empty(1, spec.channels, *2 * (spec.input_size,)))
    gflops = counter.get_total_flops() / 1e9
    gpu = device.type == "cuda"
    batch = (256 if gpu else 64) if gflops < 1 else (64 if gpu else 8)
    training, evaluation = _speeds(spec, preprocessing, device, batch, seconds)
    gc.collect()
    return {
        "gflops": gflops,
        "training": training,
        "evaluation": evaluation,
        "batch": batch,
        "precision": type_name(training_type("auto", device)),
        "device": torch.cuda.get_device_name() if gpu else "CPU",
    }


def _speeds(
    spec: ModelSpec, preprocessing: Preprocessing, device: torch.device, batch: int, seconds: float
) -> tuple[float, float]:
    """Return images a second of training and of evaluation."""
    torch.manual_seed(0)
    model = create_model(spec.name, CLASSES).to(device).to(memory_format=torch.channels_last)
    faces = torch.randint(0, 256, (batch, 1, FACE, FACE), dtype=torch.uint8).to(device)
    labels = (torch.arange(batch) % CLASSES).to(device)
    optimizer = make_optimizer(model, TrainConfig.of(model=spec.name))
    extra = getattr(model, "training_forward", None)
    precision = training_type("auto", device)

    def step() -> None:
        x = preprocessing(faces)
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            logits, more = extra(x, labels) if extra else (model(x), 0.0)
        (F.cross_entropy(logits.float(), labels) + more).backward()
        optimizer.step()
        optimizer.zero_grad()

    evaluation = _rate(lambda: predict(model, faces, preprocessing, device=device, batch_size=batch), batch, seconds)
    model.train()
    return _rate(step, batch, seconds), evaluation


def _rate(run: Any, batch: int, seconds: float) -> float:
    """Return images a second, after one run to warm up; of at least two runs."""
    run()
    runs, started = 0, perf_counter()
    while runs < 2 or perf_counter() - started < seconds:
        run()
        runs += 1
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return runs * batch / (perf_counter() - started)


def page(measured: dict[str, Any]) -> str:
    """Return the page."""
    lines = [
        "# Models",
        "",
        "Written by `python benchmarks/models.py`. Parameters for seven emotions; GFLOPs for one face of the input",
        "size (a multiplication and an addition are two); images/s of training (with the recipe's optimiser, in the",
        "precision that `--precision auto` takes) and of evaluation (float32), one timing each, as",
        "`benchmarks/models.json` tells (batch, precision, device). The claim is the authors' (dataset, percent);",
        "what is known about it stands in the recipe. PrivateTest is FER2013's test split, measured by us with its",
        "95 % interval, the checkpoint chosen on validation. What was not measured is left empty.",
    ]
    devices = sorted({entry["device"] for entry in measured.values()})
    if devices:
        lines += ["", f"Device: {', '.join(devices)} (see [RESULTS.md](RESULTS.md))."]
    for paper in dict.fromkeys(spec.paper for spec in MODELS):
        lines += [
            "",
            f"## {paper}",
            "",
            "| model | parameters | input | GFLOPs | training, images/s | evaluation, images/s | claim | PrivateTest |",
            "|---|--:|--:|--:|--:|--:|---|---|",
        ]
        lines += [_row(spec, measured.get(spec.name, {})) for spec in MODELS if spec.paper == paper]
    notes = [f"- `{one.model}`, {one.accuracy:.2f} %: {one.dataset} {one.protocol}" for one in read_measured()]
    return "\n".join([*lines, "", "## How our figures were measured", "", *notes, ""])


def _row(spec: ModelSpec, figures: dict[str, Any]) -> str:
    claims = load_recipe(spec.recipe_file).claims_of(spec.name)
    own = [
        f"{one.accuracy:.2f} ({one.interval[0]:.2f} to {one.interval[1]:.2f}, n = {one.n:,})"
        for one in measured_of(spec.name)
        if one.split == "PrivateTest"
    ]
    cells = [
        f"`{spec.name}`",
        f"{spec.parameters:,}",
        f"{spec.input_size} px",
        *(_number(figures.get(name)) for name in ("gflops", "training", "evaluation")),
        "; ".join(f"{claim.dataset} {claim.accuracy:g}" for claim in claims),
        "; ".join(own),
    ]
    return f"| {' | '.join(cells)} |"


def _number(value: float | None) -> str:
    """Return a number with three significant digits; nothing for what was not measured."""
    return "" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    main()

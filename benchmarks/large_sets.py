"""Reading a large set in training: images/s of an epoch by fercli's packs and by plain readers, cold and warm cache.

    python benchmarks/large_sets.py WORK [--faces 10000 30000 100000] [--size 224] [--rounds 1] [--at-most 20000]

WORK is a folder that keeps the data, 34 GB for 100,000 faces; a second call uses them again. The faces are those of
`fer sample`, some hundred distinct ones, each varied by light and noise so that no two are alike, as JPEG files sorted
by emotion. In each round the sides take turns, each in a process of its own:

    raw          `fer pack --shards`, read as from a disk: in blocks, shuffled in windows
    uniform      the same files in a uniform order, as when they stay in memory
    jpeg         `fer pack --codec jpeg`, in blocks, shuffled in windows, decoded by threads
    imagefolder  the plain way: torchvision's ImageFolder, shuffled, and a DataLoader with 2 workers
    hdf5         the other plain way: the pixels in one HDF5 file, read face by face in random order

Each makes shuffled uint8 batches of 128 on the CPU, not resized, of an epoch; all but raw and jpeg of at most so many
faces of it, chosen at random. Cold: the pages of all files that the side reads are dropped before (posix_fadvise).
Warm: the same faces again. Peak is the resident set of the process, without the DataLoader's workers.
`--order` prints how far the order in windows is from a uniform one instead, for each number of faces.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import Any

import cv2
import h5py
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fercli.artifacts import link_or_copy, open_artifact
from fercli.artifacts.building import ArtifactBuilder, build
from fercli.datasets.index import Row, count, read_rows, write_index
from fercli.emotions import EMOTIONS
from fercli.images import pixel_digest
from fercli.packs.epoch_order import Window, epoch_order
from fercli.packs.file import read_info, stored_images
from fercli.packs.loading import BLOCK_BYTES, BLOCKS, WINDOW_BYTES, disk_window, load_pack, split_batches
from fercli.stages.export.faces import drawn_faces

BATCH = 128
SIDES = ("raw", "uniform", "jpeg", "imagefolder", "hdf5")
DISTINCT = 300
QUALITY = 92
"""Quality of the JPEG files, with which they take as many bytes as AffectNet's crops (some 25 KB)."""
VALIDATION = 50
"""Every so many-th face is one of validation, so that the pack can be trained on."""


def make_dataset(folder: Path, number: int, size: int) -> None:
    """Draw a dataset of faces as JPEG files."""
    drawn = drawn_faces(size, "rgb", DISTINCT)
    random = np.random.default_rng(0)
    noise = random.normal(0, 2.5, (4 * size, 4 * size, 3))
    with build(folder, "dataset", "import", options={"faces": number, "size": size}, inputs=[]) as builder:
        if builder.done:
            return
        rows = []
        for i in range(number):
            top, left = random.integers(0, 3 * size, 2)
            light = random.uniform(0.85, 1.15)
            face = drawn[i % DISTINCT] * light + noise[top : top + size, left : left + size]
            split = "train" if i % VALIDATION else "validation"
            emotion = EMOTIONS[int(random.integers(len(EMOTIONS)))]
            name = f"{split}/{emotion}/{i:07d}.jpg"
            path = builder.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            face = face.clip(0, 255).astype(np.uint8)
            data = cv2.imencode(".jpg", face[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
            path.write_bytes(data.tobytes())
            rows.append(Row(name, split, emotion, sha256=pixel_digest(decoded(data)), origin="real"))
        finish(builder, rows)


def first_of(dataset: Path, folder: Path, number: int) -> None:
    """Make a dataset of the first faces of another one, by hard links."""
    with build(folder, "dataset", "import", options={"faces": number}, inputs=[]) as builder:
        if builder.done:
            return
        rows = sorted(read_rows(dataset / "index.csv"), key=lambda row: row.path.rsplit("/", 1)[1])[:number]
        for row in rows:
            path = builder.folder / row.path
            path.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(dataset / row.path, path)
        finish(builder, rows)


def finish(builder: ArtifactBuilder, rows: list[Row]) -> None:
    """Write a dataset's index, sorted by split and emotion as imports write it."""
    rows.sort(key=lambda row: row.path)
    counts = count(rows, list(EMOTIONS))
    builder.finish(digest=write_index(builder.folder, rows), emotions=list(EMOTIONS), counts=counts)


def decoded(data: np.ndarray) -> np.ndarray:
    """Return the pixels of a JPEG file, RGB, as `read_image` reads them."""
    return np.asarray(Image.open(io.BytesIO(data.tobytes())))


# --- the sides, each in a process of its own ---


def epoch(side: str, work: Path, at_most: int) -> Iterator[Tensor]:
    """Yield the batches of a side's epoch, uint8 (B, C, H, W)."""
    generator = torch.Generator().manual_seed(0)
    if side == "imagefolder":
        yield from image_folder(work / "faces" / "train", at_most, generator)
    elif side == "hdf5":
        yield from plain_hdf5(work / "plain.h5", at_most, generator)
    else:
        info = read_info(work / ("jpeg" if side == "jpeg" else "raw") / "faces.h5")
        faces = load_pack(info, "train", torch.device("cpu"), resident=False)
        window = None if side == "uniform" else disk_window(stored_images(info, "train"))
        faces = replace(faces, window=window)
        order = faces.epoch_order(generator)[: at_most if side == "uniform" else None]
        for images, _ in faces.fetch(split_batches(order, BATCH)):
            yield images


def image_folder(folder: Path, at_most: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Read JPEG files as most training scripts do."""
    from torch.utils.data import DataLoader, Subset
    from torchvision.datasets import ImageFolder
    from torchvision.transforms.v2.functional import pil_to_tensor

    files = ImageFolder(str(folder), transform=pil_to_tensor)
    chosen = torch.randperm(len(files), generator=generator)[:at_most].tolist()
    for images, _ in DataLoader(Subset(files, chosen), BATCH, num_workers=2):
        yield images


def plain_hdf5(file: Path, at_most: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Read an HDF5 file face by face."""
    with h5py.File(file) as opened:
        images = opened["images"]
        for part in torch.randperm(len(images), generator=generator)[:at_most].split(BATCH):
            yield torch.from_numpy(np.stack([images[int(i)] for i in part])).permute(0, 3, 1, 2)


def measure(side: str, work: Path, at_most: int) -> dict[str, float]:
    """Return images per second, and the peak of the resident set in MB."""
    started, images = perf_counter(), 0
    for batch in epoch(side, work, at_most):
        images += len(batch)
        assert int(batch[0, 0, 0, 0]) >= 0
    seconds = perf_counter() - started
    return {"images": images, "seconds": seconds, "rate": images / seconds, "peak": peak_of(os.getpid())}


def peak_of(process: int) -> int:
    """Return the peak of a process's resident set in MB; getrusage would include what its parent had at the fork."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM")), 0)


# --- the order ---


def show_order(number: int, face: int) -> None:
    """Print how far an epoch in windows is from a uniform one.

    Columns: the chi-square of the emotions of all batches per degree of freedom (1: a random sample); the mean distance
    of a face's places in two epochs, in epochs (1/3: uniform); and the chance that two faces that are neighbours in the
    files are in one batch.
    """
    window = Window(WINDOW_BYTES // face, min(BLOCK_BYTES // face, WINDOW_BYTES // face // BLOCKS))
    shares = np.array([0.09, 0.01, 0.02, 0.46, 0.09, 0.05, 0.28])  # about AffectNet's
    shuffled = np.random.default_rng(0).choice(7, number, p=shares / shares.sum())
    print(
        f"{number:,} faces of {face:,} bytes, windows of {window.faces:,}, blocks of {window.block}, batches of {BATCH}"
    )
    for name, labels, chosen in (
        ("uniform", shuffled, None), ("windows, shuffled files", shuffled, window),
        ("windows, files sorted by emotion", np.sort(shuffled), window),
    ):  # fmt: skip
        orders = [epoch_order(number, chosen, torch.Generator().manual_seed(seed)).numpy() for seed in (1, 2)]
        whole = number // BATCH * BATCH
        batches = labels[orders[0][:whole]].reshape(-1, BATCH)
        expected = np.bincount(labels) / number * BATCH
        counts = np.stack([(batches == emotion).sum(1) for emotion in range(7)], 1)
        chi = ((counts - expected) ** 2 / expected).sum() / (6 * len(batches))
        places = [np.argsort(order) for order in orders]
        moved = np.abs(places[0] - places[1]).mean() / number
        together = (np.diff(places[0] // BATCH) == 0).mean()
        print(f"  {name:34s} chi-square {chi:6.3f}   distance {moved:.3f}   neighbours together {together:.4%}")


# --- around them ---


def child(side: str, work: Path, at_most: int) -> dict[str, float]:
    """Measure a side in a new process."""
    command = [sys.executable, __file__, str(work), "--side", side, "--at-most", str(at_most)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def files_of(side: str, work: Path) -> Iterator[Path]:
    """Yield the files that a side reads."""
    top = {"imagefolder": "faces", "hdf5": "plain.h5", "jpeg": "jpeg"}.get(side, "raw")
    yield from (work / top).rglob("*.*") if (work / top).is_dir() else [work / top]


def drop(files: Iterator[Path]) -> None:
    """Drop the pages of files from memory."""
    for file in files:
        handle = os.open(file, os.O_RDONLY)
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def pack(work: Path, name: str, *options: str) -> None:
    """Pack the faces, and print what it took."""
    if (work / name).exists():
        return
    drop(files_of("imagefolder", work))
    command = ["-m", "fercli", "pack", str(work / "faces"), str(work / name), "--allow-leaks", "--quiet", *options]
    started, peak = perf_counter(), 0
    with subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            peak = max(peak, peak_of(process.pid))
            sleep(0.2)
    if process.returncode:
        raise SystemExit("fer pack failed")
    seconds, summary = perf_counter() - started, open_artifact(work / name).summary
    images, size = sum(summary["images"].values()), summary["storage"]["bytes"]
    print(
        f"pack {name}: {images:,} faces, {seconds:.0f} s, {images / seconds:,.0f} images/s, {size / 1e9:.2f} GB, "
        f"peak {peak:,} MB, load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def make_plain(work: Path) -> None:
    """Write the training faces to one HDF5 file, sorted by emotion like the files."""
    if (work / "plain.h5").exists():
        return
    info = read_info(work / "raw" / "faces.h5")
    stored = stored_images(info, "train")
    with h5py.File(work / ".plain.h5", "w") as file:
        images = file.create_dataset("images", stored.shape, np.uint8)
        for start in range(0, len(stored), 1000):
            images[start : start + 1000] = stored.read(np.arange(start, min(start + 1000, len(stored))))
    os.rename(work / ".plain.h5", work / "plain.h5")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--faces", type=int, nargs="+", default=[10_000, 30_000, 100_000])
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--at-most", type=int, default=20_000)
    parser.add_argument("--sides", nargs="+", default=SIDES, choices=SIDES)
    parser.add_argument("--order", action="store_true")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.order:
        for number in args.faces:
            show_order(number, args.size**2 * 3)
        return
    if args.side:
        print(json.dumps(measure(args.side, args.work, args.at_most)))
        return
    args.work.mkdir(parents=True, exist_ok=True)
    largest = args.work / str(max(args.faces)) / "faces"
    largest.parent.mkdir(exist_ok=True)
    if not largest.exists():
        make_dataset(largest, max(args.faces), args.size)
    for number in args.faces:
        work = args.work / str(number)
        work.mkdir(exist_ok=True)
        if not (work / "faces").exists():
            first_of(largest, work / "faces", number)
        pack(work, "raw", "--shards", str(max(1, number * args.size**2 * 3 // 10**9)))
        pack(work, "jpeg", "--codec", "jpeg", "--shards", str(max(1, number * args.size**2 * 3 // 10**9)))
        make_plain(work)
        results: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for _ in range(args.rounds):
            for side in args.sides:
                drop(files_of(side, work))
                for state in ("cold", "warm"):
                    results.setdefault((side, state), []).append(child(side, work, args.at_most))
        print(f"{number:,} faces, medians of {args.rounds} rounds, load {os.getloadavg()[0]:.1f}")
        for side in args.sides:
            line = f"  {side:12s}"
            for state in ("cold", "warm"):
                found = results[side, state]
                rate = median(one["rate"] for one in found)
                line += f" {state} {rate:7,.0f} images/s, peak {max(one['peak'] for one in found):6,.0f} MB;"
            print(f"{line} {results[side, 'cold'][0]['images']:,} faces", flush=True)


if __name__ == "__main__":
    main()

"""Test data: images, FER2013's CSV, folder trees, datasets."""

import io
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

import fercli
from fercli.artifacts import Artifact
from fercli.artifacts.building import build
from fercli.datasets.index import Row, count, emotions_of, write_index
from fercli.images import encode_png, pixel_digest

ROOT = Path(fercli.__file__).parents[1]


def noise(seed: int, *shape: int) -> np.ndarray:
    """Return random pixels."""
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def face(seed: int, side: int = 48) -> np.ndarray:
    """Return a grey image with large structures, like those of photographs."""
    return np.asarray(Image.fromarray(noise(seed, 8, 8)).resize((side, side), Image.Resampling.BICUBIC))


def encoded(image: Image.Image | np.ndarray, form: str = "PNG", **options: object) -> bytes:
    """Return an image encoded in any of Pillow's formats."""
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, form, **options)
    return buffer.getvalue()


def csv_row(label: object, pixels: np.ndarray, usage: str) -> str:
    """Return a line of FER2013's CSV."""
    return f"{label},{' '.join(map(str, pixels.ravel().tolist()))},{usage}\n"


def write_csv(
    path: Path, rows: Iterable[tuple[object, np.ndarray, str]], header: str = "emotion,pixels,Usage\n"
) -> Path:
    """Write FER2013's CSV, with a row per (label, pixels, usage)."""
    path.write_text(header + "".join(csv_row(*row) for row in rows), newline="")
    return path


def small_csv(path: Path, each: int = 2) -> Path:
    """Write a CSV of `each` distinct faces for every emotion in each of the three splits."""
    usages = ("Training", "PublicTest", "PrivateTest")
    cells = [(label, usage) for usage in usages for label in range(7) for _ in range(each)]
    return write_csv(path, ((label, face(seed), usage) for seed, (label, usage) in enumerate(cells)))


def write_tree(folder: Path, pictures: Mapping[str, np.ndarray | bytes]) -> Path:
    """Write pictures (or any bytes) as files under `folder`; the suffix of a name determines the format."""
    for name, content in pictures.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            Image.fromarray(content).save(path)
    return folder


def make_dataset(
    folder: Path,
    images: Mapping[str, np.ndarray],
    parents: Mapping[str, str] | None = None,
    columns: Mapping[str, Mapping[str, str]] | None = None,
) -> Artifact:
    """Build a dataset from `<split>/<emotion>/<name>.png` to pixels; `columns` sets index columns, by path."""
    rows = []
    with build(folder, "dataset", "import", options={}, inputs=[]) as builder:
        for path, pixels in images.items():
            split, *rest = path.split("/", 2)
            emotion = rest[0] if len(rest) == 2 else ""
            (builder.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (builder.folder / path).write_bytes(encode_png(pixels))
            parent = (parents or {}).get(path, "")
            origin = "augmented" if parent else "real"
            given = {"origin": origin, "parent": parent, **(columns or {}).get(path, {})}
            rows.append(Row(path, split, emotion, sha256=pixel_digest(pixels), **given))
        emotions = emotions_of(rows)
        builder.finish(digest=write_index(builder.folder, rows), emotions=emotions, counts=count(rows, emotions))
    return builder.artifact


def python(code: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
    """Run `code` in a subprocess with piped output, by one thread: results depend on how many compute them."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        **options,  # type: ignore[call-overload]
    )


def names(folder: Path) -> list[str]:
    """Return the sorted names of a folder's entries, including hidden ones."""
    return sorted(path.name for path in folder.iterdir())

"""Seconds of import, clean and pack on FER2013, and of `fer --help`.

    python benchmarks/stage_times.py fer2013.csv WORK

WORK is a folder in which a new one is made for the artifacts. Digests of the source are not taken from the cache.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter


def seconds(*arguments: str) -> float:
    started = perf_counter()
    subprocess.run([sys.executable, "-m", "fercli", *arguments], check=True, stdout=subprocess.DEVNULL)
    return perf_counter() - started


def main() -> None:
    source, work = sys.argv[1], Path(tempfile.mkdtemp(dir=sys.argv[2]))  # anew, or all would be up to date
    os.environ["FERCLI_CACHE"] = tempfile.mkdtemp()
    faces, cleaned, packed = (str(work / name) for name in ("faces", "cleaned", "pack"))
    rows = {
        "import": seconds("import", source, faces, "--quiet"),
        "clean": seconds("clean", faces, cleaned, "--quiet"),
        "pack": seconds("pack", cleaned, packed, "--quiet"),
        "fer --help (median of 11)": median(seconds("--help") for _ in range(11)),
    }
    for name, value in rows.items():
        print(f"{name:28s} {value:6.2f} s")


if __name__ == "__main__":
    main()

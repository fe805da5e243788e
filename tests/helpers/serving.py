"""Helpers for the tests of serve: a detector of bright squares as a plugin, models, and a server in a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.helpers.prediction import Squares

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

from starlette.testclient import TestClient

from fercli.serving.app import create_app
from fercli.serving.config import ServeConfig
from fercli.serving.engine import ServedModel
from fercli.serving.guard import Guard
from fercli.serving.stage import serve

DETECTOR = "tests.helpers.serving:SquareDetector"
"""The detector's name for `--detector`."""
HOST = "http://localhost"


class SquareDetector(Squares):
    """`Squares`, as a plugin is: with all attributes of a detector."""

    landmarks = False


def encoded(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def client(model: Path, *, token: str = "", **options: Any) -> TestClient:
    """Return a client of the application behind its guard, for one model named `run`."""
    config = ServeConfig.of(checkpoints=(model,), detector=DETECTOR, **options)
    served = ServedModel(model, config)
    guarded = Guard(
        create_app({"run": served}, {"run": "# run\n\n<b>bold</b>\n"}, config),
        host=config.host,
        names=config.allow_host,
        token=token,
        max_bytes=int(config.max_megabytes * 1e6),
        timeout=config.timeout,
    )
    return TestClient(guarded, base_url=HOST, headers={"host": "localhost"})  # of WebSockets it knows no base


@contextmanager
def running(model: Path, **options: Any) -> Iterator[str]:
    """Run a server in a thread; yield its address."""
    served = serve(ServeConfig.of(**{"checkpoints": (model,), "detector": DETECTOR, "port": 0, **options}))
    thread = threading.Thread(target=served.run)
    thread.start()
    try:
        yield served.url
    finally:
        served.stop()
        thread.join()

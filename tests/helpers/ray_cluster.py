"""A local Ray instance with two workers, shared by several tests, started as by `map_on_ray`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def two_workers() -> Iterator[None]:
    """Connect to Ray; skip the test if it is not installed."""
    ray = pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(
            "local", num_cpus=2, include_dashboard=False, object_store_memory=2**27, log_to_driver=False,
            logging_level="ERROR",
        )  # fmt: skip
        try:
            yield
        finally:
            ray.shutdown()

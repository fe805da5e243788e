"""How many shards a pack has."""

import pytest

from fercli.errors import UsageError
from fercli.packs.storage import SHARD, WHOLE, plan_storage

FACE = 224 * 224 * 3


def test_large_packs_are_sharded_by_themselves() -> None:
    most = WHOLE // FACE
    assert plan_storage(most, 224, "rgb", None, "raw", 95).shards == 0
    assert plan_storage(most + 1, 224, "rgb", None, "raw", 95).shards == -(-(most + 1) * FACE // SHARD)
    assert plan_storage(1_000_000, 224, "rgb", None, "raw", 95).shards == 151
    assert plan_storage(most + 1, 224, "gray", None, "raw", 95).shards == 0


def test_jpeg_is_always_in_shards() -> None:
    assert plan_storage(10, 48, "gray", None, "jpeg", 95).shards == 1
    assert plan_storage(1_000_000, 224, "rgb", None, "jpeg", 95).shards == 151
    with pytest.raises(UsageError, match="JPEG is stored in shards; set shards to 1 or more"):
        plan_storage(10, 48, "gray", 0, "jpeg", 95)


def test_a_number_that_is_given_is_taken() -> None:
    assert plan_storage(1_000_000, 224, "rgb", 0, "raw", 95).shards == 0
    assert plan_storage(10, 48, "gray", 10, "raw", 95).shards == 10
    with pytest.raises(UsageError, match=r"shards: 11 shards for 10 images; set fewer"):
        plan_storage(10, 48, "gray", 11, "raw", 95)

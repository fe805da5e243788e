"""AffectNet's .npy labels: all types, without unpickling."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fercli.datasets.readers import find_reader
from fercli.datasets.readers.affectnet_npy import parse_code
from fercli.errors import DataError
from tests.helpers.datasets import face, write_tree
from tests.helpers.layouts.wild import (
    AFFECTNET,
    found,
    npy,
    read,
)

NPY = {
    "text": (npy("5"), "5"),
    "padded text": (npy(" 5 "), "5"),
    "bytes": (npy(b"5"), "5"),
    "int64": (npy(5), "5"),
    "uint8": (npy(np.uint8(5)), "5"),
    "float": (npy(5.0), "5"),
    "half": (npy(np.float16(5)), "5"),
    "one in an array": (npy(["5"]), "5"),
    "fraction": (npy(5.5), None),
    "nan": (npy(np.nan), None),
    "bool": (npy(np.True_), None),
    "two": (npy([1, 2]), None),
    "none": (npy([]), None),
    "complex": (npy(1j), None),
    "date": (npy(np.datetime64("2020")), None),
    "empty": (b"", None),
    "a picture": (b"\x89PNG\r\n\x1a\n", None),
    "cut off": (npy("5")[:-2], None),
    "cut in the header": (npy("5")[:40], None),
    "no header": (npy("5").replace(b"descr", b"xxxxx"), None),
    "code in the header": (npy("5").replace(b"'<U1'", b"f(1) "), None),
}


@pytest.mark.parametrize("case", NPY)
def test_label_types(case: str) -> None:
    data, code = NPY[case]
    assert parse_code(data) == code


def test_pickled_and_large_labels_are_refused(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
            return (Path.touch, (tmp_path / "sprung",))  # type: ignore[return-value]

    np.save(tmp_path / "trap.npy", np.array(Trap(), object), allow_pickle=True)
    assert parse_code((tmp_path / "trap.npy").read_bytes()) is None
    assert parse_code(b"\x80\x04N.") is None
    assert not (tmp_path / "sprung").exists()


def test_size_in_the_header_is_not_allocated(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []
    monkeypatch.setattr(np, "load", lambda file, **options: loaded.append(file))
    assert parse_code(npy(6).replace(b"'shape': (), ", b"'shape': (9999999999999,), ")) is None
    assert loaded == []
    assert parse_code(npy(60)) is None
    assert len(loaded) == 1


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=150).map(lambda data: npy("5")[:10] + data)))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_label_or_none(data: bytes) -> None:
    assert parse_code(data) is None or isinstance(parse_code(data), str)


def test_images_are_read_in_numerical_order(tmp_path: Path) -> None:
    tree: dict[str, np.ndarray | bytes] = {}
    for number in (10, 9, 100, 2):
        tree |= {f"val_set/images/{number}.jpg": face(number), f"val_set/annotations/{number}_exp.npy": npy(number % 8)}
    source = write_tree(tmp_path, tree)
    with pytest.raises(DataError, match="unknown layout"):
        find_reader(source / "val_set")
    names = [("2", 2), ("9", 1), ("10", 2), ("100", 4)]
    assert found(read(source)) == [("test", AFFECTNET[code], name, "") for name, code in names]


def test_valence_and_arousal_are_read_where_both_are_numbers_in_range(tmp_path: Path) -> None:
    cases: list[tuple[bytes | None, bytes | None, tuple[str, str]]] = [
        (npy("0.785714"), npy(np.float32(-0.25)), ("0.785714", "-0.25")),
        (npy(-2.0), npy(-2.0), ("", "")),
        (npy(0.5), None, ("", "")),
        (npy("x"), npy(0.5), ("", "")),
        (npy(np.nan), npy(0.5), ("", "")),
        (b"\x93NUMPY", npy(0.5), ("", "")),
        (npy(1), npy(0), ("1.0", "0.0")),
    ]
    tree: dict[str, np.ndarray | bytes] = {}
    for name in ("train_set", "val_set"):
        for n, (valence, arousal, _) in enumerate(cases):
            tree[f"{name}/images/{n}.png"] = face(n, 16)
            tree[f"{name}/annotations/{n}_exp.npy"] = npy(str(n))
            tree |= {f"{name}/annotations/{n}_val.npy": valence} if valence else {}
            tree |= {f"{name}/annotations/{n}_aro.npy": arousal} if arousal else {}
    assert [item.affect for item in read(write_tree(tmp_path, tree))] == [expected for *_, expected in cases] * 2

"""File names derived from arbitrary names: printable, short, unique."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from fercli.datasets.names import Names, clean_name, printable


def test_clean_names() -> None:
    assert clean_name("a/b\\c") == "a_b_c"
    assert clean_name("..") == clean_name("") == clean_name(" . ") == "image"
    assert len(clean_name("顔" * 300).encode()) <= 180
    assert printable("a\nb\udcff") == r"a_b\xff"
    assert clean_name("b\udcff") == "b_xff"


def test_paths_are_unique() -> None:
    names = Names()
    assert [names.unique(stem, ".png") for stem in ("a", "A", "a", "a-2", "b")] == [
        "a.png", "A-2.png", "a-3.png", "a-2-2.png", "b.png"
    ]  # fmt: skip


@given(st.lists(st.sampled_from(["a", "A", "b", "a-2", "a-2-2", "é", "É", "a-3"]), max_size=30))
def test_numbering_matches_the_reference(stems: list[str]) -> None:
    taken: Counter[str] = Counter()
    expected = []
    for stem in stems:
        path = stem + ".png"
        while taken[path.lower()]:
            taken[path.lower()] += 1
            path = f"{stem}-{taken[path.lower()]}.png"
        taken[path.lower()] += 1
        expected.append(path)
    names = Names()
    assert [names.unique(stem, ".png") for stem in stems] == expected
    assert len({path.lower() for path in expected}) == len(stems)

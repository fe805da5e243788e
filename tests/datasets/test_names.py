"""File names made of names of any origin: printable, short, each its own."""

from fercli.datasets.names import Names, clean_name, printable


def test_clean_names() -> None:
    assert clean_name("a/b\\c") == "a_b_c"
    assert clean_name("..") == clean_name("") == clean_name(" . ") == "image"
    assert len(clean_name("顔" * 300).encode()) <= 180
    assert printable("a\nb\udcff") == "a_b_"


def test_each_path_its_own() -> None:
    names = Names()
    assert [names.unique(stem, ".png") for stem in ("a", "A", "a", "a-2", "b")] == [
        "a.png", "A-2.png", "a-3.png", "a-2-2.png", "b.png"
    ]  # fmt: skip

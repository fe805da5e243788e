"""Places that are limited in number."""

import pytest

from fercli.serving.work import NoPlaceError, Places


def test_places_are_given_back() -> None:
    places = Places(1)
    for _ in range(3):
        with places.take(), pytest.raises(NoPlaceError), places.take():
            pass
    with pytest.raises(ZeroDivisionError), places.take():
        1 / 0  # noqa: B018
    with places.take():
        pass

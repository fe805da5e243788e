"""Typed summaries: the results that a stage reports for its artifact.

Each stage's model is in the package that creates the artifact. A summary is also a mapping, with the keys and values
of the JSON object that `--json` prints: `run.summary.validation.accuracy` is `run.summary["validation"]["accuracy"]`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, PrivateAttr

T = TypeVar("T")


class Summary(BaseModel, Mapping[str, Any]):
    """The base class of all summaries: frozen; unknown keys, of later versions, are kept.

    The key of a field with a default is only written if the field was set.
    """

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=(), populate_by_name=True)

    _plain: dict[str, Any] | None = PrivateAttr(None)

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON object: the plain values of the fields that are set."""
        if self._plain is None:
            self._plain = self.model_dump(mode="json", exclude_unset=True, by_alias=True)
        return self._plain

    def __getitem__(self, key: str) -> Any:
        return self.as_dict()[key]

    def __iter__(self) -> Iterator[str]:  # type: ignore[override]
        return iter(self.as_dict())

    def __len__(self) -> int:
        return len(self.as_dict())

    def __eq__(self, other: object) -> bool:
        return self.as_dict() == dict(other) if isinstance(other, Mapping) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

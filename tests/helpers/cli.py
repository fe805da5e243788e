"""How a call of `fer` ended."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Ended:
    """How a call of `fer` ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What it wrote on stderr."""
        return self.err.splitlines()

"""The result of a call of `fer`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CliResult:
    """The result of a call of `fer`."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """The lines on stderr."""
        return self.err.splitlines()

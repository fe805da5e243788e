"""Listeners to a stage: one that keeps the lines, one that interrupts."""

from fercli.progress import Progress


class Log(Progress):
    """Keeps the lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, message: str) -> None:
        self.lines.append(message)


class Interrupting(Log):
    """Keeps the lines, and interrupts after so many steps.

    Args:
        after: How many.
    """

    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    def advance(self, count: int = 1, note: str = "") -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt

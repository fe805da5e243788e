"""Progress callbacks for tests: one that records log lines, and one that interrupts."""

from fercli.progress import Progress


class Log(Progress):
    """Records the log lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, message: str) -> None:
        self.lines.append(message)


class Interrupting(Log):
    """Records the log lines, and interrupts after a number of steps.

    Args:
        after: Number of steps.
    """

    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    def advance(self, count: int = 1, note: str = "") -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt

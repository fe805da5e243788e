"""The interval between frames sampled from a video."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Every:
    """The interval between frames sampled from a video.

    Attributes:
        frames: The interval in frames.
        seconds: The interval in seconds; 0.0 if it is in frames.
    """

    frames: int = 1
    seconds: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Every:
        """Parse `1s`, `0.5s` or `250ms`, or a number of frames: `10` or `10f`.

        Raises:
            ValueError: it is none of these, or not positive.
        """
        found = re.fullmatch(r"(?:(\d{1,9})f?|(\d{1,9}(?:\.\d{1,9})?)(m?)s)", text.strip(), re.ASCII)
        if found is None:
            raise ValueError("expected 1s, 0.5s, 250ms or, in frames, 10")
        frames, times, thousandth = found.groups()
        if (every := float(frames or times) / (1000 if thousandth else 1)) <= 0:
            raise ValueError("expected a positive interval, such as 1s")
        return cls(frames=int(frames)) if frames else cls(seconds=every)

    def __str__(self) -> str:
        return f"{self.seconds:.12g}s" if self.seconds else f"{self.frames}f"

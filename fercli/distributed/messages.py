"""What the processes of a training and the one that started them have in common."""

from __future__ import annotations

from fercli.errors import FerError

ADDRESS = "FERCLI_DEVICES_ADDRESS"
KEY = "FERCLI_DEVICES_KEY"
"""Environment variables of the processes: the socket of the process that started them, and the key to it."""


class LostPeerError(FerError):
    """Another process of the group has ended; its own error is the cause."""

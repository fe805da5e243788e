"""Error reports: one line on stderr, with --json also an object on stdout, and an exit code.

This module is loaded first, so it imports nothing slow.
"""

from __future__ import annotations

import json
import os
import sys

from fercli.errors import one_line

INTERRUPTED = "interrupted; repeat the call with the same options (long stages resume)"


class Call:
    """The state of a call, set before its arguments are parsed.

    Attributes:
        command: The command; empty if there is none.
        as_json: Whether JSON output is requested.
        answered: Whether the JSON object was already printed.
    """

    def __init__(self) -> None:
        self.command = ""
        self.as_json = False
        self.answered = False


CALL = Call()
"""The call of this process."""


def begin(arguments: list[str], commands: list[str]) -> None:
    """Set the current call."""
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    CALL.command = next((word for word in arguments if word in commands), "")
    CALL.as_json, CALL.answered = "--json" in own, False


def report(message: str, kind: str, exit_code: int) -> None:
    """Report a failure.

    Args:
        message: The message, without the command name.
        kind: The name of the error's class.
        exit_code: The exit code of `fer`.
    """
    sys.stderr.write(line_of(message))
    report_object(message, kind, exit_code)


def report_object(message: str, kind: str, exit_code: int) -> None:
    """Print the JSON object of a failure, if requested and not yet printed."""
    if CALL.as_json and not CALL.answered:
        CALL.answered = True
        sys.stdout.write(object_of(message, kind, exit_code))


def report_at_once(message: str, kind: str, exit_code: int) -> None:
    """Report a failure from a signal handler, in which the streams may be in use."""
    if os.isatty(2):  # erase a progress bar and show the cursor
        os.write(2, b"\r\x1b[2K\x1b[?25h")
    os.write(2, line_of(message).encode())
    if CALL.as_json and not CALL.answered:
        os.write(1, object_of(message, kind, exit_code).encode())


def line_of(message: str) -> str:
    """Return the line of a failure for stderr."""
    return one_line(f"fer {CALL.command}: {message}" if CALL.command else f"fer: {message}") + "\n"


def object_of(message: str, kind: str, exit_code: int) -> str:
    """Return the JSON object of a failure for stdout, as text."""
    return json.dumps(failure(message, kind, exit_code), indent=1) + "\n"


def failure(message: str, kind: str, exit_code: int) -> dict[str, object]:
    """Return the JSON object of a failure."""
    error = {"command": CALL.command, "kind": kind, "message": one_line(message), "exit_code": exit_code}
    return {"error": error}

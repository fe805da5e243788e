"""How a call that fails says so: one line on stderr, with --json an object on stdout too, and an exit code.

It is loaded before anything else of `fer`, so it imports nothing that takes time.
"""

from __future__ import annotations

import json
import os
import sys

from fercli.errors import one_line

INTERRUPTED = "interrupted; call again with the same options (a long stage goes on where it was)"


class Call:
    """What is known of a call before its arguments are parsed.

    Attributes:
        command: The command it names; empty where it names none.
        as_json: Whether it asks for JSON.
        answered: Whether its JSON object is on stdout already.
    """

    def __init__(self) -> None:
        self.command = ""
        self.as_json = False
        self.answered = False


CALL = Call()
"""The call that this process answers."""


def begin(arguments: list[str], commands: list[str]) -> None:
    """Take a new call."""
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    CALL.command = next((word for word in arguments if word in commands), "")
    CALL.as_json, CALL.answered = "--json" in own, False


def report(message: str, kind: str, exit_code: int) -> None:
    """Tell of a failure.

    Args:
        message: What went wrong, without the command's name.
        kind: The error's class, for programs.
        exit_code: What `fer` ends with.
    """
    sys.stderr.write(line_of(message))
    report_object(message, kind, exit_code)


def report_object(message: str, kind: str, exit_code: int) -> None:
    """Print the JSON object of a failure, where one is asked for and none is printed yet."""
    if CALL.as_json and not CALL.answered:
        CALL.answered = True
        sys.stdout.write(object_of(message, kind, exit_code))


def report_at_once(message: str, kind: str, exit_code: int) -> None:
    """Tell of a failure from within a signal's handler, where the streams may be in use."""
    if os.isatty(2):  # a bar may be drawn there, the cursor hidden
        os.write(2, b"\r\x1b[2K\x1b[?25h")
    os.write(2, line_of(message).encode())
    if CALL.as_json and not CALL.answered:
        os.write(1, object_of(message, kind, exit_code).encode())


def line_of(message: str) -> str:
    """Return a failure as its line on stderr."""
    return one_line(f"fer {CALL.command}: {message}" if CALL.command else f"fer: {message}") + "\n"


def object_of(message: str, kind: str, exit_code: int) -> str:
    """Return a failure as its JSON object on stdout."""
    return json.dumps(failure(message, kind, exit_code), indent=1) + "\n"


def failure(message: str, kind: str, exit_code: int) -> dict[str, object]:
    """Return what a JSON object says of a failure."""
    error = {"command": CALL.command, "kind": kind, "message": one_line(message), "exit_code": exit_code}
    return {"error": error}

"""What the command's exit status means: a pipeline branches on it."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """`meaning` is the sentence that the help and docs/cli.md print."""

    meaning: str

    def __new__(cls, value: int, meaning: str) -> Exit:
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    DONE = 0, "done; with --wait: promoted, or the plan ended as it should"
    FAILED = 1, "something else went wrong: a file, the disk, a fault in slipway"
    USAGE = 2, "the command line is wrong"
    NOT_AUTHENTICATED = 3, "no token, or one that is unknown, expired or revoked"
    NOT_FOUND = 4, "no such model, version, endpoint or rollout"
    FORBIDDEN = 5, "the token's role or scopes do not allow it"
    REFUSED = 6, "the server refused it: a field is wrong, or the present state does not allow it"
    UNREACHABLE = 7, "the server did not answer, failed, or is no Slipway"
    ROLLED_BACK = 10, "rolled back: a gate failed, the candidate crashed, or somebody aborted it"
    CANCELLED = 11, "an approver refused it, or it was cancelled before any user met the candidate"
    SUPERSEDED = 12, "a newer rollout took its place"
    NEEDS_PERSON = 13, "it is paused or failed, and a person must look"
    TIMED_OUT = 14, "--timeout passed; the rollout goes on"
    INTERRUPTED = 130, "Ctrl-C; a rollout that was waited for goes on"


def table() -> str:
    """The statuses as lines for `--help`."""
    return "\n".join(f"{code.value:>5}  {code.meaning}" for code in Exit)

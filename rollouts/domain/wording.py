"""What people write beside a change: names and reasons."""

from __future__ import annotations

from rollouts.domain.fields import NAME
from rollouts.errors import Invalid

REASON_LIMIT = 2000


def check_name(name: str) -> None:
    """Invalid for a name that is not safe in URLs, file names and labels."""
    if not NAME.fullmatch(name):
        raise Invalid(
            f"{name!r} cannot be used as a name.",
            field="name",
            hint="Use up to 53 lower-case letters, digits and dashes, with a letter or digit at both ends.",
        )


def check_reason(reason: str) -> str:
    """The reason without blanks around it; Invalid when there is none, or a novel."""
    reason = reason.strip().replace("\x00", "")
    if not reason:
        raise Invalid("a reason is required.", field="reason", hint="Say why in a sentence; it is kept.")
    if len(reason) > REASON_LIMIT:
        raise Invalid(f"a reason has at most {REASON_LIMIT} characters.", field="reason")
    return reason

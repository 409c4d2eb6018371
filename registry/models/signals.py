"""Questions the registry asks the apps above it, which it must not import."""

from __future__ import annotations

from django.dispatch import Signal

# Sent with `version=` before a version is deleted, inside the transaction. A receiver raises `Conflict` to
# refuse, for instance because an endpoint serves the version or could be rolled back to it.
version_deleting = Signal()

# Sent with `digests=`, a set of stored content, before some of it is freed. A receiver answers with those
# that it needs although no version has them, such as files of a training run.
digests_needed = Signal()

# Sent with `model=` and `now=`. A receiver answers with {version number: until when it served production},
# `now` for what serves it still.
production_asked = Signal()

# Sent with `versions=`, ready ones. A receiver answers with {key of a version: why no server can run it},
# without those that some server can.
serving_asked = Signal()

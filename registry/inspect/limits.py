"""How much an inspection may take."""

from __future__ import annotations

import resource
from dataclasses import dataclass

_PARSED = 2 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one inspection: address space in MiB, processor and wall-clock seconds."""

    memory_mb: int = 4096
    cpu_seconds: int = 120
    wall_seconds: float = 180.0

    def for_size(self, size: int) -> Limits:
        """The same limits with room for a file of `size` bytes: parsing, checking and loading copy it.

        Beyond 2 GiB nothing is parsed as a whole; larger data is mapped once.
        """
        copied = min(size, _PARSED)
        room = 6 * (copied >> 20) + 2 * ((size - copied) >> 20)
        return Limits(self.memory_mb + room, self.cpu_seconds, self.wall_seconds)

    def apply(self) -> None:
        """Bind this process: no more memory or processor time than stated, no file written, no core dump."""
        memory = self.memory_mb << 20
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CPU, (self.cpu_seconds, self.cpu_seconds + 5))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

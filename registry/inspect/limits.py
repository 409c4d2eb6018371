"""How much an inspection may take."""

from __future__ import annotations

import resource
from dataclasses import dataclass, replace

_PARSED = 2 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one inspection: address space in MiB, processor and wall-clock seconds, bytes of a file."""

    memory_mb: int = 4096
    cpu_seconds: int = 120
    wall_seconds: float = 180.0
    file_bytes: int = 0

    def for_size(self, size: int) -> Limits:
        """The same limits with room for a file of `size` bytes: parsing, checking and loading copy it.

        Beyond 2 GiB nothing is parsed as a whole; larger data is mapped once.
        """
        copied = min(size, _PARSED)
        room = 6 * (copied >> 20) + 2 * ((size - copied) >> 20)
        return replace(self, memory_mb=self.memory_mb + room)

    def apply(self) -> None:
        """Bind this process: no more memory or processor time than stated, no larger file, no core dump."""
        memory = self.memory_mb << 20
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CPU, (self.cpu_seconds, self.cpu_seconds + 5))
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.file_bytes, self.file_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

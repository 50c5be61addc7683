"""One streamed import on its way from the socket to lines, held on disk rather than in memory.

Rules:
1. At most ``bytes_max`` bytes are taken; one byte more refuses the whole import.
2. Nothing reaches the ledger before the last byte has arrived: a caller that vanishes has imported nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from typing import IO

from ltmld.errors import BadInputError

# Small imports stay in memory; larger ones go to a temporary file without a name.
MEMORY_BYTES_MAX = 4 * 1024 * 1024

# One message per line; longer than this it is not something a person said.
LINE_BYTES_MAX = 8 * 1024 * 1024


class Upload:
    """The received body of an import."""

    def __init__(self, *, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(MEMORY_BYTES_MAX)  # noqa: SIM115 - closed by close()

    async def receive(self, chunks: AsyncIterator[bytes]) -> None:
        """Take the body in.

        Raises:
            BadInputError: it is larger than the limit.
        """
        taken = 0
        async for chunk in chunks:
            taken += len(chunk)
            if taken > self._bytes_max:
                raise BadInputError(
                    f"The import is larger than {self._bytes_max} bytes. Split it, or raise "
                    "admin.import_bytes_max; lines that were imported before are skipped."
                )
            self._file.write(chunk)

    def lines(self) -> Iterator[bytes]:
        """Yield the lines, each bounded: the rest of an overlong one follows as a line of its own."""
        self._file.seek(0)
        while line := self._file.readline(LINE_BYTES_MAX):
            yield line

    def close(self) -> None:
        """Drop what was received."""
        self._file.close()

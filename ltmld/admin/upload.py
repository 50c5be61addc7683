"""One streamed import on its way from the socket to lines, held on disk rather than in memory.

Rules:
1. At most ``bytes_max`` bytes are taken; one byte more refuses the whole import.
2. The disk is written to in a thread: the loop is the data plane's, too, and must not wait for a disk.
3. Nothing reaches the ledger before the last byte has arrived: a caller that vanishes has imported nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from typing import IO

from anyio import to_thread

from ltmld.errors import BadInputError

# Small imports stay in memory; larger ones go to a temporary file without a name.
MEMORY_BYTES_MAX = 4 * 1024 * 1024

# Gathered before a thread is asked to write: a hop costs more than a small write.
_WRITE_BYTES = 1024 * 1024

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
        taken, gathered = 0, bytearray()
        async for chunk in chunks:
            taken += len(chunk)
            if taken > self._bytes_max:
                raise BadInputError(
                    f"The import is larger than {self._bytes_max} bytes. Split it, or raise "
                    "admin.import_bytes_max; lines that were imported before are skipped."
                )
            gathered += chunk
            if len(gathered) >= _WRITE_BYTES:
                await to_thread.run_sync(self._file.write, gathered)
                gathered = bytearray()
        await to_thread.run_sync(self._file.write, gathered)

    def lines(self) -> Iterator[bytes]:
        """Yield the lines, each bounded: the rest of an overlong one follows as a line of its own."""
        self._file.seek(0)
        while line := self._file.readline(LINE_BYTES_MAX):
            yield line

    def close(self) -> None:
        """Drop what was received."""
        self._file.close()

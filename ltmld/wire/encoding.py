"""Content encodings of request bodies: Ollama takes zstd on its ``/v1`` routes, and nothing else anywhere.

Rules:
1. What Ollama would not unpack is not unpacked: another spelling (``ZSTD``), another coding, a route that takes
   none. It passes as it came, and Ollama answers what it always answers.
2. Ollama's own limits are kept, and never more than was asked for: a small body that unpacks to gigabytes is
   not unpacked to its end.
"""

from __future__ import annotations

import zstandard

from ltmld.errors import WireError, WireLimitError

# maxDecompressedBodySize and WithDecoderMaxMemory of Ollama's middleware: beyond them it refuses the request.
UNPACKED_BYTES_MAX = 20 * 1024 * 1024
WINDOW_BYTES_MAX = 8 * 1024 * 1024
# A frame put behind the client's: it is only reached when theirs are whole, which the reader does not say itself.
# It packs to far fewer bytes than it holds, so that it cannot be mistaken for the rest of a frame cut off.
_END = bytes(4096)
_END_FRAME = zstandard.ZstdCompressor().compress(_END)


def decoded(body: bytes, content_encoding: str, bytes_max: int, *, takes_zstd: bool = True) -> bytes:
    """Return the body as it is meant, at most *bytes_max* bytes of it.

    Raises:
        WireError: the encoding is not known here, or the body is broken.
        WireLimitError: it is too large.
    """
    match content_encoding.strip():
        case "" | "identity":
            return body
        case "zstd" if takes_zstd:
            return _unpacked(body, min(bytes_max, UNPACKED_BYTES_MAX))
        case other:
            raise WireError(f"content encoding {other!r} is not known here; the body passes untouched")


def _unpacked(body: bytes, bytes_max: int) -> bytes:
    packed = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES_MAX)
    # Read one byte more than allowed: what is longer is known by it.
    try:
        with packed.stream_reader(body + _END_FRAME, read_across_frames=True) as reader:
            unpacked = reader.read(bytes_max + len(_END) + 1)
    except (zstandard.ZstdError, MemoryError) as error:
        raise WireError(f"the zstd body cannot be unpacked: {error}; it passes untouched") from error
    if len(unpacked) > bytes_max + len(_END):
        raise WireLimitError(f"the zstd body unpacks to more than {bytes_max} bytes; it passes untouched")
    if not unpacked.endswith(_END):
        raise WireError("the zstd body is cut off; it passes untouched")
    return unpacked.removesuffix(_END)

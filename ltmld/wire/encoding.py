"""Content encodings of request bodies: Ollama takes zstd on its ``/v1`` routes, and nothing else anywhere."""

from __future__ import annotations

import zstandard

from ltmld.errors import WireError


def decoded(body: bytes, content_encoding: str, bytes_max: int) -> bytes:
    """Return the body as it is meant, at most *bytes_max* bytes of it.

    Raises:
        WireError: the encoding is not known, the body is broken, or it is larger than *bytes_max*.
    """
    match content_encoding.strip().lower():
        case "" | "identity":
            return body
        case "zstd":
            return _unpacked(body, bytes_max)
        case other:
            raise WireError(f"content encoding {other!r} is not known; the body passes untouched")


def _unpacked(body: bytes, bytes_max: int) -> bytes:
    # Read one byte more than allowed: a small body that unpacks to gigabytes must not be unpacked to the end.
    try:
        with zstandard.ZstdDecompressor().stream_reader(body, read_across_frames=True) as reader:
            unpacked = reader.read(bytes_max + 1)
    except (zstandard.ZstdError, MemoryError) as error:
        raise WireError(f"the zstd body cannot be unpacked: {error}; it passes untouched") from error
    if len(unpacked) > bytes_max:
        raise WireError(f"the zstd body unpacks to more than {bytes_max} bytes; it passes untouched")
    return unpacked

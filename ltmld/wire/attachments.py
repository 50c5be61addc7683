"""Images and files of a message, as digest and size; their bytes are never kept."""

from __future__ import annotations

import binascii
from hashlib import sha256
from typing import Any

from ltmld.core.message import Attachment
from ltmld.errors import WireError
from ltmld.wire.fields import said, told
from ltmld.wire.json_text import clean


def from_base64(encoded: object, *, media: str = "image") -> Attachment:
    """Return the digest of base64 text (of the text itself where it is none: Ollama will refuse it).

    Raises:
        WireError: it is not text at all.
    """
    if not isinstance(encoded, str):
        raise WireError("an image of a message is not text; the body passes untouched")
    try:
        data = binascii.a2b_base64(encoded)
    except ValueError:
        data = encoded.encode("utf-8", "replace")
    return Attachment(media=media, sha256=sha256(data).hexdigest(), size_bytes=len(data))


def from_part(part: dict[str, Any]) -> Attachment | None:
    """Return the attachment of one part of an OpenAI content array, ``None`` when it holds none."""
    match part.get("type"):
        case "image_url" | "input_image":
            image = part.get("image_url")
            url = image if isinstance(image, str) else said(image, "url") or said(part, "file_id")
        case "input_audio":
            audio = told(part, "input_audio")
            return from_base64(said(audio, "data"), media=clean(f"audio/{said(audio, 'format')}"))
        case "file" | "input_file":
            file = told(part, "file") or part
            url = said(file, "file_data") or said(file, "file_url") or said(file, "file_id")
        case _:
            return None
    return from_url(url)


def from_source(source: dict[str, Any]) -> Attachment:
    """Return the attachment that the ``source`` of an Anthropic block describes."""
    if "data" in source:
        return from_base64(said(source, "data"), media=clean(said(source, "media_type")) or "image")
    return from_url(said(source, "url") or said(source, "file_id"))


def from_url(url: str) -> Attachment:
    """Return what a ``data:`` URL holds; of any other, the digest of the link."""
    head, comma, data = url.partition(",")
    if head.startswith("data:") and comma:
        return from_base64(data, media=clean(head[5:].partition(";")[0]) or "image")
    return Attachment(media="link", sha256=sha256(url.encode("utf-8", "replace")).hexdigest(), size_bytes=0)

"""The three routes that make vectors: ``/api/embed``, ``/api/embeddings``, ``/v1/embeddings``."""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Sequence
from typing import Any

from ltmld.errors import WireError
from ltmld.standin.bodies import Tree, tree_of
from ltmld.standin.catalog import Catalog
from ltmld.standin.dialects import native_error, openai_error
from ltmld.standin.embedding import embed
from ltmld.standin.response import Response
from ltmld.standin.seen import SeenRequest
from ltmld.standin.shapes import NATIVE, PLAIN, dumps
from ltmld.wire import fields

# As of the tiny embedding model that was recorded.
CONTEXT_TOKENS = 512

_FORMATS = ("", "float", "base64")


class EmbeddingRoutes:
    """Answers what asks for vectors."""

    def __init__(self, *, catalog: Catalog) -> None:
        self._catalog = catalog

    def embed(self, request: SeenRequest) -> Response:
        """Answer ``/api/embed``."""
        try:
            tree = tree_of(request)
        except WireError as error:
            return _native(400, str(error))
        name, texts = fields.said(tree, "model"), _inputs(tree)
        if self._catalog.find(name) is None:
            return _native(404, _unknown(name))
        if tree.get("truncate") is False and any(len(text.split()) > CONTEXT_TOKENS for text in texts):
            return _native(400, "the input length exceeds the context length")
        vectors = [_vector(text, tree) for text in texts]
        answer: dict[str, Any] = {"model": name, "embeddings": vectors}
        if texts:
            numbers = {"total_duration": 2_000_000, "load_duration": 1_000_000}
            answer |= numbers | {"prompt_eval_count": _words(texts)}
        return Response(media=NATIVE, body=dumps(answer))

    def embeddings(self, request: SeenRequest) -> Response:
        """Answer ``/api/embeddings``."""
        try:
            tree = tree_of(request)
        except WireError as error:
            return _native(400, str(error))
        name, text = fields.said(tree, "model"), fields.said(tree, "prompt")
        if self._catalog.find(name) is None:
            return _native(404, _unknown(name))
        return Response(media=NATIVE, body=dumps({"embedding": _vector(text, {}) if text else []}))

    def openai(self, request: SeenRequest) -> Response:
        """Answer ``/v1/embeddings``."""
        try:
            tree = tree_of(request)
        except WireError as error:
            return _openai_unread(str(error))
        name, coded = fields.said(tree, "model"), fields.said(tree, "encoding_format")
        if coded.lower() not in _FORMATS:
            known = "Supported values: ['float', 'base64']."
            return _openai_unread(f"Invalid value for 'encoding_format' = {coded}. {known}")
        texts = [""] if tree.get("input") == "" else _inputs(tree)
        if not texts:
            return _openai_unread("invalid input")
        if self._catalog.find(name) is None:
            return Response(status=404, media=PLAIN, body=openai_error(404, _unknown(name)) + b"\n")
        written = _packed if coded.lower() == "base64" else list
        data = [
            {"object": "embedding", "embedding": written(_vector(text, tree)), "index": index}
            for index, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": _words(texts), "total_tokens": _words(texts)}
        answer = {"object": "list", "data": data, "model": name, "usage": usage}
        return Response(media=PLAIN, body=dumps(answer) + b"\n")


def _vector(text: str, tree: Tree) -> list[float]:
    vector = embed(text)[: fields.count(tree, "dimensions") or None]
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [_float32(value / length) for value in vector]


def _float32(value: float) -> float:
    """Return the shortest number that stands for the 32-bit float nearest to *value*, as Go prints it."""
    return float(f"{struct.unpack('<f', struct.pack('<f', value))[0]:.8g}")


def _packed(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _inputs(tree: Tree) -> list[str]:
    one = fields.said(tree, "input")
    return [one] if one else [text for text in fields.listed(tree, "input") if isinstance(text, str)]


def _words(texts: Sequence[str]) -> int:
    return sum(len(text.split()) for text in texts)


def _unknown(name: str) -> str:
    return f'model "{name}" not found, try pulling it first'


def _native(status: int, message: str) -> Response:
    return Response(status=status, media=NATIVE, body=native_error(status, message))


def _openai_unread(message: str) -> Response:
    return Response(status=400, media=NATIVE, body=openai_error(400, message))

"""The routes about models: lists, one model, and what makes, copies, fetches and deletes them.

Rules:
1. There is no registry behind the stand-in: a pull of a model it has succeeds, any other fails as it does offline.
2. A model is made by giving another one a new name and SYSTEM.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from hashlib import sha256
from typing import Any

from ltmld.standin import model_shapes
from ltmld.standin.catalog import Catalog, Model, full_name
from ltmld.standin.dialects import native_error, openai_error
from ltmld.standin.response import Response
from ltmld.standin.seen import SeenRequest
from ltmld.standin.shapes import NATIVE, NDJSON, PLAIN, VERSION, dumps
from ltmld.wire import fields

Tree = Mapping[str, Any]

_OFFLINE = (
    'pull model manifest: Get "https://registry.ollama.ai/v2/{name}/manifests/{tag}": '
    "dial tcp: lookup registry.ollama.ai: no such host"
)


class ModelRoutes:
    """Answers what is about models."""

    def __init__(self, *, catalog: Catalog) -> None:
        self._catalog = catalog

    def root(self, _request: SeenRequest) -> Response:
        """Say that there is somebody."""
        return Response(media="text/plain; charset=utf-8", body=b"Ollama is running")

    def version(self, _request: SeenRequest) -> Response:
        """Answer ``/api/version``."""
        return _json({"version": VERSION})

    def status(self, _request: SeenRequest) -> Response:
        """Answer ``/api/status``."""
        return _json({"cloud": {"disabled": True, "source": "env"}})

    def tags(self, _request: SeenRequest) -> Response:
        """Answer ``/api/tags``."""
        return _json(model_shapes.tags(self._catalog.models))

    def loaded(self, _request: SeenRequest) -> Response:
        """Answer ``/api/ps``."""
        return _json(model_shapes.loaded(self._catalog.loaded))

    def show(self, request: SeenRequest) -> Response:
        """Answer ``/api/show``."""
        name = _name(request.tree)
        if not name:
            return _error(400, "model is required")
        model = self._catalog.find(name)
        if model is None:
            return _error(404, f"model '{full_name(name)}' not found")
        return _json(model_shapes.show(model))

    def openai_models(self, _request: SeenRequest) -> Response:
        """Answer ``/v1/models``."""
        data = [model_shapes.openai_model(model.name, model) for model in self._catalog.models] or None
        return Response(media=PLAIN, body=dumps({"object": "list", "data": data}) + b"\n")

    def openai_model(self, request: SeenRequest) -> Response:
        """Answer ``/v1/models/{model}``."""
        name = request.path.removeprefix("/v1/models/")
        model = self._catalog.find(name)
        if model is None:
            words = f"model '{full_name(name)}' not found"
            return Response(status=404, media=PLAIN, body=openai_error(404, words) + b"\n")
        return Response(media=PLAIN, body=dumps(model_shapes.openai_model(name, model)) + b"\n")

    # --- changes --------------------------------------------------------------------------------------------

    def copy(self, request: SeenRequest) -> Response:
        """Answer ``/api/copy``."""
        source = fields.said(request.tree, "source")
        model = self._catalog.find(source)
        if model is None:
            return _error(404, f'model "{source}" not found')
        self._catalog.copy(model, fields.said(request.tree, "destination"))
        return Response()

    def delete(self, request: SeenRequest) -> Response:
        """Answer ``/api/delete``."""
        name = _name(request.tree)
        model = self._catalog.find(name)
        if model is None:
            return _error(404, f"model '{name}' not found")
        self._catalog.delete(model)
        return Response()

    def create(self, request: SeenRequest) -> Response:
        """Answer ``/api/create``."""
        tree = request.tree
        name, source = _name(tree), fields.said(tree, "from")
        files = fields.told(tree, "files")
        if not files and not source:
            return _error(400, "neither 'from' or 'files' was specified")
        model = self._catalog.find(source) if source else Model(name=full_name(name))
        if model is None:
            return _progress(tree, [{"error": _offline(source)}])
        self._catalog.copy(model, name, system=fields.said(tree, "system") or None)
        steps = ["parsing GGUF", "verifying conversion"] if files else []
        steps += [f"using existing layer sha256:{model.digest}", "writing manifest", "success"]
        return _progress(tree, [{"status": step} for step in steps])

    def pull(self, request: SeenRequest) -> Response:
        """Answer ``/api/pull``."""
        tree = request.tree
        name = _name(tree)
        if not name:
            return _error(400, "model is required")
        model = self._catalog.find(name)
        if model is None:
            return _progress(tree, [{"status": "pulling manifest"}, {"error": _offline(name)}])
        size = {"total": model.size_bytes, "completed": model.size_bytes}
        layer = {"status": f"pulling {model.digest[:12]}", "digest": f"sha256:{model.digest}"} | size
        checks = ("verifying sha256 digest", "writing manifest", "success")
        ended = [{"status": step} for step in checks]
        return _progress(tree, [{"status": "pulling manifest"}, layer, *ended])

    def push(self, request: SeenRequest) -> Response:
        """Answer ``/api/push``: there is nowhere to push to."""
        return _progress(
            request.tree, [{"status": "retrieving manifest"}, {"error": _offline(_name(request.tree))}]
        )

    # --- blobs ----------------------------------------------------------------------------------------------

    def blob_known(self, request: SeenRequest) -> Response:
        """Answer ``HEAD /api/blobs/{digest}``."""
        digest = _digest(request)
        words = f'blob "{digest}" not found'
        return Response() if digest in self._catalog.blobs else _error(404, words)

    def blob_taken(self, request: SeenRequest) -> Response:
        """Answer ``POST /api/blobs/{digest}``."""
        digest = _digest(request)
        if digest in self._catalog.blobs:
            return Response()
        found = f"sha256:{sha256(request.body).hexdigest()}"
        if found != digest:
            return _error(400, f'digest mismatch, expected "{digest}", got "{found}"')
        self._catalog.blobs.add(digest)
        return Response(status=201)

    # --- ollama.com -----------------------------------------------------------------------------------------

    def account(self, _request: SeenRequest) -> Response:
        """Answer ``/api/me``: nobody is signed in, and there is no way out."""
        return _error(503, "account unavailable")

    def search(self, request: SeenRequest) -> Response:
        """Answer the routes that would search the web."""
        what = "web fetch" if request.path.endswith("fetch") else "web search"
        return _error(403, f"ollama cloud is disabled: {what} is unavailable")

    def recommendations(self, _request: SeenRequest) -> Response:
        """Answer ``/api/experimental/model-recommendations``."""
        return _json({"recommendations": []})

    def transcription(self, _request: SeenRequest) -> Response:
        """Answer ``/v1/audio/transcriptions``: it takes forms alone, and the stand-in hears nothing."""
        words = "failed to parse multipart form: request Content-Type isn't multipart/form-data"
        return Response(status=400, media=NATIVE, body=openai_error(400, words))


def _name(tree: Tree) -> str:
    return fields.said(tree, "model") or fields.said(tree, "name")


def _digest(request: SeenRequest) -> str:
    return request.path.removeprefix("/api/blobs/")


def _offline(name: str) -> str:
    bare, _, tag = full_name(name).partition(":")
    return _OFFLINE.format(name=bare if "/" in bare else f"library/{bare}", tag=tag)


def _progress(tree: Tree, steps: list[dict[str, Any]]) -> Response:
    """Return the steps as a stream, or the last of them, where an error is a status too."""
    if tree.get("stream") is False:
        status = 500 if "error" in steps[-1] else 200
        return Response(status=status, media=PLAIN, body=dumps(steps[-1]))
    return Response(media=NDJSON, body=_lines(steps))


async def _lines(steps: Iterable[dict[str, Any]]) -> AsyncIterator[bytes | None]:
    for step in steps:
        yield dumps(step) + b"\n"


def _json(tree: Tree) -> Response:
    return Response(media=NATIVE, body=dumps(tree))


def _error(status: int, message: str) -> Response:
    return Response(status=status, media=NATIVE, body=native_error(status, message))

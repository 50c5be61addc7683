"""The routes of Ollama that the stand-in has, and its answers to what it does not have or understand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ltmld.errors import WireError
from ltmld.standin import shapes
from ltmld.standin.catalog import Catalog, full_name
from ltmld.standin.conversation import Conversation, of_chat, of_generate, of_openai
from ltmld.standin.embedding import embed
from ltmld.standin.inference import Inference, Kind
from ltmld.standin.response import Response
from ltmld.standin.seen import SeenRequest
from ltmld.wire import fields
from ltmld.wire.json_text import scan

Tree = Mapping[str, Any]
Route = Callable[[SeenRequest], Response]

_READERS: dict[Kind, Callable[[Tree], Conversation]] = {
    "chat": of_chat,
    "generate": of_generate,
    "openai": of_openai,
}


class Routes:
    """Finds the answer to a request."""

    def __init__(self, *, catalog: Catalog, inference: Inference) -> None:
        self._catalog = catalog
        self._inference = inference
        # The order of the methods is the order of the Allow header.
        self._table: dict[str, dict[str, Route]] = {
            "/": {"HEAD": self._root, "GET": self._root},
            "/api/version": {"HEAD": self._version, "GET": self._version},
            "/api/status": {"GET": self._status},
            "/api/tags": {"HEAD": self._tags, "GET": self._tags},
            "/api/ps": {"GET": self._ps},
            "/api/show": {"POST": self._show},
            "/api/chat": {"POST": lambda request: self._native("chat", request)},
            "/api/generate": {"POST": lambda request: self._native("generate", request)},
            "/api/embed": {"POST": self._embed},
            "/api/embeddings": {"POST": self._embeddings},
            "/v1/chat/completions": {"POST": self._openai},
            "/v1/embeddings": {"POST": self._openai_embeddings},
            "/v1/models": {"GET": self._openai_models},
        }

    def respond(self, request: SeenRequest) -> Response:
        """Answer one request."""
        path = request.path
        methods = self._table.get(path)
        if methods is None and path.startswith("/v1/models/"):
            methods = {"GET": self._openai_model}
        if methods is None:
            return self._nowhere(request)
        route = methods.get(request.method)
        if route is None:
            allow = (("Allow", ", ".join(methods)),)
            return Response(status=405, media="text/plain", body=b"405 method not allowed", before=allow)
        return route(request)

    def _nowhere(self, request: SeenRequest) -> Response:
        bare = request.path.rstrip("/")
        if bare in self._table:
            status = 301 if request.method == "GET" else 307
            return Response(status=status, before=(("Location", bare),))
        return Response(status=404, media="text/plain", body=b"404 page not found")

    # --- inference ------------------------------------------------------------------------------------------

    def _native(self, kind: Kind, request: SeenRequest) -> Response:
        try:
            asked = _READERS[kind](_tree(request.body))
        except WireError as error:
            return _native_error(400, str(error))
        if not asked.model and kind == "chat":
            return _native_error(400, "model is required")
        model = self._catalog.find(asked.model)
        if model is None:
            return _native_error(404, f"model '{asked.model}' not found")
        if asked.empty:
            return self._load(kind, asked)
        self._catalog.load(model)
        asked = asked.under(model.system)
        if asked.debug_render:
            return _json(shapes.rendered(kind, asked.model, asked.prompt))
        return self._inference.respond(kind, asked)

    def _load(self, kind: Kind, asked: Conversation) -> Response:
        model = self._catalog.find(asked.model)
        if model is not None:
            (self._catalog.unload if asked.unload else self._catalog.load)(model)
        reason = "unload" if asked.unload else "load"
        return _json(shapes.native(kind, asked.model, "", done=True, done_reason=reason))

    def _openai(self, request: SeenRequest) -> Response:
        try:
            asked = of_openai(_tree(request.body))
        except WireError as error:
            return _openai_unread(str(error))
        if asked.empty:
            return _openai_unread("[] is too short - 'messages'")
        if not asked.model:
            return _openai_error(400, "model is required")
        model = self._catalog.find(asked.model)
        if model is None:
            return _openai_error(404, f"model '{asked.model}' not found")
        self._catalog.load(model)
        return self._inference.respond("openai", asked.under(model.system))

    # --- models ---------------------------------------------------------------------------------------------

    def _root(self, _request: SeenRequest) -> Response:
        return Response(media="text/plain; charset=utf-8", body=b"Ollama is running")

    def _version(self, _request: SeenRequest) -> Response:
        return _json({"version": shapes.VERSION})

    def _status(self, _request: SeenRequest) -> Response:
        return _json({"cloud": {"disabled": True, "source": "env"}})

    def _tags(self, _request: SeenRequest) -> Response:
        return _json(shapes.tags(self._catalog.models))

    def _ps(self, _request: SeenRequest) -> Response:
        return _json(shapes.loaded(self._catalog.loaded))

    def _show(self, request: SeenRequest) -> Response:
        tree = request.tree
        name = fields.said(tree, "model") or fields.said(tree, "name")
        if not name:
            return _native_error(400, "model is required")
        model = self._catalog.find(name)
        if model is None:
            return _native_error(404, f"model '{full_name(name)}' not found")
        return _json(shapes.show(model))

    def _openai_models(self, _request: SeenRequest) -> Response:
        data = [shapes.openai_model(model.name) for model in self._catalog.models] or None
        return Response(media=shapes.OPENAI, body=shapes.dumps({"object": "list", "data": data}) + b"\n")

    def _openai_model(self, request: SeenRequest) -> Response:
        name = request.path.removeprefix("/v1/models/")
        if self._catalog.find(name) is None:
            return _openai_error(404, f"model '{full_name(name)}' not found")
        return Response(media=shapes.OPENAI, body=shapes.dumps(shapes.openai_model(name)) + b"\n")

    # --- embeddings -----------------------------------------------------------------------------------------

    def _embed(self, request: SeenRequest) -> Response:
        name, texts = fields.said(request.tree, "model"), _inputs(request.tree)
        if self._catalog.find(name) is None:
            return _native_error(404, f'model "{name}" not found, try pulling it first')
        tree: dict[str, Any] = {"model": name, "embeddings": [embed(text) for text in texts]}
        if texts:
            numbers = {"total_duration": 2_000_000, "load_duration": 1_000_000}
            tree |= numbers | {"prompt_eval_count": _words(texts)}
        return _json(tree)

    def _embeddings(self, request: SeenRequest) -> Response:
        name, text = fields.said(request.tree, "model"), fields.said(request.tree, "prompt")
        if self._catalog.find(name) is None:
            return _native_error(404, f'model "{name}" not found, try pulling it first')
        return _json({"embedding": embed(text) if text else []})

    def _openai_embeddings(self, request: SeenRequest) -> Response:
        name, texts = fields.said(request.tree, "model"), _inputs(request.tree)
        if self._catalog.find(name) is None:
            return _openai_error(404, f'model "{name}" not found, try pulling it first')
        data = [
            {"object": "embedding", "embedding": embed(text), "index": index}
            for index, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": _words(texts), "total_tokens": _words(texts)}
        tree = {"object": "list", "data": data, "model": name, "usage": usage}
        return Response(media=shapes.OPENAI, body=shapes.dumps(tree) + b"\n")


def _tree(body: bytes) -> Tree:
    if not body:
        raise WireError("missing request body")
    text = body.decode("utf-8", "replace")
    try:
        value = scan(text, depth=1, deeper={"messages": 3}).value
    except WireError as error:
        bare = text.strip()
        sentence = f"invalid character '{bare[:1]}' looking for beginning of value"
        raise WireError("unexpected EOF" if bare.startswith(("{", "[")) else sentence) from error
    if not isinstance(value, dict):
        raise WireError("json: cannot unmarshal into Go value of type api.ChatRequest")
    return value


def _inputs(tree: Tree) -> list[str]:
    one = fields.said(tree, "input")
    return [one] if one else [text for text in fields.listed(tree, "input") if isinstance(text, str)]


def _words(texts: list[str]) -> int:
    return sum(len(text.split()) for text in texts)


def _json(tree: Tree) -> Response:
    return Response(media=shapes.NATIVE, body=shapes.dumps(tree))


def _native_error(status: int, message: str) -> Response:
    return Response(status=status, media=shapes.NATIVE, body=shapes.native_error(message))


def _openai_unread(message: str) -> Response:
    # What fails while the body is read keeps the native media type and has no line end.
    body = shapes.openai_error(message, kind="invalid_request_error")
    return Response(status=400, media=shapes.NATIVE, body=body)


def _openai_error(status: int, message: str) -> Response:
    kind = "not_found_error" if status == 404 else "invalid_request_error"
    body = shapes.openai_error(message, kind=kind) + b"\n"
    return Response(status=status, media=shapes.OPENAI, body=body)

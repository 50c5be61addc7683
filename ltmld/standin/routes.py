"""The routes of Ollama that the stand-in has, and its answers to what it does not have or understand.

Rules:
1. A path with a slash too many is sent elsewhere before anything is looked at; all else passes the admission first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from ltmld.errors import WireError
from ltmld.standin import dialects, native_shapes, refusals
from ltmld.standin.admission import Admission
from ltmld.standin.bodies import tree_of
from ltmld.standin.catalog import Catalog, Model
from ltmld.standin.conversation import Conversation
from ltmld.standin.dialects import Dialect
from ltmld.standin.embedding_routes import EmbeddingRoutes
from ltmld.standin.inference import Inference
from ltmld.standin.model_routes import ModelRoutes
from ltmld.standin.openai_shapes import ChatWriting
from ltmld.standin.refusals import Refusal
from ltmld.standin.response import Response
from ltmld.standin.seen import SeenRequest
from ltmld.standin.shapes import NATIVE, PLAIN

Route = Callable[[SeenRequest], Response]

_BLOBS, _MODELS = "/api/blobs/", "/v1/models/"


class Routes:
    """Finds the answer to a request."""

    def __init__(self, *, catalog: Catalog, inference: Inference, admission: Admission) -> None:
        self._catalog = catalog
        self._inference = inference
        self._admission = admission
        models, embedding = ModelRoutes(catalog=catalog), EmbeddingRoutes(catalog=catalog)
        # The order of the methods is the order of the Allow header.
        self._table: dict[str, dict[str, Route]] = {
            "/": {"HEAD": models.root, "GET": models.root},
            "/api/version": {"HEAD": models.version, "GET": models.version},
            "/api/status": {"GET": models.status},
            "/api/tags": {"HEAD": models.tags, "GET": models.tags},
            "/api/ps": {"GET": models.loaded},
            "/api/show": {"POST": _parsed(models.show)},
            "/api/copy": {"POST": _parsed(models.copy)},
            "/api/delete": {"DELETE": _parsed(models.delete)},
            "/api/create": {"POST": _parsed(models.create)},
            "/api/pull": {"POST": _parsed(models.pull)},
            "/api/push": {"POST": _parsed(models.push)},
            "/api/me": {"POST": models.account},
            "/api/experimental/web_search": {"POST": models.search},
            "/api/experimental/web_fetch": {"POST": models.search},
            "/api/experimental/model-recommendations": {"GET": models.recommendations},
            "/api/embed": {"POST": embedding.embed},
            "/api/embeddings": {"POST": embedding.embeddings},
            "/api/chat": {"POST": partial(self._infer, dialects.CHAT)},
            "/api/generate": {"POST": partial(self._infer, dialects.GENERATE)},
            "/v1/chat/completions": {"POST": partial(self._infer, dialects.CHAT_COMPLETIONS)},
            "/v1/completions": {"POST": partial(self._infer, dialects.COMPLETIONS)},
            "/v1/responses": {"POST": partial(self._infer, dialects.RESPONSES)},
            "/v1/messages": {"POST": partial(self._infer, dialects.MESSAGES)},
            "/v1/embeddings": {"POST": embedding.openai},
            "/v1/audio/transcriptions": {"POST": models.transcription},
            "/v1/models": {"GET": models.openai_models},
        }
        self._below: dict[str, dict[str, Route]] = {
            _BLOBS: {"POST": models.blob_taken, "HEAD": models.blob_known},
            _MODELS: {"GET": models.openai_model},
        }

    def respond(self, request: SeenRequest) -> Response:
        """Answer one request."""
        methods = self._methods(request.path)
        bare = request.path.rstrip("/")
        if methods is None and bare in self._table:
            return _moved(request, bare)
        allow = (("Allow", ", ".join(methods)),) if methods and request.method not in methods else ()
        if refused := self._admission.refused(request):
            return replace(refused, headers=(*refused.headers, *allow))
        return self._admission.admitted(request, self._routed(request, methods, allow))

    def early(self, request: SeenRequest) -> Response | None:
        """Return the answer that needs no body: a blob that is there already."""
        is_blob = request.method == "POST" and request.path.startswith(_BLOBS)
        known = is_blob and request.path.removeprefix(_BLOBS) in self._catalog.blobs
        return Response() if known else None

    def _methods(self, path: str) -> dict[str, Route] | None:
        if path in self._table:
            return self._table[path]
        below = (start for start in self._below if path.startswith(start) and path != start)
        found = next((start for start in below if "/" not in path.removeprefix(start)), "")
        # An encoded slash makes two segments, and no route has them.
        return self._below[found] if found and "%2f" not in path.lower() else None

    def _routed(
        self, request: SeenRequest, methods: dict[str, Route] | None, allow: tuple[tuple[str, str], ...]
    ) -> Response:
        if methods is None:
            return Response(status=404, media="text/plain", body=b"404 page not found")
        if allow:
            return Response(status=405, media="text/plain", body=b"405 method not allowed", headers=allow)
        return methods[request.method](request)

    # --- inference ------------------------------------------------------------------------------------------

    def _infer(self, dialect: Dialect, request: SeenRequest) -> Response:
        try:
            asked = dialect.read(tree_of(request))
        except WireError as error:
            return dialect.unread(str(error))
        if not asked.model and dialect.verb == "chat":
            return dialect.refused(400, "model is required")
        model = self._catalog.find(asked.model)
        if refusal := refusals.of_model(asked.model, model):
            return _refused(dialect, asked, refusal)
        assert model is not None  # noqa: S101 - of_model refuses what is not there
        if refusal := _refusal(dialect, asked, model):
            return _refused(dialect, asked, refusal)
        return self._answered(dialect, asked, model)

    def _answered(self, dialect: Dialect, asked: Conversation, model: Model) -> Response:
        if asked.empty and dialect.native:
            return self._load(dialect, asked, model)
        self._catalog.load(model)
        under = asked.under(model.system)
        if asked.debug_render:
            return self._rendered(dialect, under)
        return self._inference.respond(dialect, under, thinks=model.can("thinking"))

    def _load(self, dialect: Dialect, asked: Conversation, model: Model) -> Response:
        (self._catalog.unload if asked.unload else self._catalog.load)(model)
        reason = "unload" if asked.unload else "load"
        body = native_shapes.loaded(_kind(dialect), asked.model, reason)
        return Response(media=NATIVE, body=body)

    def _rendered(self, dialect: Dialect, asked: Conversation) -> Response:
        if dialect.native:
            body = native_shapes.rendered(_kind(dialect), asked.model, asked.prompt)
            return Response(media=NATIVE, body=body)
        writing = ChatWriting(spoken=self._inference.rendered(asked))
        return Response(media=PLAIN, body=writing.rendered(asked.prompt))


def _parsed(route: Route) -> Route:
    """Return *route* for bodies that can be read, and Ollama's words for others."""

    def answered(request: SeenRequest) -> Response:
        try:
            tree_of(request)
        except WireError as error:
            return Response(status=400, media=NATIVE, body=dialects.native_error(400, str(error)))
        return route(request)

    return answered


def _refusal(dialect: Dialect, asked: Conversation, model: Model) -> Refusal | None:
    return (
        refusals.of_raw(asked)
        or refusals.of_capability(asked, model, verb=dialect.verb, relaxed=dialect.relaxed)
        or refusals.of_run(asked, model)
    )


def _refused(dialect: Dialect, asked: Conversation, refusal: Refusal) -> Response:
    if refusal.cloud:
        # Cloud errors keep the native shape on every route.
        body = dialects.native_error(refusal.status, refusal.message)
        return Response(status=refusal.status, media=NATIVE, body=body)
    return dialect.refused(refusal.status, refusal.message, runner=refusal.runner, stream=asked.stream)


def _kind(dialect: Dialect) -> native_shapes.Kind:
    return "generate" if dialect.verb == "generate" else "chat"


def _moved(request: SeenRequest, bare: str) -> Response:
    if request.method not in ("GET", "HEAD"):
        return Response(status=307, headers=(("Location", bare),))
    page = f'<a href="{bare}">Moved Permanently</a>.\n\n'.encode()
    return Response(status=301, media="text/html; charset=utf-8", body=page, headers=(("Location", bare),))

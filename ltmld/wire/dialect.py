"""How one route says what a conversation is: what every dialect does, and what each says for itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from ltmld.wire.body import Alteration, Body, rewritten
from ltmld.wire.capture import Capture, DialectReader
from ltmld.wire.json_text import Edit
from ltmld.wire.request import Request
from ltmld.wire.structs import Struct
from ltmld.wire.weight import check_messages

_NOTHING = frozenset[int]()


class Dialect(ABC):
    """One route's words for a request, for what is put into it, and for its answer."""

    name: ClassVar[str]
    """``ollama.chat``, ``ollama.generate``, ``openai.chat``, ``openai.responses``, ``anthropic.messages``."""

    takes_zstd: ClassVar[bool]
    """Whether Ollama unpacks a body that is packed with zstd on this route."""

    struct: ClassVar[Struct]
    """What Ollama reads a body into."""

    reader: ClassVar[type[DialectReader]]
    """What reads an answer."""

    def parse(self, body: bytes, *, messages_max: int | None = None) -> Request:
        """Read a request body that has at most *messages_max* messages and parts of them.

        Raises:
            WireError: it is not understood, and passes untouched.
        """
        parsed = Body.read(body, self.struct)
        if messages_max is not None:
            check_messages(parsed.tree, messages_max)
        return self._request(parsed)

    def inject(
        self,
        request: Request,
        *,
        block: str,
        base_system: str,
        notes: Mapping[int, str],
        drop: frozenset[int] = _NOTHING,
    ) -> bytes:
        """Return the body with memory in it; everything of the client's stays byte for byte.

        *block*, whole with its sentinel, goes to the end of the system text; where the client sent none,
        one is put in front that begins with *base_system*, the Modelfile's SYSTEM (``/v1/responses`` shows
        its system text to the client: there it goes before the first user message's words). *notes* go before the
        words of the user messages at these indices of ``request.messages``; the messages at *drop* (indices
        of the same) are taken out, whole. A request that only loads a model, or for which there is nothing
        to inject or to drop, comes back as the very same object.
        """
        if request.empty:
            return request.body
        alteration = Alteration(block=block, base_system=base_system, notes=notes, drop=drop)
        return rewritten(request, self._edits(request, alteration))

    def capture(self, *, bytes_max: int) -> Capture:
        """Return a capture of the answer, which keeps at most *bytes_max* bytes of it."""
        return Capture(self.reader(bytes_max), bytes_max=bytes_max)

    @abstractmethod
    def error(self, message: str) -> bytes:
        """Return an error body in the dialect's shape."""

    @abstractmethod
    def _request(self, parsed: Body) -> Request:
        """Return what a body says.

        Raises:
            WireError: it is not understood.
        """

    @abstractmethod
    def _edits(self, request: Request, alteration: Alteration) -> list[Edit]:
        """Return the edits that alter a request which is not empty."""

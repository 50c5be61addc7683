"""One client's connection: requests in, one relay at a time, answers out in the order of the requests.

Rules:
1. The end of the client's direction means that the client is gone, as it does for Ollama itself: a closed
   connection and a half-closed one look the same from here.
2. Nothing is gathered without a limit: heads by ``head_bytes_max``, pipelined requests likewise, bodies by
   pausing the reading. Nor for ever: a head has ``head_timeout_s`` from its first byte, and a body that is kept
   in memory may not pause for longer than ``body_timeout_s``. The plane's sweep looks at these, so that no request
   needs a timer.
3. An answer given before its request was read whole is followed by a lingering close, for a plain close
   would reset the connection and could take the answer with it.
4. A connection beyond the limit is answered 503, whatever it asks for, and never reaches Ollama.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from typing import cast

from ltmld.proxy.chunks import END, ChunksRefusedError
from ltmld.proxy.express import Express
from ltmld.proxy.guard import Guard, forbidden
from ltmld.proxy.head import HEAD_END, Framing, HeadRefusedError, Request, check_unfinished
from ltmld.proxy.plane import Plane
from ltmld.proxy.raw import Passage, ask, passes
from ltmld.proxy.refusal import BUSY, NOT_TLS, TLS_HELLO, late, own_answer, refusal, refused, too_large
from ltmld.proxy.relay import Relay
from ltmld.proxy.request_body import NO_BODY, RequestBody
from ltmld.proxy.sockets import left

_EMPTY_LINES = re.compile(rb"(?:\r\n)+")
_RESET = struct.pack("ii", 1, 0)


class Client(asyncio.Protocol):
    """One accepted connection."""

    __slots__ = (
        "_backlog",
        "_began_at",
        "_body",
        "_closing",
        "_express",
        "_head_bytes_max",
        "_lingering",
        "_plane",
        "_reading",
        "_relay",
        "_surplus",
        "full",
        "idle_since",
        "peer",
        "transport",
    )

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._head_bytes_max = plane.settings.head_bytes_max
        self._relay: Relay | None = None
        self._express = Express(plane, self)
        self._backlog = b""
        self._began_at = 0.0
        """When the first byte of an unfinished head came; 0.0: there is none."""
        self._body = NO_BODY
        self._reading = True
        self._lingering = False
        self._surplus = False
        self._closing = False
        self.full = False
        """The client takes no more for now."""
        self.idle_since = 0.0
        self.peer = ""

    @property
    def idle(self) -> bool:
        """Whether no request is being answered."""
        return self._relay is None and not self._express.busy

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to serve."""
        # A TCP connection has no other kind of transport.
        self.transport: asyncio.Transport = cast("asyncio.Transport", transport)
        address = transport.get_extra_info("peername")
        self.peer = str(address[0]) if address else ""
        self.idle_since = self._plane.now
        self._plane.clients.add(self)
        if self._plane.draining:
            self.shut()
        elif len(self._plane.clients) > self._plane.connections_max:
            self._turn_away()

    def data_received(self, data: bytes) -> None:
        """Take a part of a request, or of several."""
        relay = self._relay
        if relay is None:
            if not (self._backlog or self._lingering or self._express.busy) and self._express.begin(data):
                return
        else:
            if relay.tunneling:
                relay.through(data)
                return
            if not self._body.ended:
                data = self._pass_body(relay, data)
        if self._lingering or not data:
            self._answer_surplus()
            return
        self._backlog += data
        if self.idle:
            self._next_requests()
        if self._backlog:
            self.tune()

    def eof_received(self) -> bool:
        """The client has gone (rule 1)."""
        if not self.idle:
            self._leave()
            self.transport.abort()
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why it left changes nothing
        """The client has gone."""
        self._leave()
        self._plane.left(self)

    def pause_writing(self) -> None:
        """The client takes no more for now."""
        self.full = True
        if self._relay is not None:
            self._relay.client_full()

    def resume_writing(self) -> None:
        """The client takes more again."""
        self.full = False
        if self._relay is not None:
            self._relay.client_ready()

    # --- for the relay ---

    def write(self, data: bytes) -> None:
        """Send *data*, in one write."""
        self.transport.write(data)

    def tune(self) -> None:
        """Pause or resume reading, as the relay and the backlog have it."""
        choked = self._relay is not None and self._relay.choked
        wanted = not choked and len(self._backlog) <= self._head_bytes_max
        if wanted == self._reading or self.transport.is_closing():
            return
        self._reading = wanted
        if wanted:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()

    def switched(self) -> None:
        """Hand over what has been read: from now on it belongs to the tunnel."""
        if self._relay is not None and self._backlog:
            backlog, self._backlog = self._backlog, b""
            self._relay.through(backlog)

    def relay_ended(self, *, keep: bool) -> None:
        """Go on with the next request, or close."""
        self._relay = None
        if self._closing or self.transport.is_closing():
            return
        if keep:
            self.express_ended()
        else:
            self._close_gently()

    def express_became(self, relay: Relay) -> None:
        """A relay goes on with what the short way has begun."""
        self._relay = relay
        self._body = NO_BODY

    def express_ended(self) -> None:
        """Go on with the next request."""
        if self._plane.draining:
            self._close_gently()
            return
        self.idle_since = self._plane.now
        if self._backlog:
            self._next_requests()
        if not self._reading:
            self.tune()

    def break_off(self, *, hard: bool) -> None:
        """Close so that the client sees that the answer is not whole."""
        if hard:
            peer = self.transport.get_extra_info("socket")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.transport.abort()
        else:
            self.transport.close()

    def shut(self) -> None:
        """Close now; what is under way is broken off."""
        self._leave()
        self.transport.abort()

    def sweep(self, *, now: float) -> None:
        """End what takes too long, and leave a client that has gone while it was not read from."""
        limits = self._plane.settings
        if self.idle:
            if not self._began_at:
                if now - self.idle_since > limits.idle_timeout_s:
                    self.shut()
            elif now - self._began_at > limits.head_timeout_s:
                self._plane.stats.timed_out += 1
                self.refuse(late("end of the head", limits.head_timeout_s, "HEAD"))
        elif self._relay is not None and self._relay.looking and not self._body.ended:
            if now - self._body.heard_at > limits.body_timeout_s:
                self._plane.stats.timed_out += 1
                self._refuse_body(self._relay, late("next part of the body", limits.body_timeout_s, "BODY"))
        elif not self._reading and left(self.transport):  # a paused connection tells nobody
            self.shut()

    # --- requests ---

    def _next_requests(self) -> None:
        while self.idle and self._backlog and not self._closing:
            if self._backlog.startswith(TLS_HELLO):
                self.refuse(NOT_TLS)
                return
            try:
                request = self._read_head()
            except HeadRefusedError as error:
                if passes(error.stranger, behind=self._backlog):
                    Passage(self._plane, self, said=error.stranger, otherwise=refusal(error))
                else:
                    self.refuse(refusal(error))
                return
            if request is None:
                return
            self._begin(request)

    def _read_head(self) -> Request | None:
        """Take one head out of the backlog; ``None``: it is not complete.

        Raises:
            HeadRefusedError: it never will be one that may go on.
        """
        backlog = self._backlog
        empty = _EMPTY_LINES.match(backlog)  # RFC 9112 2.2: to be ignored before a request
        if empty is not None:
            self._backlog = backlog = backlog[empty.end() :]
        end = backlog.find(HEAD_END) + 4
        if end >= 4 and end <= self._head_bytes_max:
            self._began_at = 0.0
            self._backlog = backlog[end:]
            return self._plane.read(backlog[:end], self.peer)
        if max(end, len(backlog)) > self._head_bytes_max:
            raise too_large(backlog, self._head_bytes_max)
        check_unfinished(backlog)
        if not backlog:
            self._began_at = 0.0
        elif not self._began_at:
            self._began_at = asyncio.get_running_loop().time()
        return None

    def _begin(self, request: Request) -> None:
        if (guard := self._plane.guard) is not None and not guard.admits(request.host):
            self._forbid(guard, request)
            return
        relay = Relay(self._plane, self, request)
        if request.framing is Framing.NONE:
            self._body = NO_BODY
            self._relay = relay
            relay.start([], ended=True, end=END)
            return
        self._body = body = RequestBody(request, trailer_bytes_max=self._head_bytes_max)
        payloads: list[bytes] = []
        try:
            if self._backlog:
                payloads, self._backlog = body.take(self._backlog)
        except ChunksRefusedError as error:
            self.refuse(own_answer(400, refused(str(error)), close=True))
            return
        self._relay = relay
        body.heard_at = asyncio.get_running_loop().time()
        if body.followed:
            # A request pipelined behind a chunked body: the close tells its sender to send it again (RFC 9112 9.3.2).
            relay.close_after()
        relay.start(payloads, ended=body.ended, end=body.end)

    def _pass_body(self, relay: Relay, data: bytes) -> bytes:
        """Pass on what belongs to the body, return the rest."""
        body = self._body
        try:
            payloads, rest = body.take(data)
        except ChunksRefusedError as error:
            self._refuse_body(relay, own_answer(400, refused(str(error)), close=True))
            return b""
        if relay.looking:
            body.heard_at = asyncio.get_running_loop().time()
        if body.followed:
            relay.close_after()
        relay.body(payloads, ended=body.ended, end=body.end)
        return rest

    # --- refusals and closing ---

    def _leave(self) -> None:
        relay, self._relay = self._relay, None
        self._closing = True
        if relay is not None:
            relay.client_gone()
        else:
            self._express.client_gone()

    def _refuse_body(self, relay: Relay, answer: bytes) -> None:
        self._closing = True
        relay.abandon()
        if relay.answered:
            self.shut()
        else:
            self.refuse(answer)

    def refuse(self, answer: bytes) -> None:
        """Answer what must not go on, and close."""
        self._plane.stats.refused += 1
        self.write(answer)
        self._close_gently(unread=True)

    def _forbid(self, guard: Guard, request: Request) -> None:
        """Refuse a host as Ollama does, which leaves the connection open."""
        if not self._backlog and (question := guard.question(request)):
            ask(self._plane, self, question)
        elif request.framing is Framing.NONE and not request.close:
            self._plane.stats.refused += 1
            self.write(forbidden(close=False))
        else:
            self.refuse(forbidden(close=True))

    def _turn_away(self) -> None:
        """Wait for a first byte to answer: an answer before the question confuses clients (rule 4)."""
        self._plane.stats.turned_away += 1
        if len(self._plane.clients) > self._plane.connections_max + self._plane.settings.turned_away_max:
            self.shut()
            return
        self._lingering = self._surplus = True
        asyncio.get_running_loop().call_later(self._plane.settings.linger_s, self.transport.abort)

    def _answer_surplus(self) -> None:
        if self._surplus:
            self._surplus = False
            self.write(own_answer(503, refused(BUSY), close=True))
            self._close_gently(unread=True)

    def _close_gently(self, *, unread: bool = False) -> None:
        """Close; where the client may still be sending, read and drop for a while first."""
        self._closing = True
        self.idle_since = self._plane.now  # from here on it may take no longer than one that is idle
        if self._body.ended and not self._backlog and not unread:
            self.transport.close()
            return
        self._lingering = True
        self._backlog = b""
        self.tune()
        if not self.transport.is_closing() and self.transport.can_write_eof():  # TLS has no half of a close
            self.transport.write_eof()
        asyncio.get_running_loop().call_later(self._plane.settings.linger_s, self.transport.abort)

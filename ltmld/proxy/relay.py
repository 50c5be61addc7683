"""One request on its way to Ollama, and its answer on its way back.

Rules:
1. A relay ends exactly once: answered, broken off, or left by its client. Then it holds no connection.
2. A client that goes away takes its connection to Ollama with it at once, whatever was going on.
3. A request is repeated at most once, only when a kept-alive connection died before a byte of an answer,
   and only when all that was sent of it is still here.
4. Whatever the ending, a recording is closed once, after its commit.
5. An attendant or a recording that raises, against its port, costs the memory and nothing else: the request,
   the answer and its end go on, and the defect is counted and told (``Plane.spawn``).
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from ltmld.core.ports import Attendant, OwnReply
from ltmld.errors import UpstreamError
from ltmld.proxy.answer import Answer
from ltmld.proxy.chunks import ChunksRefusedError, frame
from ltmld.proxy.head import Framing, HeadRefusedError, Request
from ltmld.proxy.look import EXPECT, Look
from ltmld.proxy.own_reply import written
from ltmld.proxy.plane import Plane
from ltmld.proxy.refusal import CONTINUE, own_answer, unavailable
from ltmld.proxy.tap import Tap
from ltmld.proxy.upload import Upload
from ltmld.proxy.upstream import Upstream


class Origin(Protocol):
    """The client, as its relay sees it."""

    full: bool

    def write(self, data: bytes) -> None:
        """Send *data*."""

    def tune(self) -> None:
        """Look again whether reading is to pause."""

    def switched(self) -> None:
        """Hand over what has been read: from now on it belongs to the tunnel."""

    def relay_ended(self, *, keep: bool) -> None:
        """The answer is over; *keep* the connection or close it."""

    def break_off(self, *, hard: bool) -> None:
        """Close so that the client sees a broken answer; *hard*: a plain close would look like an end."""


class Relay:
    """The pairing of one client's request with one connection to Ollama."""

    _look: Look | None = None
    """Set while the body is read for the attendant."""
    _commit: asyncio.Task[None] | None = None
    _over = False

    def __init__(self, plane: Plane, client: Origin, request: Request) -> None:
        self._plane = plane
        self._client = client
        self._request = request
        self._upload = Upload(plane.settings)
        self._answer = Answer(
            request,
            write=client.write,
            closes=request.close or plane.draining,
            limits=plane.settings,
            read=plane.read_answer,
        )

    # --- from the client ---

    def start(self, payloads: list[bytes], *, ended: bool, end: bytes) -> None:
        """Begin with as much of the body as came with the head."""
        self._plane.stats.begin(inference=self._request.inference, at=time.monotonic())
        if self._plane.attendant is not None:
            self._look = self._begin_look(self._plane.attendant)
        if self._look is None:
            self._upload.send(self._request.passing)
            self._upload.ended = ended
            if payloads or self._request.framing is not Framing.NONE:
                self.body(payloads, ended=ended, end=end)
            self._open()
        else:
            if self._request.expects_continue and not payloads:
                self._client.write(CONTINUE)
            self.body(payloads, ended=ended, end=end)

    def adopt(self, upstream: Upstream, *, sent: bytes) -> None:
        """Go on from where the short way ended: all of the request is *sent*, and counted."""
        upstream.user = self
        self._upload.adopt(upstream, sent=sent)

    def body(self, payloads: list[bytes], *, ended: bool, end: bytes) -> None:
        """Take the next payloads of the body; *end* are the bytes that end a chunked one."""
        self._upload.ended = ended
        if self._look is not None:
            self._look_at(self._look, payloads, ended=ended, end=end)
            return
        if self._request.framing is Framing.CHUNKED:
            payloads = [frame(payload) for payload in payloads]
            if ended:
                payloads.append(end)
        if payloads:
            self._upload.send(payloads[0] if len(payloads) == 1 else b"".join(payloads))
            if self._upload.upstream is None:
                self._client.tune()

    def through(self, data: bytes) -> None:
        """Pass bytes of a tunnel."""
        if self._upload.upstream is not None:
            self._upload.upstream.write(data)

    @property
    def tunneling(self) -> bool:
        """Whether Ollama has switched protocols: bytes pass both ways from now on."""
        return self._answer.tunnel

    @property
    def answered(self) -> bool:
        """Whether the client has been sent a head."""
        return self._answer.head is not None

    @property
    def looking(self) -> bool:
        """Whether the body is kept in memory, to be looked into."""
        return self._look is not None

    @property
    def choked(self) -> bool:
        """Whether the client's body must wait."""
        return self._look is None and self._upload.choked

    def client_full(self) -> None:
        """Stop reading the answer: the client takes no more."""
        if self._upload.upstream is not None:
            self._upload.upstream.pause()

    def client_ready(self) -> None:
        """Read on."""
        if self._upload.upstream is not None and not self._piled_up():
            self._upload.upstream.resume()

    def client_gone(self) -> None:
        """Leave everything: nobody reads the answer any more."""
        if not self._over:
            self._plane.stats.hang_ups += 1
            self.abandon()

    def abandon(self) -> None:
        """End without an answer, or without the rest of it."""
        if self.tunneling:
            upstream = self._upload.detach()
            if upstream is not None:
                upstream.finish()
        self._end(error="")

    def close_after(self) -> None:
        """Let the client's connection end with this answer."""
        self._answer.closes = True

    # --- looking into it ---

    def _begin_look(self, attendant: Attendant) -> Look | None:
        request = self._request
        if request.upgrade or not attendant.looks_into(request.head):
            return None
        bytes_max = self._plane.settings.look_bytes_max
        if request.length > bytes_max:
            self._plane.stats.unread += 1
            return None
        return Look(request, attendant, bytes_max=bytes_max)

    def _look_at(self, look: Look, payloads: list[bytes], *, ended: bool, end: bytes) -> None:
        if not look.add(payloads):
            self._look = None
            self._plane.stats.unread += 1
            self._upload.send(self._request.forward(drop=EXPECT))
            self.body(look.payloads, ended=ended, end=end)
            self._open()
        elif ended:
            self._plane.stats.looked_into += 1
            self._plane.spawn(self._attend(look, end))

    async def _attend(self, look: Look, end: bytes) -> None:
        whole, own = b"", None
        try:
            plan, whole = await look.attend(end=end)
            own = plan.answer
            if plan.recording is not None:
                self._answer.tap = Tap(plan.recording)
        finally:  # whatever becomes of memory, the request goes on (rule 5)
            if not self._over:
                self._look = None
                if own is not None:
                    self._answer_itself(own)
                else:
                    self._upload.whole = True
                    self._upload.send(whole or look.untouched(end=end))
                    self._open()
        if self._over:  # the client left meanwhile
            await self._conclude(error="")

    def _answer_itself(self, own: OwnReply) -> None:
        """Give the attendant's answer; Ollama hears nothing of the request."""
        http10 = self._request.http10
        self._answer.closes = self._answer.closes or http10
        for piece in written(own, http10=http10, close=self._answer.closes and not http10):
            self._client.write(piece)
        self._plane.stats.answered += 1
        self._end(error="")

    # --- to Ollama ---

    def _open(self) -> None:
        # A kept-alive connection may have died unseen: only what can be repeated may meet one.
        upstream = self._plane.pool.take() if self._upload.repeatable(self._request) else None
        if upstream is None:
            self._plane.spawn(self._connect())
        else:
            self._attach(upstream)

    async def _connect(self) -> None:
        try:
            upstream = await self._plane.pool.connect()
        except UpstreamError as error:
            if not self._over:
                self._fail(str(error))
            return
        if self._over:
            upstream.drop()
        else:
            self._attach(upstream)

    def _attach(self, upstream: Upstream) -> None:
        upstream.user = self
        upstream.uses += 1
        if self._client.full:
            upstream.pause()
        self._upload.attach(upstream)
        if not self._upload.ended:
            self._client.tune()

    # --- from Ollama ---

    def from_upstream(self, data: bytes) -> None:
        """Pass on what has arrived."""
        if self._over:
            return
        self._upload.settle()
        try:
            self._answer.feed(data, upload_ended=self._upload.ended)
        except (HeadRefusedError, ChunksRefusedError) as error:
            self._broken(f"Ollama at {self._plane.pool.url} sent an answer that is not HTTP/1.1: {error}.")
            return
        answer = self._answer
        self._commit_when_due()
        if answer.body_ended:
            self._release()
        if answer.ended:
            self._end(error="")
        elif answer.tunnel:
            self._client.switched()
        elif self._commit is not None and self._piled_up():
            self.client_full()

    def upstream_lost(self, error: Exception | None) -> None:
        """Repeat, answer 502, or break off: the connection is gone."""
        upstream = self._upload.detach()
        if self._over:
            return
        if self._answer.started:
            self._lost_midway(error)
        elif upstream is not None and upstream.uses > 1 and self._upload.rewind():
            # Once at most: the second try is on a new connection, which is never repeated.
            self._plane.stats.retried += 1
            self._plane.spawn(self._connect())
        else:
            self._fail(
                f"Ollama at {self._plane.pool.url} closed the connection without an answer. "
                "See its log for the reason, then ask again."
            )

    def upstream_full(self) -> None:
        """Pause the client's body."""
        self._client.tune()

    def upstream_ready(self) -> None:
        """Take more of the client's body."""
        self._client.tune()

    def _lost_midway(self, error: Exception | None) -> None:
        if self._answer.head is not None and self._answer.gone(error):
            if self._answer.ended:  # otherwise the end waits for the commit, which passes it on
                self._end(error="")
        else:
            self._broken(
                f"Ollama at {self._plane.pool.url} broke off in the middle of its answer "
                f"({_how(error)}). See its log for the reason, then ask again."
            )

    def _piled_up(self) -> bool:
        tap = self._answer.tap
        if self._commit is None or tap is None:
            return False
        return tap.held_bytes > self._plane.settings.held_bytes_max

    def _commit_when_due(self) -> None:
        tap = self._answer.tap
        if tap is not None and self._commit is None and tap.due:
            self._commit = self._plane.spawn(self._committing(tap))

    async def _committing(self, tap: Tap) -> None:
        try:
            await tap.commit()
        finally:  # whatever becomes of the record, the client gets its end (rule 5)
            if not self._over:
                self._committed()

    def _committed(self) -> None:
        self._answer.committed()
        if self._answer.ended:
            self._end(error="")
        elif not self._client.full:
            self.client_ready()

    # --- the endings ---

    def _release(self) -> None:
        upstream = self._upload.detach()
        if upstream is None:
            return
        if self._answer.reusable and self._upload.ended and upstream.flushed:
            self._plane.pool.give(upstream, now=self._plane.now)
        else:
            upstream.drop()

    def _broken(self, message: str) -> None:
        if self._answer.head is None:
            self._fail(message)
            return
        self._plane.stats.upstream_errors += 1
        self._commit_when_due()  # what was sound is held to its end, whatever the same read brought behind it
        upstream = self._upload.detach()
        if upstream is not None:
            upstream.drop()
        hard = self._answer.ends_by_closing
        if self._commit is None:
            self._client.break_off(hard=hard)
            self._end(error=message)
        else:  # the terminator has come and is being written: the client gets it, and then the break
            self._plane.spawn(self._break_after(self._commit, message, hard=hard))

    async def _break_after(self, commit: asyncio.Task[None], message: str, *, hard: bool) -> None:
        await asyncio.wait([commit])
        if not self._over:
            self._client.break_off(hard=hard)
            self._end(error=message)

    def _fail(self, message: str) -> None:
        self._plane.stats.upstream_errors += 1
        head = self._request.head
        self._answer.closes = self._answer.closes or not self._upload.ended
        body = unavailable(self._plane.attendant, head, message)
        self._client.write(own_answer(502, body, close=self._answer.closes, with_body=head.method != "HEAD"))
        self._end(error=message)

    def _end(self, *, error: str) -> None:
        self._over = True
        self._plane.stats.end(inference=self._request.inference, at=time.monotonic())
        upstream = self._upload.detach()
        if upstream is not None:
            upstream.drop()
        if self._answer.tap is not None:
            self._plane.spawn(self._conclude(error=error))
        self._client.relay_ended(keep=self._upload.ended and not self._answer.closes)

    async def _conclude(self, *, error: str) -> None:
        if self._commit is not None:
            await asyncio.wait([self._commit])
        if self._answer.tap is not None:
            await self._answer.tap.close(error=error)


def _how(error: Exception | None) -> str:
    return "it closed the connection" if error is None else (str(error) or type(error).__name__).lower()

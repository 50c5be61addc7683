"""Promise: recorded dialogues that are more than a request and its answer run through ltmld as they ran without."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ltmld.proxy.server import Proxy
from tests.support.raw_upstream import RawUpstream, Wire, connect, until

RECORDINGS = Path(__file__).resolve().parents[1] / "recordings"


def recorded(case: str) -> tuple[bytes, bytes]:
    """Return the bytes of both directions; an answer that never came is empty."""
    folder = RECORDINGS / case
    said = folder / "response.http"
    return (folder / "request.http").read_bytes(), said.read_bytes() if said.is_file() else b""


@pytest.mark.parametrize("case", ["malformed-request", "h2-preface"])
async def test_what_is_no_http_1_is_answered_by_ollama_byte_for_byte(
    cold_client: Wire, upstream: RawUpstream, case: str
) -> None:
    sent, said = recorded(case)
    await cold_client.send(sent)
    wire = await upstream.accept()
    head = await wire.until(b"\r\n\r\n")
    await wire.send(said)
    wire.close()
    assert await cold_client.rest() == said
    assert sent.startswith(head)


async def test_contradicting_lengths_are_answered_as_by_ollama_byte_for_byte(
    cold_client: Wire, upstream: RawUpstream
) -> None:
    sent, said = recorded("dup-content-length")
    await cold_client.send(sent)
    assert await cold_client.rest() == said
    assert upstream.wires == []


async def test_pipelined_requests_get_both_answers_byte_for_byte(client: Wire, upstream: RawUpstream) -> None:
    sent, said = recorded("pipelined")
    first, second = sent[: len(sent) // 2], said[: len(said) // 2]
    assert (first * 2, second * 2) == (sent, said)
    await client.send(sent)
    wire = await upstream.accept()
    for _ in range(2):
        assert await wire.exactly(len(first)) == first
        await wire.send(second)
    assert await client.exactly(len(said)) == said


async def test_one_connection_carries_request_after_request_byte_for_byte(
    client: Wire, upstream: RawUpstream
) -> None:
    wire = None
    for case in (
        "keepalive-seq-2",
        "get-version",
        "v1-chat-stream",
        "head-root",
        "tags",
        "trailing-slash-post",
    ):
        sent, said = recorded(case)
        await client.send(sent)
        wire = wire or await upstream.accept()
        assert await wire.exactly(len(sent)) == sent
        await wire.send(said)
        assert await client.exactly(len(said)) == said
    assert upstream.waiting == 0


@pytest.mark.parametrize("case", ["http10", "chat-stream-http10"])
async def test_a_client_of_http_1_0_reads_to_the_end_of_its_connection(
    client: Wire, upstream: RawUpstream, case: str
) -> None:
    sent, said = recorded(case)
    await client.send(sent)
    wire = await upstream.accept()
    assert await wire.exactly(len(sent)) == sent
    await wire.send(said)
    wire.close()
    assert await client.rest() == said


async def test_a_kept_connection_of_http_1_0_is_closed_after_its_answer(
    client: Wire, upstream: RawUpstream
) -> None:
    # Ollama would keep it: the request goes on without the hop's header, so its answer ends with the connection.
    sent, said = recorded("http10")
    await client.send(sent.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n"))
    wire = await upstream.accept()
    assert await wire.until(b"\r\n\r\n") == sent
    await wire.send(said)
    assert await client.rest() == said


async def test_a_whole_url_as_target_goes_on_as_it_came(client: Wire, upstream: RawUpstream) -> None:
    sent, said = recorded("absolute-form")
    await client.send(sent)
    wire = await upstream.accept()
    assert await wire.exactly(len(sent)) == sent
    await wire.send(said)
    assert await client.exactly(len(said)) == said


@pytest.mark.parametrize(
    "case", ["cancel-nonstream", "half-close-stream", "half-close-tags", "chat-short-body"]
)
@pytest.mark.parametrize("leaving", ["half-closed", "closed", "reset"])
async def test_a_client_that_gives_up_is_gone_for_ollama_too(
    client: Wire, upstream: RawUpstream, proxy: Proxy, case: str, leaving: str
) -> None:
    # Recorded: Ollama takes a half-closed connection for a client that has gone ("context canceled"), or hangs.
    sent, _ = recorded(case)
    await client.send(sent)
    wire = await upstream.accept()
    assert await wire.exactly(len(sent)) == sent
    if leaving == "half-closed":
        client.writer.write_eof()
    elif leaving == "closed":
        client.close()
    else:
        client.reset()
    await wire.gone()
    await until(lambda: proxy.stats.open == 0)
    assert proxy.stats.hang_ups == 1


async def test_an_unknown_expectation_is_refused_by_ollama_before_the_body_counts(
    client: Wire, upstream: RawUpstream
) -> None:
    sent, said = recorded("expect-unknown-417")
    head, _, body = sent.partition(b"\r\n\r\n")
    await client.send(head + b"\r\n\r\n")
    wire = await upstream.accept()
    assert await wire.exactly(len(head) + 4) == head + b"\r\n\r\n"
    await wire.send(said)
    wire.close()
    answer = await client.message()
    assert (answer.first, answer.get(b"connection")) == (b"HTTP/1.1 417 Expectation Failed", b"close")
    await client.send(body)
    assert await client.rest() == b""


async def test_an_expected_100_comes_from_ollama_and_the_body_after_it(
    client: Wire, upstream: RawUpstream
) -> None:
    sent, said = recorded("blob-post-expect-continue")
    head, _, body = sent.partition(b"\r\n\r\n")
    interim, _, final = said.partition(b"\r\n\r\n")
    await client.send(head + b"\r\n\r\n")
    wire = await upstream.accept()
    assert await wire.exactly(len(head) + 4) == head + b"\r\n\r\n"
    await wire.send(interim + b"\r\n\r\n")
    assert await client.exactly(len(interim) + 4) == interim + b"\r\n\r\n"
    await client.send(body)
    assert await wire.exactly(len(body)) == body
    await wire.send(final)
    assert await client.exactly(len(final)) == final


@pytest.mark.parametrize("end", ["closed", "reset"])
async def test_an_early_answer_to_a_blob_that_exists_arrives_while_the_client_still_sends(
    cold_client: Wire, upstream: RawUpstream, end: str
) -> None:
    sent, said = recorded("blob-post-existing-271mb")
    head = sent.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    await cold_client.send(head)
    wire = await upstream.accept()
    assert await wire.exactly(len(head)) == head
    uploading = asyncio.create_task(_upload(cold_client))
    await wire.exactly(1024 * 1024)
    await wire.send(said)
    if end == "closed":
        wire.close()
    else:
        await asyncio.sleep(0)
        wire.reset()
    answer = await cold_client.message()
    assert (answer.first, answer.get(b"connection")) == (b"HTTP/1.1 200 OK", b"close")
    assert answer.get(b"content-length") == b"0"
    uploading.cancel()
    await asyncio.gather(uploading, return_exceptions=True)


async def test_a_new_blob_of_271_mb_arrives_whole(cold_client: Wire, upstream: RawUpstream) -> None:
    sent, said = recorded("blob-post-new-271mb")
    head = sent.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    size = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
    await cold_client.send(head)
    wire = await upstream.accept()
    assert await wire.exactly(len(head)) == head
    uploading = asyncio.create_task(_upload(cold_client, size))
    come = 0
    while come < size:
        come += len(await wire.some())
    await uploading
    await wire.send(said)
    assert (come, await cold_client.exactly(len(said))) == (size, said)


async def _upload(client: Wire, size: int = 271_664_480) -> None:
    part = bytes(1024 * 1024)
    for start in range(0, size, len(part)):
        await client.send(part[: size - start])


@pytest.mark.parametrize("after", ["after-cancel", "after-cancel-nonstream"])
async def test_after_a_cancelled_request_the_next_one_is_answered(
    proxy: Proxy, upstream: RawUpstream, after: str
) -> None:
    async with await connect(proxy.port) as leaving:
        await leaving.send(recorded("cancel-nonstream")[0])
        wire = await upstream.accept()
        await wire.message()
    await wire.gone()
    sent, said = recorded(after)
    async with await connect(proxy.port) as client:
        await client.send(sent)
        await upstream.answer(said)
        assert await client.exactly(len(said)) == said


async def test_the_traffic_of_ollamas_own_command_line_passes_byte_for_byte(
    shared: Path, proxy: Proxy, upstream: RawUpstream
) -> None:
    played = 0
    for file in sorted((shared / "recordings" / "cli-traffic").glob("*.client.bin")):
        if b"truncated" in file.read_bytes()[-24:]:  # an upload of which only the beginning was kept
            continue
        asked = messages(file.read_bytes())
        bodiless = [request.startswith(b"HEAD ") for request in asked]
        told = messages(file.with_name(file.name.replace("client", "server")).read_bytes(), bodiless=bodiless)
        async with await connect(proxy.port) as client:
            for request, answer in zip(asked, told, strict=True):
                await client.send(request)
                wire = await upstream.accept()
                assert await wire.exactly(len(request)) == request
                await wire.send(answer)
                assert await client.exactly(len(answer)) == answer
                upstream.again(wire)
                played += 1
    assert played > 10


def messages(traffic: bytes, *, bodiless: list[bool] | None = None) -> list[bytes]:
    """Cut one direction of a connection into its messages; *bodiless* are the answers to HEAD."""
    cut: list[bytes] = []
    while traffic:
        size = traffic.index(b"\r\n\r\n") + 4
        head = traffic[:size].lower()
        if bodiless is None or not bodiless[len(cut)]:
            if b"\r\ntransfer-encoding: chunked\r\n" in head:
                size = traffic.index(b"\r\n0\r\n\r\n", size - 2) + 7
            elif b"\r\ncontent-length: " in head:
                size += int(head.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0])
        cut.append(traffic[:size])
        traffic = traffic[size:]
    return cut

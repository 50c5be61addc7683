"""The ways to one upstream that are compared: direct, nginx, ltmld in three forms, and peers where they are installed.

- ``ltmld``: the data plane as it is until memory is warm, or where memory is off.
- ``ltmld, tap``: every inference request is read and parsed, and its answer is watched to the end; nothing is stored.
- ``ltmld, records``: the whole daemon, which stores every exchange before the end of its answer passes.

Peers run from an environment of their own (``--peers``): LiteLLM's proxy, and the proxy that most people would write,
FastAPI on uvicorn with an httpx client.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.programs import Cores, found, free_port, python_part, running
from ltmld.config import ProxySettings
from ltmld.core.ollama_host import OllamaHost
from ltmld.core.ports import Plan, RequestHead
from ltmld.proxy.server import Proxy
from ltmld.wire.dialects import Capture, dialect_for

NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log crit;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 100000000; server_tokens off; client_max_body_size 0;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  upstream up {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 100000000; }}
  server {{ listen 127.0.0.1:{port} backlog=1024; location / {{
    proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_read_timeout 600s;
    proxy_buffering off; proxy_request_buffering off; }} }}
}}
"""

HTTPX_APP = """
import httpx
from fastapi import FastAPI, Request
from starlette.responses import StreamingResponse

app = FastAPI()
client = httpx.AsyncClient(base_url="http://127.0.0.1:{upstream}", timeout=None)

@app.api_route("/{{path:path}}", methods=["GET", "POST", "HEAD"])
async def forward(path: str, request: Request):
    out = client.build_request(request.method, "/" + path, content=request.stream(), headers=request.headers.raw)
    answer = await client.send(out, stream=True)
    return StreamingResponse(answer.aiter_raw(), status_code=answer.status_code, headers=dict(answer.headers))
"""

LITELLM = """
model_list:
  - model_name: "*"
    litellm_params: {{model: "ollama_chat/*", api_base: "http://127.0.0.1:{upstream}"}}
general_settings: {{dangerously_permit_weak_or_unset_master_key: true}}
litellm_settings: {{telemetry: false}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to the upstream."""

    name: str
    port: int
    pid: int = 0
    paths: frozenset[str] = field(default_factory=lambda: frozenset({"/api/version", "/api/chat"}))
    """What it can serve."""


class Tap:
    """A recording that watches the answer as ltmld does, and stores nothing."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture

    def begin(self, *, status: int, content_type: str) -> None:
        """Learn the answer's form."""
        self._capture.begin(status=status, content_type=content_type)

    def feed(self, data: bytes) -> int:
        """Watch bytes go by."""
        return self._capture.feed(data)

    @property
    def complete(self) -> bool:
        """Whether the terminator has been seen."""
        return self._capture.complete

    def body_ended(self) -> None:
        """Take note of nothing."""

    async def commit(self) -> None:
        """Store nothing."""

    async def close(self, *, error: str = "") -> None:
        """Store nothing."""


class TappingAttendant:
    """Looks into every inference request, and taps its answer."""

    def looks_into(self, head: RequestHead) -> bool:
        """Tell whether the route is one of a dialect."""
        return dialect_for(head.method, head.path) is not None

    async def attend(self, head: RequestHead, body: bytes) -> Plan:
        """Parse the request; let it pass as it came."""
        dialect = dialect_for(head.method, head.path)
        assert dialect is not None  # noqa: S101 - looks_into said so
        dialect.parse(body)
        return Plan(body=body, recording=Tap(dialect.capture(bytes_max=8 * 1024 * 1024)))

    def unavailable(self, head: RequestHead, message: str) -> bytes:  # noqa: ARG002 - the port has it
        """Return an error body."""
        return message.encode()


async def play_ltmld(port: int, upstream: int, *, tap: bool) -> None:
    """Serve the data plane alone."""
    proxy = Proxy(upstream=OllamaHost(port=upstream), settings=ProxySettings())
    if tap:
        proxy.attendant = TappingAttendant()
    await proxy.start("127.0.0.1", port)
    await asyncio.Event().wait()


@contextlib.contextmanager
def open_ways(*, upstream: int, cores: Cores, folder: Path, peers: Path | None) -> Iterator[list[Way]]:
    """Start everything that is there to compare; give the ways to *upstream*, the direct one first."""
    with contextlib.ExitStack() as stack:
        ways = [Way(name="direct", port=upstream)]
        if program := found("nginx"):
            ways.append(_nginx(stack, program, upstream=upstream, cores=cores, folder=folder / "nginx"))
        for name, role in (("ltmld", "ltmld"), ("ltmld, tap", "tap")):
            port = free_port()
            command = python_part("benchmarks.proxy", role, port, upstream)
            pid = stack.enter_context(running(command, port=port, cores=cores.mine))
            ways.append(Way(name=name, port=port, pid=pid))
        ways.append(_daemon(stack, upstream=upstream, cores=cores, folder=folder / "daemon"))
        if peers is not None:
            ways += _peers(stack, peers, upstream=upstream, cores=cores, folder=folder)
        yield ways


def _nginx(stack: contextlib.ExitStack, program: str, *, upstream: int, cores: Cores, folder: Path) -> Way:
    folder.mkdir()
    port = free_port()
    file = folder / "nginx.conf"
    file.write_text(NGINX.format(folder=folder, port=port, upstream=upstream), encoding="utf-8")
    command = [program, "-c", str(file), "-p", str(folder), "-e", str(folder / "error.log")]
    pid = stack.enter_context(running(command, port=port, cores=cores.mine))
    return Way(name="nginx", port=port, pid=pid)


def _daemon(stack: contextlib.ExitStack, *, upstream: int, cores: Cores, folder: Path) -> Way:
    port = free_port()
    environment = {
        "LTMLD_DATA_DIR": str(folder),
        "LTMLD_CONFIG_DIR": str(folder / "config"),
        "LTMLD_LISTEN": f"127.0.0.1:{port}",
        "LTMLD_ADMIN_LISTEN": f"127.0.0.1:{free_port()}",
        "LTMLD_UPSTREAM": f"http://127.0.0.1:{upstream}",
        "LTMLD_WAKE__INJECT": "false",
        "LTMLD_LOG_LEVEL": "warning",
    }
    command = [sys.executable, "-m", "ltmld", "serve"]
    pid = stack.enter_context(running(command, port=port, cores=cores.mine, environment=environment))
    return Way(name="ltmld, records", port=port, pid=pid)


def _peers(
    stack: contextlib.ExitStack, peers: Path, *, upstream: int, cores: Cores, folder: Path
) -> list[Way]:
    ways = []
    programs = peers / "bin"
    if (programs / "uvicorn").exists():
        app, port = folder / "plain_proxy.py", free_port()
        app.write_text(HTTPX_APP.format(upstream=upstream), encoding="utf-8")
        command = [
            str(programs / "uvicorn"),
            "--app-dir",
            str(folder),
            "--port",
            str(port),
            "plain_proxy:app",
        ]
        command += ["--log-level", "error", "--no-access-log"]
        pid = stack.enter_context(running(command, port=port, cores=cores.mine, wait_s=60))
        ways.append(Way(name="uvicorn+httpx", port=port, pid=pid))
    if (programs / "litellm").exists():
        config, port = folder / "litellm.yaml", free_port()
        config.write_text(LITELLM.format(upstream=upstream), encoding="utf-8")
        command = [str(programs / "litellm"), "--config", str(config), "--port", str(port)]
        environment = {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        pid = stack.enter_context(
            running(command, port=port, cores=cores.mine, wait_s=120, environment=environment)
        )
        paths = frozenset({"/v1/chat/completions"})
        ways.append(Way(name="LiteLLM", port=port, pid=pid, paths=paths))
    return ways

"""An Ollama whose one model takes its time: a completion waits until the test lets it go."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATIENCE_S = 30.0


class SlowOllama:
    """Lists one model; a completion waits until it is let go, then learns nothing."""

    def __init__(self) -> None:
        self.asked, self.let_go = threading.Event(), threading.Event()
        slow = self

        class Answering(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                models = [{"model": "slow:latest", "name": "slow:latest"}] if self.path == "/api/tags" else []
                self._send({"models": models})

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                if self.path != "/api/chat":
                    self._send({"capabilities": ["completion"], "details": {}, "model_info": {}})
                    return
                slow.asked.set()
                slow.let_go.wait(PATIENCE_S)
                self._send(
                    {
                        "model": "slow:latest",
                        "message": {"role": "assistant", "content": '{"memories": []}'},
                        "done": True,
                    }
                )

            def _send(self, answer: dict[str, Any]) -> None:
                body = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let everything go and stop."""
        self.let_go.set()
        self._server.shutdown()
        self._server.server_close()

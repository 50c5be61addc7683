"""One look at Ollama, for people: does it answer, and which version is it."""

from __future__ import annotations

import http.client
import json
import ssl

from ltmld.core.ollama_host import OllamaHost
from ltmld.core.ports import JsonObject

# `ltmld status` must not hang on an address that swallows packets.
TIMEOUT_S = 1.0


def upstream(target: OllamaHost, *, trust: ssl.SSLContext | None, source: str) -> JsonObject:
    """Return ``{"url", "source", "version", "error"}``; the version is empty when nothing answers there."""
    connection = _connection(target, trust)
    shown = {"url": target.url, "source": source, "version": "", "error": ""}
    try:
        connection.request("GET", f"{target.base_path}/api/version")
        answer = json.loads(connection.getresponse().read())
        return {**shown, "version": str(answer["version"])}
    except ssl.SSLCertVerificationError as error:
        return {**shown, "error": f"its certificate is not to be trusted ({error.verify_message})"}
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return {**shown, "error": reason}
    except (ValueError, KeyError, TypeError):
        return {**shown, "error": "what answers is not Ollama"}
    finally:
        connection.close()


def _connection(target: OllamaHost, trust: ssl.SSLContext | None) -> http.client.HTTPConnection:
    if trust is None:
        return http.client.HTTPConnection(target.host, target.port, timeout=TIMEOUT_S)
    return http.client.HTTPSConnection(target.host, target.port, timeout=TIMEOUT_S, context=trust)

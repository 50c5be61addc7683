"""One look at Ollama, for people: does it answer, and which version is it."""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

from ltmld.core.ports import JsonObject

# `ltmld status` must not hang on an address that swallows packets.
TIMEOUT_S = 1.0


def upstream(url: str) -> JsonObject:
    """Return ``{"url", "version", "error"}``; the version is empty when nothing answers there."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/api/version")
        answer = json.loads(connection.getresponse().read())
        return {"url": url, "version": str(answer["version"]), "error": ""}
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return {"url": url, "version": "", "error": reason}
    except (ValueError, KeyError, TypeError):
        return {"url": url, "version": "", "error": "what answers is not Ollama"}
    finally:
        connection.close()

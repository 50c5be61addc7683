"""The model that sleep asks, in Ollama, through the official client.

Rules:
1. One question, one answer: the whole schema as ``format``, temperature 0, not streamed.
2. Sleep leaves the loaded model as it found it: no ``keep_alive``, and the context length that is loaded
   already (another one would make Ollama load the model anew under the user).
3. Only ``CompletionError`` and ``UpstreamError`` leave this module.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import httpx
import ollama

from ltmld.core.ports import Completion
from ltmld.errors import CompletionError, UpstreamError

LOOK_TIMEOUT_S = 10.0
"""How long a look at Ollama's own lists may take; they come from memory."""
REPLY_TOKENS_MAX = 4096
"""An end for a model that loops inside the schema."""


class OllamaCompleter:
    """One model of one Ollama, as ``core.ports.Completer`` has it."""

    def __init__(
        self, upstream_url: str, model: str, timeout_s: float, *, trust: ssl.SSLContext | None = None
    ) -> None:
        self._url = upstream_url
        self._trust = trust
        self._model = model
        self._timeout_s = timeout_s
        self._thinks: bool | None = None

    @property
    def model(self) -> str:
        """The model's name in Ollama."""
        return self._model

    def complete(self, *, system: str, prompt: str, schema: Mapping[str, Any]) -> Completion:
        """Return the model's answer, constrained to *schema*.

        Raises:
            CompletionError: Ollama refused the question, or took longer than the timeout.
            UpstreamError: Ollama cannot be reached, broke off, or has no such model.
        """
        messages = [{"role": "system", "content": system}] if system else []
        messages.append({"role": "user", "content": prompt})
        started = perf_counter()
        with _client(self._url, LOOK_TIMEOUT_S, self._trust, model=self._model) as client:
            context_tokens = self._context_tokens(client)
            thinks = self._can_think(client)
        options: dict[str, Any] = {"temperature": 0, "num_predict": REPLY_TOKENS_MAX}
        if context_tokens:
            options["num_ctx"] = context_tokens
        with _client(self._url, self._timeout_s, self._trust, model=self._model) as client:
            answer = client.chat(
                model=self._model,
                messages=messages,
                format=dict(schema),
                options=options,
                # Thinking costs minutes and is thrown away; a model that cannot think is not told so.
                think=False if thinks else None,
                stream=False,
            )
        return Completion(
            text=answer.message.content or "",
            prompt_tokens=answer.prompt_eval_count or 0,
            reply_tokens=answer.eval_count or 0,
            took_ms=(perf_counter() - started) * 1000.0,
        )

    def _context_tokens(self, client: ollama.Client) -> int:
        """Return the context length with which the model is loaded, 0 when it is not."""
        for entry in client.ps().models:
            if _tagged(self._model) in (entry.model, entry.name):
                return entry.context_length or 0
        return 0

    def _can_think(self, client: ollama.Client) -> bool:
        if self._thinks is None:
            self._thinks = "thinking" in (client.show(self._model).capabilities or [])
        return self._thinks


def list_models(upstream_url: str, *, trust: ssl.SSLContext | None = None) -> list[str]:
    """Return the names of the models that Ollama has, as it lists them.

    Raises:
        UpstreamError: Ollama cannot be reached.
        CompletionError: what answers there is no Ollama.
    """
    with _client(upstream_url, LOOK_TIMEOUT_S, trust) as client:
        return [entry.model for entry in client.list().models if entry.model]


def _tagged(model: str) -> str:
    """Return *model* as Ollama lists it: a name without a tag is the latest."""
    return model if ":" in model.rpartition("/")[2] else f"{model}:latest"


@contextmanager
def _client(
    url: str, timeout_s: float, trust: ssl.SSLContext | None, *, model: str = ""
) -> Iterator[ollama.Client]:
    """Lend a client for one question, and turn what it and its HTTP library raise into ltmld's errors."""
    # The environment's proxies are for the internet; Ollama is a neighbor, and there at once or not at all.
    timeout = httpx.Timeout(timeout_s, connect=LOOK_TIMEOUT_S)
    try:
        with ollama.Client(host=url, timeout=timeout, trust_env=False, verify=trust or True) as client:
            yield client
    except ollama.ResponseError as error:
        raise _refused(error, url, model) from error
    except httpx.TimeoutException as error:
        raise CompletionError(
            f"Ollama at {url} did not answer within {timeout_s:g} s. Choose a smaller model for sleep, "
            "or raise models.completion_timeout_s"
        ) from error
    except (ConnectionError, httpx.HTTPError) as error:
        raise UpstreamError(
            f"Ollama at {url} cannot be reached: {error}. Start it with `ollama serve`."
        ) from error
    except ValueError as error:  # pydantic's ValidationError is one
        raise CompletionError(f"Ollama at {url} answered something that is no answer: {error}") from error


def _refused(error: ollama.ResponseError, url: str, model: str) -> CompletionError | UpstreamError:
    if error.status_code == httpx.codes.NOT_FOUND:
        return UpstreamError(f"Ollama at {url} has no model {model}. Get it with `ollama pull {model}`.")
    return CompletionError(f"Ollama at {url} refused the question ({error.status_code}): {error.error}")

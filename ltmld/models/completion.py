"""The model that sleep asks, in Ollama, through the official client.

Rules:
1. One question, one answer: the whole schema as ``format``, temperature 0, not streamed.
2. Sleep leaves the loaded model as it found it: no ``keep_alive``, and the context length that is loaded
   already (another one would make Ollama load the model anew under the user).
3. Only ``CompletionError`` and ``UpstreamError`` leave this module.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import httpx
import ollama
from pydantic import ValidationError

from ltmld.core.ports import Completion
from ltmld.errors import CompletionError, UpstreamError

LOOK_TIMEOUT_S = 10.0
"""How long a look at Ollama's own lists may take; they come from memory."""
REPLY_TOKENS_MAX = 4096
"""An end for a model that loops inside the schema."""


class OllamaCompleter:
    """One model of one Ollama, as ``core.ports.Completer`` has it."""

    def __init__(self, upstream_url: str, model: str, timeout_s: float) -> None:
        self._url = upstream_url
        self._model = model
        self._timeout_s = timeout_s
        self._client = _client(upstream_url, timeout_s)
        self._thinks: bool | None = None

    @property
    def model(self) -> str:
        """The model's name in Ollama."""
        return self._model

    def close(self) -> None:
        """Close the connections; a completion that is running ends with ``UpstreamError``."""
        self._client.close()  # type: ignore[no-untyped-call] # ollama leaves it without types

    def complete(self, *, system: str, prompt: str, schema: Mapping[str, Any]) -> Completion:
        """Return the model's answer, constrained to *schema*.

        Raises:
            CompletionError: Ollama refused the question, or took longer than the timeout.
            UpstreamError: Ollama cannot be reached, broke off, or has no such model.
        """
        messages = [{"role": "system", "content": system}] if system else []
        messages.append({"role": "user", "content": prompt})
        options: dict[str, Any] = {"temperature": 0, "num_predict": REPLY_TOKENS_MAX}
        if context_tokens := self._context_tokens():
            options["num_ctx"] = context_tokens
        started = perf_counter()
        with _translated(self._url, self._model, self._timeout_s):
            answer = self._client.chat(
                model=self._model,
                messages=messages,
                format=dict(schema),
                options=options,
                # Thinking costs minutes and is thrown away; a model that cannot think is not told so.
                think=False if self._can_think() else None,
                stream=False,
            )
        return Completion(
            text=answer.message.content or "",
            prompt_tokens=answer.prompt_eval_count or 0,
            reply_tokens=answer.eval_count or 0,
            took_ms=(perf_counter() - started) * 1000.0,
        )

    def _context_tokens(self) -> int:
        """Return the context length with which the model is loaded, 0 when it is not."""
        with _translated(self._url, self._model, LOOK_TIMEOUT_S):
            loaded = self._client.ps().models
        for entry in loaded:
            if _tagged(self._model) in (entry.model, entry.name):
                return entry.context_length or 0
        return 0

    def _can_think(self) -> bool:
        if self._thinks is None:
            with _translated(self._url, self._model, LOOK_TIMEOUT_S):
                self._thinks = "thinking" in (self._client.show(self._model).capabilities or [])
        return self._thinks


def list_models(upstream_url: str) -> list[str]:
    """Return the names of the models that Ollama has, as it lists them.

    Raises:
        UpstreamError: Ollama cannot be reached.
    """
    client = _client(upstream_url, LOOK_TIMEOUT_S)
    try:
        with _translated(upstream_url, "", LOOK_TIMEOUT_S):
            return [entry.model for entry in client.list().models if entry.model]
    finally:
        client.close()  # type: ignore[no-untyped-call] # ollama leaves it without types


def _tagged(model: str) -> str:
    """Return *model* as Ollama lists it: a name without a tag is the latest."""
    return model if ":" in model.rpartition("/")[2] else f"{model}:latest"


def _client(url: str, timeout_s: float) -> ollama.Client:
    # The environment's proxies are for the internet; Ollama is a neighbor. No wait to connect: it is there or not.
    return ollama.Client(host=url, timeout=httpx.Timeout(timeout_s, connect=LOOK_TIMEOUT_S), trust_env=False)


@contextmanager
def _translated(url: str, model: str, timeout_s: float) -> Iterator[None]:
    """Turn what the client and its HTTP library raise into ltmld's errors."""
    try:
        yield
    except ollama.ResponseError as error:
        raise _refused(error, url, model) from error
    except httpx.TimeoutException as error:
        raise CompletionError(
            f"Ollama at {url} did not answer within {timeout_s:.0f} s. Choose a smaller model for sleep, "
            "or raise models.completion_timeout_s."
        ) from error
    except (ConnectionError, httpx.HTTPError, RuntimeError) as error:
        raise UpstreamError(
            f"Ollama at {url} cannot be reached: {error}. Start it with `ollama serve`."
        ) from error
    except (ValidationError, ValueError) as error:
        raise CompletionError(f"Ollama at {url} answered something that is no answer: {error}") from error


def _refused(error: ollama.ResponseError, url: str, model: str) -> CompletionError | UpstreamError:
    if error.status_code == httpx.codes.NOT_FOUND:
        return UpstreamError(f"Ollama at {url} has no model {model}. Get it with `ollama pull {model}`.")
    return CompletionError(f"Ollama at {url} refused the question ({error.status_code}): {error.error}")

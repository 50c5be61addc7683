"""What the data plane counts: for people, for metrics, and for sleep, which waits until nobody talks."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(slots=True)
class Stats:
    """Counters since start. Only the event loop writes them; any thread may read."""

    requests: int = 0
    open: int = 0
    """Requests whose answer has not ended."""
    looked_into: int = 0
    """Requests whose body was read for the sake of memory."""
    answered: int = 0
    """Requests that ltmld answered itself, in a chat's own words: commands."""
    unread: int = 0
    """Inference requests too large to be looked into; they passed without memory."""
    refused: int = 0
    """Requests answered 4xx here: malformed, ambiguous, or with too large a head."""
    timed_out: int = 0
    """Requests among them that came too slowly: 408."""
    turned_away: int = 0
    """Connections refused because there were ``connections_max`` already."""
    retried: int = 0
    """Requests sent again because a kept-alive connection to Ollama had died."""
    upstream_errors: int = 0
    """Answers that Ollama could not give, or broke off."""
    hang_ups: int = 0
    """Clients that went away before their answer ended."""
    defects: int = 0
    """Errors of the attendant or a recording that only a defect of ltmld explains; the answers went on."""
    inference_open: int = 0
    """Open requests that make the model work."""
    last_request_at: float = 0.0
    """``time.monotonic()`` of the latest request; 0.0 before the first."""
    last_inference_at: float = 0.0
    """The same for requests that make the model work; their end counts too."""

    def begin(self, *, inference: bool, at: float) -> None:
        """Count a request in."""
        self.requests += 1
        self.open += 1
        self.last_request_at = at
        if inference:
            self.inference_open += 1
            self.last_inference_at = at

    def end(self, *, inference: bool, at: float) -> None:
        """Count a request out."""
        self.open -= 1
        if inference:
            self.inference_open -= 1
            self.last_inference_at = at

    def as_dict(self) -> dict[str, float]:
        """Return all counters by name."""
        return asdict(self)

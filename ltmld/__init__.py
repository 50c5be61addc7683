"""Long-term memory for any Ollama model: a proxy by day, a sleep cycle by night."""

__version__ = "0.1.0"

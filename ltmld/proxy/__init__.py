"""The data plane: a byte-faithful streaming HTTP/1.1 proxy in front of Ollama."""

"""A stand-in for Ollama: speaks its dialects byte for byte in shape, and is no model at all."""

"""Adapters to models: the embedder, and Ollama as sleep asks it."""

"""Tests of the stand-in for Ollama."""

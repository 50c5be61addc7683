"""The dialect of Anthropic as Ollama speaks it: messages."""

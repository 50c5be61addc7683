"""The dialects of OpenAI as Ollama speaks them: chat completions and responses."""

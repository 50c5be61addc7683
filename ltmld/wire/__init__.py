"""The dialects: bytes in, values out; no sockets."""

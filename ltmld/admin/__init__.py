"""The control plane: an HTTP API on the loopback address, behind a token."""

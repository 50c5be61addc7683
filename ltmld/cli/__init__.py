"""What a person types."""

from ltmld.cli.app import main

__all__ = ["main"]

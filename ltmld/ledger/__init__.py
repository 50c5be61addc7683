"""The ledger: one SQLite file that holds everything that was said and believed, and its history."""

from ltmld.ledger.imports import ImportLine
from ltmld.ledger.ledger import Ledger
from ltmld.ledger.outbox import OutboxRow

__all__ = ["ImportLine", "Ledger", "OutboxRow"]

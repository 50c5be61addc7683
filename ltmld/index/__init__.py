"""The index: full text and vectors over what the ledger holds; derived from it, and disposable."""

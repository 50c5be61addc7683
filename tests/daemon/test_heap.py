"""The heap is trimmed after bursts, and not after every word."""

from __future__ import annotations

from ltmld.daemon.heap import BURST_ROWS, settle


def test_only_a_burst_is_worth_a_trim() -> None:
    assert not settle(BURST_ROWS - 1)
    assert settle(BURST_ROWS)

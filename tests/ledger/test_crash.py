"""The promise: killed at any moment, the ledger has everything that a resolved future promised, whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.ledgers import a_ledger

# Records turns of four conversations at once and says each exchange's id once its future is resolved.
RECORDER = """
import sys
from collections import deque
from pathlib import Path
from tests.support.ledgers import a_ledger, a_turn

ledger = a_ledger(Path(sys.argv[1]))
waiting = deque()
for number in range(100_000):
    turn = a_turn(
        f"question {number}", reply=f"answer {number}", exchange=f"exc-{number}", thread_id=f"thr-{number % 4}"
    )
    waiting.append((turn.exchange_id, ledger.submit_turn(turn)))
    if len(waiting) == 8:
        identity, future = waiting.popleft()
        future.result()
        print(identity, flush=True)
"""


@pytest.mark.parametrize("promises", [1, 40, 333])
def test_a_killed_writer_loses_nothing_that_it_promised(
    tmp_path: Path, checkout: Path, promises: int
) -> None:
    recorder = subprocess.Popen(
        [sys.executable, "-c", RECORDER, str(tmp_path)], cwd=checkout, stdout=subprocess.PIPE, text=True
    )
    assert recorder.stdout is not None
    promised = [recorder.stdout.readline().strip() for _ in range(promises)]
    recorder.kill()
    promised += recorder.stdout.read().split("\n")[:-1]
    recorder.wait(10)
    recorder.stdout.close()

    ledger = a_ledger(tmp_path)
    assert len(promised) >= promises
    assert [len(ledger.exchange(identity)["messages"]) for identity in promised] == [2] * len(promised)
    # Whole exchanges only, and everything that was said is on its way to the index.
    counts = ledger.counts()
    assert counts["messages"] == 2 * counts["exchanges"] == ledger.outbox_depth()
    assert ledger.integrity() == []
    ledger.close()

"""A log line says what happened and never what was said."""

from __future__ import annotations

import pytest
import structlog

from ltmld.daemon import logs


def failing(words: str) -> None:
    """Fail with something that was said in a variable."""
    raise RuntimeError(f"broken after {len(words)} letters")


def test_a_traceback_holds_no_values_of_variables(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info")
    try:
        failing("hsifdrows"[::-1])
    except RuntimeError:
        structlog.get_logger("test").exception("request.without_memory")
    said = capsys.readouterr().err
    structlog.reset_defaults()
    assert "broken after 9 letters" in said
    assert "swordfish" not in said

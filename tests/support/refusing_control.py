"""A ``Control`` that meets every call with an error, to see how the control plane says it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn, cast

from ltmld.core.ports import Control


class _Refusing:
    """Raises the first of *met*, whatever is asked; an import is read to its end first."""

    def __init__(self, met: Sequence[Exception], imported: list[bytes]) -> None:
        self._met = met
        self._imported = imported

    def import_lines(self, lines: Iterable[bytes]) -> NoReturn:
        """Take the lines, then raise."""
        self._imported.extend(lines)
        raise self._met[0]

    def __getattr__(self, _call: str) -> Callable[..., NoReturn]:
        def refuse(*_given: Any, **_named: Any) -> NoReturn:
            raise self._met[0]

        return refuse


def refusing_control(met: Sequence[Exception], imported: list[bytes] | None = None) -> Control:
    """Return a control that raises what stands first in *met*; imported lines arrive in *imported*."""
    return cast("Control", _Refusing(met, [] if imported is None else imported))

"""The word for each error class, as it stands in an answer: what a program goes by."""

from __future__ import annotations

import re

from ltmld.errors import LtmldError


def code_of(kind: type[LtmldError]) -> str:
    """Return the name of an error class in words: ``NotFoundError`` is ``not_found``."""
    name = kind.__name__.removesuffix("Error")
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()

"""Everything ltmld raises on purpose, drawn as one tree.

    LtmldError
    ├── UsageError            the person asked for something that cannot be done        exit 2
    │   ├── SettingsError     a setting is missing, malformed or out of range
    │   └── BadInputError     an import line, a query or an id makes no sense
    ├── RefusedError          the request is understood and refused                     exit 1
    │   ├── NotFoundError     no such memory, thread, cycle
    │   ├── FolderInUseError  another ltmld owns the data folder
    │   └── PortInUseError    another program listens there
    ├── AbsentError           something ltmld depends on is not there                   exit 3
    │   ├── UpstreamError     Ollama cannot be reached, or broke off
    │   └── DaemonAbsentError no daemon runs and the command needs one
    ├── LedgerError           the ledger cannot be opened, read or written              exit 1
    │   ├── LedgerBusyError   its bounded queue is full: the exchange is not recorded
    │   └── LedgerSchemaError it was written by a newer ltmld
    ├── IndexBrokenError      the index cannot be used; the ledger can rebuild it       exit 1
    │   └── IndexAwayError    its server does not answer, or its disk is full: it waits
    ├── EmbedderError         the embedding model cannot be loaded or run               exit 1
    ├── CompletionError       a model call of sleep failed or made no sense             exit 1
    └── WireError             bytes that are not what their dialect says (never shown: passed through)
        └── WireLimitError    bytes that would cost too much to read (never shown: passed through)

Rules:
1. A message says what happened, to what, and what to do about it.
2. Foreign errors are translated at the adapter that met them, ``from error``.
3. ``exit_code`` is what the command line ends with; nothing else decides it.
"""

from __future__ import annotations

from typing import ClassVar


class LtmldError(Exception):
    """Anything ltmld raises on purpose."""

    exit_code: ClassVar[int] = 1


class UsageError(LtmldError):
    """The person asked for something that cannot be done."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting is missing, malformed or out of range."""


class BadInputError(UsageError):
    """Input handed to a command or the control plane makes no sense."""


class RefusedError(LtmldError):
    """The request is understood, and refused."""


class NotFoundError(RefusedError):
    """There is no such memory, thread, exchange or cycle."""


class FolderInUseError(RefusedError):
    """Another ltmld owns the data folder."""


class PortInUseError(RefusedError):
    """Another program already listens on the address."""


class AbsentError(LtmldError):
    """Something that ltmld depends on is not there."""

    exit_code = 3


class UpstreamError(AbsentError):
    """Ollama cannot be reached, or broke off."""


class DaemonAbsentError(AbsentError):
    """No daemon runs, and the command needs one."""


class LedgerError(LtmldError):
    """The ledger cannot be opened, read or written."""


class LedgerBusyError(LedgerError):
    """The ledger's bounded queue is full."""


class LedgerSchemaError(LedgerError):
    """The ledger was written by a newer ltmld."""


class IndexBrokenError(LtmldError):
    """The index cannot be used; the ledger can rebuild it."""


class IndexAwayError(IndexBrokenError):
    """The index is whole and cannot be reached, or cannot be written, for now."""


class EmbedderError(LtmldError):
    """The embedding model cannot be loaded or run."""


class CompletionError(LtmldError):
    """A model call of sleep failed, or its answer made no sense."""


class WireError(LtmldError):
    """Bytes that are not what their dialect says; the proxy passes them through."""


class WireLimitError(WireError):
    """Bytes that would cost too much to read; the proxy passes them through."""

"""``ltmld import`` and ``ltmld reindex``: old conversations in, and the index built again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from ltmld.cli.options import DataDir, Json, load_settings
from ltmld.errors import BadInputError

if TYPE_CHECKING:
    from ltmld.core.ports import Control

# As large as the control plane's own bound for one line.
LINE_BYTES_MAX = 8 * 1024 * 1024
GLANCE_S = 0.5


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("import")(import_file)
    app.command("reindex")(reindex)


def import_file(
    file: Annotated[
        str, typer.Argument(help="NDJSON, one message a line; - is standard input.", metavar="FILE")
    ],
    *,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Record old conversations from a file.

    Each line is {"scope","thread","at","role":"user|assistant","name"?,"text","ref"?}.
    Lines that are known already are skipped.
    """
    from ltmld.cli.house import open_control
    from ltmld.cli.paper import remark, show_json

    settings = load_settings(data_dir=data_dir)
    with _opened(file) as source, open_control(settings) as control:
        counts = control.import_lines(_lines(source))
    if as_json:
        show_json(counts)
    else:
        remark(f"{counts['imported']} messages imported, {counts['skipped']} known already.")


def reindex(
    *,
    embedder: Annotated[
        str,
        typer.Option(
            help="Use this embedder from now on: all-minilm-l6-v2, ollama:NAME, or a sentence-transformers model.",
            metavar="NAME",
        ),
    ] = "",
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Build the index again from the ledger.

    With --embedder the new vectors are built beside those in use, which are searched until all are there.
    """
    from ltmld.cli.house import open_control
    from ltmld.cli.paper import remark, remarks, show_json

    with open_control(load_settings(data_dir=data_dir)) as control:
        if embedder:
            counts = _changed(control, embedder)
        else:
            with remarks().status("Indexing the ledger…"):
                counts = control.reindex()
    if as_json:
        show_json(counts)
    elif embedder:
        remark(f"The embedder is {counts['embedder']} now.")
    else:
        remark(f"{counts['indexed']} messages and memories indexed in {counts['took_s']:.1f} s.")


def _changed(control: Control, embedder: str) -> dict[str, Any]:
    """Change the embedder, and show how far that is; who stops watching stops nothing."""
    from ltmld.cli.paper import remark, remarks

    with remarks().status(f"Preparing {embedder}…") as shown:
        standing = control.reindex(embedder)
        try:
            while building := standing.get("building"):
                held = f" ({standing['broken']})" if standing["broken"] else ""
                shown.update(f"Building vectors: {building['done']:,} of {building['total']:,}{held}")
                time.sleep(GLANCE_S)
                standing = control.status()["index"]
        except KeyboardInterrupt:
            remark("\nThe daemon goes on; `ltmld status` shows how far it is.")
            raise
        return dict(control.status()["index"])


@contextmanager
def _opened(file: str) -> Iterator[IO[bytes]]:
    if file == "-":
        yield typer.get_binary_stream("stdin")
        return
    try:
        source = open(file, "rb")  # noqa: SIM115, PTH123 - closed below; the name is as the person typed it
    except OSError as error:
        raise BadInputError(
            f"{file} cannot be read: {error.strerror}. Name an NDJSON file, or - for a pipe."
        ) from error
    with source:
        yield source


def _lines(source: IO[bytes]) -> Iterator[bytes]:
    while line := source.readline(LINE_BYTES_MAX):
        yield line

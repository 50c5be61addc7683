"""Promise: the documents say what the code does: settings, routes, commands, headers, messages, links."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ltmld.admin.app import make_app
from ltmld.cli.app import app as command_line
from ltmld.config import AdminSettings
from ltmld.daemon.absent import AbsentControl
from ltmld.daemon.clock import utc_now

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "prompts").glob("README.md")])
# FastAPI's own; they describe the others.
SELF_DESCRIPTION = {"/api/openapi.json", "/openapi.json", "/docs", "/redoc", "/docs/oauth2-redirect"}


def text_of(name: str) -> str:
    """Return a document."""
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_readme_begins_with_the_two_commands() -> None:
    first = re.search(r"```console\n(.*?)```", text_of("README.md"), re.DOTALL)

    assert first
    assert re.findall(r"^\$ (make \w+)", first.group(1), re.MULTILINE) == ["make demo", "make test"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_between_documents_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    lost = [link for link in links if "://" not in link and not (page.parent / link).exists()]

    assert lost == []


def test_the_reference_of_settings_is_current() -> None:
    verdict = subprocess.run(
        [sys.executable, "docs/settings_reference.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=60,
    )

    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


def test_the_control_plane_has_the_routes_that_are_written_down_and_no_others() -> None:
    control = AbsentControl("documents only", started_at=utc_now(), proxy_stats=dict)
    app = make_app(control, token="t", settings=AdminSettings())
    schema = app.openapi()["paths"]
    there = {f"{method.upper()} {path}" for path, calls in schema.items() for method in calls}

    written = set(re.findall(r"^\| `([A-Z]+ /[^`]*)` \|", text_of("docs/control-plane.md"), re.MULTILINE))

    assert written == {call for call in there if call.split()[1] not in SELF_DESCRIPTION}


def test_every_command_stands_in_the_readme() -> None:
    commands = {command.name for command in command_line.registered_commands}
    commands |= {group.name for group in command_line.registered_groups}
    rows = re.findall(r"^\| (`.*?`) \|", text_of("README.md"), re.MULTILINE)
    written = set(re.findall(r"`([a-z-]+)`", " ".join(rows)))

    assert commands
    assert commands - written == set(), "not in the README"
    assert written - commands == set(), "in the README only"


def test_every_header_that_is_read_stands_in_the_documents() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "ltmld").rglob("*.py"))
    read = {name.lower() for name in re.findall(r'b"(x-ltmld-[a-z-]+[a-z])"', source)}
    written = {name.lower() for name in re.findall(r"X-LTMLD-[A-Za-z-]+", text_of("docs/data-plane.md"))}

    assert read == written


def test_every_message_in_troubleshooting_is_one_that_ltmld_says() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "ltmld").rglob("*.py"))
    said = re.sub(r'"\s*\n\s*f?"', "", code)  # strings go on over line ends
    quoted = re.findall(r"^### “(.+?)”$", text_of("docs/troubleshooting.md"), re.MULTILINE)

    unknown = [
        message
        for message in quoted
        for part in message.split("…")
        if part.strip() and part.strip() not in said
    ]

    assert len(quoted) >= 9
    assert unknown == []


def test_the_changelog_keeps_its_grammar() -> None:
    order = ["Added", "Changed", "Fixed", "Removed"]
    versions = re.split(r"^## ", text_of("CHANGELOG.md"), flags=re.MULTILINE)[1:]
    assert versions[0].startswith("Unreleased")
    for version in versions:
        sections = re.findall(r"^### (\w+)$", version, re.MULTILINE)
        items = re.findall(r"^- ((?:.|\n  )+)", version, re.MULTILINE)

        assert sections == [name for name in order if name in sections], version
        assert [item for item in items if not item.endswith(".")] == []


def test_every_decision_is_in_the_list_of_decisions() -> None:
    records = {path.name for path in (ROOT / "docs" / "adr").glob("0*.md")}

    assert records == set(re.findall(r"\((0[^)]+\.md)\)", text_of("docs/adr/README.md")))

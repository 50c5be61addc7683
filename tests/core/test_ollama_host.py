"""OLLAMA_HOST means to ltmld what it means to Ollama; what it cannot mean is refused."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ltmld.core.ollama_host import OllamaHost


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("  'example.org'  ", "http://example.org:11434"),
        ('" example.org "', "http://example.org:11434"),
        ("1.2.3.4", "http://1.2.3.4:11434"),
        ("example.org:56789", "http://example.org:56789"),
        ("127.1", "http://127.0.0.1:11434"),
        ("0x7f.1:5", "http://127.0.0.1:5"),
        ("2130706433", "http://127.0.0.1:11434"),
        ("0", "http://127.0.0.1:11434"),
        ("[::ffff:127.0.0.1]:5", "http://127.0.0.1:5"),
        (":1234", "http://127.0.0.1:1234"),
        ("0.0.0.0", "http://127.0.0.1:11434"),  # noqa: S104 - read, not bound
        ("0.0.0.0:80", "http://127.0.0.1:80"),
        ("[::]:5", "http://[::1]:5"),
        ("::", "http://[::1]:11434"),
        ("::1", "http://[::1]:11434"),
        ("[::1]", "http://[::1]:11434"),
        ("[::1]:1337", "http://[::1]:1337"),
        ("[0:0:0:0:0:0:0:1]:1337", "http://[::1]:1337"),
        ("::1:1337", "http://[::1:1337]:11434"),
        ("[fe80::1%eth0]:9", "http://[fe80::1%eth0]:9"),
        ("[fe80::1%25eth0]:9", "http://[fe80::1%eth0]:9"),
        ("http://example.org", "http://example.org:80"),
        ("HTTP://Example.ORG", "http://example.org:80"),
        ("http://1.2.3.4", "http://1.2.3.4:80"),
        ("http://[::1]", "http://[::1]:80"),
        ("https://example.org", "https://example.org:443"),
        ("https://example.org:8443/", "https://example.org:8443"),
        ("https://:8443", "https://127.0.0.1:8443"),
        ("ollama.com", "https://ollama.com:443"),
        ("ollama.com:80", "http://ollama.com:80"),
        ("https://ollama.com", "https://ollama.com:443"),
        ("example.org/ollama", "http://example.org:11434/ollama"),
        ("https://example.org/a/b/", "https://example.org:443/a/b"),
        ("https://example.org//a//b", "https://example.org:443/a/b"),
        ("https://example.org/ä b%20c%", "https://example.org:443/%C3%A4%20b%20c%25"),
        ("https://bücher.example", "https://xn--bcher-kva.example:443"),
        ("container_name:11434", "http://container_name:11434"),
    ],
)
def test_every_form_that_ollama_reads_is_read_as_ollama_reads_it(text: str, url: str) -> None:
    assert OllamaHost.parse(text).url == url


@pytest.mark.parametrize("port", ["66000", "-1", "abc", "", "1e3", "٣", "0"])
@pytest.mark.parametrize(("scheme", "own"), [("", 11434), ("http://", 80), ("https://", 443)])
def test_a_bad_port_is_refused_in_a_setting_and_forgiven_in_a_variable_of_ollamas(
    scheme: str, own: int, port: str
) -> None:
    text = f"{scheme}example.org:{port}"

    assert OllamaHost.parse(text, forgiving=True).port == own
    with pytest.raises(ValueError, match="port"):
        OllamaHost.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "ftp://example.org",
        "unix:///run/ollama.sock",
        "http://u:p@example.org",
        "http://example.org?x=1",
        "http://example.org/a#b",
        "http://[::1",
        "[::1]x",
        "[example.org]:1",
        "1:2:3",
        "exa mple.org",
        "example..org",
        "-x.org",
        "1.2.3.4.5",
        "1.2.3.256",
        "4294967296",
        "0x",
        "1..2",
        "http://example.org\\@evil.org",
        "http://example.org/a/../b",
        "x" * 300,
        "http://example.org\r\nX: y",
    ],
)
@pytest.mark.parametrize("forgiving", [False, True])
def test_what_names_no_address_is_refused(text: str, *, forgiving: bool) -> None:
    with pytest.raises(ValueError, match="must"):
        OllamaHost.parse(text, forgiving=forgiving)


@pytest.mark.parametrize(
    ("text", "authority"),
    [
        ("https://example.org", "example.org"),
        ("https://example.org:8443", "example.org:8443"),
        ("http://example.org", "example.org"),
        ("example.org", "example.org:11434"),
        ("https://[::1]/base", "[::1]"),
        ("[fe80::1%eth0]:9", "[fe80::1]:9"),
    ],
)
def test_a_host_header_says_the_port_only_where_it_must_and_never_a_zone(text: str, authority: str) -> None:
    assert OllamaHost.parse(text).authority == authority


@pytest.mark.parametrize(
    ("text", "rewrites"),
    [
        ("127.0.0.1:11434", False),
        ("[::1]:11434", False),
        ("localhost", False),
        ("http://localhost.:80", False),
        ("192.168.1.5", False),
        ("fe80::1%eth0", False),
        ("nas", True),
        ("https://127.0.0.1", True),
        ("http://127.0.0.1/ollama", True),
        ("ollama.com", True),
    ],
)
def test_host_is_the_upstreams_only_where_it_is_found_by_its_name(text: str, *, rewrites: bool) -> None:
    assert OllamaHost.parse(text).rewrites_host is rewrites


@pytest.mark.parametrize(
    ("text", "cloud"),
    [
        ("ollama.com", True),
        ("https://api.ollama.com", True),
        ("https://ollama.com.:443", True),
        ("https://notollama.com", False),
        ("https://ollama.com.example.org", False),
    ],
)
def test_ollamas_cloud_is_known_by_its_name(text: str, *, cloud: bool) -> None:
    assert OllamaHost.parse(text).cloud is cloud


@pytest.mark.parametrize(
    ("upstream", "listen", "same"),
    [
        ("127.0.0.1:11435", "127.0.0.1:11435", True),
        ("localhost:11435", "127.0.0.1:11435", True),
        ("LOCALHOST.:11435", "0.0.0.0:11435", True),
        ("127.1:11435", "127.0.0.1:11435", True),
        ("[::1]:11435", "[::]:11435", True),
        (":11435", "localhost:11435", True),
        ("0.0.0.0:11435", "[::1]:11435", True),
        ("[::ffff:127.0.0.1]:11435", "127.0.0.1:11435", True),
        ("https://localhost:11435/base", "127.0.0.1:11435", True),
        ("[0:0::1]:11435", "[::1]:11435", True),
        ("nas:11435", "NAS:11435", True),
        ("192.168.1.5:11435", "192.168.1.5:11435", True),
        ("192.168.1.5:11435", "127.0.0.1:11435", False),
        ("nas:11435", "127.0.0.1:11435", False),
        ("127.0.0.1:11434", "127.0.0.1:11435", False),
        ("127.0.0.1:11435", "192.168.1.5:11435", False),
    ],
)
def test_a_listener_of_ones_own_is_known_in_every_spelling(upstream: str, listen: str, *, same: bool) -> None:
    assert OllamaHost.parse(upstream).is_listener(listen) is same


_PIECES = st.sampled_from(
    [
        "http://", "https://", "ollama.com", "localhost", "::", "::1", "[", "]", ":", "/", "0.0.0.0:1", "127.0.0.1",
        "80", "443", "0x7f", "0", "11434", "%", "%25", "eth0", "fe80::1", "a", "ä", ".", "..", " ", '"', "'", "_", "-",
    ]
)  # fmt: skip


@given(st.one_of(st.lists(_PIECES, max_size=8).map("".join), st.text(max_size=30)), st.booleans())
def test_reading_twice_changes_nothing(text: str, forgiving: bool) -> None:  # noqa: FBT001 - drawn
    try:
        once = OllamaHost.parse(text, forgiving=forgiving)
    except ValueError:
        assume(False)
        raise

    assert OllamaHost.parse(once.url) == once
    assert once.url.isascii()
    assert not any(mark in once.url for mark in " \r\n\t")
    assert 0 < once.port <= 65535

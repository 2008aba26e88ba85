"""The page is given as it lies there, compressed where it can be, and kept where it never changes."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from keyboard_lm.serve.service import ServeOptions

Get = Callable[..., HTTPResponse]
SCRIPT = b"// long " * 500


@pytest.fixture
def get(start: Callable[..., object], tmp_path: Path) -> Get:
    """Ask a service for a file of its page; the answer's body is read."""
    (tmp_path / "index.html").write_text("<title>page</title>")
    (tmp_path / "big.js").write_bytes(SCRIPT)
    (tmp_path / "big.js.gz").write_bytes(gzip.compress(SCRIPT))
    port = start(ServeOptions(page=tmp_path)).port  # type: ignore[attr-defined]

    def ask(path: str, accepted: str = "identity") -> HTTPResponse:
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", path, headers={"Accept-Encoding": accepted})
        return connection.getresponse()

    return ask


def test_browsers_get_what_is_compressed_and_others_what_is_not(get: Get) -> None:
    packed, plain = get("/big.js", "gzip, br"), get("/big.js")
    assert packed.getheader("content-encoding") == "gzip"
    assert plain.getheader("content-encoding") is None
    assert gzip.decompress(packed.read()) == plain.read() == SCRIPT
    assert "javascript" in (packed.getheader("content-type") or "")
    assert packed.getheader("content-type") == plain.getheader("content-type")


def test_only_what_is_named_by_its_digest_is_kept_for_good(get: Get) -> None:
    assert "immutable" in (get("/big.js?v=0123456789abcdef").getheader("cache-control") or "")
    assert get("/big.js").getheader("cache-control") == "no-cache"


def test_the_page_may_load_nothing_from_elsewhere(get: Get) -> None:
    assert "default-src 'self'" in (get("/").getheader("content-security-policy") or "")
    assert get("/none.js").status == 404

"""The page is given as it lies there, compressed where it can be, and kept where it never changes."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

pytest.importorskip("starlette")
from starlette.testclient import TestClient

from keyboard_lm.serve.page import PageFiles


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    (tmp_path / "index.html").write_text("<title>page</title>")
    (tmp_path / "big.js").write_text("// long " * 500)
    (tmp_path / "big.js.gz").write_bytes(gzip.compress((tmp_path / "big.js").read_bytes()))
    return TestClient(PageFiles(tmp_path))


def test_browsers_get_what_is_compressed_and_others_what_is_not(client: TestClient) -> None:
    packed = client.get("/big.js", headers={"accept-encoding": "gzip"})
    plain = client.get("/big.js", headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.text == plain.text
    assert packed.headers["content-type"] == plain.headers["content-type"]
    assert "javascript" in packed.headers["content-type"]


def test_only_what_is_named_by_its_digest_is_kept_for_good(client: TestClient) -> None:
    assert "immutable" in client.get("/big.js?v=0123456789abcdef").headers["cache-control"]
    assert client.get("/big.js").headers["cache-control"] == "no-cache"


def test_the_page_is_let_load_nothing_from_elsewhere(client: TestClient) -> None:
    assert "default-src 'self'" in client.get("/").headers["content-security-policy"]
    assert client.get("/none.js").status_code == 404

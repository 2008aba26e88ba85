"""The exported graph in onnxruntime-web (WASM), in a real browser; where there is none the test says what is missing.

npm install onnxruntime-web
ORT_WEB_DIR=node_modules/onnxruntime-web/dist pytest tests/interop/test_web.py      # and Chromium on the path
"""

from __future__ import annotations

import functools
import html
import http.server
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from keyboard_lm.backends import onnx_format as names
from keyboard_lm.backends.onnx import OnnxBackend
from keyboard_lm.network.checkpoint import Checkpoint

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((found for name in BROWSERS if (found := shutil.which(name))), "")
ORT_WEB = Path(os.environ.get("ORT_WEB_DIR", "none"))
IDS = [1, 5, 9, 4]

PAGE = """<!doctype html><pre id="out">running</pre><script src="ort.min.js"></script><script>
(async () => {
  const arrays = {
    int64: data => BigInt64Array.from(data, BigInt), int32: data => Int32Array.from(data),
    float32: data => Float32Array.from(data),
  };
  const out = document.getElementById("out");
  try {
    ort.env.wasm.numThreads = 1;
    const session = await ort.InferenceSession.create("model.onnx", {executionProviders: ["wasm"]});
    const feeds = {};
    for (const [name, [type, dims, data]] of Object.entries(await (await fetch("feeds.json")).json()))
      feeds[name] = new ort.Tensor(type, arrays[type](data), dims);
    const found = await session.run(feeds);
    out.textContent = JSON.stringify(Array.from(found["LOGITS_NAME"].data));
  } catch (error) { out.textContent = "failed: " + error; }
  document.title = "done";
})();
</script>""".replace("LOGITS_NAME", names.LOGITS)


@pytest.fixture
def site(tiny_checkpoint: Path, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    for file in ORT_WEB.iterdir():
        if file.suffix in (".js", ".mjs", ".wasm"):
            (tmp_path / file.name).symlink_to(file.resolve())
    (tmp_path / "index.html").write_text(PAGE)
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", tmp_path
    server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed")
@pytest.mark.skipif(not (ORT_WEB / "ort.min.js").is_file(), reason="ORT_WEB_DIR does not name onnxruntime-web")
@pytest.mark.parametrize("bits", [32, 4])
def test_a_browser_computes_the_same(site: tuple[str, Path], tiny_checkpoint: Path, bits: int) -> None:
    address, folder = site
    checkpoint = Checkpoint.load(tiny_checkpoint)
    (folder / "model.onnx").write_bytes(checkpoint.read_file(names.graph_file(bits)))
    (folder / "feeds.json").write_text(json.dumps(_feeds(checkpoint)))
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=60000", "--dump-dom"]
    page = subprocess.run([CHROMIUM, *options, address], capture_output=True, text=True, timeout=120, check=True).stdout
    found = re.search(r'<pre id="out">(.*?)</pre>', page, re.S)
    assert found is not None, page
    text = html.unescape(found[1])
    assert text.startswith("["), text
    expected = OnnxBackend.load(checkpoint, bits=bits).prefill(IDS)
    got = np.array(json.loads(text), np.float32).reshape(-1, len(expected))[-1]
    np.testing.assert_allclose(got, expected, atol=1e-3 if bits == 32 else 0.3)


def _feeds(checkpoint: Checkpoint) -> dict[str, tuple[str, list[int], list[float]]]:
    # A prefill of all ids into an empty cache; name -> type, shape, values.
    length, config = len(IDS), checkpoint.config
    feeds: dict[str, tuple[str, list[int], list[float]]] = {
        names.TOKEN_IDS: ("int64", [1, length], IDS),
        names.POSITIONS: ("int64", [1, length], list(range(length))),
        names.BIAS: ("float32", [1, 1, length, length], [0.0] * length**2),
        names.LAST_SLOT: ("int32", [1], [length - 1]),
        names.NUM_SLOTS: ("int32", [], [length]),
        names.ROWS: ("int64", [1], [length - 1]),
    }
    for layer, heads in enumerate(config.num_kv_heads):
        for name in names.past_names(layer):
            feeds[name] = ("float32", [1, heads, 8, config.head_dim], [0.0] * (heads * 8 * config.head_dim))
    return feeds

"""The exported graph in onnxruntime-web (WASM), in node or a real browser; where there is none the test says so.

npm install onnxruntime-web
ORT_WEB_DIR=node_modules/onnxruntime-web/dist pytest tests/interop/test_web.py      # and node or Chromium on the path

onnxruntime-web 1.30 multiplies int4 blocks with fp32 activations, whatever their accuracy level: its figures are those
of the dequantized weights, and the native runtime's, which has int8 activations, are some percent of a deviation away.
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
NODE = shutil.which("node") or ""
IDS = [1, 5, 9, 4]

SCRIPT = """
const fs = require("fs"), ort = require("ORT_WEB/ort.node.min.js");
const arrays = {
  int64: data => BigInt64Array.from(data, BigInt), int32: data => Int32Array.from(data),
  float32: data => Float32Array.from(data),
};
(async () => {
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(fs.readFileSync("model.onnx"), {executionProviders: ["wasm"]});
  const feeds = {};
  for (const [name, [type, dims, data]] of Object.entries(JSON.parse(fs.readFileSync("feeds.json"))))
    feeds[name] = new ort.Tensor(type, arrays[type](data), dims);
  console.log(JSON.stringify(Array.from((await session.run(feeds))["LOGITS_NAME"].data)));
})();
""".replace("LOGITS_NAME", names.LOGITS)

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
    _compare(json.loads(text), checkpoint, bits)


@pytest.mark.skipif(not NODE, reason="node is not installed")
@pytest.mark.skipif(not (ORT_WEB / "ort.node.min.js").is_file(), reason="ORT_WEB_DIR does not name onnxruntime-web")
@pytest.mark.parametrize("bits", [32, 4])
def test_node_computes_the_same(tiny_checkpoint: Path, tmp_path: Path, bits: int) -> None:
    checkpoint = Checkpoint.load(tiny_checkpoint)
    (tmp_path / "model.onnx").write_bytes(checkpoint.read_file(names.graph_file(bits)))
    (tmp_path / "feeds.json").write_text(json.dumps(_feeds(checkpoint)))
    (tmp_path / "run.js").write_text(SCRIPT.replace("ORT_WEB", str(ORT_WEB.resolve())))
    done = subprocess.run([NODE, "run.js"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
    _compare(json.loads(done.stdout), checkpoint, bits)


def _compare(found: list[float], checkpoint: Checkpoint, bits: int) -> None:
    native = OnnxBackend.load(checkpoint, bits=bits).prefill(IDS)
    expected = native
    if bits < 16:
        from keyboard_lm.export.onnx import effective_weights, inputs_for, store_weights
        from keyboard_lm.export.onnx_graph import build_graph

        full = checkpoint.weights()
        weights = effective_weights(store_weights(full, bits, inputs=inputs_for(checkpoint, full, bits)))
        graph = build_graph(checkpoint.config, weights, {names.META_FORMAT: str(names.GRAPH_FORMAT)})
        expected = OnnxBackend(graph, checkpoint.config, num_threads=1).prefill(IDS)
    got = np.array(found, np.float32).reshape(-1, len(expected))[-1]
    np.testing.assert_allclose(got, expected, atol=1e-3)
    if bits < 16:
        assert (
            np.abs(native - expected).max() > 1e-3
        )  # where it is not, the native runtime no longer rounds activations


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

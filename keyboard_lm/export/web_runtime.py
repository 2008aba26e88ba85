"""onnxruntime-web, which runs the network in a browser: taken from its npm package, never from somebody else's server.

It is 14 MB (WASM) and 27 MB more (WebGPU), so neither the repository nor the wheel carries it; `export-web` puts it
beside the model. The files are compared with the digests here.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from keyboard_lm.errors import DataError

PACKAGE = "onnxruntime-web"
VERSION = "1.30.0"
WASM_MODULE = "ort.wasm.bundle.min.mjs"
WEBGPU_MODULE = "ort.webgpu.bundle.min.mjs"

SHA256 = {
    WASM_MODULE: "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
    WEBGPU_MODULE: "0730816731ce2cdfb06f273da065d4a1c7091eb9d1756a83b2916c8a89d015e2",
    "ort-wasm-simd-threaded.asyncify.wasm": "39f9f0894d478800487ed9f7dbe92618498db320cf55c8e3d89adff8dce658da",
}
_WASM_FILES = (WASM_MODULE, "ort-wasm-simd-threaded.wasm")
_WEBGPU_FILES = (WEBGPU_MODULE, "ort-wasm-simd-threaded.asyncify.wasm")


def read_runtime(source: Path | None, has_webgpu: bool) -> dict[str, bytes]:
    """Return the runtime's files by name.

    Args:
        source: a folder that holds them, such as ``node_modules/onnxruntime-web/dist``, or the package's ``.tgz``; None
            to have npm fetch that.
        has_webgpu: whether the files for WebGPU come, too.

    Raises:
        DataError: they are not there, are another version's, or npm cannot fetch them.
    """
    wanted = _WASM_FILES + (_WEBGPU_FILES if has_webgpu else ())
    if source is None:
        with tempfile.TemporaryDirectory() as folder:
            return _from_archive(_packed(Path(folder)), wanted)
    return _from_folder(source, wanted) if source.is_dir() else _from_archive(source, wanted)


def _packed(folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise DataError(
            f"npm is not installed, so {PACKAGE} cannot be fetched; install it, or give --runtime a folder or .tgz of "
            f"{PACKAGE} {VERSION}"
        )
    command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    archives = list(folder.glob("*.tgz"))
    if done.returncode or not archives:
        reason = " ".join(done.stderr.split())[:200] or f"status {done.returncode}"
        raise DataError(f"npm cannot fetch {PACKAGE} {VERSION} ({reason}); give --runtime a folder or .tgz of it")
    return archives[0]


def _from_folder(folder: Path, wanted: tuple[str, ...]) -> dict[str, bytes]:
    try:
        return {name: _checked(folder / name, name, (folder / name).read_bytes()) for name in wanted}
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror}); see --runtime") from None


def _from_archive(archive: Path, wanted: tuple[str, ...]) -> dict[str, bytes]:
    files = {}
    try:
        with tarfile.open(archive) as packed:
            for name in wanted:
                member = packed.extractfile(f"package/dist/{name}")
                files[name] = _checked(archive, name, member.read() if member else b"")
    except (OSError, KeyError, tarfile.TarError) as error:
        raise DataError(f"{archive}: is not {PACKAGE}'s npm package ({error}); see --runtime") from None
    return files


def _checked(path: Path, name: str, content: bytes) -> bytes:
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise DataError(f"{path}: {name} is not that of {PACKAGE} {VERSION}; fetch that version")
    return content

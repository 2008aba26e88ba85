#!/usr/bin/env bash
# flwr 1.42.0 beside sentencepiece 0.2.3: pip puts both into one environment without a word, since sentencepiece asks for no
# protobuf at all; flwr holds protobuf below 7, and the message module that sentencepiece's wheel carries was made by 7.36.
# `import sentencepiece` and the processor work, `from sentencepiece import sentencepiece_model_pb2` raises VersionError.
# Expected: a conflict at installation, or a module that imports.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q flwr==1.42.0 sentencepiece==0.2.3 2>/dev/null
"$folder/venv/bin/pip" check | grep -i sentencepiece && { echo "pip check names the conflict now"; exit 1; }
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import requires, version

import sentencepiece

print("flwr", version("flwr"), "sentencepiece", version("sentencepiece"), "protobuf", version("protobuf"))
print("sentencepiece asks for:", requires("sentencepiece"))
assert int(version("protobuf").split(".")[0]) < 7
assert not any(each.startswith("protobuf") and "extra" not in each for each in requires("sentencepiece") or [])
assert sentencepiece.SentencePieceProcessor is not None
try:
    from sentencepiece import sentencepiece_model_pb2
except Exception as error:
    print(type(error).__module__, type(error).__name__, str(error)[:110])
    assert type(error).__name__ == "VersionError"
else:
    raise SystemExit("the message module imports now")
PY

#!/usr/bin/env bash
# sentencepiece 0.2.3: whether pieces hold the space before or behind a word is a setting in trainer_spec, not a property
# of the pieces. A model that a tool has saved again without it loads, and cuts every text otherwise, without a warning;
# transformers 5.24's LlamaTokenizer does the same to the untouched model. Expected: an error, or the ids it was trained with.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q sentencepiece==0.2.3 transformers==5.24.0 protobuf 2>/dev/null
cd "$folder"
"$folder/venv/bin/python" - 2>/dev/null <<'PY'
import io
from importlib.metadata import version

from sentencepiece import SentencePieceProcessor, SentencePieceTrainer, sentencepiece_model_pb2
from transformers import LlamaTokenizer
from transformers.tokenization_utils_sentencepiece import SentencePieceBackend

print("sentencepiece", version("sentencepiece"), "transformers", version("transformers"))
made = io.BytesIO()
lines = ["the cat sees the dog", "a dog hears the cat", "we see the dog and the cat again today"] * 20
SentencePieceTrainer.Train(sentence_iterator=iter(lines), model_writer=made, model_type="unigram", vocab_size=60,
                           treat_whitespace_as_suffix=True, hard_vocab_limit=False, minloglevel=3)
text = "the dog sees a cat"
right = SentencePieceProcessor(model_proto=made.getvalue()).EncodeAsPieces(text)
model = sentencepiece_model_pb2.ModelProto()
model.ParseFromString(made.getvalue())
model.trainer_spec.ClearField("treat_whitespace_as_suffix")
again = SentencePieceProcessor(model_proto=model.SerializeToString()).EncodeAsPieces(text)
with open("tokenizer.model", "wb") as file:
    file.write(made.getvalue())
llama, backend = LlamaTokenizer.from_pretrained("."), SentencePieceBackend(vocab_file="tokenizer.model")
print("as trained       ", right)
print("setting dropped  ", again)
print("LlamaTokenizer   ", llama.tokenize(text))
print("SentencePieceBackend", backend.tokenize(text))
same = again != right and llama.tokenize(text) != right and backend.tokenize(text) == right
raise SystemExit(0 if same else "behaves otherwise now")
PY

"""Names that the package has for the world: features, functions, state, metadata keys, files.

Every function of a package takes T new tokens and writes their keys and values into the S slots of one state:

| input | shape | |
|---|---|---|
| `token_ids` | int32 (1, T) | the new tokens; a padded one may be any id |
| `position` | int32 (1,) | the slot of the first new token; the T slots from there on are overwritten |
| `mask` | fp16 (1, 1, T, S) | added to the attention scores: 0 where a token may attend, `MASKED` elsewhere |
| `rope` | fp16 (T, 2 D) | cosines, then sines, of each token's rotary angles (half-split pairs) |
| `row` | fp16 (1, 1, T) | prefill functions only: 1 at the token whose logits are wanted, 0 elsewhere |

and returns `logits`, fp16 (1, T, V), or (1, 1, V) from a prefill function. A caller keeps `position + T <= S`; what
lies in slots behind its own length is never attended to, so rewinding is a smaller length and a tree is scored by its
mask.
"""

from __future__ import annotations

import re

TOKEN_IDS = "token_ids"
POSITION = "position"
MASK = "mask"
ROPE = "rope"
ROW = "row"
LOGITS = "logits"
STATE = "kv_cache"  # fp16 (1, rows of all layers, S, D); a layer's rows are its keys' heads, then its values' heads

# Keys of the package's own metadata.
META_FORMAT = "package_format"
META_CHECKPOINT = "checkpoint_digest"  # Checkpoint.digest
META_TOKENIZER = "tokenizer_digest"  # Tokenizer.digest
META_RECIPE = "recipe"
META_TARGET = "target"
META_SLOTS = "context_slots"
META_CONVERTER = "converter"
PACKAGE_FORMAT = 1

MASKED = -1e4  # fp16 has no room for much less, and infinities are not safe on the Neural Engine


def function_name(num_tokens: int, is_prefill: bool) -> str:
    """Return the name of the function for T tokens: `decode`, `tree8`, `prefill16`, ..."""
    if num_tokens == 1:
        return "decode"
    return f"{'prefill' if is_prefill else 'tree'}{num_tokens}"


def num_tokens(function: str) -> int | None:
    """Return T of a function by its name; None for a name that this project does not give."""
    if function == "decode":
        return 1
    match = re.fullmatch(r"(?:tree|prefill)([1-9][0-9]{0,4})", function)
    return int(match[1]) if match else None

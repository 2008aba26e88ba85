#!/usr/bin/env bash
# Flower 1.42.0: SecAgg+ masks have 28 or 32 bits of secret, whatever their keys. `pseudo_rand_gen` folds a seed into 32 bits
# by exclusive or and gives them to numpy's Mersenne twister; the seed of a pairwise mask is a Fernet key, 44 characters of
# base64, whose bytes have no highest bit, so 4 of the 32 are always the same. Different seeds give equal masks, and no mask
# holds the largest value of its range. Expected: an expansion that keeps the 256 bits that both sides agreed on.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q flwr==1.42.0 2>/dev/null
FLWR_TELEMETRY_ENABLED=0 "$folder/venv/bin/python" -W ignore - <<'PY'
import os
from importlib.metadata import version

import numpy as np
from flwr.common.secure_aggregation.crypto.symmetric_encryption import generate_shared_key
from flwr.common.secure_aggregation.secaggplus_utils import pseudo_rand_gen
from flwr.supercore.primitives.asymmetric import generate_key_pairs

print("flwr", version("flwr"))
one = os.urandom(32)
other = one[4:] + one[:4]  # another seed with the same words
same = np.array_equal(pseudo_rand_gen(one, 1 << 32, [(1000,)])[0], pseudo_rand_gen(other, 1 << 32, [(1000,)])[0])
print("two different 256-bit seeds, equal masks:", same)
folded = 0
varies = 0
first = None
for _ in range(40):
    (mine, _), (_, theirs) = generate_key_pairs(), generate_key_pairs()
    key = generate_shared_key(mine, theirs)
    word = 0
    for start in range(0, len(key), 4):
        word ^= int.from_bytes(key[start : start + 4], "little")
    first = word if first is None else first
    varies |= word ^ first
print("bits of a pairwise mask's seed that differ between 40 pairs of keys:", bin(varies).count("1"), "of 256")
largest = max(int(pseudo_rand_gen(os.urandom(32), 4, [(10000,)])[0].max()) for _ in range(3))
print("largest value of a mask in a range of 4 (0 to 3):", largest)
raise SystemExit(0 if same and bin(varies).count("1") <= 28 and largest == 2 else "behaves otherwise now")
PY

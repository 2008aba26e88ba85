"""A checkpoint's network, ready to run but not to learn."""

from __future__ import annotations

import torch

from keyboard_lm.network.checkpoint import Checkpoint
from keyboard_lm.network.model import OpenELM


def load_network(checkpoint: Checkpoint, device: torch.device) -> OpenELM:
    """Return a checkpoint's network in fp32 on a device, not to be trained."""
    network = OpenELM(checkpoint.config)
    network.load_state_dict({name: torch.from_numpy(value).float() for name, value in checkpoint.weights().items()})
    return network.requires_grad_(False).eval().to(device)

"""The network and its folder: configuration, tokenizer, weights, the torch model."""

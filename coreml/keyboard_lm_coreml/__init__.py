"""Core ML: from a checkpoint to a stateful, palettized package that is checked and costed without a Mac."""

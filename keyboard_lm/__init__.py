"""Next-word prediction for phone keyboards."""

__version__ = "0.1.0"

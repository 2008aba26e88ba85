"""A phone in the terminal: message field, suggestion bar and keyboard over one session. Needs the extra ``tui``."""

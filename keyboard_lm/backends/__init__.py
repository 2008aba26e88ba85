"""Runtimes that evaluate the network, all behind `keyboard_lm.backends.protocol.Backend`."""

"""Words from the network's pieces: where a word begins, what can follow, what is most probable."""

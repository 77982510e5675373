"""One module per external product."""

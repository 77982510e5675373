"""One file per way to an external product. Only entry points choose among them."""

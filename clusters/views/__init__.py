"""HTTP in; a page, or a fragment of it, out. One module per noun."""

"""What the product does to a cluster: asked for in `requests`, carried out in `carry_out`."""

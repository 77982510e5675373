"""What the product does about access: each change with its audit row, in one transaction."""

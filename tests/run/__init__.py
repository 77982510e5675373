"""`make test`: every check of the project, one stage after the other, with a summary."""

"""What each process of the panel counts, and how it comes to `/metrics`.

A process counts in its own memory (`series`), and writes what it has counted into a row of its own
now and then (`reporting`), so that whichever web process is scraped can tell of all of them.
"""

"""The API's answers and filters. The bodies that ask for changes stand in `clusters.changes`."""

"""The API's addresses of clusters, services and operations: one module per noun."""

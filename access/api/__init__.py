"""The API's addresses of the audit trail, tokens, and who may do what."""

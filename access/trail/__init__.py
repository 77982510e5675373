"""The audit trail as it is read, exported and proved. What writes it is `access.audit`."""

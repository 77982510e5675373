"""Pages: signing in, one's account, the audit trail, and who may do what."""

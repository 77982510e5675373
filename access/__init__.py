"""Who may do what, and who did what: people, grants, tokens, `authorize`, and the audit trail."""

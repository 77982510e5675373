"""WebSockets: the live path's last step, and logs."""

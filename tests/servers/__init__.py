"""Real servers for the tests: PostgreSQL, Redis, RabbitMQ and sshd, each in a directory of its own,
on a socket or port of its own, ended with the test run. The system's own servers are left alone.
Beside them: a relay to stand before a server, and the certificates for it.
"""

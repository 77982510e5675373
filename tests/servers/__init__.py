"""Real servers for the tests: PostgreSQL, Redis and RabbitMQ, each in a directory of its own, on a
socket or port of its own, ended with the test run. The system's own servers are left alone.
"""

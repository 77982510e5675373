"""`manage.py up`: the whole panel on one machine, under one supervisor.

Each module holds one thing: `plan` says what runs, `startup` brings it up in order, `processes`
keeps it alive and takes it down, and `postgres`, `valkey` and `engine` know one program each.
`environment` is the step before all of them and uses nothing but the standard library.
"""

"""Carry a rotation out: lead one service after another to the new version, or all of them back.

Each step looks at the engine first and does one thing. The plan in the operation's row only says
how far it is; what a service really refers to stands in its spec. A service is written at the
version just read, with one reference changed and everything else as it is by then, so that nothing
is sent twice and nobody's change is overwritten.

`stepping` begins and takes one step, `leading` there, `returning` back; `stage` is what both share.
"""

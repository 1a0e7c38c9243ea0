"""`screening up`: a whole installation under one command, on one machine.

Why no supervisord: it gives a process that dies within its first second ever longer pauses (one more second each time,
without a bound) or restarts it without any, it leaves its children behind when it is killed itself, and it stops
groups one after the other. The few rules that are wanted here are easier to read than its configuration.
"""

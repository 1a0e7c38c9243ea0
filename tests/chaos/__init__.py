"""The whole system, run as processes and hurt while it works; then nothing may be lost, doubled or stuck.

stand    the system: `screening up`, its Redis, its database, its storage, and a network between them
load     files sent through the public API for as long as the test lasts, and every receipt that came back
faults   what is done to the system, each by a name
checks   what must be true afterwards
trial    one fault after the other, and how long it took until work went on
report   the table in docs/reliability.md

`make chaos MINUTES=30` is the long form (`__main__`), test_chaos.py the short one.
"""

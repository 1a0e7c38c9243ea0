"""How fast this machine screens: the whole system beside the bare network and the script that a user would write.

Every measure is taken several times, in turns with the others, because a machine's speed changes while one looks: what
counts are ratios of medians of one run.
"""

"""The ledger of work: every state change of a rendition, a container or a job, and nothing else.

Each change is conditional on the state and the lease that the caller believes in, so a message that comes twice, late
or never, and a worker that lost its lease, can neither lose nor double anything. Attempts are counted when work is
claimed, before the risk is taken, so that what kills its worker is found and set aside.
"""

"""A checker: mixed work under faults, three witnesses, and invariants that must hold whatever happened.

Layout
------
plan            what a run is to do
stage           a schema, keys and a user of the run's own
jobs, worker, fleet    handlers, and the worker processes that run them
generator, client      work that a seed decides, and the callers that ask for it
nemesis, nemeses       faults, and their turn
history, ledger, sampler    what clients asked, what handlers did, what the stores looked like meanwhile
evidence        everything that the witnesses said
invariants      every invariant by its name
report, timeline    what came of a run
run, batch      one run, and many
"""

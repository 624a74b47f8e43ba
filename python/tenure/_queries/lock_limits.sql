-- Wait for whoever else is enqueueing under these limits, and keep others waiting until this transaction ends: in the order given, which
-- is the same everywhere. What is counted under them is another statement's, with a snapshot that is newer than the locks.
SELECT current_setting('transaction_isolation') AS isolation, count(pg_advisory_xact_lock(g.number))::int AS locks
FROM (SELECT number FROM unnest($1::bigint[]) AS u(number) OFFSET 0) AS g

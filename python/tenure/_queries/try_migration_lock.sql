-- One migrator at a time per schema; held by the session.
SELECT pg_try_advisory_lock(hashtext('tenure migrations'), hashtext($1)) AS held

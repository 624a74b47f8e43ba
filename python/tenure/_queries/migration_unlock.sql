-- Let the next migrator go on.
SELECT pg_advisory_unlock(hashtext('tenure migrations'), hashtext($1))

-- Keep a second demo off this schema for as long as the connection lives.
SELECT pg_try_advisory_lock(hashtextextended('{schema}', 0)) AS taken

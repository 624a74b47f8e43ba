-- Begin a term of a leadership, held by a host and a process: whatever its former leader still writes is refused from here on.
INSERT INTO {schema}.leaders AS l (leadership, term, holder) VALUES ($1, 1, $2)
ON CONFLICT (leadership) DO UPDATE SET term = l.term + 1, holder = EXCLUDED.holder, since = now()
RETURNING term

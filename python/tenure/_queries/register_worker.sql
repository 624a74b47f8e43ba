-- Enter a new incarnation of a worker; once, however often it is sent.
INSERT INTO {schema}.workers (worker_id, worker_name, worker_type, host, pid, queues, concurrency, status, version)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'ACTIVE', $8)
ON CONFLICT (worker_id) DO NOTHING

-- Enter new incarnations of workers; each once, however often it is sent. They are active when their first beat is copied.
INSERT INTO {schema}.workers (
    worker_id, worker_name, worker_type, host, pid, queues, capabilities, resources, labels, concurrency, status, version
)
SELECT worker_id, worker_name, worker_type, host, pid, queues, capabilities, resources, labels, concurrency, 'STARTING', version
FROM jsonb_to_recordset($1::jsonb) AS w(
    worker_id uuid, worker_name text, worker_type text, host text, pid integer, queues text[], capabilities text[],
    resources jsonb, labels jsonb, concurrency integer, version text
)
ON CONFLICT (worker_id) DO NOTHING

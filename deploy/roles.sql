-- Group roles with the least that their work needs. They cannot log in; logins are made members of them:
--     psql "$OWNER_URL" -v ON_ERROR_STOP=1 -f deploy/roles.sql                      (another schema: -v schema=name)
--     CREATE ROLE shop LOGIN PASSWORD '…' IN ROLE gap006_producer;
-- Run it as the role that runs `tenure migrate up`, and again after every migration: it takes back what it once gave and gives
-- what is wanted now, in one transaction. docs/security.md says who may do what.
--
--   producer  enqueues, and pushes to Redis what it committed; reads no result, no error, no audit
--   results   reads how jobs ended: for producers that wait for results, given in addition
--   replacer  makes something else of unique jobs that wait (replace, extend, debounce): for producers, given in addition
--   worker    enqueues, runs, settles, rescues; changes no payload, deletes no job and no audit
--   operator  reads everything, cancels, retries, empties the dead letters; writes no result
--   metrics   counts; reads no payload, result, error, tag or key

\if :{?schema}
\else
    \set schema gap006
\endif
\set producer :schema _producer
\set results :schema _results
\set replacer :schema _replacer
\set worker :schema _worker
\set operator :schema _operator
\set metrics :schema _metrics

BEGIN;

SELECT format('CREATE ROLE %I NOLOGIN', role)
FROM unnest(ARRAY[:'producer', :'results', :'replacer', :'worker', :'operator', :'metrics']) AS role
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role)
\gexec

REVOKE ALL ON SCHEMA :"schema" FROM PUBLIC, :"producer", :"results", :"replacer", :"worker", :"operator", :"metrics";
REVOKE ALL ON ALL TABLES IN SCHEMA :"schema" FROM PUBLIC, :"producer", :"results", :"replacer", :"worker", :"operator", :"metrics";
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA :"schema" FROM PUBLIC, :"producer", :"results", :"replacer", :"worker", :"operator", :"metrics";

GRANT USAGE ON SCHEMA :"schema" TO :"producer", :"results", :"replacer", :"worker", :"operator", :"metrics";
-- whether the schema is migrated is asked at every start
GRANT SELECT ON :"schema".schema_migrations TO :"producer", :"results", :"replacer", :"worker", :"operator", :"metrics";

-- Enqueueing. The payload is read back after a transaction of the caller's has committed, and when Redis was lost: whoever pushes
-- must know what. A parent's row is locked, and marked as one; an urgent job lifts what it waits for, so whoever may enqueue may raise a
-- priority. Nothing else of a job can be changed.
GRANT INSERT (
    job_id, payload, idempotency_key, pending_dependencies, has_dependents, job_type, queue, payload_format, priority, mode,
    max_retries, timeout_ms, tags, metadata, run_at, status, completed_at, unique_key, unique_until, unique_hold_ms,
    expires_at, deadline_at, workflow_id, tenant, requires, limit_key, cost
), SELECT (
    job_id, payload, idempotency_key, pending_dependencies, has_dependents, job_type, queue, payload_format, priority, mode,
    max_retries, timeout_ms, run_at, status, updated_at, fence, attempts, unique_key, unique_until, unique_hold_ms, started_at,
    completed_at, created_at, own_priority, workflow_id, deadline_at, tenant, requires, limit_key, cost
), UPDATE (has_dependents, updated_at, unique_until, unique_hold_ms, priority, own_priority) ON :"schema".jobs TO :"producer";
GRANT INSERT (job_id, depends_on_job_id, on_failure, satisfied_at), SELECT (dependency_id, job_id, depends_on_job_id, satisfied_at)
    ON :"schema".job_dependencies TO :"producer";
GRANT INSERT (workflow_id, name, jobs, callback_job_id, deadline_at), SELECT ON :"schema".workflows TO :"producer", :"worker";
GRANT EXECUTE ON FUNCTION :"schema".inherited_priority(uuid, integer) TO :"producer", :"worker", :"operator";
-- resources and slots: whoever builds a queue says what its fleet has, where tenants share by that
GRANT SELECT (worker_id, status, queues, concurrency, resources) ON :"schema".workers TO :"producer";
GRANT SELECT ON :"schema".paused_queues, :"schema".tenants, :"schema".limits, :"schema".queue_policies TO :"producer", :"worker";
GRANT EXECUTE ON FUNCTION :"schema".tenant_priority(text, smallint) TO :"producer", :"worker", :"operator", :"replacer";
-- noting that a queue has tenants
GRANT INSERT (queue) ON :"schema".queue_policies TO :"worker";
-- It only raises fences, of jobs that wait: the right to write them is nobody's but the worker's.
GRANT EXECUTE ON FUNCTION :"schema".raise_fences(uuid[], boolean, text[], boolean, boolean)
    TO :"producer", :"worker", :"operator";

GRANT SELECT (job_id, status, result, result_format, error) ON :"schema".jobs TO :"results";

-- What a job is changes here alone; the fence is raised with it, so that no worker runs what it had before.
GRANT SELECT (
    job_id, mode, status, unique_key, unique_until, started_at, created_at, tags, metadata, expires_at, deadline_at, tenant, requires, cost
), UPDATE (
    payload, payload_format, priority, own_priority, run_at, status, fence, max_retries, timeout_ms, tags, metadata, updated_at,
    expires_at, deadline_at, requires, cost
) ON :"schema".jobs TO :"replacer";

-- Running. What a job is (its payload, type, queue, key, limits) stays as it was enqueued; the audit only grows.
GRANT INSERT (
    job_id, payload, idempotency_key, pending_dependencies, has_dependents, job_type, queue, payload_format, priority, mode,
    max_retries, timeout_ms, tags, metadata, run_at, status, completed_at, unique_key, unique_until, unique_hold_ms,
    expires_at, deadline_at, workflow_id, tenant, requires, limit_key, cost
), SELECT, UPDATE (
    status, fence, attempts, crashes, worker_id, priority, own_priority, run_at, started_at, completed_at, updated_at, result, result_format,
    error, progress, progress_note, pending_dependencies, has_dependents, unique_until, unique_hold_ms, snoozes
) ON :"schema".jobs TO :"worker";
GRANT INSERT, SELECT, UPDATE (status, completed_at, duration_ms, error) ON :"schema".job_executions TO :"worker";
GRANT INSERT (job_id, depends_on_job_id, on_failure, satisfied_at), SELECT, UPDATE (satisfied_at)
    ON :"schema".job_dependencies TO :"worker";
-- DELETE: dead letters past their keep
GRANT INSERT, SELECT, DELETE ON :"schema".dead_letter_queue TO :"worker";
GRANT INSERT, SELECT, UPDATE (status, health, health_score, load, last_heartbeat, stopped_at, updated_at)
    ON :"schema".workers TO :"worker";
GRANT INSERT, SELECT, UPDATE (term, holder, since) ON :"schema".leaders TO :"worker";
-- DELETE: votes that are withdrawn or too old
GRANT INSERT, SELECT, UPDATE (term, phi, dead, since, told_at), DELETE ON :"schema".suspicions TO :"worker";
GRANT EXECUTE ON FUNCTION :"schema".mark_stale_workers(interval) TO :"worker";
GRANT INSERT, SELECT, UPDATE (queue, job_type, cron, timezone, missed, triggers, next_at, last_at, updated_at)
    ON :"schema".schedules TO :"worker";

-- Steering.
GRANT SELECT ON ALL TABLES IN SCHEMA :"schema" TO :"operator";
GRANT UPDATE (
    status, run_at, attempts, crashes, completed_at, cancel_requested_at, error, pending_dependencies, updated_at,
    expires_at, deadline_at, snoozes, priority, own_priority
) ON :"schema".jobs TO :"operator";
GRANT UPDATE (satisfied_at) ON :"schema".job_dependencies TO :"operator";
GRANT UPDATE (paused, triggers, next_at, updated_at), DELETE ON :"schema".schedules TO :"operator";
GRANT INSERT (queue, reason), UPDATE (reason), DELETE ON :"schema".paused_queues TO :"operator";
GRANT INSERT, UPDATE, DELETE ON :"schema".tenants, :"schema".limits, :"schema".queue_policies TO :"operator";
-- UPDATE of one column that nothing reads: the right to lock the rows that are deleted
GRANT DELETE, UPDATE (failed_at) ON :"schema".dead_letter_queue TO :"operator";
GRANT EXECUTE ON FUNCTION :"schema".get_runnable_jobs(integer) TO :"operator";

-- Counting.
GRANT SELECT (
    job_id, queue, job_type, priority, status, mode, attempts, crashes, worker_id, run_at, created_at, updated_at, started_at,
    completed_at, own_priority, workflow_id, tenant, requires
) ON :"schema".jobs TO :"metrics";
GRANT SELECT (execution_id, job_id, worker_id, attempt, status, started_at, completed_at, duration_ms)
    ON :"schema".job_executions TO :"metrics";
GRANT SELECT (dlq_id, original_job_id, queue, job_type, priority, attempts, reason, failed_at, created_at)
    ON :"schema".dead_letter_queue TO :"metrics";
GRANT SELECT ON :"schema".workers, :"schema".leaders, :"schema".suspicions, :"schema".paused_queues, :"schema".workflows,
    :"schema".tenants, :"schema".limits, :"schema".queue_policies TO :"metrics";

COMMIT;

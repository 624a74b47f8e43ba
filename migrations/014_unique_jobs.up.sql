-- Unique jobs: a key is held by a job's own state, so there is no lock that could outlive its owner. Jobs without a key, which are most,
-- have no entry. `started`: until its first start is recorded; `ended`: until the job ends; `window`: the key names a stretch of time, and
-- is held whatever becomes of the job; `hold`: for unique_hold_ms after the end, when whoever wants the key takes it away.
ALTER TABLE {schema}.jobs
    ADD COLUMN unique_key text,
    ADD COLUMN unique_until text,
    ADD COLUMN unique_hold_ms bigint;

-- Not validated: rows that are there are not read under the lock, and have none of these.
ALTER TABLE {schema}.jobs
    ADD CONSTRAINT jobs_unique_key_length CHECK (octet_length(unique_key) BETWEEN 1 AND 1024) NOT VALID,
    ADD CONSTRAINT jobs_unique_until_known CHECK (unique_until IN ('started', 'ended', 'window', 'hold')) NOT VALID,
    ADD CONSTRAINT jobs_unique_has_until CHECK ((unique_key IS NULL) = (unique_until IS NULL)) NOT VALID,
    ADD CONSTRAINT jobs_unique_hold_range CHECK ((unique_until = 'hold') = (unique_hold_ms > 0)) NOT VALID;

-- Statements that look for a holder repeat this predicate.
CREATE UNIQUE INDEX idx_jobs_unique_key ON {schema}.jobs (unique_key) WHERE unique_key IS NOT NULL AND (
    (status IN ('PENDING', 'SCHEDULED', 'BLOCKED', 'PROCESSING') AND (unique_until <> 'started' OR started_at IS NULL))
    OR (unique_until IN ('window', 'hold') AND status IN ('COMPLETED', 'FAILED'))
);

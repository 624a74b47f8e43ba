-- Tenants, classes and limits. Jobs that have none of this, which are most, have NULLs in the new columns and no entry in a new index.
-- `requires` is the canonical text of what a worker must have, "gpu,region:eu;cpu=2"; `cost` is in thousandths, NULL stands for 1000.
ALTER TABLE {schema}.jobs
    ADD COLUMN tenant text,
    ADD COLUMN requires text,
    ADD COLUMN limit_key text,
    ADD COLUMN cost integer;

-- Not validated: rows that are there are not read under the lock, and have none of these. What becomes part of a lane's name in Redis
-- must not be able to leave its place in it.
ALTER TABLE {schema}.jobs
    ADD CONSTRAINT jobs_tenant_text CHECK (tenant ~ '^[A-Za-z0-9_.-]{1,64}$' AND tenant <> '-') NOT VALID,
    ADD CONSTRAINT jobs_requires_text CHECK (
        requires ~ '^[A-Za-z0-9_.:,-]*(;[A-Za-z0-9_.,=-]+)?$' AND octet_length(requires) BETWEEN 1 AND 512
    ) NOT VALID,
    ADD CONSTRAINT jobs_limit_key_text CHECK (limit_key ~ '^[A-Za-z0-9_.:@/-]{1,128}$' AND limit_key <> '-') NOT VALID,
    ADD CONSTRAINT jobs_cost_range CHECK (cost BETWEEN 1 AND 1000000000) NOT VALID;

-- What limits on waiting jobs count; statements repeat the predicates. Those on queues and types read idx_jobs_status, which lacks
-- what is blocked.
CREATE INDEX idx_jobs_tenant ON {schema}.jobs (queue, tenant)
    WHERE tenant IS NOT NULL AND status IN ('PENDING', 'SCHEDULED', 'BLOCKED');
CREATE INDEX idx_jobs_limit_key ON {schema}.jobs (queue, limit_key)
    WHERE limit_key IS NOT NULL AND status IN ('PENDING', 'SCHEDULED', 'BLOCKED');
CREATE INDEX idx_jobs_blocked ON {schema}.jobs (queue) WHERE status = 'BLOCKED';

-- What a worker has of countable things, by name; its capabilities are there since 002.
ALTER TABLE {schema}.workers
    ADD COLUMN resources jsonb NOT NULL DEFAULT '{}',
    ADD CONSTRAINT workers_resources_object CHECK (jsonb_typeof(resources) = 'object');

-- Tenants that differ from what a tenant is by default: weight 1, any priority.
CREATE TABLE {schema}.tenants (
    tenant text NOT NULL,
    weight numeric(7, 3) NOT NULL DEFAULT 1,
    max_priority smallint,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT tenants_pkey PRIMARY KEY (tenant),
    CONSTRAINT tenants_tenant_text CHECK (tenant ~ '^[A-Za-z0-9_.-]{1,64}$' AND tenant <> '-'),
    CONSTRAINT tenants_weight_range CHECK (weight BETWEEN 0.001 AND 1000),
    CONSTRAINT tenants_max_priority_range CHECK (max_priority BETWEEN 1 AND 5)
);

-- The highest priority that a job of a tenant may have of those up to the one that is asked for.
CREATE FUNCTION {schema}.tenant_priority(of_tenant text, asked smallint) RETURNS smallint
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT LEAST(asked, (SELECT t.max_priority FROM {schema}.tenants AS t WHERE t.tenant = of_tenant))
$$;

-- What a lifted job's priority may be is bounded by its tenant's.
CREATE OR REPLACE FUNCTION {schema}.inherited_priority(job_id uuid, priority integer)
RETURNS integer
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT {schema}.tenant_priority((SELECT j.tenant FROM {schema}.jobs AS j WHERE j.job_id = $1), LEAST(5, $2)::smallint)::integer
$$;

-- Raises the fences of waiting jobs, where a limit on how many run at a time may apply to them, and says which of the jobs wait, raised
-- or not: whoever leased one before Redis was lost can record its start no more, beside that of whoever gets it next. Jobs of every type
-- where `all_jobs`, else of these types, of tenants, with keys. A start that is recorded behind the run is none that could be refused.
-- With its owner's rights: whoever finds a queue unbuilt builds it, and producers are to raise fences and do nothing else to them.
-- The time of change moves by as little as there is: the jobs are what they were, and looks at what changed lately would read them all.
CREATE FUNCTION {schema}.raise_fences(ids uuid[], all_jobs boolean, types text[], tenants boolean, keys boolean) RETURNS SETOF uuid
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
    WITH waiting AS (
        SELECT j.job_id, j.mode = 'before' AND (
            all_jobs OR j.job_type = ANY(types) OR (tenants AND j.tenant IS NOT NULL) OR (keys AND j.limit_key IS NOT NULL)
        ) AS limited
        FROM {schema}.jobs AS j
        WHERE j.job_id = ANY(ids) AND (j.status IN ('PENDING', 'SCHEDULED')) IS TRUE
        ORDER BY j.job_id
        FOR NO KEY UPDATE OF j
    ), raised AS (
        UPDATE {schema}.jobs AS j
        SET fence = j.fence + 1, updated_at = j.updated_at + interval '1 microsecond'
        FROM waiting AS w
        WHERE j.job_id = w.job_id AND w.limited
    )
    SELECT w.job_id FROM waiting AS w
$$;

-- Limits, each of one queue. `name` is a job type, a tenant or a key, `*` for each that has no limit of its own; of the queue itself `*`.
CREATE TABLE {schema}.limits (
    queue text NOT NULL,
    kind text NOT NULL,
    scope text NOT NULL,
    name text NOT NULL DEFAULT '*',
    resource text NOT NULL DEFAULT '',
    amount numeric(13, 3) NOT NULL,
    period_ms bigint,
    burst integer,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT limits_pkey PRIMARY KEY (queue, kind, scope, name, resource),
    CONSTRAINT limits_queue_length CHECK (octet_length(queue) BETWEEN 1 AND 128),
    CONSTRAINT limits_kind_known CHECK (kind IN ('concurrency', 'rate', 'queued', 'resource')),
    CONSTRAINT limits_scope_known CHECK (scope IN ('queue', 'type', 'tenant', 'key')),
    CONSTRAINT limits_name_text CHECK (name ~ '^([A-Za-z0-9_.:@/-]{1,128}|[*])$' AND name <> '-'),
    CONSTRAINT limits_name_of_scope CHECK (
        (scope <> 'queue' OR name = '*') AND (scope <> 'type' OR name <> '*')
    ),
    CONSTRAINT limits_amount_range CHECK (amount BETWEEN 0 AND 1000000000 AND (kind = 'resource' OR amount = trunc(amount))),
    CONSTRAINT limits_resource_text CHECK (resource ~ '^[A-Za-z0-9_.-]{0,64}$' AND resource <> '-'),
    CONSTRAINT limits_resource_of_tenant CHECK ((kind = 'resource') = (resource <> '') AND (kind <> 'resource' OR scope = 'tenant')),
    CONSTRAINT limits_rate_has_period CHECK (
        (kind = 'rate') = (period_ms IS NOT NULL) AND (kind = 'rate') = (burst IS NOT NULL) AND (kind <> 'rate' OR amount > 0)
    ),
    CONSTRAINT limits_period_range CHECK (period_ms BETWEEN 1 AND 31622400000),
    CONSTRAINT limits_burst_range CHECK (burst BETWEEN 1 AND 1000000000)
);

-- In which order a queue's ready jobs are leased, where it is not by priority, and by what tenants share.
CREATE TABLE {schema}.queue_policies (
    queue text NOT NULL,
    order_by text NOT NULL DEFAULT 'priority',
    ageing_ms bigint,
    shortest_factor numeric(7, 3),
    fair text NOT NULL DEFAULT 'jobs',
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT queue_policies_pkey PRIMARY KEY (queue),
    CONSTRAINT queue_policies_queue_length CHECK (octet_length(queue) BETWEEN 1 AND 128),
    CONSTRAINT queue_policies_order_known CHECK (order_by IN ('priority', 'ageing', 'deadline', 'shortest')),
    CONSTRAINT queue_policies_ageing_range CHECK ((order_by = 'ageing') = COALESCE(ageing_ms BETWEEN 1 AND 31622400000, false)),
    CONSTRAINT queue_policies_factor_range
        CHECK ((order_by = 'shortest') = COALESCE(shortest_factor BETWEEN 0.001 AND 1000, false)),
    CONSTRAINT queue_policies_fair_known CHECK (fair IN ('jobs', 'time', 'share'))
);

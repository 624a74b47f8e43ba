-- What all migrations together make, read back from a server's catalogues: to be reviewed and compared, not to be run.
-- Written by `python -m tests.migration.dump > migrations/schema.sql`. The index of a key stands beside its constraint.

-- TABLE dead_letter_queue

column dead_letter_queue.dlq_id uuid not null
column dead_letter_queue.original_job_id uuid not null
column dead_letter_queue.job_type text not null
column dead_letter_queue.queue text not null
column dead_letter_queue.payload bytea not null
column dead_letter_queue.payload_format text not null default 'json'::text
column dead_letter_queue.priority smallint not null
column dead_letter_queue.attempts integer not null
column dead_letter_queue.reason text not null
column dead_letter_queue.error text
column dead_letter_queue.tags text[] not null default '{}'::text[]
column dead_letter_queue.metadata jsonb not null default '{}'::jsonb
column dead_letter_queue.failed_at timestamp with time zone not null default now()
column dead_letter_queue.created_at timestamp with time zone not null default now()

constraint dead_letter_queue.dead_letter_queue_pkey PRIMARY KEY (dlq_id)
constraint dead_letter_queue.dead_letter_queue_priority_range CHECK (((priority >= 1) AND (priority <= 5)))
constraint dead_letter_queue.dead_letter_queue_reason_known CHECK ((reason = ANY (ARRAY['exhausted'::text, 'poison'::text, 'dead'::text, 'invalid'::text, 'unknown_job_type'::text, 'refused'::text, 'deadline'::text])))

CREATE UNIQUE INDEX dead_letter_queue_pkey ON gap006.dead_letter_queue USING btree (dlq_id);
CREATE INDEX idx_dead_letter_queue_created_at ON gap006.dead_letter_queue USING btree (created_at);
CREATE INDEX idx_dead_letter_queue_job_type ON gap006.dead_letter_queue USING btree (job_type);
CREATE UNIQUE INDEX idx_dead_letter_queue_original_job_id ON gap006.dead_letter_queue USING btree (original_job_id);

-- TABLE job_dependencies

column job_dependencies.dependency_id uuid not null default gen_random_uuid()
column job_dependencies.job_id uuid not null
column job_dependencies.depends_on_job_id uuid not null
column job_dependencies.on_failure text not null default 'hold'::text
column job_dependencies.satisfied_at timestamp with time zone
column job_dependencies.created_at timestamp with time zone not null default now()

constraint job_dependencies.job_dependencies_depends_on_job_id_fkey FOREIGN KEY (depends_on_job_id) REFERENCES gap006.jobs(job_id)
constraint job_dependencies.job_dependencies_job_id_fkey FOREIGN KEY (job_id) REFERENCES gap006.jobs(job_id) ON DELETE CASCADE
constraint job_dependencies.job_dependencies_not_itself CHECK ((job_id <> depends_on_job_id))
constraint job_dependencies.job_dependencies_on_failure_known CHECK ((on_failure = ANY (ARRAY['hold'::text, 'cancel'::text, 'run'::text])))
constraint job_dependencies.job_dependencies_pkey PRIMARY KEY (dependency_id)
constraint job_dependencies.job_dependencies_unique UNIQUE (job_id, depends_on_job_id)

CREATE INDEX idx_job_dependencies_depends_on_job_id ON gap006.job_dependencies USING btree (depends_on_job_id);
CREATE INDEX idx_job_dependencies_job_id ON gap006.job_dependencies USING btree (job_id) WHERE (satisfied_at IS NULL);
CREATE UNIQUE INDEX job_dependencies_pkey ON gap006.job_dependencies USING btree (dependency_id);
CREATE UNIQUE INDEX job_dependencies_unique ON gap006.job_dependencies USING btree (job_id, depends_on_job_id);

CREATE TRIGGER trigger_job_dependencies_no_cycle AFTER INSERT ON gap006.job_dependencies REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION gap006.refuse_dependency_cycles();

-- TABLE job_executions with autovacuum_analyze_scale_factor=0.05, autovacuum_vacuum_cost_delay=1, autovacuum_vacuum_insert_scale_factor=0.05, autovacuum_vacuum_scale_factor=0.02, fillfactor=80

column job_executions.execution_id uuid not null
column job_executions.job_id uuid not null
column job_executions.worker_id uuid
column job_executions.fence bigint not null
column job_executions.attempt integer not null
column job_executions.status text not null default 'PROCESSING'::text
column job_executions.started_at timestamp with time zone not null default now()
column job_executions.completed_at timestamp with time zone
column job_executions.duration_ms double precision
column job_executions.error text

constraint job_executions.job_executions_attempt_positive CHECK ((attempt > 0))
constraint job_executions.job_executions_ended_has_time CHECK (((status = 'PROCESSING'::text) = (completed_at IS NULL)))
constraint job_executions.job_executions_fence_positive CHECK ((fence > 0))
constraint job_executions.job_executions_pkey PRIMARY KEY (execution_id)
constraint job_executions.job_executions_status_known CHECK ((status = ANY (ARRAY['PROCESSING'::text, 'COMPLETED'::text, 'FAILED'::text, 'CANCELLED'::text, 'SNOOZED'::text, 'RELEASED'::text, 'LOST'::text])))

CREATE UNIQUE INDEX idx_job_executions_job_id ON gap006.job_executions USING btree (job_id, fence);
CREATE INDEX idx_job_executions_started_at ON gap006.job_executions USING btree (started_at);
CREATE INDEX idx_job_executions_status ON gap006.job_executions USING btree (status) WHERE (status <> ALL (ARRAY['COMPLETED'::text, 'PROCESSING'::text]));
CREATE INDEX idx_job_executions_worker_id ON gap006.job_executions USING btree (worker_id);
CREATE UNIQUE INDEX job_executions_pkey ON gap006.job_executions USING btree (execution_id);

-- TABLE jobs with autovacuum_analyze_scale_factor=0.05, autovacuum_vacuum_cost_delay=1, autovacuum_vacuum_insert_scale_factor=0.05, autovacuum_vacuum_scale_factor=0.02, fillfactor=80

column jobs.job_id uuid not null
column jobs.job_type text not null
column jobs.queue text not null default 'default'::text
column jobs.payload bytea not null default '\x'::bytea
column jobs.payload_format text not null default 'json'::text
column jobs.priority smallint not null default 3
column jobs.status text not null default 'PENDING'::text
column jobs.mode text not null default 'before'::text
column jobs.attempts integer not null default 0
column jobs.max_retries integer not null default 5
column jobs.crashes smallint not null default 0
column jobs.fence bigint not null default 0
column jobs.timeout_ms integer
column jobs.run_at timestamp with time zone not null default now()
column jobs.idempotency_key text
column jobs.worker_id uuid
column jobs.pending_dependencies integer not null default 0
column jobs.has_dependents boolean not null default false
column jobs.cancel_requested_at timestamp with time zone
column jobs.progress real
column jobs.progress_note text
column jobs.result bytea
column jobs.result_format text
column jobs.error text
column jobs.tags text[] not null default '{}'::text[]
column jobs.metadata jsonb not null default '{}'::jsonb
column jobs.created_at timestamp with time zone not null default now()
column jobs.updated_at timestamp with time zone not null default now()
column jobs.started_at timestamp with time zone
column jobs.completed_at timestamp with time zone
column jobs.unique_key text
column jobs.unique_until text
column jobs.unique_hold_ms bigint
column jobs.expires_at timestamp with time zone
column jobs.deadline_at timestamp with time zone
column jobs.snoozes integer
column jobs.workflow_id uuid
column jobs.own_priority smallint
column jobs.tenant text
column jobs.requires text
column jobs.limit_key text
column jobs.cost integer

constraint jobs.jobs_attempts_not_negative CHECK ((attempts >= 0))
constraint jobs.jobs_blocked_waits CHECK (((status <> 'BLOCKED'::text) OR (pending_dependencies > 0)))
constraint jobs.jobs_cost_range CHECK (((cost >= 1) AND (cost <= 1000000000))) NOT VALID
constraint jobs.jobs_crashes_not_negative CHECK ((crashes >= 0))
constraint jobs.jobs_deadline_at_range CHECK ((deadline_at < '3000-01-01 00:00:00+00'::timestamp with time zone)) NOT VALID
constraint jobs.jobs_deadline_expires CHECK (((deadline_at IS NULL) OR COALESCE((expires_at <= deadline_at), false))) NOT VALID
constraint jobs.jobs_ended_has_time CHECK (((status = ANY (ARRAY['COMPLETED'::text, 'FAILED'::text, 'CANCELLED'::text])) = (completed_at IS NOT NULL)))
constraint jobs.jobs_expires_at_range CHECK (((expires_at >= '1970-01-01 00:00:00+00'::timestamp with time zone) AND (expires_at < '3000-01-01 00:00:00+00'::timestamp with time zone))) NOT VALID
constraint jobs.jobs_fence_not_negative CHECK ((fence >= 0))
constraint jobs.jobs_idempotency_key_length CHECK (((octet_length(idempotency_key) >= 1) AND (octet_length(idempotency_key) <= 255)))
constraint jobs.jobs_job_type_length CHECK (((octet_length(job_type) >= 1) AND (octet_length(job_type) <= 255)))
constraint jobs.jobs_limit_key_text CHECK (((limit_key ~ '^[A-Za-z0-9_.:@/-]{1,128}$'::text) AND (limit_key <> '-'::text))) NOT VALID
constraint jobs.jobs_max_retries_range CHECK (((max_retries >= 0) AND (max_retries <= 1000)))
constraint jobs.jobs_mode_known CHECK ((mode = ANY (ARRAY['before'::text, 'behind'::text])))
constraint jobs.jobs_own_priority_range CHECK (((own_priority >= 1) AND (own_priority <= priority))) NOT VALID
constraint jobs.jobs_payload_format_known CHECK ((payload_format = ANY (ARRAY['json'::text, 'msgpack'::text])))
constraint jobs.jobs_pending_dependencies_not_negative CHECK ((pending_dependencies >= 0))
constraint jobs.jobs_pkey PRIMARY KEY (job_id)
constraint jobs.jobs_priority_range CHECK (((priority >= 1) AND (priority <= 5)))
constraint jobs.jobs_processing_has_worker CHECK (((status <> 'PROCESSING'::text) OR (worker_id IS NOT NULL)))
constraint jobs.jobs_progress_range CHECK (((progress >= (0)::double precision) AND (progress <= (1)::double precision)))
constraint jobs.jobs_queue_length CHECK (((octet_length(queue) >= 1) AND (octet_length(queue) <= 128)))
constraint jobs.jobs_requires_text CHECK (((requires ~ '^[A-Za-z0-9_.:,-]*(;[A-Za-z0-9_.,=-]+)?$'::text) AND ((octet_length(requires) >= 1) AND (octet_length(requires) <= 512)))) NOT VALID
constraint jobs.jobs_run_at_range CHECK (((run_at >= '1970-01-01 00:00:00+00'::timestamp with time zone) AND (run_at < '3000-01-01 00:00:00+00'::timestamp with time zone))) NOT VALID
constraint jobs.jobs_snoozes_positive CHECK ((snoozes > 0)) NOT VALID
constraint jobs.jobs_status_known CHECK ((status = ANY (ARRAY['PENDING'::text, 'SCHEDULED'::text, 'BLOCKED'::text, 'PROCESSING'::text, 'COMPLETED'::text, 'FAILED'::text, 'CANCELLED'::text])))
constraint jobs.jobs_tenant_text CHECK (((tenant ~ '^[A-Za-z0-9_.-]{1,64}$'::text) AND (tenant <> '-'::text))) NOT VALID
constraint jobs.jobs_timeout_positive CHECK ((timeout_ms > 0))
constraint jobs.jobs_unique_has_until CHECK (((unique_key IS NULL) = (unique_until IS NULL))) NOT VALID
constraint jobs.jobs_unique_hold_range CHECK (((unique_until = 'hold'::text) = (unique_hold_ms > 0))) NOT VALID
constraint jobs.jobs_unique_key_length CHECK (((octet_length(unique_key) >= 1) AND (octet_length(unique_key) <= 1024))) NOT VALID
constraint jobs.jobs_unique_until_known CHECK ((unique_until = ANY (ARRAY['started'::text, 'ended'::text, 'window'::text, 'hold'::text]))) NOT VALID

CREATE INDEX idx_jobs_blocked ON gap006.jobs USING btree (queue) WHERE (status = 'BLOCKED'::text);
CREATE INDEX idx_jobs_expiry ON gap006.jobs USING btree ((
CASE
    WHEN (started_at IS NULL) THEN expires_at
    ELSE deadline_at
END)) WHERE ((expires_at IS NOT NULL) AND (status = ANY (ARRAY['PENDING'::text, 'SCHEDULED'::text, 'BLOCKED'::text])));
CREATE UNIQUE INDEX idx_jobs_idempotency_key ON gap006.jobs USING btree (idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE INDEX idx_jobs_limit_key ON gap006.jobs USING btree (queue, limit_key) WHERE ((limit_key IS NOT NULL) AND (status = ANY (ARRAY['PENDING'::text, 'SCHEDULED'::text, 'BLOCKED'::text])));
CREATE INDEX idx_jobs_priority_created_at ON gap006.jobs USING btree (priority DESC, created_at) WHERE (status = 'PENDING'::text);
CREATE INDEX idx_jobs_status ON gap006.jobs USING btree (queue, job_id, status) WHERE (status = ANY (ARRAY['PENDING'::text, 'SCHEDULED'::text, 'PROCESSING'::text]));
CREATE INDEX idx_jobs_tenant ON gap006.jobs USING btree (queue, tenant) WHERE ((tenant IS NOT NULL) AND (status = ANY (ARRAY['PENDING'::text, 'SCHEDULED'::text, 'BLOCKED'::text])));
CREATE UNIQUE INDEX idx_jobs_unique_key ON gap006.jobs USING btree (unique_key) WHERE ((unique_key IS NOT NULL) AND (((status = ANY (ARRAY['PENDING'::text, 'SCHEDULED'::text, 'BLOCKED'::text, 'PROCESSING'::text])) AND ((unique_until <> 'started'::text) OR (started_at IS NULL))) OR ((unique_until = ANY (ARRAY['window'::text, 'hold'::text])) AND (status = ANY (ARRAY['COMPLETED'::text, 'FAILED'::text])))));
CREATE INDEX idx_jobs_worker_id ON gap006.jobs USING btree (worker_id) WHERE (status = 'PROCESSING'::text);
CREATE INDEX idx_jobs_workflow_id ON gap006.jobs USING btree (workflow_id, status) WHERE (workflow_id IS NOT NULL);
CREATE UNIQUE INDEX jobs_pkey ON gap006.jobs USING btree (job_id);

CREATE TRIGGER trigger_jobs_delete_executions AFTER DELETE ON gap006.jobs REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT EXECUTE FUNCTION gap006.delete_job_executions();
CREATE TRIGGER trigger_jobs_updated_at BEFORE UPDATE ON gap006.jobs FOR EACH ROW WHEN ((NOT (new.updated_at IS DISTINCT FROM old.updated_at))) EXECUTE FUNCTION gap006.update_jobs_updated_at();

-- TABLE leaders

column leaders.leadership text not null
column leaders.term bigint not null
column leaders.holder text not null
column leaders.since timestamp with time zone not null default now()

constraint leaders.leaders_holder_length CHECK (((octet_length(holder) >= 1) AND (octet_length(holder) <= 512)))
constraint leaders.leaders_pkey PRIMARY KEY (leadership)
constraint leaders.leaders_term_positive CHECK ((term > 0))

CREATE UNIQUE INDEX leaders_pkey ON gap006.leaders USING btree (leadership);

-- TABLE limits

column limits.queue text not null
column limits.kind text not null
column limits.scope text not null
column limits.name text not null default '*'::text
column limits.resource text not null default ''::text
column limits.amount numeric(13,3) not null
column limits.period_ms bigint
column limits.burst integer
column limits.updated_at timestamp with time zone not null default now()

constraint limits.limits_amount_range CHECK ((((amount >= (0)::numeric) AND (amount <= (1000000000)::numeric)) AND ((kind = 'resource'::text) OR (amount = trunc(amount)))))
constraint limits.limits_burst_range CHECK (((burst >= 1) AND (burst <= 1000000000)))
constraint limits.limits_kind_known CHECK ((kind = ANY (ARRAY['concurrency'::text, 'rate'::text, 'queued'::text, 'resource'::text])))
constraint limits.limits_name_of_scope CHECK ((((scope <> 'queue'::text) OR (name = '*'::text)) AND ((scope <> 'type'::text) OR (name <> '*'::text))))
constraint limits.limits_name_text CHECK (((name ~ '^([A-Za-z0-9_.:@/-]{1,128}|[*])$'::text) AND (name <> '-'::text)))
constraint limits.limits_period_range CHECK (((period_ms >= 1) AND (period_ms <= '31622400000'::bigint)))
constraint limits.limits_pkey PRIMARY KEY (queue, kind, scope, name, resource)
constraint limits.limits_queue_length CHECK (((octet_length(queue) >= 1) AND (octet_length(queue) <= 128)))
constraint limits.limits_rate_has_period CHECK ((((kind = 'rate'::text) = (period_ms IS NOT NULL)) AND ((kind = 'rate'::text) = (burst IS NOT NULL)) AND ((kind <> 'rate'::text) OR (amount > (0)::numeric))))
constraint limits.limits_resource_of_tenant CHECK ((((kind = 'resource'::text) = (resource <> ''::text)) AND ((kind <> 'resource'::text) OR (scope = 'tenant'::text))))
constraint limits.limits_resource_text CHECK (((resource ~ '^[A-Za-z0-9_.-]{0,64}$'::text) AND (resource <> '-'::text)))
constraint limits.limits_scope_known CHECK ((scope = ANY (ARRAY['queue'::text, 'type'::text, 'tenant'::text, 'key'::text])))

CREATE UNIQUE INDEX limits_pkey ON gap006.limits USING btree (queue, kind, scope, name, resource);

-- TABLE paused_queues

column paused_queues.queue text not null
column paused_queues.reason text not null default ''::text
column paused_queues.paused_at timestamp with time zone not null default now()

constraint paused_queues.paused_queues_pkey PRIMARY KEY (queue)
constraint paused_queues.paused_queues_queue_length CHECK (((octet_length(queue) >= 1) AND (octet_length(queue) <= 128)))
constraint paused_queues.paused_queues_reason_length CHECK ((octet_length(reason) <= 1024))

CREATE UNIQUE INDEX paused_queues_pkey ON gap006.paused_queues USING btree (queue);

-- TABLE queue_policies

column queue_policies.queue text not null
column queue_policies.order_by text not null default 'priority'::text
column queue_policies.ageing_ms bigint
column queue_policies.shortest_factor numeric(7,3)
column queue_policies.fair text not null default 'jobs'::text
column queue_policies.updated_at timestamp with time zone not null default now()

constraint queue_policies.queue_policies_ageing_range CHECK (((order_by = 'ageing'::text) = COALESCE(((ageing_ms >= 1) AND (ageing_ms <= '31622400000'::bigint)), false)))
constraint queue_policies.queue_policies_factor_range CHECK (((order_by = 'shortest'::text) = COALESCE(((shortest_factor >= 0.001) AND (shortest_factor <= (1000)::numeric)), false)))
constraint queue_policies.queue_policies_fair_known CHECK ((fair = ANY (ARRAY['jobs'::text, 'time'::text, 'share'::text])))
constraint queue_policies.queue_policies_order_known CHECK ((order_by = ANY (ARRAY['priority'::text, 'ageing'::text, 'deadline'::text, 'shortest'::text])))
constraint queue_policies.queue_policies_pkey PRIMARY KEY (queue)
constraint queue_policies.queue_policies_queue_length CHECK (((octet_length(queue) >= 1) AND (octet_length(queue) <= 128)))

CREATE UNIQUE INDEX queue_policies_pkey ON gap006.queue_policies USING btree (queue);

-- TABLE schedules with fillfactor=70

column schedules.schedule_name text not null
column schedules.queue text not null
column schedules.job_type text not null
column schedules.cron text not null
column schedules.timezone text not null
column schedules.missed text not null
column schedules.paused boolean not null default false
column schedules.triggers integer not null default 0
column schedules.next_at timestamp with time zone not null
column schedules.last_at timestamp with time zone
column schedules.created_at timestamp with time zone not null default now()
column schedules.updated_at timestamp with time zone not null default now()

constraint schedules.schedules_cron_length CHECK (((octet_length(cron) >= 1) AND (octet_length(cron) <= 255)))
constraint schedules.schedules_missed_known CHECK ((missed = ANY (ARRAY['one'::text, 'all'::text, 'skip'::text])))
constraint schedules.schedules_name_length CHECK (((octet_length(schedule_name) >= 1) AND (octet_length(schedule_name) <= 128)))
constraint schedules.schedules_next_at_range CHECK (((next_at >= '1970-01-01 00:00:00+00'::timestamp with time zone) AND (next_at < '3000-01-01 00:00:00+00'::timestamp with time zone)))
constraint schedules.schedules_pkey PRIMARY KEY (schedule_name)
constraint schedules.schedules_timezone_length CHECK (((octet_length(timezone) >= 1) AND (octet_length(timezone) <= 64)))
constraint schedules.schedules_triggers_range CHECK (((triggers >= 0) AND (triggers <= 1000)))

CREATE UNIQUE INDEX schedules_pkey ON gap006.schedules USING btree (schedule_name);

-- TABLE suspicions

column suspicions.worker_id uuid not null
column suspicions.observer text not null
column suspicions.term bigint not null
column suspicions.phi real not null
column suspicions.dead boolean not null
column suspicions.since timestamp with time zone not null default now()
column suspicions.told_at timestamp with time zone not null default now()

constraint suspicions.suspicions_observer_length CHECK (((octet_length(observer) >= 1) AND (octet_length(observer) <= 128)))
constraint suspicions.suspicions_phi_range CHECK ((phi >= (0)::double precision))
constraint suspicions.suspicions_pkey PRIMARY KEY (worker_id, observer)

CREATE UNIQUE INDEX suspicions_pkey ON gap006.suspicions USING btree (worker_id, observer);

-- TABLE tenants

column tenants.tenant text not null
column tenants.weight numeric(7,3) not null default 1
column tenants.max_priority smallint
column tenants.updated_at timestamp with time zone not null default now()

constraint tenants.tenants_max_priority_range CHECK (((max_priority >= 1) AND (max_priority <= 5)))
constraint tenants.tenants_pkey PRIMARY KEY (tenant)
constraint tenants.tenants_tenant_text CHECK (((tenant ~ '^[A-Za-z0-9_.-]{1,64}$'::text) AND (tenant <> '-'::text)))
constraint tenants.tenants_weight_range CHECK (((weight >= 0.001) AND (weight <= (1000)::numeric)))

CREATE UNIQUE INDEX tenants_pkey ON gap006.tenants USING btree (tenant);

-- TABLE workers with autovacuum_vacuum_scale_factor=0.05, fillfactor=70

column workers.worker_id uuid not null
column workers.worker_name text not null
column workers.worker_type text not null default 'default'::text
column workers.host text not null default ''::text
column workers.pid integer not null default 0
column workers.queues text[] not null default '{}'::text[]
column workers.capabilities text[] not null default '{}'::text[]
column workers.concurrency integer not null default 1
column workers.status text not null default 'STARTING'::text
column workers.current_job_id uuid
column workers.version text
column workers.labels jsonb not null default '{}'::jsonb
column workers.health jsonb not null default '{}'::jsonb
column workers.last_heartbeat timestamp with time zone not null default now()
column workers.started_at timestamp with time zone not null default now()
column workers.stopped_at timestamp with time zone
column workers.created_at timestamp with time zone not null default now()
column workers.updated_at timestamp with time zone not null default now()
column workers.load real not null default 0
column workers.health_score smallint not null default 100
column workers.resources jsonb not null default '{}'::jsonb

constraint workers.workers_concurrency_positive CHECK ((concurrency > 0))
constraint workers.workers_current_job_id_fkey FOREIGN KEY (current_job_id) REFERENCES gap006.jobs(job_id) ON DELETE SET NULL
constraint workers.workers_health_score_range CHECK (((health_score >= 0) AND (health_score <= 100)))
constraint workers.workers_load_range CHECK ((load >= (0)::double precision))
constraint workers.workers_name_length CHECK (((octet_length(worker_name) >= 1) AND (octet_length(worker_name) <= 255)))
constraint workers.workers_pkey PRIMARY KEY (worker_id)
constraint workers.workers_resources_object CHECK ((jsonb_typeof(resources) = 'object'::text))
constraint workers.workers_status_known CHECK ((status = ANY (ARRAY['STARTING'::text, 'ACTIVE'::text, 'DEGRADED'::text, 'DRAINING'::text, 'SUSPECT'::text, 'FAILED'::text, 'STOPPED'::text])))

CREATE INDEX idx_workers_last_heartbeat ON gap006.workers USING btree (last_heartbeat);
CREATE INDEX idx_workers_status ON gap006.workers USING btree (status);
CREATE INDEX idx_workers_worker_type ON gap006.workers USING btree (worker_type);
CREATE UNIQUE INDEX workers_pkey ON gap006.workers USING btree (worker_id);

-- TABLE workflows

column workflows.workflow_id uuid not null
column workflows.name text
column workflows.jobs integer not null
column workflows.callback_job_id uuid
column workflows.deadline_at timestamp with time zone
column workflows.created_at timestamp with time zone not null default now()

constraint workflows.workflows_jobs_positive CHECK ((jobs > 0))
constraint workflows.workflows_name_length CHECK (((octet_length(name) >= 1) AND (octet_length(name) <= 255)))
constraint workflows.workflows_pkey PRIMARY KEY (workflow_id)

CREATE UNIQUE INDEX workflows_pkey ON gap006.workflows USING btree (workflow_id);

CREATE OR REPLACE FUNCTION gap006.delete_job_executions()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog'
AS $function$
BEGIN
    DELETE FROM gap006.job_executions AS e USING deleted AS d WHERE e.job_id = d.job_id;
    RETURN NULL;
END
$function$;
CREATE OR REPLACE FUNCTION gap006.get_runnable_jobs(max_jobs integer DEFAULT 100)
 RETURNS SETOF gap006.jobs
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog'
AS $function$
    SELECT j.*
    FROM gap006.jobs AS j
    WHERE (j.status = 'PENDING' OR (j.status = 'SCHEDULED' AND j.run_at <= now()))
        AND NOT EXISTS (
            SELECT FROM gap006.job_dependencies AS d WHERE d.job_id = j.job_id AND d.satisfied_at IS NULL
        )
    ORDER BY j.priority DESC, j.run_at, j.job_id
    LIMIT max_jobs
$function$;
CREATE OR REPLACE FUNCTION gap006.inherited_priority(job_id uuid, priority integer)
 RETURNS integer
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog'
AS $function$
    SELECT gap006.tenant_priority((SELECT j.tenant FROM gap006.jobs AS j WHERE j.job_id = $1), LEAST(5, $2)::smallint)::integer
$function$;
CREATE OR REPLACE FUNCTION gap006.mark_stale_workers(stale_after interval DEFAULT '00:01:00'::interval)
 RETURNS TABLE(worker_id uuid)
 LANGUAGE sql
 SET search_path TO 'pg_catalog'
AS $function$
    UPDATE gap006.workers AS w
    SET status = 'FAILED', stopped_at = now(), updated_at = now()
    WHERE w.status IN ('STARTING', 'ACTIVE', 'DEGRADED', 'DRAINING', 'SUSPECT') AND w.last_heartbeat < now() - stale_after
    RETURNING w.worker_id
$function$;
CREATE OR REPLACE FUNCTION gap006.raise_fences(ids uuid[], all_jobs boolean, types text[], tenants boolean, keys boolean)
 RETURNS SETOF uuid
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog'
AS $function$
    WITH waiting AS (
        SELECT j.job_id, j.mode = 'before' AND (
            all_jobs OR j.job_type = ANY(types) OR (tenants AND j.tenant IS NOT NULL) OR (keys AND j.limit_key IS NOT NULL)
        ) AS limited
        FROM gap006.jobs AS j
        WHERE j.job_id = ANY(ids) AND (j.status IN ('PENDING', 'SCHEDULED')) IS TRUE
        ORDER BY j.job_id
        FOR NO KEY UPDATE OF j
    ), raised AS (
        UPDATE gap006.jobs AS j
        SET fence = j.fence + 1, updated_at = j.updated_at + interval '1 microsecond'
        FROM waiting AS w
        WHERE j.job_id = w.job_id AND w.limited
    )
    SELECT w.job_id FROM waiting AS w
$function$;
CREATE OR REPLACE FUNCTION gap006.refuse_dependency_cycles()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
DECLARE
    looped uuid;
BEGIN
    PERFORM FROM (
        SELECT job_id, min(place) FILTER (WHERE parent) AS named, max(place) FILTER (WHERE NOT parent) AS last,
            count(*) FILTER (WHERE parent) AS children
        FROM (
            SELECT CASE WHEN two.parent THEN e.depends_on_job_id ELSE e.job_id END AS job_id, e.place, two.parent
            FROM (SELECT job_id, depends_on_job_id, row_number() OVER () AS place FROM added) AS e
            CROSS JOIN (VALUES (true), (false)) AS two(parent)
        ) AS ends
        GROUP BY job_id
        HAVING max(place) FILTER (WHERE NOT parent) IS NOT NULL
    ) AS child
    WHERE named <= last
        OR NOT EXISTS (SELECT FROM gap006.jobs AS j WHERE j.job_id = child.job_id AND j.created_at = now())
        OR (SELECT count(*) FROM gap006.job_dependencies AS d WHERE d.depends_on_job_id = child.job_id) > children;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'edges of jobs that are there already need the isolation level read committed'
            USING ERRCODE = 'invalid_transaction_state';
    END IF;
    -- Two of them must not look past each other's edges; what the lock waited for is seen by the next statement.
    PERFORM pg_advisory_xact_lock('gap006.job_dependencies'::regclass::oid::bigint);
    FOR looped IN SELECT DISTINCT job_id FROM added LOOP
        PERFORM FROM (
            WITH RECURSIVE above(job_id) AS (
                SELECT depends_on_job_id FROM gap006.job_dependencies WHERE job_id = looped
                UNION
                SELECT d.depends_on_job_id FROM above AS a JOIN gap006.job_dependencies AS d ON d.job_id = a.job_id
            )
            SELECT job_id FROM above
        ) AS waited_for
        WHERE waited_for.job_id = looped;
        IF FOUND THEN
            RAISE EXCEPTION 'a job would wait for itself: %', looped
                USING ERRCODE = 'check_violation', SCHEMA = 'gap006', TABLE = 'job_dependencies',
                    CONSTRAINT = 'job_dependencies_no_cycle';
        END IF;
    END LOOP;
    RETURN NULL;
END
$function$;
CREATE OR REPLACE FUNCTION gap006.tenant_priority(of_tenant text, asked smallint)
 RETURNS smallint
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog'
AS $function$
    SELECT LEAST(asked, (SELECT t.max_priority FROM gap006.tenants AS t WHERE t.tenant = of_tenant))
$function$;
CREATE OR REPLACE FUNCTION gap006.update_jobs_updated_at()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog'
AS $function$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$function$;

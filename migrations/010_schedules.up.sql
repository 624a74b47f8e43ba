-- When recurring jobs were last enqueued and when they are next. What they are stays in the code: no arguments are kept here.
CREATE TABLE {schema}.schedules (
    schedule_name text NOT NULL,
    queue text NOT NULL,
    job_type text NOT NULL,
    cron text NOT NULL,
    timezone text NOT NULL,
    missed text NOT NULL,
    paused boolean NOT NULL DEFAULT false,
    triggers integer NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL,
    last_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT schedules_pkey PRIMARY KEY (schedule_name),
    CONSTRAINT schedules_name_length CHECK (octet_length(schedule_name) BETWEEN 1 AND 128),
    CONSTRAINT schedules_cron_length CHECK (octet_length(cron) BETWEEN 1 AND 255),
    CONSTRAINT schedules_timezone_length CHECK (octet_length(timezone) BETWEEN 1 AND 64),
    CONSTRAINT schedules_missed_known CHECK (missed IN ('one', 'all', 'skip')),
    CONSTRAINT schedules_triggers_range CHECK (triggers BETWEEN 0 AND 1000),
    -- what a driver cannot read back would keep all schedules from being read
    CONSTRAINT schedules_next_at_range CHECK (next_at >= '1970-01-01 00:00:00+00' AND next_at < '3000-01-01 00:00:00+00')
) WITH (fillfactor = 70);

-- What the leader of the fleet writes of every worker, and the terms by which PostgreSQL knows who leads: a leadership is won in Redis,
-- which may forget it; its winner raises the term here, and whatever a leader writes is guarded by its term.
ALTER TABLE {schema}.workers
    ADD COLUMN load real NOT NULL DEFAULT 0,
    ADD COLUMN health_score smallint NOT NULL DEFAULT 100,
    ADD CONSTRAINT workers_load_range CHECK (load >= 0),
    ADD CONSTRAINT workers_health_score_range CHECK (health_score BETWEEN 0 AND 100);

CREATE TABLE {schema}.leaders (
    leadership text NOT NULL,
    term bigint NOT NULL,
    holder text NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT leaders_pkey PRIMARY KEY (leadership),
    CONSTRAINT leaders_term_positive CHECK (term > 0),
    CONSTRAINT leaders_holder_length CHECK (octet_length(holder) BETWEEN 1 AND 512)
);

-- What observers think of workers that are silent: each has one vote on each, under the seat that it holds and the term that it began with
-- it. Votes are few and short-lived: they go when the worker is heard of again or has been declared failed.
CREATE TABLE {schema}.suspicions (
    worker_id uuid NOT NULL,
    observer text NOT NULL,
    term bigint NOT NULL,
    phi real NOT NULL,
    dead boolean NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    told_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT suspicions_pkey PRIMARY KEY (worker_id, observer),
    CONSTRAINT suspicions_observer_length CHECK (octet_length(observer) BETWEEN 1 AND 128),
    CONSTRAINT suspicions_phi_range CHECK (phi >= 0)
);

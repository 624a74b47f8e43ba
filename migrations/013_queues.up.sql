-- Queues that an operator has paused. A queue without a row is not.
CREATE TABLE {schema}.paused_queues (
    queue text NOT NULL,
    reason text NOT NULL DEFAULT '',
    paused_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT paused_queues_pkey PRIMARY KEY (queue),
    CONSTRAINT paused_queues_queue_length CHECK (octet_length(queue) BETWEEN 1 AND 128),
    CONSTRAINT paused_queues_reason_length CHECK (octet_length(reason) <= 1024)
);

-- The checker's own witness in PostgreSQL: every change of a job's state, fence, attempts or outcome, written by a trigger in the
-- transaction that made it; ended attempts that were rewritten; and the writes of handlers that asked for a guard. One sequence numbers
-- all of them. A change of a row waits for the row's lock, so the numbers of one job rise in the order of its commits.
CREATE SEQUENCE {schema}.check_order;

CREATE TABLE {schema}.check_changes (
    seq bigint PRIMARY KEY DEFAULT nextval('{schema}.check_order'),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    job_id uuid NOT NULL,
    old_status text,
    new_status text,
    old_fence bigint,
    new_fence bigint,
    attempts integer,
    delay_seconds float8
);

CREATE TABLE {schema}.check_rewritten (
    job_id uuid NOT NULL,
    fence bigint NOT NULL,
    old_status text NOT NULL,
    new_status text
);

CREATE TABLE {schema}.check_effects (
    seq bigint PRIMARY KEY DEFAULT nextval('{schema}.check_order'),
    job_id uuid NOT NULL,
    fence bigint NOT NULL
);

CREATE FUNCTION {schema}.check_note_job() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO {schema}.check_changes (job_id, new_status, new_fence, attempts) VALUES (NEW.job_id, NEW.status, NEW.fence, 0);
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO {schema}.check_changes (job_id, old_status, old_fence) VALUES (OLD.job_id, OLD.status, OLD.fence);
    ELSE
        INSERT INTO {schema}.check_changes (job_id, old_status, new_status, old_fence, new_fence, attempts, delay_seconds)
        VALUES (OLD.job_id, OLD.status, NEW.status, OLD.fence, NEW.fence, NEW.attempts, extract(epoch FROM NEW.run_at - now()));
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION {schema}.check_note_rewrite() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    INSERT INTO {schema}.check_rewritten VALUES (OLD.job_id, OLD.fence, OLD.status, NEW.status);
    RETURN NULL;
END $$;

CREATE TRIGGER check_job_there AFTER INSERT OR DELETE ON {schema}.jobs
    FOR EACH ROW EXECUTE FUNCTION {schema}.check_note_job();
CREATE TRIGGER check_job_changed AFTER UPDATE ON {schema}.jobs FOR EACH ROW
    WHEN ((OLD.status, OLD.fence, OLD.attempts, OLD.completed_at, OLD.result)
        IS DISTINCT FROM (NEW.status, NEW.fence, NEW.attempts, NEW.completed_at, NEW.result))
    EXECUTE FUNCTION {schema}.check_note_job();
CREATE TRIGGER check_attempt_rewritten AFTER UPDATE ON {schema}.job_executions FOR EACH ROW
    WHEN (OLD.status <> 'PROCESSING') EXECUTE FUNCTION {schema}.check_note_rewrite();
CREATE TRIGGER check_attempt_deleted AFTER DELETE ON {schema}.job_executions
    FOR EACH ROW EXECUTE FUNCTION {schema}.check_note_rewrite();

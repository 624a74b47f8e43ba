-- Times that no client sends, and that drivers cannot read back or turn into milliseconds: one such row, written by hand, would keep
-- a whole list from being read and a whole queue from being built. Not validated: rows that are there are not read under the lock.
ALTER TABLE {schema}.jobs
    ADD CONSTRAINT jobs_run_at_range CHECK (run_at >= '1970-01-01 00:00:00+00' AND run_at < '3000-01-01 00:00:00+00') NOT VALID;

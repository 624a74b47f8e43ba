-- Ended attempts that somebody changed or deleted.
SELECT job_id, fence, old_status, new_status FROM {schema}.check_rewritten

-- Every dead letter as the checker reads it.
SELECT original_job_id AS job_id, reason, attempts FROM {schema}.dead_letter_queue ORDER BY original_job_id

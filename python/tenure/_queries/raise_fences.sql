-- Raise the fences of those of these waiting jobs that a limit on how many run at a time may apply to; all that wait, raised or not.
SELECT job_id FROM {schema}.raise_fences($1, $2, $3, $4, $5) AS job_id

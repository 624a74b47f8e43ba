-- Whether somebody asked for the cancellation of this running attempt.
SELECT fence FROM {schema}.jobs WHERE job_id = $1 AND fence = $2 AND cancel_requested_at IS NOT NULL

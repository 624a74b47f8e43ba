-- Since when a queue has ready jobs of a class.
SELECT min(run_at) AS since FROM {schema}.jobs WHERE queue = $1 AND requires = $2 AND status = 'PENDING'

-- Say by what a queue's tenants share.
INSERT INTO {schema}.queue_policies AS q (queue, fair) VALUES ($1, $2)
ON CONFLICT (queue) DO UPDATE SET fair = EXCLUDED.fair, updated_at = now()

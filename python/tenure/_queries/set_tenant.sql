-- Say how a tenant differs from others.
INSERT INTO {schema}.tenants AS t (tenant, weight, max_priority) VALUES ($1, $2::float8, $3)
ON CONFLICT (tenant) DO UPDATE SET weight = EXCLUDED.weight, max_priority = EXCLUDED.max_priority, updated_at = now()

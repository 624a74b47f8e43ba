-- The tenants that differ from others, by name.
SELECT tenant, weight::float8 AS weight, max_priority FROM {schema}.tenants ORDER BY tenant

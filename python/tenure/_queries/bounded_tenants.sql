-- The tenants of these whose jobs have a highest priority, and which.
SELECT tenant, max_priority FROM {schema}.tenants WHERE tenant = ANY($1::text[]) AND max_priority IS NOT NULL

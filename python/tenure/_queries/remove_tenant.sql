-- Make a tenant one like any other; a row if it was not.
DELETE FROM {schema}.tenants WHERE tenant = $1 RETURNING tenant

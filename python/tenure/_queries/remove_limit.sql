-- Remove a limit of a queue; of a resource's where none is named, all of them. A row for each that was there.
DELETE FROM {schema}.limits
WHERE queue = $1 AND kind = $2 AND scope = $3 AND name = $4 AND resource = COALESCE($5, resource)
RETURNING resource

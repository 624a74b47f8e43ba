-- Every limit on waiting jobs.
SELECT queue, scope, name, amount::bigint AS most FROM {schema}.limits WHERE kind = 'queued'

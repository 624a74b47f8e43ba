-- The queues that live workers serve, or that have limits or an order of their own.
SELECT unnest(queues) AS queue FROM {schema}.workers WHERE status NOT IN ('FAILED', 'STOPPED')
UNION
SELECT queue FROM {schema}.limits
UNION
SELECT queue FROM {schema}.queue_policies

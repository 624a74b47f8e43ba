-- The queues that have limits or a policy of their own.
SELECT queue FROM {schema}.limits
UNION
SELECT queue FROM {schema}.queue_policies

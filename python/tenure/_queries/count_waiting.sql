-- How many jobs wait under each of these limits, in their order, counted no further than is asked for. A type's are found among the
-- queue's.
SELECT CASE a.scope
    WHEN 'tenant' THEN (SELECT count(*) FROM (
        SELECT FROM {schema}.jobs AS j
        WHERE j.queue = a.queue AND j.tenant = a.name AND j.tenant IS NOT NULL AND j.status IN ('PENDING', 'SCHEDULED', 'BLOCKED')
        LIMIT a.most
    ) AS n)
    WHEN 'key' THEN (SELECT count(*) FROM (
        SELECT FROM {schema}.jobs AS j
        WHERE j.queue = a.queue AND j.limit_key = a.name AND j.limit_key IS NOT NULL AND j.status IN ('PENDING', 'SCHEDULED', 'BLOCKED')
        LIMIT a.most
    ) AS n)
    ELSE (SELECT count(*) FROM (
        SELECT FROM (
            SELECT j.job_type FROM {schema}.jobs AS j
            WHERE j.queue = a.queue AND j.status IN ('PENDING', 'SCHEDULED', 'PROCESSING') AND j.status <> 'PROCESSING'
            UNION ALL
            SELECT j.job_type FROM {schema}.jobs AS j WHERE j.queue = a.queue AND j.status = 'BLOCKED'
        ) AS w
        WHERE a.scope = 'queue' OR w.job_type = a.name
        LIMIT a.most
    ) AS n)
END AS waiting
FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) WITH ORDINALITY AS a(queue, scope, name, most, place)
ORDER BY a.place

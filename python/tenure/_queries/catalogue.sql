-- Every object of a schema with its definition, in an order that depends neither on who made it first nor on the
-- database's collation. Tables and functions are those that are named, or all of them. Not-null constraints are part of
-- their columns: only PostgreSQL 18 lists them apart.
WITH space AS (
    SELECT oid FROM pg_namespace WHERE nspname = $1
), tables AS (
    SELECT c.oid, c.relname, c.reloptions
    FROM pg_class AS c JOIN space AS s ON s.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND c.relname <> 'schema_migrations' AND ($2::text[] IS NULL OR c.relname = ANY($2))
)
SELECT 'table' AS kind, t.relname::text COLLATE "C" AS name,
    COALESCE('with ' || (SELECT string_agg(o, ', ' ORDER BY o) FROM unnest(t.reloptions) AS o), '') AS definition,
    t.relname::text COLLATE "C" AS owner, 1 AS section, 0 AS place
FROM tables AS t
UNION ALL
SELECT 'column', t.relname || '.' || a.attname,
    format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
        || COALESCE(' default ' || pg_get_expr(d.adbin, d.adrelid), ''),
    t.relname, 2, a.attnum
FROM tables AS t
JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
UNION ALL
SELECT 'constraint', t.relname || '.' || c.conname, pg_get_constraintdef(c.oid), t.relname, 3, 0
FROM tables AS t JOIN pg_constraint AS c ON c.conrelid = t.oid AND c.contype <> 'n'
UNION ALL
SELECT 'index', i.relname, pg_get_indexdef(i.oid) || CASE WHEN x.indisvalid THEN '' ELSE ' (invalid)' END, t.relname, 4, 0
FROM tables AS t JOIN pg_index AS x ON x.indrelid = t.oid JOIN pg_class AS i ON i.oid = x.indexrelid
UNION ALL
SELECT 'trigger', t.relname || '.' || g.tgname,
    pg_get_triggerdef(g.oid) || CASE WHEN g.tgenabled = 'O' THEN '' ELSE ' (not enabled)' END, t.relname, 5, 0
FROM tables AS t JOIN pg_trigger AS g ON g.tgrelid = t.oid AND NOT g.tgisinternal
UNION ALL
SELECT 'function', p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')', pg_get_functiondef(p.oid), '~', 6, 0
FROM pg_proc AS p JOIN space AS s ON s.oid = p.pronamespace
WHERE p.prokind = 'f' AND ($3::text[] IS NULL OR p.proname = ANY($3))
    AND NOT EXISTS (SELECT FROM pg_depend AS e WHERE e.objid = p.oid AND e.classid = 'pg_proc'::regclass AND e.deptype = 'e')
ORDER BY 4, 5, 6, 2

-- Whether the schema is one that the runner made, and whether anything is left in it.
SELECT COALESCE(obj_description(n.oid, 'pg_namespace') = 'made by tenure migrate', false) AS ours,
    NOT EXISTS (
        SELECT FROM pg_depend AS d
        WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = n.oid AND d.deptype = 'n'
    ) AS empty
FROM pg_namespace AS n
WHERE n.nspname = $1

-- PostgreSQL's clock, by which schedules go.
SELECT now() AS now

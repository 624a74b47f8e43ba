DROP TABLE IF EXISTS {schema}.suspicions;

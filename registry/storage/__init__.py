"""Where records and artifacts are kept: database, tables, migrations and artifact store."""

"""Storage of records and artifacts: database, tables, migrations and artifact stores."""

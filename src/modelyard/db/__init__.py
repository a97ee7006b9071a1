"""Floor 2: the database. Tables, engine, migrations, the ledger file."""

"""Who is known: people, strangers, visits and corrections in one SQLite file."""

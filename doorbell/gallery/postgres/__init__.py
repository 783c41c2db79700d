"""The gallery on a PostgreSQL server with pgvector, for a house of many doors.

Nothing outside knows psycopg; it comes with the extra ``postgres``.
"""

"""Keeps order between processes on several machines that share a PostgreSQL database (DESIGN "Replicas")."""

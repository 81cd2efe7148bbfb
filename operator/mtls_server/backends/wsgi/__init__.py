"""The backend that serves a WSGI application (PEP 3333) on threads."""

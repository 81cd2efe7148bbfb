"""The backend that passes requests on to an HTTP/1.1 server, and tells it who calls."""

"""Say what is: the status of a service, and of each MTLSClient that calls it."""

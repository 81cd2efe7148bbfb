"""What the API server refuses, and the sentence with which it does.

The expressions keep to what Kubernetes 1.29 knows of CEL, since a server of version n takes from a new CRD
only what version n-1 had; so addresses are judged by patterns, without the later library for IP addresses.
"""

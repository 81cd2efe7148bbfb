"""What each rule of the CRDs lets pass and what it refuses."""

from tests.apiserver.cases import authorization, backends, clients, lifetimes, pods, values

OF_SERVICES = [*values.CASES, *backends.CASES, *lifetimes.CASES, *authorization.CASES, *pods.CASES]
OF_CLIENTS = clients.CASES

"""The single values that the API is made of, each with its bounds."""

from typing import Annotated, Any

from pydantic import WithJsonSchema

from mtls_operator.api import durations, template
from mtls_operator.api.rules import authorization, backends, lifetimes, values
from mtls_operator.api.schema import entries, items, number, text

Duration = Annotated[str, text(durations.MAX_LENGTH, values.DURATION)]
Propagation = Annotated[str, text(durations.MAX_LENGTH, values.DURATION, lifetimes.SHORTEST_PROPAGATION)]
Timeout = Annotated[str, text(durations.MAX_LENGTH, values.DURATION, backends.TIMEOUT)]
Moment = Annotated[str, text(64, format="date-time")]
"""A point in time, in RFC 3339."""

Label = Annotated[str, text(63, values.LABEL)]
"""A DNS label (RFC 1123)."""
TrustName = Annotated[str, text(63, values.LABEL, authorization.TRUST_NAME)]
ObjectName = Annotated[str, text(253)]
"""A name that the API server judged where the object was made."""
ReferenceName = Annotated[str, text(253, values.REFERENCE)]
SecretName = Annotated[str, text(253, values.SECRET_NAME, values.AUTHORITY_SECRET)]
LabelKey = Annotated[str, text(317)]
LabelValue = Annotated[str, text(63, at_least=0)]
MatchLabels = Annotated[dict[str, LabelValue], entries(32)]
Annotations = Annotated[dict[str, Annotated[str, text(4096, at_least=0)]], entries(64, values.OUR_KEYS)]

Replicas = Annotated[int, number(0, 1000, default=2)]
Port = Annotated[int, number(1, 65535, *values.PORT, default=8443)]
ExtraPort = Annotated[int, number(1, 65535, values.EXTRA_PORT)]
Cidr = Annotated[str, text(43, format="cidr")]
Image = Annotated[str, text(512)]
Application = Annotated[str, text(253, backends.APPLICATION)]
Template = Annotated[dict[str, Any], WithJsonSchema(template.SCHEMA)]

DnsName = Annotated[str, text(253, values.DNS_NAME)]
HostName = Annotated[str, text(253, values.HOST_NAME)]
IpAddress = Annotated[str, text(45, values.IP_ADDRESS)]
TrustDomain = Annotated[str, text(253, values.TRUST_DOMAIN)]
KeySize = Annotated[int, number(256, 4096)]
CommonName = Annotated[str, text(64, authorization.COMMON_NAME)]
Uri = Annotated[str, text(2048, authorization.URI)]
SpiffeId = Annotated[str, text(2048, *authorization.SPIFFE_ID)]
UpstreamUrl = Annotated[str, text(300, backends.UPSTREAM_URL)]
Hex = Annotated[str, text(128)]
Fingerprint = Annotated[str, text(64, authorization.FINGERPRINT)]

Roles = Annotated[tuple[Annotated[str, text(63, values.ROLE)], ...], items(16, unique=True)]
Tenant = Annotated[str, text(63, values.TENANT)]
Path = Annotated[str, text(1024, *authorization.PATH)]
Method = Annotated[str, text(16, authorization.METHOD)]

ClientLimit = Annotated[int, number(0, 1000)]
Count = Annotated[int, number(0, 2**31 - 1)]
Generation = Annotated[int, WithJsonSchema({"type": "integer", "format": "int64"})]
Word = Annotated[str, text(1024)]
Sentence = Annotated[str, text(32768, at_least=0)]

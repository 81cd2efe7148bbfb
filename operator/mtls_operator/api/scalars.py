"""The single values that the API is made of, each with its bounds."""

from typing import Annotated, Any

from pydantic import WithJsonSchema

from mtls_operator.api import durations, rules, template
from mtls_operator.api.schema import entries, items, number, text

Duration = Annotated[str, text(durations.MAX_LENGTH, rules.DURATION)]
Moment = Annotated[str, text(64, format="date-time")]
"""A point in time, in RFC 3339."""

Label = Annotated[str, text(63, rules.LABEL)]
"""A DNS label (RFC 1123)."""
ObjectName = Annotated[str, text(253)]
"""A name that the API server judged where the object was made."""
LabelKey = Annotated[str, text(317)]
LabelValue = Annotated[str, text(63, at_least=0)]
MatchLabels = Annotated[dict[str, LabelValue], entries(32)]
Annotations = Annotated[dict[str, Annotated[str, text(4096, at_least=0)]], entries(64, rules.OUR_KEYS)]

Replicas = Annotated[int, number(0, 1000, default=2)]
Port = Annotated[int, number(1, 65535, *rules.PORT, default=8443)]
ExtraPort = Annotated[int, number(1, 65535, rules.EXTRA_PORT)]
Cidr = Annotated[str, text(43, format="cidr")]
Image = Annotated[str, text(512)]
Application = Annotated[str, text(253, rules.APPLICATION)]
Template = Annotated[dict[str, Any], WithJsonSchema(template.SCHEMA)]

DnsName = Annotated[str, text(253, rules.DNS_NAME)]
IpAddress = Annotated[str, text(45, rules.IP_ADDRESS)]
TrustDomain = Annotated[str, text(253, rules.TRUST_DOMAIN)]
KeySize = Annotated[int, number(256, 4096)]
CommonName = Annotated[str, text(64)]
Uri = Annotated[str, text(2048)]
Hex = Annotated[str, text(128)]
Fingerprint = Annotated[str, text(64, pattern="^[0-9a-f]{64}$")]

Roles = Annotated[tuple[Annotated[str, text(63, rules.ROLE)], ...], items(16, unique=True)]
Tenant = Annotated[str, text(63, rules.TENANT)]
Path = Annotated[str, text(1024)]
Method = Annotated[str, text(16)]

ClientLimit = Annotated[int, number(0, 1000)]
Count = Annotated[int, number(0, 2**31 - 1)]
Generation = Annotated[int, WithJsonSchema({"type": "integer", "format": "int64"})]
Word = Annotated[str, text(1024)]
Sentence = Annotated[str, text(32768, at_least=0)]

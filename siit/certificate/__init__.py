"""The certificate: measuring from the contents of a bundle alone whether a model's labels are true."""

from siit.certificate.certificate import BARS, CERTIFICATE_FORMAT, FIELDS, Certificate, Effect
from siit.certificate.measure import measure
from siit.certificate.reference import ReferenceModel, Run

__all__ = [
    "BARS",
    "CERTIFICATE_FORMAT",
    "FIELDS",
    "Certificate",
    "Effect",
    "ReferenceModel",
    "Run",
    "measure",
]

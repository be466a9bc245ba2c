"""The certificate: measuring from the contents of a bundle alone whether a model's labels are true."""

from siit.certificate.answers import OUTPUTS, Answers, Output
from siit.certificate.certificate import BARS, CERTIFICATE_FORMAT, FIELDS, Certificate, Effect
from siit.certificate.measure import measure
from siit.certificate.reference import ReferenceModel, ReferenceRun

__all__ = [
    "BARS",
    "CERTIFICATE_FORMAT",
    "FIELDS",
    "OUTPUTS",
    "Answers",
    "Certificate",
    "Effect",
    "Output",
    "ReferenceModel",
    "ReferenceRun",
    "measure",
]

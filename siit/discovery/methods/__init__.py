"""Circuit discovery methods, one module each; their parameters are fields, and calling one scores a task."""

from siit.discovery.methods.acdc import Acdc
from siit.discovery.methods.eap import AttributionPatching
from siit.discovery.methods.eap_ig import ActivationGradients, InputGradients
from siit.discovery.methods.edge_pruning import EdgePruning
from siit.discovery.methods.exact import ExactPatching
from siit.discovery.methods.hisp import HeadImportance
from siit.discovery.methods.information_flow import InformationFlow
from siit.discovery.methods.mask_gradients import MaskGradients
from siit.discovery.methods.subnetwork_probing import SubnetworkProbing

__all__ = [
    "Acdc",
    "ActivationGradients",
    "AttributionPatching",
    "EdgePruning",
    "ExactPatching",
    "HeadImportance",
    "InformationFlow",
    "InputGradients",
    "MaskGradients",
    "SubnetworkProbing",
]

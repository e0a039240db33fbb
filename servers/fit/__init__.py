"""Presets x hardware -> launch plan, or a refusal with its arithmetic. Pure."""

from servers.fit.solve import fit
from servers.fit.values import (
    LaunchPlan,
    Measured,
    Offer,
    Refusal,
    Request,
    ServerPlan,
    Step,
    Sum,
)

__all__ = [
    "LaunchPlan",
    "Measured",
    "Offer",
    "Refusal",
    "Request",
    "ServerPlan",
    "Step",
    "Sum",
    "fit",
]

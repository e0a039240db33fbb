"""Presets x hardware -> launch plan, or a refusal with its arithmetic. Pure."""

from servers.fit.in_turn import InTurn
from servers.fit.solve import fit, fit_in_turn
from servers.fit.values import LaunchPlan, Measured, Offer, Refusal, Request, ServerPlan, Step, Sum

__all__ = [
    "InTurn",
    "LaunchPlan",
    "Measured",
    "Offer",
    "Refusal",
    "Request",
    "ServerPlan",
    "Step",
    "Sum",
    "fit",
    "fit_in_turn",
]

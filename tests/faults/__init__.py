"""Mistakes that a compiler could have, one planted at a time, to see that the checks of this suite catch each of them."""

from __future__ import annotations

from tests.faults import cells, data, functions, losses, norms, passes, rules, scripts, sources, updates

MODULES = (cells, rules, functions, passes, scripts, losses, norms, updates, data, sources)
FAULTS = {fault.name: fault for module in MODULES for fault in module.FAULTS}

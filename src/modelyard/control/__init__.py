"""Floor 3: the control plane, by noun: `routes` (HTTP), `service` (what it does), `queries` (SQL), `schemas` (JSON)."""

"""Moving in: what other systems have configured, as the document `yard.yaml`, and what could not be carried."""

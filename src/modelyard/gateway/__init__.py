"""Floor 3: the data plane. Follow `gateway.pipeline`: it is the only caller of the steps."""

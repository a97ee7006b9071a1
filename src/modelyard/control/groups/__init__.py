"""Groups of people: what they may do beside calling models, and what is shared with them."""

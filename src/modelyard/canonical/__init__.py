"""Floor 1: the vocabulary that every room above shares. Plain immutable records, no behaviour beyond reading themselves."""

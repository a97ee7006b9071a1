"""Floor 2: HTTP out. The seam is `upstream.client`; everything that opens a socket to a backend lives here."""

"""The conformance matrix: every caller's dialect against every target's, each cell a real server called by a real SDK.

`asking` is what cases are written in, `callers` say it with the official SDKs, `lab` starts the servers, `matrix` runs
a cell, `cases` are the rows, `page` writes docs/conformance.md from what was run.
"""

"""Measures Modelyard side by side with a bare pass-through and with other gateways. Run: python -m bench"""

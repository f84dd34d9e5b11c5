"""The rules behind `make lint`; see tools/lint."""

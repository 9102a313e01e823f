"""The example in micrograd's README: about 20 operations."""

TITLE = "small: micrograd's README example, built and differentiated"
UNIT = "graph"
FULL = TOY = {}


def make():
    return {}

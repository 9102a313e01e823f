"""The example in micrograd's README: about 20 operations."""

TITLE = "small: micrograd's README example, built and differentiated"
WORDS = "the example of micrograd's README"
UNIT = "graph"
FULL = TOY = {}


def make():
    return {}

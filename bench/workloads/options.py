"""black_scholes with the true normal distribution, for engines that have an error function."""

from .black_scholes import make as make

TITLE = "options: price and five sensitivities of 100,000 options, normal distribution"
WORDS = "100,000 option prices, five sensitivities each (normal distribution)"
UNIT = "portfolio"
FULL = {"count": 100_000}
TOY = {"count": 20}

"""Filters rounded as mobile networks round them. No torch here."""


def divisible(number: float, divisor: int = 8) -> int:
    """Return the nearest multiple of a divisor, one more where that is under 0.9 times a number.

    Source: MobileNetV2's released code, https://github.com/tensorflow/models,
    research/slim/nets/mobilenet.
    """
    nearest = max(divisor, int(number + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * number else nearest

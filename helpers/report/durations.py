"""How long something took, in words."""


def in_words(seconds: float) -> str:
    """``seconds`` (0 or more) as a reader says them: "3.9 s", "2 min 54 s" or "1 h 2 min"."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"

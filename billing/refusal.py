"""The word for what an account does not let be done."""


class Refused(ValueError):
    """What was asked of an account may not be done; the message says why and what to do."""

"""The one exception that users are meant to see."""


class RestorekitError(Exception):
    """Something the user can mend. The message says what was wrong, with what, and what to do."""

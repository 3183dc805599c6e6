"""Text on its way to PostgreSQL. The driver is imported here, so that only those load it who need it."""

from psycopg.adapt import Buffer
from psycopg.types.string import StrDumper


class StorableText(StrDumper):
    """Writes text to PostgreSQL; what it cannot store (NUL, half a surrogate pair) becomes the replacement character.

    Nobody types these, but they arrive in what shops and phones send, and one of them shall not keep a message from
    being stored. Source: https://www.postgresql.org/docs/current/datatype-character.html
    """

    def dump(self, obj: str) -> Buffer | None:
        """Give the text as it is stored."""
        if not obj.isascii() or "\x00" in obj:
            obj = obj.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\x00", "\ufffd")
        return super().dump(obj)

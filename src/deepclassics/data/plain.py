"""Plain text: what the bytes of a file stand for."""

from pathlib import Path

from deepclassics.errors import UserError

WIDE = (b"\xff\xfe", b"\xfe\xff")  # how UTF-16 begins


def decoded(content: bytes, path: Path) -> str:
    """UTF-8, or UTF-16 where the first bytes say so, as spreadsheets and some editors save it.

    Raises:
        UserError: it is in another encoding, or no text at all.
    """
    wide = content.startswith(WIDE)
    try:
        # What holds a byte of 0 is no text, even if no byte of it breaks the rules of UTF-8.
        text = None if not wide and b"\0" in content else content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(
            f"{path} must be UTF-8 text; byte {error.start:,}, in line {line:,}, is not. "
            f"Save it as UTF-8, or convert it: iconv -f latin1 -t utf-8 {path.name} > new{path.suffix}"
        ) from None
    if text is None or "\0" in text:
        raise UserError(
            f"{path} must be text; it holds bytes of 0 as only other formats do. Save it as text in UTF-8 or as CSV."
        )
    return text

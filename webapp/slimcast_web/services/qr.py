"""Text as a QR code: a phone takes over a long command without typing."""

import io

import segno


def svg(text: str) -> str:
    """Return a QR code as an SVG document: black on white in both themes, with its quiet zone.

    Raises:
        ValueError: the text has more than 2331 bytes.

    """
    drawn = io.BytesIO()
    try:
        segno.make_qr(text, error="m").save(drawn, kind="svg", omitsize=True, light="white", xmldecl=False)
    except segno.DataOverflowError as error:
        raise ValueError(f"{len(text.encode())} bytes are too many for a QR code.") from error
    return drawn.getvalue().decode()

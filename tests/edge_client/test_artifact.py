import base64
import io

import numpy as np
import pytest
from PIL import Image

from slimcast_edge.artifact import GoldenSample
from slimcast_edge.errors import ArtifactError


def _png():
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"", b"no picture", _png()[:-30], _png().replace(b"IDAT", b"\0\0\0\0")],
    ids=["nothing", "no picture", "cut off", "a chunk without a name"],  # the last was found by atheris
)
def test_a_golden_sample_that_is_no_picture_is_refused(content):
    sample = GoldenSample(image=base64.b64encode(content).decode(), logits=[0.0])
    with pytest.raises(ArtifactError, match="no PNG image"):
        sample.pixels()

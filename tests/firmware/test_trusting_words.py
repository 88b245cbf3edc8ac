"""Words of a board's configuration that decide whom it believes."""

import pytest

from hedgerow.errors import HedgerowError
from hedgerow.mesh.tag import mesh_key, mesh_tag
from hedgerow_device.config import check


@pytest.mark.parametrize("value", ["", "some", 1, True])
def test_security_is_one_of_three_words(value: object) -> None:
    for word in ("auto", "keys", "none"):
        assert check({"name": "b", "security": word})["security"] == word
    assert check({"name": "b"})["security"] == "auto"
    with pytest.raises(HedgerowError, match="CONFIG_INVALID"):
        check({"name": "b", "security": value})


def test_a_mesh_may_have_a_secret_which_its_tag_does_not_tell() -> None:
    for wrong in ("farm:", "farm:too short"):
        with pytest.raises(HedgerowError, match="CONFIG_INVALID: mesh"):
            check({"name": "b", "mesh": wrong})
    secret = "farm:Vq3:l9ZtB4xW7nYc2Ke8"
    assert check({"name": "b", "mesh": secret})["mesh"] == secret
    assert mesh_tag(secret) == mesh_tag("farm") and mesh_key(secret) != mesh_key("farm")

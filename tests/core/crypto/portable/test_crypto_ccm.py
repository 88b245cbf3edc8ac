"""AES-CCM-16-64-128: RFC 3610, altered bytes, sizes."""

from kit import Random, raises

from hedgerow.crypto import ccm, port

HEAP = "800k"

KEY = bytes(range(0xC0, 0xD0))
# RFC 3610, packet vectors 1 and 2: nonce, bytes of data, what comes of them.
VECTORS = (
    (
        "00000003020100a0a1a2a3a4a5",
        31,
        "588c979a61c663d2f066d0c2c0f989806d5f6b61dac38417e8d12cfdf926e0",
    ),
    (
        "00000004030201a0a1a2a3a4a5",
        32,
        "72c91a36e135f8cf291ca894085c87e3cc15c439c9e43a3ba091d56e10400916",
    ),
)


def test_rfc_3610() -> None:
    for module in (ccm, port):
        for nonce, end, sealed in VECTORS:
            aad, data = bytes(range(8)), bytes(range(8, end))
            assert module.seal(KEY, bytes.fromhex(nonce), aad, data) == bytes.fromhex(sealed)
            assert module.unseal(KEY, bytes.fromhex(nonce), aad, bytes.fromhex(sealed)) == data


def test_both_backends_seal_alike() -> None:
    random = Random(1)
    for size in list(range(50)) + [255, 256, 1200, 4000]:
        key, nonce, data = random.bytes(16), random.bytes(13), random.bytes(size)
        for aad in (b"", random.bytes(1), random.bytes(14), random.bytes(60)):
            sealed = ccm.seal(key, nonce, aad, data)
            assert sealed == port.seal(key, nonce, aad, data) and len(sealed) == size + 8
            assert ccm.unseal(key, nonce, aad, sealed) == port.unseal(key, nonce, aad, sealed) == data


def test_every_altered_bit_is_found() -> None:
    nonce, aad = bytes(13), b"head"
    sealed = ccm.seal(KEY, nonce, aad, b"twenty bytes of data")
    for module in (ccm, port):
        for at in range(len(sealed) * 8):
            wrong = bytearray(sealed)
            wrong[at >> 3] ^= 1 << (at & 7)
            raises("TAG_INVALID", module.unseal, KEY, nonce, aad, bytes(wrong))
        for size in range(len(sealed)):
            raises("TAG_INVALID", module.unseal, KEY, nonce, aad, sealed[:size])
        raises("TAG_INVALID", module.unseal, KEY, nonce, b"heaD", sealed)
        raises("TAG_INVALID", module.unseal, KEY, nonce, b"", sealed)
        raises("TAG_INVALID", module.unseal, KEY, bytes(12) + b"\1", aad, sealed)
        raises("TAG_INVALID", module.unseal, KEY[:15] + b"\0", nonce, aad, sealed)


def test_sizes_refused() -> None:
    for module in (ccm, port):
        for key, nonce, aad, data in (
            (KEY[:15], bytes(13), b"", b""),
            (KEY + KEY, bytes(13), b"", b""),
            (KEY, bytes(12), b"", b""),
            (KEY, bytes(13), bytes(0xFF00), b""),
            (KEY, bytes(13), b"", bytes(0x10000)),
        ):
            raises("CIPHER_INVALID", module.seal, key, nonce, aad, data)
            raises("CIPHER_INVALID", module.unseal, key, nonce, aad, data + bytes(8))

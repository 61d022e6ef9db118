"""Checks that a browser made a security key for us. Source: WebAuthn Level 3 §7.1."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct
from webauthn import verify_registration_response
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.structs import AuthenticatorAttestationResponse, RegistrationCredential

from quorate.app.verify.assertions import LONGEST, KeyRules, Wrong, part
from quorate.app.verify.jwk import as_base64url, from_cose

# What `jwk` can write down, the usual one first.
ALGORITHMS: Final = (
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
)


class Registered(Struct, frozen=True):
    """A new key: its public part as we keep it, and where it counts."""

    public: dict[str, Any]
    sign_count: int


def check_registration(credential: Mapping[str, Any], challenge: bytes, rules: KeyRules) -> Registered:
    """Check what `navigator.credentials.create` made, as `PublicKeyCredential.toJSON()`. Raises: Wrong."""
    said = credential.get("response")
    try:
        if not isinstance(said, Mapping) or credential.get("type") != "public-key":
            raise Wrong("no public key")
        id = part(credential, "id")
        response = AuthenticatorAttestationResponse(
            client_data_json=part(said, "clientDataJSON"), attestation_object=part(said, "attestationObject")
        )
        verified = verify_registration_response(
            credential=RegistrationCredential(id=as_base64url(id), raw_id=id, response=response),
            expected_challenge=challenge,
            expected_rp_id=rules.rp_id,
            expected_origin=list(rules.origins),
            require_user_verification=rules.demands_user,
            supported_pub_key_algs=list(ALGORITHMS),
        )
        if verified.credential_id != id or len(id) > LONGEST // 16:
            raise Wrong("made for another id")
        public = {"id": as_base64url(id), "publicKey": from_cose(verified.credential_public_key)}
    except Exception as error:  # The library lets through what its parsers raise: whatever it is, it is a no.
        raise Wrong("the registration does not verify") from error
    return Registered(public, verified.sign_count)

"""OpenID discovery of the service-account issuer: its configuration and its public keys."""

from __future__ import annotations

import orjson
from fastapi import APIRouter, Response

from apiserver.authentication.service_accounts import TokenSettings

_CACHE = {"cache-control": "public, max-age=3600"}


def router(settings: TokenSettings, jwks_uri: str) -> APIRouter:
    """/.well-known/openid-configuration and /openid/v1/jwks."""
    made = APIRouter()
    algorithms = sorted({key.algorithm for key in settings.keys})
    configuration = orjson.dumps(
        {
            "issuer": settings.issuers[0],
            "jwks_uri": jwks_uri,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": algorithms,
        }
    )
    keys = orjson.dumps({"keys": [key.jwk() for key in settings.keys]})

    @made.get("/.well-known/openid-configuration")
    async def openid_configuration() -> Response:
        return Response(configuration, headers=_CACHE, media_type="application/json")

    @made.get("/openid/v1/jwks")
    async def jwks() -> Response:
        return Response(keys, headers=_CACHE, media_type="application/jwk-set+json")

    return made

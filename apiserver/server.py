"""Puts the API server together from its options and runs it until told to stop."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from apiserver import version
from apiserver.admission.plugin import Chain as AdmissionChain
from apiserver.authentication.authenticator import Authenticator
from apiserver.authentication.keys import load_private_key, load_public_keys
from apiserver.authentication.service_accounts import ServiceAccountAuthenticator, TokenSettings, TokenSigner
from apiserver.authentication.x509 import X509Authenticator
from apiserver.authorization.authorizer import Chain as AuthorizerChain
from apiserver.authorization.authorizer import Masters
from apiserver.authorization.tables import Tables
from apiserver.http import application
from apiserver.http.discovery import Documents
from apiserver.http.lane import Lane
from apiserver.http.metrics import RequestMetrics
from apiserver.options import Options
from apiserver.registry.catalog import Catalog
from apiserver.storage import Etcd, Store
from component_base import daemon, logs, metrics
from component_base.health import HealthChecks
from component_base.serving import Server
from component_base.tls import TLSFiles, self_signed_context

_log = logs.get_logger("apiserver")


@dataclass
class Parts:
    """The assembled server."""

    store: Store
    catalog: Catalog
    lane: Lane
    health: HealthChecks


def assemble(options: Options) -> Parts:
    """Make all parts, connected but not started. Raises OSError or ValueError for files that cannot be used."""
    etcd = Etcd(
        options.etcd_servers, ca_file=options.etcd_cafile, cert_file=options.etcd_certfile,
        key_file=options.etcd_keyfile,
    )  # fmt: skip
    store = Store(etcd, options.etcd_prefix)
    admission = AdmissionChain(())
    catalog = Catalog(store, options.settings, admission)
    signing = options.service_account_signing_key_file
    tokens = TokenSettings(
        options.service_account_issuers,
        options.api_audiences,
        tuple(load_public_keys(list(options.service_account_key_files))),
        load_private_key(signing) if signing else None,
    )
    accounts = ServiceAccountAuthenticator(tokens, catalog.lookup)
    authenticator = Authenticator(X509Authenticator(), [accounts], options.anonymous_auth)
    authorizer = AuthorizerChain([Masters(), Tables()])
    health = HealthChecks()
    health.add("etcd", store.check)
    documents = Documents()
    address = f"{options.advertise_address}:{options.secure_port}"
    app = application.make(
        application.discovery_router(catalog, documents, address),
        application.health_router(health),
        application.process_router(),
    )
    lane = Lane(catalog, authenticator, authorizer, app, RequestMetrics())
    return Parts(store, catalog, lane, health)


async def run(options: Options, stop: asyncio.Event) -> None:
    """Serve until `stop` is set."""
    metrics.build_info(version.GIT_VERSION)
    parts = assemble(options)
    await parts.store.start()
    tls = None
    if options.tls_cert_file and options.tls_private_key_file:
        tls = TLSFiles(options.tls_cert_file, options.tls_private_key_file, options.client_ca_file)
    server = Server(
        parts.lane, options.bind_address, options.secure_port,
        tls=tls or await self_signed_context(options.advertise_address),
    )  # fmt: skip
    await server.start()
    daemon.settle()
    await stop.wait()
    await server.stop(options.shutdown_grace)
    await parts.store.stop()


__all__ = ["TokenSigner", "assemble", "run"]
